"""Where one shot ends and another begins, found from a few frames around, so that streams of any length can tell.

Two pictures belong to different shots when their colours are distributed differently and they differ much more than
their neighbours do. Motion, however fast, moves the colours about and keeps their distribution; noise and steady
motion change the neighbours as much; what is left are cuts and flashes, across which nothing should be blended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, repeat
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from vidode.clip import InvalidInput

T = TypeVar("T")

GRID = 64
"""Pictures are compared as averages over at most this many cells a side: coarse enough to lose noise."""
BINS = 16
DUPLICATE = 0.002
"""A mean difference below half an 8-bit level: a picture shown twice, which says nothing about motion."""


@dataclass(frozen=True)
class CutDetector:
    """What counts as a cut.

    histogram: the least share of the picture, in (0, 1], that must change its colour bin.
    ratio: how many times the neighbours' typical difference, for a gap as long, the mean difference must reach.
    difference: the least mean difference, in the range of black to white.
    reach: how many gaps on each side are the neighbours. Lower the first three to find more cuts.

    Without a neighbour that moves (two frames, or a slide show) the ratio cannot be told and twice the change of
    colours is asked for. The defaults find no cut inside 52 clips of UCF-101 and KTH (training files), also at every
    eighth frame, where colours change by up to 0.26, and 96 % of those between two of the clips put together.
    """

    histogram: float = 0.2
    ratio: float = 3.0
    difference: float = 0.05
    reach: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.histogram <= 1:
            raise InvalidInput(f"cut threshold is {self.histogram}; expected a share above 0 and at most 1")
        if not (self.ratio > 0 and self.difference >= 0 and self.reach >= 1):
            raise InvalidInput(f"cut detector is {self}; expected a positive ratio, difference and reach")

    def is_cut(self, here: Change, around: Sequence[Change]) -> bool:
        """Whether a change is a cut, judged by the changes at most `reach` gaps away."""
        if here.histogram < self.histogram or here.difference < self.difference:
            return False
        rates = sorted(change.difference / float(change.gap) for change in around if change.difference > DUPLICATE)
        if not rates:
            return here.histogram >= 2 * self.histogram
        return here.difference >= self.ratio * rates[(len(rates) - 1) // 2] * float(here.gap)


@dataclass(frozen=True)
class Change:
    """How much changes from one frame to the next: mean difference, share of the colours, and time between them."""

    difference: float
    histogram: float
    gap: Fraction


@dataclass(frozen=True, eq=False)
class Look:
    """What is kept of a picture to compare it: averages over a grid (C, h, w) and colour histograms (C, bins)."""

    grid: Tensor
    histogram: Tensor

    @staticmethod
    def at(pixels: Tensor) -> Look:
        """The look of pixels (C, H, W) in [0, 1]; missing ones (NaN) count as black."""
        cells = (min(GRID, pixels.shape[-2]), min(GRID, pixels.shape[-1]))
        grid = functional.adaptive_avg_pool2d(pixels.nan_to_num(), cells)
        bins = (grid * BINS).long().clamp(0, BINS - 1).flatten(1)
        histogram = torch.zeros(len(grid), BINS).scatter_add_(1, bins, torch.ones_like(bins, dtype=torch.float32))
        return Look(grid, histogram / bins.shape[1])

    def change_to(self, later: Look, gap: Fraction) -> Change:
        """How much changes from this look to a later one."""
        # Total variation of the smoothed distributions: brightness that drifts by a bin is no other picture.
        moved = (_smooth(self.histogram) - _smooth(later.histogram)).abs().sum(dim=1).mean() / 2
        return Change(float((self.grid - later.grid).abs().mean()), float(moved), gap)


def _smooth(histogram: Tensor) -> Tensor:
    padded = functional.pad(histogram[None], (1, 1), mode="replicate")[0]
    return (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4


def label_shots(
    items: Iterable[T], picture: Callable[[T], tuple[Tensor, Fraction]], detector: CutDetector | None
) -> Iterator[tuple[T, int]]:
    """Each item of a stream with the number of its shot, counted from zero; `reach` items are read ahead.

    picture: the pixels (C, H, W) in [0, 1] and the time of an item. Without a detector all is one shot.
    """
    if detector is None:
        yield from ((item, 0) for item in items)
        return
    shot = 0
    for before, (item, change), after in neighbourhoods(_changes(items, picture), detector.reach, detector.reach):
        around = [other for _, other in (*before, *after) if other is not None]
        shot += change is not None and detector.is_cut(change, around)
        yield item, shot


def neighbourhoods(items: Iterable[T], before: int, after: int) -> Iterator[tuple[list[T], T, list[T]]]:
    """Each item of a stream with those at most `before` places before it and `after` places after it."""
    # One item or none to a place, so that the edges are places too.
    places: Iterator[tuple[T, ...]] = chain(repeat((), before), ((item,) for item in items), repeat((), after))
    held: deque[tuple[T, ...]] = deque(maxlen=before + 1 + after)
    for place in places:
        held.append(place)
        if len(held) == held.maxlen:
            around = list(held)
            yield [*chain(*around[:before])], around[before][0], [*chain(*around[before + 1 :])]


def _changes(items: Iterable[T], picture: Callable[[T], tuple[Tensor, Fraction]]) -> Iterator[tuple[T, Change | None]]:
    """Each item with what changed since the one before it."""
    last: tuple[Look, Fraction] | None = None
    for item in items:
        pixels, time = picture(item)
        look = Look.at(pixels)
        yield item, None if last is None else last[0].change_to(look, time - last[1])
        last = look, time
