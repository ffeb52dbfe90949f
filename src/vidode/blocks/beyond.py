"""Beyond the observations gap by gap: what was made one gap after the last frame is taken for observed by the next.

A model that tells motion between two frames tells it best over about one gap. The grid of gaps starts at the last
observation (before the first one, in the mirror of time, at the first) and is the observations' own, so that no frame
depends on what else is asked:

    h      = max(last gap, typical gap)         typical: the lower median of the gaps that a query sees
    x_k    = answer at t_n + k h                from the last N of x_(n-N+1), ..., x_n, x_(n+1), ..., x_(n+k-1)
    x(t)   = answer at t                        from the same with k - 1 = ceil((t - t_n) / h) - 1 frames made
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vidode.clip import Batch

Parts = dict[str, Tensor]
"""`frames` (B, K, C, H, W) and what they are made of, each (B, K, ...)."""
Answer = Callable[[Batch, Tensor], Parts]
"""What a model makes of what is observed at query times (B, K)."""
SLACK = 1e-6
"""Of a step: a query so little after a frame of the grid is that frame's."""


def gap_by_gap(answer: Answer, observed: Batch, query: Tensor, neighbours: int) -> Parts:
    """The answers at the queries (B, K), those that lie more than a gap beyond the observations from frames made.

    neighbours: N, observations that a query sees on each side. Parts of those answers refer to the frames made.
    """
    after = Edge.of(observed, neighbours)
    before = Edge.of(mirrored(observed), neighbours)
    late, early = after.steps(query), before.steps(-query)
    near = (late == 0) & (early == 0)
    if bool(near.all()):
        return answer(observed, query)
    answers = Answers(query.shape)
    answers.ask(answer, observed, query, near)
    for edge, times, steps in ((after, query, late), (before, -query, early)):
        for step in range(1, int(steps.max()) + 1):
            edge = edge.continued(answer)
            answers.ask(answer, edge.observed, times, steps == step)
    return answers.joined()


@dataclass(frozen=True)
class Edge:
    """The last N seen frames of each clip, and the step (B,) to the next of the grid; NaN for a single frame."""

    observed: Batch
    step: Tensor

    @classmethod
    def of(cls, observed: Batch, neighbours: int) -> Edge:
        """That of what was observed."""
        ranked = torch.argsort(observed.seen.int(), dim=1, stable=True)[:, -neighbours:]  # unseen ones first
        rows = torch.arange(len(ranked), device=ranked.device)[:, None]
        last = replace(
            observed,
            frames=observed.frames[rows, ranked],
            times=observed.times[rows, ranked],
            seen=observed.seen[rows, ranked],
            valid=None,  # what was not measured is zero already
        )
        gaps = torch.where(last.seen[:, :-1], last.times.diff(dim=1), math.nan)
        if not gaps.shape[1]:
            return cls(last, torch.full_like(last.times[:, 0], math.nan))
        return cls(last, torch.maximum(gaps[:, -1], gaps.nanmedian(dim=1).values))

    def steps(self, query: Tensor) -> Tensor:
        """(B, K) how many frames of the grid come before each query; 0 within a step of the last frame."""
        away = (query - self.observed.times[:, -1:]) / self.step[:, None]
        return (away - SLACK).ceil().sub(1).nan_to_num(nan=0.0).clamp(min=0).long()

    def continued(self, answer: Answer) -> Edge:
        """The same with one more frame of the grid, which takes the place of the first."""
        seen = self.observed
        time = seen.times[:, -1:] + self.step.nan_to_num()[:, None]
        made = answer(seen, time)["frames"].clamp(0, 1)
        following = replace(
            seen,
            frames=torch.cat([seen.frames[:, 1:], made.to(seen.frames.dtype)], dim=1),
            times=torch.cat([seen.times[:, 1:], time], dim=1),
            seen=torch.cat([seen.seen[:, 1:], torch.ones_like(seen.seen[:, :1])], dim=1),
        )
        return replace(self, observed=following)


class Answers:
    """What was answered so far of the queries (B, K), in the order in which it was."""

    def __init__(self, shape: torch.Size) -> None:
        self.shape = shape
        self.places: list[Tensor] = []
        self.parts: list[Parts] = []

    def ask(self, answer: Answer, observed: Batch, query: Tensor, chosen: Tensor) -> None:
        """Have the chosen (B, K) queries answered, each clip by itself."""
        clips = chosen.any(dim=1).nonzero()[:, 0]
        if not len(clips):
            return
        chosen = chosen[clips]
        order = torch.argsort(~chosen, dim=1, stable=True)[:, : int(chosen.sum(dim=1).max())]
        real = chosen.gather(1, order)
        order = torch.where(real, order, order[:, :1])  # a clip with fewer asks its first again
        parts = answer(observed[clips], query[clips].gather(1, order))
        self.places.append((clips[:, None] * self.shape[1] + order)[real])
        self.parts.append({name: value[real] for name, value in parts.items()})

    def joined(self) -> Parts:
        """All of them in the order of the queries."""
        order = torch.cat(self.places).argsort()
        joined = {name: torch.cat([parts[name] for parts in self.parts])[order] for name in self.parts[0]}
        return {name: value.view(*self.shape, *value.shape[1:]) for name, value in joined.items()}


def mirrored(observed: Batch) -> Batch:
    """The clips in negated time."""
    parts = {name: getattr(observed, name).flip(1) for name in ("frames", "seen")}
    return replace(observed, times=-observed.times.flip(1), valid=None, **parts)
