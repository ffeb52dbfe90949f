import io
import weakref
from dataclasses import dataclass
from fractions import Fraction as F
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from vidode.clip import Batch, Clip, InvalidInput, Meaning
from vidode.cuts import CutDetector
from vidode.generation import generate, stream
from vidode.generation.bar import Bar
from vidode.generation.maker import Options
from vidode.models import Prediction, VideoModel, build
from vidode.sources import Frame, open_source, write
from vidode.timing import Factor, FrameRate, Times, TimeScale
from vidode.windows import windows


@dataclass(frozen=True)
class EverythingConfig:
    channels: int = 3
    neighbours: int = 2


class Everything(VideoModel):
    """A lawful model whose frames depend on every frame in the window, on all times and on the query."""

    config: EverythingConfig

    def __init__(self, config=EverythingConfig()):
        super().__init__()
        self.config = config
        self.calls = []

    def forward(self, observed: Batch, query):
        self.calls.append(observed)
        seen = windows(observed, query, self.config.neighbours, TimeScale())
        away = seen.query[..., None] - seen.times[seen.of_query]  # (B, K, 2N)
        weight = torch.exp(-3 * away.abs()) * seen.present[seen.of_query]
        weight = weight / weight.sum(dim=-1, keepdim=True)
        frames = seen.gather(observed.frames)[seen.of_query]
        return Prediction((weight[..., None, None, None] * frames).sum(dim=2))

    def objective(self):
        raise AssertionError("generating never trains")


class OnlyBetween(Everything):
    tasks: ClassVar = ("interpolation",)


def clip_of(times, seed=0, channels=3, size=(9, 7), **meaning):
    frames = torch.rand(len(times), channels, *size, generator=torch.Generator().manual_seed(seed))
    return Clip(frames, torch.as_tensor(times, dtype=torch.float64), meaning=Meaning(**meaning))


def frames_of(clip):
    return [Frame(pixels, F(time)) for pixels, time in zip(clip.frames, clip.times.tolist(), strict=True)]


def whole(model, clip, times):
    """The model on the whole clip at once, as the contract of models has it."""
    query = torch.tensor([times], dtype=torch.float64)
    return model(Batch.collate([clip]), query).frames[0]


GAPS = st.lists(st.integers(1, 40), min_size=2, max_size=9)
QUERIES = st.lists(st.integers(-40, 260), min_size=1, max_size=8, unique=True).map(sorted)
UNCUT = Options(cuts=None)


@given(GAPS, QUERIES)
@settings(max_examples=30, deadline=None)
def test_a_frame_is_what_the_model_gives_on_the_whole_clip(gaps, queries):
    clip = clip_of([sum(gaps[:i]) / 8 for i in range(len(gaps))])
    times, model = [q / 8 for q in queries], Everything()
    made = generate(model, clip, times, keep_observed=False, options=UNCUT)
    torch.testing.assert_close(made.frames, whole(model, clip, times), atol=1e-5, rtol=0)
    assert made.times.tolist() == times


