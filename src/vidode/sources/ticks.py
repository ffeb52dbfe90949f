"""Exact times as the whole ticks that a container counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

FINE = 360_000
"""Ticks a second that hold 24, 25, 30, 50, 60, their 1000/1001 and milliseconds exactly."""
LEAST = 10_000
"""QuickTime players expect at least about this many; FFmpeg multiplies up to it by itself, unevenly if not told."""
MOST = 2**31 - 1
"""A time base's denominator is a signed 32-bit number in FFmpeg, and its double an unsigned one in H.264."""


def time_base(times: Sequence[Fraction] | None, rate: Fraction | None, like: Fraction | None) -> Fraction:
    """A time base that holds exactly all `times`, every n / `rate`, and the ticks of `like`: what is known of those.

    Without `times` it is also as fine as `FINE`, since later times are not known. Where there is no such time base
    (times that come from floating point may have none) it holds as much as it can, in that order, and other times
    are rounded to a tick.
    """
    wanted: list[int] = []
    if times is not None:
        wanted.append(_common(time.denominator for time in times))
    if rate is not None:
        wanted.append(rate.numerator)
    if like is not None:
        wanted.append(like.denominator)
    if times is None or not _fits(wanted[0]):
        wanted.append(FINE)
    ticks = 1
    for denominator in wanted:
        if _fits(joined := math.lcm(ticks, denominator)):
            ticks = joined
    return Fraction(1, ticks * math.ceil(LEAST / ticks))


def _common(denominators: Iterable[int]) -> int:
    common = 1
    for denominator in denominators:
        common = math.lcm(common, denominator)
        if not _fits(common):
            break
    return common


def _fits(ticks: int) -> bool:
    return ticks <= MOST
