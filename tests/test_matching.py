"""The two frames a query is made from, and what moved where: found at its shift, and where the query sees it."""

import pytest
import torch

from vidode.blocks.anchors import anchors_of, flows
from vidode.blocks.matching import Matcher
from vidode.clip import Batch
from vidode.timing import TimeScale
from vidode.windows import windows


def anchors_at(frames, *times):
    """The anchors of queries at those times, of a clip with that many frames at 0, 1, 2 and so on."""
    batch = Batch(
        torch.zeros(1, frames, 1, 2, 2), torch.arange(frames).double()[None], torch.ones(1, frames, dtype=torch.bool)
    )
    return anchors_of(windows(batch, torch.tensor([times], dtype=torch.float64), 2, TimeScale()))


def test_anchors_are_the_neighbours_in_time():
    anchors = anchors_at(4, -0.5, 0.5, 1.0, 3.0, 4.0)
    assert list(zip(anchors.a.tolist(), anchors.b.tolist(), strict=True)) == [(0, 1), (0, 1), (1, 2), (2, 3), (3, 2)]
    assert torch.allclose(anchors.position.flatten(), torch.tensor([-0.5, 0.5, 0.0, 1.0, -1.0]), atol=1e-6)
    assert anchors.between.flatten().tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("steps", [0.5, 1.0, 4.0])
def test_flow_beyond_the_end_is_of_the_size_of_the_motion(steps):
    to_a, to_b = flows(torch.full((1, 4, 2, 2), 3.0), anchors_at(2, 1 + steps))
    assert torch.allclose(to_a, torch.tensor(3.0 * min(steps, 1)))
    assert 3.0 <= to_b.max() <= 6.0


def test_a_matcher_finds_a_shift():
    torch.manual_seed(0)
    matcher = Matcher(8, reach=3)
    with torch.no_grad():
        matcher.sharpness.fill_(60.0)
    a = torch.randn(1, 8, 12, 12)
    _, scores = matcher(a, torch.roll(a, (1, -2), dims=(-2, -1)), anchors_at(2, 0.0))
    inside = matcher.mean_shift(scores, anchors_at(2, 0.0))[..., 3:-3, 3:-3].mean(dim=(0, 2, 3))
    assert torch.allclose(inside, torch.tensor([-2.0, 1.0]), atol=0.1)


@pytest.mark.parametrize(("time", "left"), [(0.0, 3), (0.5, 5), (1.0, 7), (-0.5, 1)])
def test_a_matcher_finds_a_likeness_where_the_query_sees_it(time, left):
    torch.manual_seed(0)
    a = torch.randn(1, 8, 9, 16)
    b = a.clone()
    a[..., 3:6, 3:6] = b[..., 3:6, 7:10] = torch.randn(1, 8, 3, 3)
    match, _ = Matcher(8, reach=4)(a, b, anchors_at(2, time))
    four_to_the_right = match.unflatten(1, (9, 9))[0, 4, 8, 3:6]
    assert torch.allclose(four_to_the_right[:, left : left + 3], torch.ones(3, 3), atol=1e-3)
    assert (four_to_the_right > 0.99).sum() == 9
