import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidode.clip import Batch, Clip, InvalidInput, Meaning


def clip(steps=3, shape=(2, 4, 5), start=0.0, **fields):
    return Clip(torch.rand(steps, *shape), start + torch.arange(steps) / 25, **fields)


NAN = torch.full((2, 1, 2, 2), torch.nan)


@pytest.mark.parametrize(
    ("frames", "times", "message"),
    [
        (torch.rand(2, 1, 4, 4), [0.0, 0.0], r"times\[0\] = 0.0 is followed by times\[1\] = 0.0; expected strictly"),
        (torch.rand(2, 1, 4, 4), [1.0, 0.5], "expected strictly increasing times"),
        (torch.rand(2, 1, 4, 4), [0.0, float("nan")], "time 1 is nan; expected a finite number"),
        (torch.rand(2, 1, 4, 4), ["a", "b"], "expected numbers, one for each frame"),
        (torch.rand(2, 1, 4, 4), [[0.0, 1.0]], r"times have shape \(1, 2\); expected one dimension"),
        (torch.rand(2, 1, 4, 4), [0.0], "2 frames but 1 times"),
        (torch.rand(2, 4, 4), [0.0, 1.0], r"frames have shape \(2, 4, 4\); expected four dimensions"),
        (torch.rand(0, 1, 4, 4), [], "which holds nothing; expected at least one frame"),
        ([torch.rand(1, 4, 4), torch.rand(1, 4, 5)], [0.0, 1.0], "frames of different sizes"),
        ("frames.mp4", [0.0], r"frames are 'frames.mp4'; expected an array"),
        (torch.rand(1, 1, 2, 2) * 1j, [0.0], "expected real numbers"),
        (NAN, [0.0, 1.0], r"frame 0, channel 0, pixel \(0, 0\) is nan; expected finite values"),
    ],
)
def test_what_is_no_clip_is_refused_in_one_line(frames, times, message):
    with pytest.raises(InvalidInput, match=message) as refused:
        Clip(frames, times)
    assert "\n" not in str(refused.value)


def test_missing_pixels_are_allowed_where_they_are_declared():
    valid = torch.zeros(2, 1, 2, 2, dtype=torch.bool)
    assert len(Clip(NAN, [0.0, 1.0], valid=valid)) == 2
    valid[1, 0, 1, 1] = True
    with pytest.raises(InvalidInput, match=r"frame 1, channel 0, pixel \(1, 1\) is nan"):
        Clip(NAN, [0.0, 1.0], valid=valid)
    with pytest.raises(InvalidInput, match="mask of valid pixels has shape"):
        Clip(NAN, [0.0, 1.0], valid=valid[:1])


@pytest.mark.parametrize(
    "fields",
    [
        {"value_range": (1.0, 1.0)},
        {"value_range": (0.0, float("inf"))},
        {"frame_gap": 0.0},
        {"frame_gap": -1.0},
        {"frame_gap": float("inf")},
    ],
)
def test_a_meaning_that_means_nothing_is_refused(fields):
    with pytest.raises(InvalidInput, match="expected"):
        Meaning(**fields)


def test_bytes_become_zero_to_one_and_times_stay_wide():
    made = Clip(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1), [1e9, 1e9 + 1e-3])
    assert made.frames.flatten().tolist() == [0.0, 1.0]
    assert made.times.dtype == torch.float64
    assert float(made.times[1] - made.times[0]) == pytest.approx(1e-3, rel=1e-3)


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4))
@settings(max_examples=30, deadline=None)
def test_normalising_is_undone(low, span):
    meaning = Meaning(value_range=(low, low + span), units="K")
    original = Clip(low + span * torch.rand(2, 1, 3, 3), [0.0, 1.0], meaning=meaning)
    normalised = original.normalised()
    assert normalised.frames.min() > -1e-3 * (1 + abs(low) / span)
    assert normalised.meaning.value_range == (0.0, 1.0)
    back = normalised.denormalised(meaning)
    assert back.meaning == meaning
    assert torch.allclose(back.frames, original.frames, atol=1e-5 * (abs(low) + span))


def test_frames_are_chosen_with_their_times_and_masks():
    whole = clip(5, valid=torch.rand(5, 1, 4, 5) > 0.2)
    for chosen in (slice(1, 4, 2), torch.tensor([1, 3]), [1, 3]):
        part = whole[chosen]
        assert torch.equal(part.times, whole.times[[1, 3]])
        assert torch.equal(part.frames, whole.frames[[1, 3]])
        assert torch.equal(part.valid, whole.valid[[1, 3]])


def test_collating_pads_with_what_is_not_seen():
    short, long = clip(2), clip(4, start=7.0)
    batch = Batch.collate([short, long], length=6)
    assert batch.frames.shape == (2, 6, 2, 4, 5)
    assert batch.seen.sum(dim=1).tolist() == [2, 4]
    assert torch.equal(batch.frames[1, :4], long.frames)
    assert bool((batch.frames[~batch.seen] == 0).all())
    assert bool((batch.times[0, 2:] == short.times[-1]).all())
    assert batch.valid is None
    assert bool(batch.frame_gap.isnan().all())


def test_collating_hides_what_is_not_valid_and_keeps_a_declared_gap():
    valid = torch.ones(2, 1, 2, 2, dtype=torch.bool)
    valid[0, 0, 0, 0] = False
    frames = torch.rand(2, 1, 2, 2)
    frames[0, 0, 0, 0] = torch.nan
    masked = Clip(frames, [0.0, 1.0], valid=valid, meaning=Meaning(frame_gap=0.5))
    batch = Batch.collate([masked, clip(2, shape=(1, 2, 2))])
    assert float(batch.frames[0, 0, 0, 0, 0]) == 0.0
    assert batch.valid[0, 0].logical_not().sum() == 1
    assert bool(batch.valid[1].all())
    assert float(batch.frame_gap[0]) == 0.5


@pytest.mark.parametrize(
    ("clips", "message"),
    [([], "got no clips"), ([clip(2), clip(2, shape=(2, 4, 6))], "clips of different frame shapes")],
)
def test_what_cannot_be_collated_is_refused(clips, message):
    with pytest.raises(InvalidInput, match=message):
        Batch.collate(clips)


@pytest.mark.parametrize(
    ("frames", "times", "seen", "message"),
    [
        ((2, 3, 1, 4), (2, 3), (2, 3), "expected \\(B, T, C, H, W\\)"),
        ((2, 3, 1, 4, 4), (2, 4), (2, 3), "batch times has shape"),
        ((2, 3, 1, 4, 4), (2, 3), (3,), "batch seen has shape"),
    ],
)
def test_a_batch_that_does_not_fit_together_is_refused(frames, times, seen, message):
    with pytest.raises(InvalidInput, match=message):
        Batch(torch.rand(frames), torch.rand(times), torch.ones(seen, dtype=torch.bool))


def test_a_batch_with_a_clip_that_nobody_saw_is_refused():
    with pytest.raises(InvalidInput, match="no seen frame"):
        Batch(torch.rand(1, 2, 1, 4, 4), torch.rand(1, 2), torch.zeros(1, 2, dtype=torch.bool))


def test_moving_a_batch_keeps_times_wide():
    batch = Batch.collate([clip()]).to("cpu")
    assert batch.times.dtype == torch.float64
    assert batch.frames.dtype == torch.float32
