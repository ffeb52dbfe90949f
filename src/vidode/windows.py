"""What each query sees: the N seen observations nearest to it on each side, and the model time of both.

Queries of one clip that lie in the same gap between observations see the same window, so a window is computed once
and shared. Nothing else of the clip reaches a query, which is why streaming equals a whole pass (law 6 of the
design) and why a query cannot depend on what else is asked (law 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vidode.clip import Batch, InvalidInput
from vidode.timing import TimeScale


@dataclass(frozen=True)
class Windows:
    """G windows, each a gap of one clip with its neighbours, in order of time.

    clip: (G,) index of the clip in the batch.
    frame: (G, 2N) index of each observation in the clip; the left N end at the gap, the right N start there.
    present: (G, 2N) bool, False where the clip has no such observation; at least one per row is True.
    times: (G, 2N) float32 model time, zero at the last observation on the left (the first of all, before it).
    of_query: (B, K) which window each query sees.
    query: (B, K) float32 model time of each query in its window.
    """

    clip: Tensor
    frame: Tensor
    present: Tensor
    times: Tensor
    of_query: Tensor
    query: Tensor

    @property
    def neighbours(self) -> int:
        """N, the observations seen on each side."""
        return self.frame.shape[1] // 2

    @property
    def has_left(self) -> Tensor:
        """(G,) bool: an observation at or before the gap exists."""
        return self.present[:, self.neighbours - 1]

    @property
    def has_right(self) -> Tensor:
        """(G,) bool: an observation after the gap exists, so that its queries are interpolated."""
        return self.present[:, self.neighbours]

    def gather(self, values: Tensor) -> Tensor:
        """Per-observation values (B, T, ...) as seen by each window (G, 2N, ...); absent ones are zero."""
        seen = values[self.clip[:, None], self.frame]
        present = self.present.reshape(*self.present.shape, *[1] * (seen.dim() - 2))
        return torch.where(present, seen, torch.zeros((), dtype=seen.dtype, device=seen.device))


def windows(observed: Batch, query: Tensor, neighbours: int, scale: TimeScale) -> Windows:
    """Group the queries (B, K) by the gap they lie in.

    A query at an observed time belongs to the gap after it, except at the last observation, where it belongs to the
    gap before: at or before the last observation is interpolation, later is extrapolation.

    Raises `InvalidInput` for a query that is not finite or of the wrong shape.
    """
    query = _as_query(observed, query)
    order, count = _seen_first(observed.seen)
    times = observed.times.gather(1, order)
    gap = _gap_of(times, count, query)
    steps = observed.times.shape[1]
    key = torch.arange(len(query), device=query.device)[:, None] * (steps + 1) + gap
    unique, of_query = torch.unique(key, return_inverse=True)
    clip, left = unique // (steps + 1), unique % (steps + 1)
    place = left[:, None] + torch.arange(-neighbours, neighbours, device=query.device)
    present = (place >= 0) & (place < count[clip][:, None])
    place = place.clamp(0, steps - 1)
    clock = times[clip[:, None], place]
    reference = clock.gather(1, torch.where(left > 0, neighbours - 1, neighbours)[:, None])
    declared = None if observed.frame_gap is None else observed.frame_gap[clip]
    unit = scale.unit(clock, present, declared)
    return Windows(
        clip=clip,
        frame=order[clip[:, None], place],
        present=present,
        times=torch.where(present, (clock - reference) / unit[:, None], 0.0).float(),
        of_query=of_query,
        query=((query - reference[of_query, 0]) / unit[of_query]).float(),
    )


def _as_query(observed: Batch, query: Tensor) -> Tensor:
    if query.dim() != 2 or len(query) != len(observed.times) or not query.numel():
        raise InvalidInput(
            f"query times have shape {tuple(query.shape)}; expected (B, K) with B = {len(observed.times)} and K >= 1"
        )
    if not bool(torch.isfinite(query).all()):
        raise InvalidInput("a query time is not finite; expected numbers in the clip's clock")
    return query.to(torch.float64)


def _seen_first(seen: Tensor) -> tuple[Tensor, Tensor]:
    """Indices (B, T) of the seen frames in order, unseen ones after them, and how many are seen (B,)."""
    return torch.argsort((~seen).int(), dim=1, stable=True), seen.sum(dim=1)


def _gap_of(times: Tensor, count: Tensor, query: Tensor) -> Tensor:
    """(B, K): how many seen observations lie on the left of each query's gap."""
    real = torch.arange(times.shape[1], device=times.device) < count[:, None]
    sorted_times = torch.where(real, times, torch.inf).contiguous()
    left = torch.searchsorted(sorted_times, query.contiguous(), right=True)
    last = sorted_times.gather(1, count[:, None] - 1)
    at_last = (query == last) & (count[:, None] > 1)
    return torch.where(at_last, left - 1, left)
