"""The two observed frames that a frame at any time is made from, and how far it lies from each.

Between two observations A is the one before and B the one after; beyond the last, A is the last and B the one before
it; before the first, A is the first and B the one after it. A query lies at a = (t - t_A) / (t_B - t_A).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vidode.blocks.warp import warp
from vidode.windows import Windows

HINTS = 2
"""Channels that tell where the query lies: its position a, and whether it is between the anchors."""
SMALL = 1e-6
"""Keeps the odds of the mask finite at an observed time."""


@dataclass(frozen=True)
class Anchors:
    """The two frames that each query is made from; Q = B K queries, folded.

    clip, a, b: (Q,) the clip, and the frames A and B in it. position: (Q, 1, 1, 1) a = (t - t_A) / (t_B - t_A).
    between: (Q, 1, 1, 1) bool, True in interpolation. side_a, side_b: (Q,) rows of the latents of both sides, the G
    sides before the queries first. sign_a: (Q,) +1 where A's side runs forward in time, -1 where it is mirrored.
    """

    clip: Tensor
    a: Tensor
    b: Tensor
    position: Tensor
    between: Tensor
    side_a: Tensor
    side_b: Tensor
    sign_a: Tensor

    def __getitem__(self, queries: slice) -> Anchors:
        """Those of some of the queries."""
        return Anchors(**{name: values[queries] for name, values in vars(self).items()})

    @property
    def reach(self) -> Tensor:
        """(Q, 1, 1, 1) r, the gaps over which motion is told."""
        return self.position.abs().clamp(min=1)

    @property
    def hints(self) -> Tensor:
        """(Q, HINTS, 1, 1): what a network is told of where the query lies."""
        return torch.cat([self.position.clamp(-2, 1), self.between.float()], dim=1)

    def pick(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """A's and B's values (Q, ...) out of those of every frame (B, T, ...)."""
        return values[self.clip, self.a], values[self.clip, self.b]


def anchors_of(seen: Windows) -> Anchors:
    """The anchors of each query of `seen`. A single observation is both, at position 0."""
    n, count, of_query = seen.neighbours, len(seen.clip), seen.of_query.flatten()
    rows = torch.arange(count, device=of_query.device)
    left, right = seen.has_left, seen.has_right
    near = torch.where(left, n - 1, n)
    far = torch.where(left & right, n, torch.where(left, n - 2, n + 1)).clamp(0, 2 * n - 1)
    far = torch.where(seen.present[rows, far], far, near)
    start, end = seen.times[rows, near][of_query], seen.times[rows, far][of_query]
    alone = start == end
    position = torch.where(alone, 0.0, (seen.query.flatten() - start) / torch.where(alone, 1.0, end - start))
    side = torch.where(left, rows, rows + count)
    return Anchors(
        clip=seen.clip[of_query],
        a=seen.frame[rows, near][of_query],
        b=seen.frame[rows, far][of_query],
        position=position[:, None, None, None],
        between=(left & right)[of_query][:, None, None, None],
        side_a=side[of_query],
        side_b=((side + count) % (2 * count))[of_query],
        sign_a=torch.where(left, 1.0, -1.0)[of_query],
    )


def flows(motion: Tensor, anchors: Anchors) -> tuple[Tensor, Tensor]:
    """F_A and F_B, each (Q, 2, h, w), of a motion (Q, 4, h, w): x and y of v_A, x and y of v_B."""
    to_a, to_b = (motion.float() / anchors.reach).chunk(2, dim=1)
    return -anchors.position * to_a, (1 - anchors.position) * to_b


def at_query(pair: tuple[Tensor, Tensor], motion: Tensor, anchors: Anchors, scale: int) -> tuple[Tensor, Tensor]:
    """Both anchors' maps brought to the query; motion in pixels, maps at one `scale`th of the frame size."""
    a, b = (warp(values, flow / scale) for values, flow in zip(pair, flows(motion, anchors), strict=True))
    return a, b


def odds_of_b(anchors: Anchors) -> Tensor:
    """The weight of B by time alone: a between the anchors; beyond them it grows from 0 towards 1/2."""
    away = anchors.position.abs()
    return torch.where(anchors.between, anchors.position, 0.5 * away / (1 + away)).clamp(SMALL, 1 - SMALL)


def gate(anchors: Anchors) -> Tensor:
    """How much of the difference is painted: none at an observed time, all half-way or one gap beyond."""
    a = anchors.position
    return torch.where(anchors.between, 4 * a * (1 - a), a.abs().clamp(max=1))
