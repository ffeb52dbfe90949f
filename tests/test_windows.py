import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidode.clip import Batch, InvalidInput
from vidode.timing import TimeScale
from vidode.windows import windows

RELATIVE = TimeScale(per_unit=10.0)


def batch(times, seen=None, frame_gap=None):
    times = torch.tensor([times], dtype=torch.float64)
    seen = torch.ones_like(times, dtype=torch.bool) if seen is None else torch.tensor([seen], dtype=torch.bool)
    gap = None if frame_gap is None else torch.tensor([frame_gap], dtype=torch.float64)
    frames = torch.arange(times.shape[1], dtype=torch.float32).view(1, -1, 1, 1, 1).expand(1, -1, 1, 2, 2)
    return Batch(frames, times, seen, frame_gap=gap)


def seen_by(observed, query, neighbours=2):
    """The frames that each query sees on its left and right, the nearest last and first."""
    found = windows(observed, torch.tensor([query], dtype=torch.float64), neighbours, RELATIVE)
    sides = []
    for window in found.of_query[0]:
        pairs = list(zip(found.frame[window].tolist(), found.present[window].tolist(), strict=True))
        sides.append(tuple([f for f, here in side if here] for side in (pairs[:neighbours], pairs[neighbours:])))
    return sides


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=9, unique=True),
    st.lists(st.integers(-5, 65), min_size=1, max_size=6),
    st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_a_query_sees_the_nearest_on_each_side(times, query, neighbours):
    times = sorted(times)
    observed = batch([float(t) for t in times], frame_gap=1.0)
    for asked, (left, right) in zip(query, seen_by(observed, [float(q) for q in query], neighbours), strict=True):
        at_end = asked == times[-1] and len(times) > 1
        split = len(times) - 1 if at_end else sum(t <= asked for t in times)
        assert left == list(range(max(0, split - neighbours), split))
        assert right == list(range(split, min(len(times), split + neighbours)))


def test_frames_that_are_not_seen_are_passed_over():
    observed = batch([0.0, 1.0, 2.0, 3.0, 4.0], seen=[True, False, True, False, True])
    assert seen_by(observed, [1.0, 3.0, 9.0]) == [([0], [2, 4]), ([0, 2], [4]), ([2, 4], [])]


def test_queries_in_one_gap_share_a_window():
    found = windows(batch([0.0, 1.0, 2.0]), torch.tensor([[0.1, 0.9, 1.5, 0.1]]), 2, RELATIVE)
    assert found.of_query.tolist() == [[0, 0, 1, 0]]
    assert found.has_left.tolist() == [True, True]
    assert found.has_right.tolist() == [True, True]


def test_model_time_counts_typical_gaps_from_the_observation_on_the_left():
    found = windows(batch([10.0, 10.5, 11.0, 12.5]), torch.tensor([[10.75, 20.0]]), 2, RELATIVE)
    near, far = found.of_query[0].tolist()
    assert found.times[near].tolist() == pytest.approx([-0.1, 0.0, 0.1, 0.4])
    assert float(found.query[0, 0]) == pytest.approx(0.05)
    # Beyond the end only the last two are seen, 1.5 apart: that is then the typical gap.
    assert found.times[far, :2].tolist() == pytest.approx([-0.1, 0.0])
    assert float(found.query[0, 1]) == pytest.approx(0.1 * 7.5 / 1.5)


def test_a_declared_gap_is_the_scale_and_a_lone_frame_needs_one():
    found = windows(batch([3.0], frame_gap=0.5), torch.tensor([[4.0]]), 2, RELATIVE)
    assert float(found.query[0, 0]) == pytest.approx(0.2)
    with pytest.raises(InvalidInput, match="one observed frame tells no frame rate; expected two frames or a declared"):
        windows(batch([3.0]), torch.tensor([[4.0]]), 2, RELATIVE)


def test_absolute_time_counts_seconds():
    scale = TimeScale("absolute", per_unit=3600.0)
    found = windows(batch([0.0, 1800.0]), torch.tensor([[5400.0]]), 2, scale)
    assert float(found.query[0, 0]) == pytest.approx(1.0)
    assert found.times[0, :2].tolist() == pytest.approx([-0.5, 0.0])


def test_gathering_gives_zero_for_what_is_absent():
    observed = batch([0.0, 1.0, 2.0])
    found = windows(observed, torch.tensor([[0.5]]), 2, RELATIVE)
    assert found.gather(observed.frames + 1)[0, :, 0, 0, 0].tolist() == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("query", [torch.zeros(2, 1), torch.zeros(1, 0), torch.zeros(1)])
def test_queries_of_another_shape_are_refused(query):
    with pytest.raises(InvalidInput, match="query times have shape"):
        windows(batch([0.0, 1.0]), query, 2, RELATIVE)


def test_a_query_that_is_no_number_is_refused():
    with pytest.raises(InvalidInput, match="not finite"):
        windows(batch([0.0, 1.0]), torch.tensor([[torch.nan]]), 2, RELATIVE)


@pytest.mark.parametrize("fields", [{"kind": "relativ"}, {"per_unit": 0.0}])
def test_a_scale_that_is_none_is_refused(fields):
    with pytest.raises(InvalidInput, match="expected"):
        TimeScale(**fields)
