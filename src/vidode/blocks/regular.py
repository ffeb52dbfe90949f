"""The next frames of a regular sequence: which frames a model goes on from, and how many steps each query is away."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vidode.clip import Batch, InvalidInput
from vidode.timing import TimeScale
from vidode.windows import windows

ONE_GAP = TimeScale(kind="relative", per_unit=1.0)
"""Model time that counts gaps between frames."""
UNEVEN = 0.1
"""Of a gap: how far times may be from a regular sequence's. Containers round them to milliseconds."""


@dataclass(frozen=True)
class Continuation:
    """What a regular sequence goes on from.

    frames: (B, N, C, H, W) the last N seen frames of each clip in order of time, zero where there are fewer.
    present: (B, N) bool; the last column is True throughout. steps: (B, K) which next frame is asked for, from 1.
    """

    frames: Tensor
    present: Tensor
    steps: Tensor

    def of_query(self, made: Tensor) -> Tensor:
        """Each query's own (B, K, ...) out of the next frames (B, S, ...), the first of which is one step away."""
        return made[torch.arange(len(made), device=made.device)[:, None], self.steps - 1]


def continuation(observed: Batch, query: Tensor, count: int, name: str, least: int = 1) -> Continuation:
    """The last `count` frames of each clip, and the steps beyond them that the queries (B, K) lie at.

    name: of the model, for what is said. least: frames that it needs.
    Raises `InvalidInput` for a query that is not beyond the last frame or not at a regular step, for uneven gaps
    between the frames it goes on from, for fewer than `least` frames, and for one alone without a declared gap.
    """
    seen = windows(observed, query, count, ONE_GAP)
    if bool(seen.has_right[seen.of_query].any()):
        raise InvalidInput(
            f"{name} cannot do interpolation: it gives the frames after the last one; use anchored_vid_ode"
        )
    present = seen.present[:, :count]
    if (fewest := int(present.sum(dim=1).min())) < least:
        raise InvalidInput(f"a clip has {fewest} observed frames; {name} expects at least {least}")
    _require_even(seen.times[:, :count], present, name)
    steps = seen.query.round()
    off = ((seen.query - steps).abs() > UNEVEN) | (steps < 1)
    if bool(off.any()):
        raise InvalidInput(
            f"a query lies {float(seen.query[off][0]):.2f} gaps beyond the last frame; {name} gives whole gaps only:"
            " use vid_ode"
        )
    # All queries of a clip lie beyond its last frame, so that each clip has one window.
    return Continuation(seen.gather(observed.frames)[:, :count], present, steps.long())


def _require_even(times: Tensor, present: Tensor, name: str) -> None:
    gaps = times.diff(dim=1)
    uneven = present[:, :-1] & ((gaps - 1).abs() > UNEVEN)
    if bool(uneven.any()):
        raise InvalidInput(
            f"observed frames lie {float(gaps[uneven][0]):.2f} typical gaps apart; {name} expects a regular sequence:"
            " use vid_ode"
        )
