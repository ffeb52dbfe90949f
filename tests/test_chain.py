"""A chain goes through its points in order, and a query is reached from the last point before it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidode.blocks.chain import chains, edge, grid_points, places, queried_points, whole_clips
from vidode.clip import Batch, Clip
from vidode.timing import TimeScale
from vidode.windows import windows

STEP = 0.1


def observed(*starts):
    """Clips of five frames, one model-time step (a tenth) apart."""
    return Batch.collate([Clip(torch.zeros(5, 1, 2, 2), start + torch.arange(5).double()) for start in starts])


def walked(chain):
    """The times on the way to each query, (window, [times]) in the order of the queries."""
    ways = []
    for level in chain.levels:
        before = ways[-1] if ways else None
        steps = []
        for window, time, parent in zip(level.window.tolist(), level.time.tolist(), level.parent.tolist(), strict=True):
            assert before is None or before[parent][0] == window
            assert ways or parent == window
            steps.append((window, [*(before[parent][1] if before else []), time]))
        ways.append(steps)
    flat = [way for steps in ways for way in steps]
    return [flat[i] for i in chain.of_query.flatten().tolist()]


@settings(max_examples=40, deadline=None)
@given(
    query=st.lists(st.one_of(st.integers(0, 9), st.floats(0, 9)), min_size=1, max_size=6),
    extra=st.sampled_from([0, 0.5]),
)
def test_a_way_has_whole_steps_from_its_frame_and_one_last_shorter_one(query, extra):
    seen = windows(observed(0.0, 100.0), torch.tensor([query, [100 + t for t in query]]).double(), 3, TimeScale())
    source = seen.times.gather(1, edge(seen.present, last=~seen.has_right)[:, None])[:, 0]
    chain = chains(grid_points(seen, source, STEP, extra), seen, tie=1e-5)
    for (window, way), of, time in zip(walked(chain), seen.of_query.flatten(), seen.query.flatten(), strict=True):
        assert window == int(of)
        assert way[-1] == pytest.approx(float(time), abs=1e-5)
        begin = float(source[window])
        whole = [begin + k * STEP for k in range(1, math.ceil((way[-1] - begin) / STEP - 1e-4))]
        if not extra:
            assert way[:-1] == pytest.approx(whole, abs=1e-6)
        steps = torch.tensor([begin, *way]).diff()
        assert float(steps.min()) > -1e-5
        assert float(steps.max()) < STEP + 1e-5
        assert all(min(abs(point - w) for w in way) < 1e-6 for point in whole)


def test_a_query_on_the_grid_costs_no_step_of_its_own():
    seen = windows(observed(0.0), torch.tensor([[5.0, 6.0, 7.0, 6.5, 6.0]]).double(), 5, TimeScale())
    source = seen.times.gather(1, edge(seen.present, last=True)[:, None])[:, 0]
    chain = chains(grid_points(seen, source, STEP), seen, tie=1e-5)
    assert [len(level.window) for level in chain.levels] == [1, 1, 2]
    assert chain.of_query.tolist()[0][1] == chain.of_query.tolist()[0][4]


def test_extra_points_lie_anywhere_and_as_often_as_asked():
    seen = windows(observed(0.0), torch.full((1, 1), 2004.0).double(), 5, TimeScale())
    source = seen.times.gather(1, edge(seen.present, last=True)[:, None])[:, 0]
    torch.manual_seed(0)
    points = grid_points(seen, source, STEP, extra=0.25)[0]
    points = points[points.isfinite()]
    inside = ((points - source) / STEP).frac()
    inside = inside[(inside > 1e-3) & (inside < 1 - 1e-3)]
    assert len(inside) == pytest.approx(500, abs=60)
    assert float(inside.mean()) == pytest.approx(0.5, abs=0.05)
    assert bool((points.diff() >= 0).all())


def test_the_papers_chain_goes_through_what_is_asked():
    query = torch.tensor([[3.0, 1.0, 3.0, 6.0, 5.5], [9.0, 7.0, 2.0, 2.5, 1.0]]).double()
    seen = whole_clips(observed(0.0, 0.0), query, TimeScale())
    chain = chains(queried_points(seen), seen, tie=0.0)
    ways = [[round(10 * time, 5) for time in way] for _, way in walked(chain)]
    assert ways[:5] == [[1, 3], [1], [1, 3], [5.5, 6], [5.5]]
    assert ways[5:] == [[7, 9], [7], [1, 2], [1, 2, 2.5], [1]]


def test_a_whole_clip_is_one_window_for_each_task():
    batch = observed(0.0, 50.0)
    seen = whole_clips(batch, torch.tensor([[0.5, 3.5, 4.0, 8.0], [51.0, 52.0, 53.0, 53.5]]).double(), TimeScale())
    assert seen.clip.tolist() == [0, 0, 1]
    assert seen.of_query.tolist() == [[0, 0, 0, 1], [2, 2, 2, 2]]
    assert seen.has_right.tolist() == [True, False, True]
    assert seen.present.sum(dim=1).tolist() == [5, 5, 5]
    for times, present in zip(seen.times, seen.present, strict=True):
        torch.testing.assert_close(times[present], torch.arange(5) / 10)
    torch.testing.assert_close(seen.query[0], torch.tensor([0.05, 0.35, 0.4, 0.8]))


def test_edges_and_places():
    present = torch.tensor([[False, True, True, False], [True, False, False, False]])
    assert edge(present, last=False).tolist() == [1, 0]
    assert edge(present, last=True).tolist() == [2, 0]
    assert edge(present, last=torch.tensor([True, False])).tolist() == [2, 0]
    assert places(torch.tensor([2, 0, 2, 2, 1, 0])).tolist() == [0, 0, 1, 2, 0, 1]
