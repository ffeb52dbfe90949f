"""Exact times: as the whole ticks that a container counts, and as given by hand for files that hold none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from torch import Tensor

from vidode.clip import InvalidInput, as_times
from vidode.timing import Times, as_fraction, parse_timecodes, parse_times

FINE = 360_000
"""Ticks a second that hold 24, 25, 30, 50, 60, their 1000/1001 and milliseconds exactly."""
LEAST = 10_000
"""QuickTime players expect at least about this many; FFmpeg multiplies up to it by itself, unevenly if not told."""
MOST = 2**31 - 1
"""A time base's denominator is a signed 32-bit number in FFmpeg, and its double an unsigned one in H.264."""

USUAL_RATE = Fraction(25)
"""Frames a second of what has no times at all, as FFmpeg assumes for images."""


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


def given_times(given: object, rate: Fraction | None, frames: int, what: str) -> tuple[Fraction, ...]:
    """One exact time for each of `frames` frames.

    given: numbers, or a file: seconds one per line or as a JSON list, or 'timecode format v2'. None for n / rate, at
    `USUAL_RATE` where that is not declared either. what: names the frames in errors.
    Raises `InvalidInput` for times that are not numbers, do not increase, or are too many or too few.
    """
    if rate is not None and rate <= 0:
        raise InvalidInput(f"input frame rate is {rate}; expected a positive number, such as 25")
    if given is None:
        step = 1 / (USUAL_RATE if rate is None else rate)
        return tuple(index * step for index in range(frames))
    if rate is not None:
        raise InvalidInput(f"both times and a rate of {rate} are given; expected one of them")
    times = _times_in_file(Path(given)) if isinstance(given, (str, Path)) else _numbers(given)
    if len(times) != frames:
        raise InvalidInput(f"{len(times)} times for {frames} {what}; expected one for each")
    return times


def _times_in_file(path: Path) -> tuple[Fraction, ...]:
    if not path.is_file():
        raise InvalidInput(f"no times file {str(path)!r}; expected a file with one time per line")
    with path.open("rb") as file:
        head = file.readline(100)
    coded = b"timecode format" in head or b"timestamp format" in head
    return (parse_timecodes(path) if coded else parse_times(str(path))).wanted


def _numbers(given: object) -> tuple[Fraction, ...]:
    if isinstance(given, (np.ndarray, Tensor)):
        given = as_times(given).tolist()
    if not isinstance(given, Iterable):
        raise InvalidInput(f"times are {given!r}; expected numbers, one for each frame, or a file")
    return Times(tuple(as_fraction(time, f"time {index}") for index, time in enumerate(given))).wanted


def _common(denominators: Iterable[int]) -> int:
    common = 1
    for denominator in denominators:
        common = math.lcm(common, denominator)
        if not _fits(common):
            break
    return common


def _fits(ticks: int) -> bool:
    return ticks <= MOST
