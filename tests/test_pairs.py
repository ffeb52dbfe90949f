"""The two frames around each query, and triplets to learn from."""

import pytest
import torch

from vidode.blocks.pairs import first_repeated, pairs_of
from vidode.blocks.triplets import triplets
from vidode.clip import Batch, InvalidInput
from vidode.timing import TimeScale
from vidode.windows import windows


def batch(*times):
    frames = torch.rand(len(times), len(times[0]), 1, 2, 2)
    return Batch(frames, torch.tensor(times), torch.ones(len(times), len(times[0]), dtype=torch.bool))


def pairs(observed, *query, count=2):
    seen = windows(observed, torch.tensor(query, dtype=torch.float64), 3, TimeScale("absolute", 1.0))
    return pairs_of(seen, observed.frames, "a_model", count)


def test_each_query_has_the_frames_around_it_and_its_share_of_the_gap():
    observed = batch([0.0, 1, 3, 4], [5.0, 7, 8, 9])
    observed.seen[1, 1] = False
    found = pairs(observed, [2.5, 0.25, 1.0], [9.0, 6.5, 5.0])
    around = found.frames[found.of_query].view(2, 3, 2, 1, 2, 2)
    for clip, query, a, b in [(0, 0, 1, 2), (0, 1, 0, 1), (0, 2, 1, 2), (1, 0, 2, 3), (1, 1, 0, 2), (1, 2, 0, 2)]:
        assert torch.equal(around[clip, query], observed.frames[clip, [a, b]])
    torch.testing.assert_close(found.share, torch.tensor([0.75, 0.25, 0, 1, 0.5, 0]))
    assert len(found.frames) == 4  # gaps that are asked about


def test_more_frames_lead_up_to_the_gap_and_the_first_is_repeated():
    observed = batch([0.0, 1, 2, 3, 4])
    found = pairs(observed, [0.5, 3.5], count=4)
    assert torch.equal(found.frames[found.of_query], observed.frames[0, [[0, 0, 0, 1], [1, 2, 3, 4]]])


def test_absent_ones_are_read_where_the_first_is():
    present = torch.tensor([[False, False, True, True], [True, True, True, True]])
    assert first_repeated(present).tolist() == [[2, 2, 2, 3], [0, 1, 2, 3]]


def test_a_query_before_the_first_frame_is_refused():
    with pytest.raises(InvalidInput, match=r"a query lies 0\.25 before the first observed frame; a_model makes frames"):
        pairs(batch([1.0, 2.0]), [1.5, 0.75])


def test_every_three_successive_seen_frames_are_equally_likely():
    seen = torch.tensor([[True, True, False, True, True, True], [True, True, True, False, False, False]])
    torch.manual_seed(0)
    drawn = torch.stack([triplets(seen) for _ in range(600)])
    kinds, counts = torch.unique(drawn[:, 0], dim=0, return_counts=True)
    assert kinds.tolist() == [[0, 1, 3], [1, 3, 4], [3, 4, 5]]
    assert bool(((counts - 200).abs() < 50).all())
    assert bool((drawn[:, 1] == torch.tensor([0, 1, 2])).all())


def test_fewer_than_three_frames_are_refused():
    with pytest.raises(InvalidInput, match="a clip has 2 frames to learn from; expected at least 3"):
        triplets(torch.tensor([[True, True, True], [True, False, True]]))