@given(GAPS, st.fractions(F(1, 2), 5, max_denominator=7), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_streaming_equals_whole_however_it_is_chunked(gaps, factor, chunk):
    clip = clip_of([sum(gaps[:i]) / 8 for i in range(len(gaps))])
    request = Factor(factor, beyond=1)
    once = generate(Everything(), clip, request, options=UNCUT)
    options = Options(cuts=None, frames_per_call=chunk)
    parts = list(stream(Everything(), iter(frames_of(clip)), request, clip.meaning, options))
    assert [float(frame.time) for frame in parts] == once.times.tolist()
    torch.testing.assert_close(torch.stack([frame.pixels for frame in parts]), once.frames, atol=1e-6, rtol=0)


def test_a_frame_does_not_depend_on_what_else_is_asked():
    clip, model = clip_of([0, 1, 2.5, 3]), Everything()
    every = generate(model, clip, FrameRate(4, beyond=2))
    for time, frame in zip(every.times, every.frames, strict=True):
        torch.testing.assert_close(generate(model, clip, [float(time)]).frames[0], frame, atol=1e-6, rtol=0)


def test_shifting_the_clock_changes_nothing_however_far():
    clip, model = clip_of([0, 0.25, 1, 1.5]), Everything()
    shifted = Clip(clip.frames, clip.times + 2**40)
    here = generate(model, clip, Factor(3, beyond=1))
    there = generate(model, shifted, Factor(3, beyond=1))
    assert torch.equal(here.frames, there.frames)


def test_an_observed_frame_stays_itself_unless_it_need_not():
    clip, model = clip_of([0, 1, 2, 3]), Everything()
    kept = generate(model, clip, [1, 1.5, 3])
    assert torch.equal(kept.frames[[0, 2]], clip.frames[[1, 3]])
    made = generate(model, clip, [1, 1.5, 3], keep_observed=False, options=UNCUT)
    assert not torch.allclose(made.frames[0], clip.frames[1], atol=1e-2)
    assert not torch.allclose(made.frames[2], clip.frames[3], atol=1e-2)
    assert torch.equal(kept.frames[1], made.frames[1])


def test_a_clip_in_memory_falls_on_the_grid_of_its_own_rate():
    clip = clip_of([step / 30 for step in range(7)])
    doubled = generate(build("blend"), clip, FrameRate(60))
    assert len(doubled) == 13
    assert torch.equal(doubled.frames[::2], clip.frames)


def test_queries_in_one_gap_are_one_call_within_the_limit():
    model, clip = Everything(), clip_of([0, 1, 2])
    generate(model, clip, Factor(5))
    assert len(model.calls) == 2
    model.calls.clear()
    generate(model, clip, Factor(5), options=Options(frames_per_call=3))
    assert len(model.calls) == 4


def test_queries_in_one_gap_are_one_call_where_they_depend_on_one_another():
    model, clip = Everything(), clip_of([0, 1, 2])
    model.function_of_time = False
    generate(model, clip, Factor(5), options=Options(frames_per_call=3))
    assert len(model.calls) == 2


def test_a_model_is_given_no_more_than_it_may_see():
    model = Everything()
    generate(model, clip_of(range(12)), Factor(2, beyond=3), keep_observed=False)
    assert max(call.frames.shape[1] for call in model.calls) == 4


def two_shots(first=4, second=4):
    dark = clip_of(range(first), seed=1).frames * 0.2
    bright = clip_of(range(second), seed=2).frames * 0.2 + 0.8
    return Clip(torch.cat([dark, bright]), torch.arange(first + second, dtype=torch.float64))


def test_across_a_cut_the_nearer_frame_is_held():
    clip, model = two_shots(), Everything()
    made = generate(model, clip, [3.25, 3.5, 3.75])
    assert torch.equal(made.frames, clip.frames[[3, 3, 4]])
    assert not model.calls
    blended = generate(model, clip, [3.25], options=UNCUT)
    assert not torch.equal(blended.frames[0], clip.frames[3])


@pytest.mark.parametrize("keep", [True, False])
def test_each_shot_is_as_if_it_were_alone(keep):
    clip, model = two_shots(), Everything()
    times = [-1.0, 0.5, 2.5, 3.0, 4.0, 4.5, 6.5, 7.0, 8.5]
    together = generate(model, clip, times, keep_observed=keep)
    first = generate(model, clip[:4], [t for t in times if t <= 3], keep_observed=keep)
    second = generate(model, clip[4:], [t for t in times if t >= 4], keep_observed=keep)
    torch.testing.assert_close(together.frames, torch.cat([first.frames, second.frames]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_shot_of_any_length_is_made(length):
    clip = two_shots(first=5, second=length)
    made = generate(Everything(), clip, Factor(2, beyond=2), keep_observed=False)
    assert made.frames[made.times >= 5].min() >= 0.8
    assert len(made) == 2 * (len(clip) - 1) + 1 + 4


def test_the_threshold_of_cuts_is_a_choice():
    clip, model = two_shots(), build("blend")
    strict = Options(cuts=CutDetector(difference=1.0))
    assert torch.equal(generate(model, clip, [3.25]).frames[0], clip.frames[3])
    assert not torch.equal(generate(model, clip, [3.25], options=strict).frames[0], clip.frames[3])


def test_frozen_pictures_are_frames_like_others():
    clip = Clip(clip_of([0]).frames.expand(6, -1, -1, -1), torch.arange(6, dtype=torch.float64))
    made = generate(build("blend"), clip, Factor(3))
    torch.testing.assert_close(made.frames, clip.frames[:1].expand(16, -1, -1, -1))


def test_a_stream_of_any_length_holds_a_few_frames():
    def most_alive(length):
        alive, most = weakref.WeakSet(), 0

        def source():
            nonlocal most
            for step in range(length):
                pixels = torch.rand(3, 4, 4)
                alive.add(pixels)
                most = max(most, len(alive))
                yield Frame(pixels, F(step))

        for frame in stream(build("blend"), source(), Factor(2)):
            del frame
        return most

    assert most_alive(40) == most_alive(20) <= 12


def test_a_stream_begins_before_its_source_ends():
    def source():
        for step in range(20):
            yield Frame(torch.rand(3, 4, 4), F(step))
        raise AssertionError("read to the end")

    made = stream(build("blend"), source(), FrameRate(2))
    assert [next(made).time for _ in range(4)] == [0, F(1, 2), 1, F(3, 2)]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("of_model", [1, 3])
def test_any_number_of_channels_goes_through_any_model(channels, of_model):
    clip = clip_of([0, 1, 2, 3], channels=channels)
    model, wanted = Everything(EverythingConfig(channels=of_model)), Everything(EverythingConfig(channels=channels))
    made = generate(model, clip, [0.5, 1.25, 4])
    assert model.calls[0].frames.shape[2] == of_model
    torch.testing.assert_close(made.frames, generate(wanted, clip, [0.5, 1.25, 4]).frames, atol=1e-6, rtol=0)


def test_values_stay_in_the_range_of_the_clip():
    unit = clip_of([0, 1, 2])
    meaning = Meaning(value_range=(-50.0, 150.0), units="K")
    scaled = Clip(unit.frames * 200 - 50, unit.times, meaning=meaning)
    made = generate(Everything(), scaled, [0.5, 1, 2.5])
    assert made.meaning == meaning
    expected = generate(Everything(), unit, [0.5, 1, 2.5]).frames * 200 - 50
    torch.testing.assert_close(made.frames, expected, atol=1e-3, rtol=0)


class Overshooting(Everything):
    def forward(self, observed, query):
        return Prediction(super().forward(observed, query).frames * 5)


def test_no_pixel_is_brighter_than_white_unless_one_was_observed():
    clip = clip_of([0, 1, 2])
    assert generate(Overshooting(), clip, [0.5]).frames.max() == 1
    brighter = Clip(clip.frames * 2, clip.times)
    assert generate(Overshooting(), brighter, [0.5]).frames.max() == brighter.frames.max()


def test_what_was_not_measured_has_no_effect_and_stays_so_in_kept_frames():
    clip = clip_of([0, 1, 2])
    valid = torch.ones(3, 1, 9, 7, dtype=torch.bool)
    valid[1, :, 2, 3] = False
    results = []
    for value in (torch.nan, 0.3):
        frames = torch.where(valid, clip.frames, value)
        results.append(generate(Everything(), Clip(frames, clip.times, valid=valid), [0.5, 1, 1.5]))
    assert torch.equal(results[0].frames[[0, 2]], results[1].frames[[0, 2]])
    assert torch.equal(
        results[0].valid, torch.cat([torch.ones_like(valid[:1]), valid[1:2], torch.ones_like(valid[:1])])
    )


def test_a_model_in_training_is_used_in_evaluation_and_left_as_it_was():
    class Strict(Everything):
        def forward(self, observed, query):
            assert not self.training
            assert not torch.is_grad_enabled()
            return super().forward(observed, query)

    model = Strict().train()
    generate(model, clip_of([0, 1]), [0.5])
    assert model.training


def test_beyond_the_end_a_model_that_cannot_names_one_that_can():
    clip, model = clip_of([0, 1, 2]), OnlyBetween()
    assert len(generate(model, clip, [0.5, 2])) == 2
    with pytest.raises(InvalidInput, match=r"cannot do extrapolation; use .*copy_last"):
        generate(model, clip, [0.5, 2.5])
    with pytest.raises(InvalidInput, match="cannot do extrapolation"):
        next(stream(model, frames_of(clip), FrameRate(60, beyond=1)))


def test_one_frame_needs_a_declared_gap_to_go_on():
    for request in (FrameRate(2, beyond=1), Factor(2, beyond=1), Times((1,)), Times((-1,))):
        with pytest.raises(InvalidInput, match="--frame-gap"):
            generate(Everything(), clip_of([0]), request)
        assert generate(Everything(), clip_of([0], frame_gap=0.5), request).frames.isfinite().all()
    assert len(generate(Everything(), clip_of([0]), FrameRate(60))) == 1


def test_bad_times_and_bad_frames_are_refused_in_one_line():
    clip, model = clip_of([0, 1]), Everything()
    for times in ([0.5, 0.25], [float("nan")], [], ["soon"], torch.tensor([float("inf")])):
        with pytest.raises(InvalidInput, match="expected"):
            generate(model, clip, times)
    late, early = frames_of(clip)[::-1]
    with pytest.raises(InvalidInput, match="expected later"):
        list(stream(model, [late, early], FrameRate(60)))
    with pytest.raises(InvalidInput, match="one shape"):
        list(stream(model, [early, Frame(torch.rand(3, 4, 4), F(1))], FrameRate(60)))
    with pytest.raises(InvalidInput, match="at least 1"):
        Options(frames_per_call=0)


def test_numbers_that_are_not_finite_are_reported_where_they_arise():
    class Broken(Everything):
        def forward(self, observed, query):
            return Prediction(super().forward(observed, query).frames / 0)

    with pytest.raises(InvalidInput, match=r"between 0\.5 and 0\.5"):
        generate(Broken(), clip_of([0, 1]), [0.5])


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")],
)
def test_frames_too_large_for_the_memory_are_said_to_be(error):
    class Greedy(Everything):
        def forward(self, observed, query):
            raise error

    with pytest.raises(InvalidInput, match="7x9 pixels"):
        generate(Greedy(), clip_of([0, 1]), [0.5])


def test_a_fault_of_a_model_stays_what_it_is():
    class Faulty(Everything):
        def forward(self, observed, query):
            raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        generate(Faulty(), clip_of([0, 1]), [0.5])


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_shown_only_where_someone_sees_it(tmp_path, terminal):
    write(tmp_path / "in.npz", clip_of([0, 0.5, 1]))
    said = io.StringIO()
    console = Console(file=said, force_terminal=terminal, width=120)
    with open_source(tmp_path / "in.npz") as source, Bar(source, FrameRate(F(8)), True, "in.npz", console) as bar:
        for step in range(5):
            bar.reached(F(step, 8))
    told = said.getvalue()
    assert ("5 frames" in told) == ("a second" in told) == terminal
    assert terminal or not told


@pytest.mark.parametrize("time", [-50.0, 60.0])
def test_a_time_in_the_wrong_unit_is_refused_before_the_work(time):
    model, clip = Everything(), clip_of([0, 0.04, 0.08])
    with pytest.raises(InvalidInput, match=r"typical gaps of 0.04 s outside of what was observed.*--timecodes"):
        generate(model, clip, [time])
    assert not model.calls
    assert len(generate(model, clip, [time / 10])) == 1
