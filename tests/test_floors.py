"""The floors are exact where they should be, and keep the laws of a frame at a time."""

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidode.clip import Batch, Clip, InvalidInput
from vidode.models import build

FLOORS = ("copy_last", "blend", "optical_flow")


def texture(x, y):
    """A smooth picture that is known everywhere."""
    waves = [(0.31, 0.17, 0.0), (-0.13, 0.29, 1.0), (0.07, -0.11, 2.0), (0.41, 0.05, 3.0)]
    return 0.5 + sum(torch.sin(a * x + b * y + c) for a, b, c in waves) / 10


def moving(times, velocity=(3.0, -2.0), size=(48, 56), channels=3):
    """Frames of the picture moving at a constant velocity, in pixels per second."""
    y, x = torch.meshgrid(torch.arange(size[0]).double(), torch.arange(size[1]).double(), indexing="ij")
    frames = [
        torch.stack([texture(x - velocity[0] * t + 5 * c, y - velocity[1] * t) for c in range(channels)]).float()
        for t in times
    ]
    return torch.stack(frames)


def clip(times, **options):
    return Clip(moving(times, **options), torch.tensor(times, dtype=torch.float64))


def ask(name, observed, *times):
    query = torch.tensor([times], dtype=torch.float64)
    return build(name)(Batch.collate([observed]), query).frames[0]


def test_copy_last_gives_the_frame_at_or_before_the_query():
    observed = clip([0.0, 1.0, 2.5, 3.0])
    got = ask("copy_last", observed, -1.0, 0.0, 0.9, 1.0, 2.4, 2.5, 3.0, 9.0)
    assert torch.equal(got, observed.frames[[0, 0, 0, 1, 1, 2, 3, 3]])


def test_blend_is_exact_on_a_linear_ramp_of_brightness():
    base, slope = torch.rand(3, 12, 13), torch.rand(3, 12, 13) - 0.5
    ramp = lambda times: torch.stack([base + slope * t for t in times])  # noqa: E731
    times = [0.0, 0.2, 0.7, 1.0]
    observed = Clip(ramp(times), torch.tensor(times, dtype=torch.float64))
    asked = [0.0, 0.05, 0.2, 0.61, 0.7, 0.99, 1.0]
    torch.testing.assert_close(ask("blend", observed, *asked), ramp(asked), rtol=0, atol=1e-6)
    torch.testing.assert_close(ask("blend", observed, 1.5, -0.5), observed.frames[[-1, 0]])


@pytest.mark.parametrize(
    ("observed", "asked"),
    [([0.0, 1.0], [0.25, 0.5, 0.8]), ([0.0, 0.6, 1.0], [1.3, 1.5]), ([0.5, 1.0, 1.3], [0.2, 0.4])],
    ids=["between", "beyond", "before"],
)
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_optical_flow_recovers_a_translation(observed, asked, channels):
    truth = moving(asked, channels=channels)
    inside = (..., slice(8, -8), slice(8, -8))  # what enters at the border was never seen
    got = ask("optical_flow", clip(observed, channels=channels), *asked)
    copied = ask("copy_last", clip(observed, channels=channels), *asked)
    error = (got - truth)[inside].abs()
    assert error.max() < 0.02
    assert error.mean() < 0.1 * (copied - truth)[inside].abs().mean()


def test_optical_flow_points_from_each_asked_frame_to_the_observed_ones():
    prediction = build("optical_flow")(Batch.collate([clip([0.0, 1.0])]), torch.tensor([[0.25]]))
    to_a, to_b = prediction.flow[0, 0, :, :, 8:-8, 8:-8].mean(dim=(-1, -2))
    torch.testing.assert_close(to_a, 0.25 * torch.tensor([-3.0, 2.0]), rtol=0, atol=0.1)
    torch.testing.assert_close(to_b, 0.75 * torch.tensor([3.0, -2.0]), rtol=0, atol=0.1)
    assert float(prediction.mask.mean()) == 0.75


@pytest.mark.parametrize("name", FLOORS)
@given(st.lists(st.floats(-1, 5), min_size=2, max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=8, deadline=None)
def test_a_frame_is_a_function_of_its_time(name, asked, random):
    observed = clip([0.0, 1.0, 1.5, 3.0, 3.2], size=(17, 20))
    together = dict(zip(asked, ask(name, observed, *asked), strict=True))
    shuffled = random.sample(asked, len(asked))
    for time, frame in zip(shuffled, ask(name, observed, *shuffled), strict=True):
        torch.testing.assert_close(frame, together[time], rtol=0, atol=1e-6)
    torch.testing.assert_close(ask(name, observed, asked[0])[0], together[asked[0]], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", FLOORS)
def test_shifting_the_clock_changes_nothing(name):
    times, asked = [0.0, 1.0, 2.5], [-0.5, 0.3, 1.0, 2.0, 3.25]
    here = clip(times, size=(17, 20))
    there = Clip(here.frames, here.times + 4096)
    shifted = ask(name, there, *[t + 4096 for t in asked])
    torch.testing.assert_close(ask(name, here, *asked), shifted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", FLOORS)
def test_an_observed_frame_stays_itself(name):
    observed = clip([0.0, 1.0, 2.5, 3.0], size=(17, 20))
    torch.testing.assert_close(ask(name, observed, *observed.times.tolist()), observed.frames, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", FLOORS)
def test_a_sample_is_alone_and_what_was_not_seen_has_no_effect(name):
    long, short = clip([0.0, 0.5, 1.0, 1.5], size=(16, 18)), clip([3.0, 4.0], size=(16, 18))
    batch = Batch.collate([long, short], length=6)
    query = torch.tensor([[0.2, 1.7, -1.0], [3.3, 4.5, 2.0]], dtype=torch.float64)
    frames = torch.where(batch.seen[:, :, None, None, None], batch.frames, torch.nan)
    got = build(name)(Batch(frames, batch.times, batch.seen), query).frames
    for row, alone in enumerate((long, short)):
        torch.testing.assert_close(got[row], ask(name, alone, *query[row].tolist()), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", FLOORS)
def test_only_the_nearest_observations_are_seen(name):
    times = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    whole = clip(times, size=(16, 18))
    torch.testing.assert_close(ask(name, whole, 2.4)[0], ask(name, whole[1:5], 2.4)[0], rtol=0, atol=0)
    torch.testing.assert_close(ask(name, whole, 6.0)[0], ask(name, whole[4:], 6.0)[0], rtol=0, atol=0)


@pytest.mark.parametrize("name", FLOORS)
def test_one_observation_is_repeated(name):
    observed = clip([2.0], size=(9, 11))
    got = ask(name, observed, 1.0, 2.0, 3.0)
    torch.testing.assert_close(got, observed.frames.expand(3, -1, -1, -1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (12, 40), (31, 9)])
def test_small_frames_are_searched_too(size):
    got = ask("optical_flow", clip([0.0, 1.0], size=size), 0.5, 1.5)
    assert bool(got.isfinite().all())


@pytest.mark.parametrize("name", FLOORS)
def test_a_floor_says_that_it_learns_nothing(name):
    model = build(name)
    assert not model.trainable
    assert not list(model.parameters())
    with pytest.raises(InvalidInput, match=f"{name} is a floor and learns nothing"):
        model.objective()


def test_a_missing_opencv_is_named_with_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InvalidInput, match=r"pip install 'vidode\[optical-flow\]'"):
        ask("optical_flow", clip([0.0, 1.0], size=(16, 16)), 0.5)


def test_constant_velocity_needs_two_observations_on_a_side():
    with pytest.raises(InvalidInput, match="at least 2"):
        build("optical_flow", neighbours=1)
