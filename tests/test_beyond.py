"""Beyond the observations, frames are made gap by gap from frames made, on the observations' own grid."""

import math

import pytest
import torch

from vidode.blocks.beyond import Edge, gap_by_gap, mirrored
from vidode.clip import Batch


def observed(*clips):
    """Clips of 1x1 frames that show their own number, padded at the end to the longest."""
    longest = max(map(len, clips))
    times = torch.tensor([[*clip, *[clip[-1]] * (longest - len(clip))] for clip in clips], dtype=torch.float64)
    seen = torch.tensor([[place < len(clip) for place in range(longest)] for clip in clips])
    values = torch.arange(longest) / 100.0
    return Batch(values.expand(len(clips), -1).clone()[..., None, None, None], times, seen)


class Line:
    """Answers with the straight line through the last two frames that are seen, and notes what it was shown."""

    def __init__(self):
        self.shown = []

    def __call__(self, batch, query):
        self.shown.append((batch, query))
        answers = []
        for frames, times, seen, asked in zip(batch.frames, batch.times, batch.seen, query, strict=True):
            values, known = frames[seen].flatten(), times[seen]
            slope = (values[-1] - values[-2]) / (known[-1] - known[-2]) if len(known) > 1 else torch.zeros(())
            answers.append(values[-1] + slope * (asked - known[-1]))
        frames = torch.stack(answers).float()[..., None, None, None]
        return {"frames": frames, "mask": torch.zeros_like(frames)}


def values(parts):
    return parts["frames"][..., 0, 0, 0]


def test_the_answers_come_in_the_order_of_the_queries():
    batch = observed([0, 1, 2, 3])
    query = torch.tensor([[7.5, 3.5, 6.0, 3.0, 7.5]], dtype=torch.float64)
    made = gap_by_gap(Line(), batch, query, 4)
    assert values(made).tolist()[0] == pytest.approx([0.075, 0.035, 0.06, 0.03, 0.075])
    assert made["mask"].shape == made["frames"].shape


def test_no_answer_is_asked_for_more_than_a_step_beyond_what_is_shown():
    line = Line()
    query = torch.tensor([[5.4, 2.5, 9.0, 6.0]], dtype=torch.float64)
    gap_by_gap(line, observed([0, 1, 2]), query, 3)
    assert len(line.shown) > 2
    assert all(float((asked - batch.times[:, -1:]).max()) <= 1 + 1e-6 for batch, asked in line.shown)
    assert all(batch.seen.shape[1] == 3 for batch, _ in line.shown)


def test_a_query_does_not_depend_on_what_else_is_asked():
    batch = observed([0, 1, 2], [0, 0.5, 1, 1.5])
    query = torch.tensor([[-2.5, 0.5, 4.5, 8.0], [1.7, 9.0, -0.1, 1.0]], dtype=torch.float64)
    together = values(gap_by_gap(Line(), batch, query, 4))
    for place in range(4):
        alone = values(gap_by_gap(Line(), batch, query[:, place : place + 1], 4))
        assert torch.equal(alone[:, 0], together[:, place])


def test_time_runs_the_same_both_ways():
    batch = observed([0, 1, 2.5], [0, 1])
    query = torch.tensor([[-4.0, 6.0], [-3.5, 3.0]], dtype=torch.float64)
    backwards = Line()
    before = gap_by_gap(backwards, mirrored(batch), -query, 4)
    after = gap_by_gap(Line(), batch, query, 4)
    assert torch.equal(before["frames"][:, 1], after["frames"][:, 1])


@pytest.mark.parametrize(
    ("times", "step"),
    [([0, 1, 2], 1.0), ([0, 3], 3.0), ([0, 1, 2, 2.25], 1.0), ([0, 1, 2, 6], 4.0), ([0, 1, 2, 4, 7], 3.0)],
)
def test_a_step_is_the_last_gap_or_the_typical_one_where_that_is_larger(times, step):
    assert float(Edge.of(observed(times), 5).step) == step


def test_a_frame_of_the_grid_belongs_to_the_step_before_it():
    edge = Edge.of(observed([0.0, 0.1, 0.2]), 3)
    query = torch.tensor([[0.25, 0.3, 0.1 + 0.2, 0.301, 0.4, 0.41]], dtype=torch.float64)
    assert edge.steps(query).tolist() == [[0, 0, 0, 1, 1, 2]]


def test_a_single_frame_has_no_step_and_is_asked_directly():
    edge = Edge.of(observed([1.0], [0.0, 1.0]), 4)
    assert math.isnan(float(edge.step[0]))
    assert edge.steps(torch.tensor([[9.0], [9.0]], dtype=torch.float64)).tolist() == [[0], [7]]
    query = torch.tensor([[9.0], [9.0]], dtype=torch.float64)
    made = gap_by_gap(Line(), observed([1.0], [0.0, 1.0]), query, 4)
    assert values(made)[:, 0].tolist() == pytest.approx([0.0, 0.09])


def test_what_is_made_stays_in_range_for_the_next():
    batch = observed([0, 1])
    batch.frames[:] = torch.tensor([0.2, 0.9])[None, :, None, None, None]
    line = Line()
    gap_by_gap(line, batch, torch.tensor([[4.0]], dtype=torch.float64), 2)
    assert all(float(shown.frames.max()) <= 1 for shown, _ in line.shown)
