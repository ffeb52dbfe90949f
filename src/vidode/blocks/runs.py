"""Runs of exactly N successive observations, for a model whose network fixes how many frames it takes.

A query sees the run that lies most evenly around its gap: (N + 1) // 2 observations on its left and N // 2 on its
right, fewer on one side and more on the other towards the ends of the clip; beyond the end, the last N. A clip of N
observations is one run, whatever is asked of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vidode.clip import Batch, InvalidInput
from vidode.timing import TimeScale
from vidode.windows import windows


@dataclass(frozen=True)
class Runs:
    """R runs, in order of their clips and of time. Model time is zero at the first observation of each.

    clip: (R,) index of the clip in the batch. frame: (R, N) index of each observation in the clip.
    times: (R, N) float32 model time. of_query: (B, K) which run each query sees. query: (B, K) float32 its model time.
    """

    clip: Tensor
    frame: Tensor
    times: Tensor
    of_query: Tensor
    query: Tensor

    def gather(self, values: Tensor) -> Tensor:
        """Per-observation values (B, T, ...) as seen by each run (R, N, ...)."""
        return values[self.clip[:, None], self.frame]


def runs(observed: Batch, query: Tensor, count: int, scale: TimeScale, name: str) -> Runs:
    """The runs of `count` observations that the queries (B, K) see. name: of the model, for what is said.

    Raises `InvalidInput` for a clip of fewer observations.
    """
    fewest = int(observed.seen.sum(dim=1).min())
    if fewest < count:
        raise InvalidInput(
            f"a clip has {fewest} observed frames; {name} sees exactly {count}: give more, or use anchored_vid_ode"
        )
    seen = windows(observed, query, count, scale)
    left, right = seen.present[:, :count].sum(dim=1), seen.present[:, count:].sum(dim=1)
    first = torch.full_like(left, count // 2).maximum(count - left).minimum(right)
    columns = first[:, None] + torch.arange(count, device=first.device)
    member = torch.cat([seen.clip[:, None], seen.frame.gather(1, columns)], dim=1)
    run, of_window = torch.unique(member, dim=0, return_inverse=True)
    clip, frame = run[:, 0], run[:, 1:]
    clock = observed.times[clip[:, None], frame]
    declared = None if observed.frame_gap is None else observed.frame_gap[clip]
    unit = scale.unit(clock, torch.ones_like(clock, dtype=torch.bool), declared)
    of_query = of_window[seen.of_query]
    return Runs(
        clip=clip,
        frame=frame,
        times=((clock - clock[:, :1]) / unit[:, None]).float(),
        of_query=of_query,
        query=((query.double() - clock[of_query, 0]) / unit[of_query]).float(),
    )
