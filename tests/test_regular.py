"""The next frames of a regular sequence."""

import pytest
import torch

from vidode.blocks.regular import continuation
from vidode.clip import Batch, Clip, InvalidInput, Meaning


def batch(*times, gap=None):
    clips = [
        Clip(torch.rand(len(t), 1, 2, 2), torch.tensor(t, dtype=torch.float64), meaning=Meaning(frame_gap=gap))
        for t in times
    ]
    return Batch.collate(clips)


def ask(observed, *times, count=3, least=1):
    return continuation(observed, torch.tensor(times, dtype=torch.float64), count, "prednet", least)


def test_it_goes_on_from_the_last_frames_of_each_clip():
    observed = batch([0.0, 1, 2, 3], [5.0, 5.5])
    found = ask(observed, [4.0, 6.0], [7.0, 6.0])
    assert torch.equal(found.frames[0], observed.frames[0, 1:4])
    assert torch.equal(found.frames[1, 1:], observed.frames[1, :2])
    assert found.present.tolist() == [[True, True, True], [False, True, True]]
    assert found.steps.tolist() == [[1, 3], [3, 1]]


def test_every_query_takes_its_own_step():
    found = ask(batch([0.0, 1], [0.0, 2]), [4.0, 2.0], [4.0, 6.0])
    made = torch.arange(2 * 5).reshape(2, 5)
    assert found.of_query(made).tolist() == [[2, 0], [5, 6]]


def test_rounded_times_are_regular():
    found = ask(batch([0.033, 0.067, 0.1]), [0.133, 0.167])
    assert found.steps.tolist() == [[1, 2]]


def test_what_is_not_seen_is_not_gone_on_from():
    observed = batch([0.0, 1, 2, 3])
    observed.seen[0, 3] = False
    found = ask(observed, [3.0])
    assert found.steps.tolist() == [[1]]
    assert torch.equal(found.frames[0], observed.frames[0, :3])


def test_one_frame_goes_on_by_the_declared_gap():
    assert ask(batch([2.0], gap=0.5), [3.0]).steps.tolist() == [[2]]


@pytest.mark.parametrize(
    ("times", "query", "message"),
    [
        ([0.0, 1, 2], 1.5, "prednet cannot do interpolation"),
        ([0.0, 1, 2], 2.0, "prednet cannot do interpolation"),
        ([0.0, 1, 2], 3.4, "1.40 gaps beyond the last frame; prednet gives whole gaps only"),
        ([0.0, 1, 2], 2.2, "0.20 gaps beyond"),
        ([0.0, 1, 2.5], 3.5, "1.50 typical gaps apart; prednet expects a regular sequence"),
        ([0.0], 1.0, "frame-gap"),
        ([0.0, 1], 2.0, "2 observed frames; prednet expects at least 3"),
    ],
)
def test_what_is_not_regular_is_refused_in_one_line(times, query, message):
    with pytest.raises(InvalidInput, match=message):
        ask(batch(times), [query], least=3 if len(times) == 2 else 1)
