"""Clocks: seconds, frame rates, factors and time codes, and what they are in model time."""

from __future__ import annotations

import json
import math
import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, pairwise, takewhile
from pathlib import Path
from types import NoneType
from typing import Literal

import torch
from torch import Tensor

from vidode.clip import InvalidInput

Number = Fraction | int | float | str

MOST_DIGITS = 30
"""Before or after the point, of a number that is typed."""
LONG = 80
"""Characters of what was typed, up to which a message says it again."""
TYPICAL_OVER = 9
"""How many last observations tell the typical gap that `Factor` goes on with; a bounded number, so that streams can."""

ONE_FRAME = (
    "one observed frame tells no frame rate; expected two frames or a declared time between frames:"
    " give frame_gap (--frame-gap), such as 1/25"
)


@dataclass(frozen=True)
class TimeScale:
    """How a clip's clock becomes model time. Saved with the weights.

    kind "relative" (video): one unit of model time is `per_unit` typical gaps between the observations that a query
    sees (the lower median of their gaps), whatever the frame rate. A declared `frame_gap` replaces the measured gap.
    kind "absolute" (physics): one unit of model time is `per_unit` seconds.
    """

    kind: Literal["relative", "absolute"] = "relative"
    per_unit: float = 10.0

    def __post_init__(self) -> None:
        if self.kind not in ("relative", "absolute"):
            raise InvalidInput(f"time scale kind is {self.kind!r}; expected 'relative' or 'absolute'")
        if not self.per_unit > 0:
            raise InvalidInput(f"time scale has {self.per_unit} per unit; expected a positive number")

    def unit(self, times: Tensor, present: Tensor, declared: Tensor | None = None) -> Tensor:
        """(G,) clock time in one unit of model time, from times (G, M) where present (G, M).

        declared: (G,) typical gap of each clip, NaN where none is declared.
        Raises `InvalidInput` where a single observation and no declared gap leave the scale unknown.
        """
        if self.kind == "absolute":
            return torch.full_like(times[:, 0], self.per_unit)
        gap = _lower_median(times.diff(dim=1), present[:, 1:] & present[:, :-1])
        if declared is not None:
            gap = torch.where(torch.isnan(declared), gap, declared)
        if bool(torch.isnan(gap).any()):
            raise InvalidInput(ONE_FRAME)
        return gap * self.per_unit


def _lower_median(values: Tensor, present: Tensor) -> Tensor:
    """(G,) lower median of the present values of each row; NaN in a row that has none."""
    if values.shape[1] == 0:
        return values.new_full((len(values),), math.nan)
    ordered = torch.where(present, values, torch.inf).sort(dim=1).values
    count = present.sum(dim=1)
    median = ordered.gather(1, ((count - 1).clamp(min=0) // 2)[:, None])[:, 0]
    return torch.where(count > 0, median, math.nan)


@dataclass(frozen=True)
class Reached:
    """The observation that a stream has reached: its place from zero, its time, and the time of the first one."""

    index: int
    time: Fraction
    first: Fraction


class TimeRequest(ABC):
    """Which times are asked for, told gap by gap, since a stream learns the observed times one by one.

    `before`, `within` every gap and `after` together give each requested time once, in order. All times are exact
    and in the clip's own clock.
    """

    beyond: Fraction = Fraction(0)
    """How far after the last observation times are asked for."""

    def before(self, first: Fraction) -> Iterator[Fraction]:
        """The requested times before the first observation."""
        yield from ()

    @abstractmethod
    def within(self, left: Reached, right: Fraction) -> Iterator[Fraction]:
        """The requested times t of one gap between observations, left.time <= t < right."""

    @abstractmethod
    def after(self, last: Reached, gap: Fraction | None) -> Iterator[Fraction]:
        """The requested times at the last observation and after it. gap: the typical one, None where unknown."""

    def times(self, observed: Iterable[Number], gap: Number | None = None) -> Iterator[Fraction]:
        """All requested times for a whole sequence of observed ones. gap: replaces the measured one beyond the end."""
        known = [as_fraction(time, "time") for time in observed]
        places = [Reached(index, time, known[0]) for index, time in enumerate(known)]
        yield from self.before(known[0])
        for place, right in zip(places, known[1:], strict=False):
            yield from self.within(place, right)
        typical = typical_gap(known[-TYPICAL_OVER:]) if gap is None else as_fraction(gap, "frame gap")
        yield from self.after(places[-1], typical)


@dataclass(frozen=True)
class FrameRate(TimeRequest):
    """Every n / `rate` seconds after the first observation, up to the last one and `beyond` seconds after it."""

    rate: Fraction
    beyond: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        _make_exact(self, "rate", "frame rate", "a positive number, such as 60 or 30000/1001")

    def within(self, left: Reached, right: Fraction) -> Iterator[Fraction]:
        """The ticks of the grid in a gap."""
        return self._ticks(left, lambda time: time < right)

    def after(self, last: Reached, gap: Fraction | None) -> Iterator[Fraction]:
        """The ticks of the grid from the last observation on."""
        return self._ticks(last, lambda time: time <= last.time + self.beyond)

    def _ticks(self, start: Reached, wanted: Callable[[Fraction], bool]) -> Iterator[Fraction]:
        first_tick = math.ceil((start.time - start.first) * self.rate)
        return takewhile(wanted, (start.first + tick / self.rate for tick in count(first_tick)))


@dataclass(frozen=True)
class Factor(TimeRequest):
    """`factor` frames for every observed one, evenly between the observations.

    Output k lies k / `factor` observations after the first, and time runs evenly from one observation to the next.
    On regular video of gap g this is first + k g / factor; on irregular video every gap is divided alike, so its
    rhythm stays (ask for a frame rate to make it even). Beyond the end the typical gap goes on.
    """

    factor: Fraction
    beyond: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        _make_exact(self, "factor", "factor", "a positive number, such as 2 or 5/2")

    def within(self, left: Reached, right: Fraction) -> Iterator[Fraction]:
        """The outputs that fall into a gap."""
        return takewhile(lambda time: time < right, self._outputs(left, right - left.time))

    def after(self, last: Reached, gap: Fraction | None) -> Iterator[Fraction]:
        """The outputs from the last observation on. Raises `InvalidInput` beyond a single frame of unknown gap."""
        if gap is None and self.beyond:
            raise InvalidInput(ONE_FRAME)
        # Without a gap only an output at the last observation itself is left, whatever the step.
        return takewhile(lambda time: time <= last.time + self.beyond, self._outputs(last, gap or Fraction(1)))

    def _outputs(self, start: Reached, gap: Fraction) -> Iterator[Fraction]:
        first_output = math.ceil(start.index * self.factor)
        return (start.time + (k / self.factor - start.index) * gap for k in count(first_output))


@dataclass(frozen=True)
class Times(TimeRequest):
    """Exactly these times, strictly increasing, in the clip's own clock."""

    wanted: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        wanted = tuple(as_fraction(time, f"time {place}") for place, time in enumerate(self.wanted))
        object.__setattr__(self, "wanted", wanted)
        if not wanted:
            raise InvalidInput("no times are asked for; expected at least one, such as 0.1,0.25")
        for place, (early, late) in enumerate(pairwise(wanted)):
            if late <= early:
                raise InvalidInput(
                    f"asked time {place} = {float(early)} is followed by {float(late)};"
                    " expected strictly increasing times: sort them and drop repeated ones"
                )

    def before(self, first: Fraction) -> Iterator[Fraction]:
        """Those before the first observation."""
        return iter(self.wanted[: bisect_left(self.wanted, first)])

    def within(self, left: Reached, right: Fraction) -> Iterator[Fraction]:
        """Those in a gap."""
        return iter(self.wanted[bisect_left(self.wanted, left.time) : bisect_left(self.wanted, right)])

    def after(self, last: Reached, gap: Fraction | None) -> Iterator[Fraction]:
        """Those from the last observation on."""
        return iter(self.wanted[bisect_left(self.wanted, last.time) :])


def typical_gap(times: Sequence[Fraction]) -> Fraction | None:
    """The lower median of the gaps between successive times; None for a single time."""
    gaps = sorted(late - early for early, late in pairwise(times))
    return gaps[(len(gaps) - 1) // 2] if gaps else None


def as_fraction(value: object, name: str) -> Fraction:
    """A number, or text such as '60', '29.97' and '30000/1001', exactly as it is written.

    A float means the simplest fraction that it is the rounding of: 1 / 30 is a thirtieth, so that a clip in memory
    falls on the same grid as a file. Raises `InvalidInput` for what is not a finite number, and for
    one of more than `MOST_DIGITS` digits.
    """
    if isinstance(value, Fraction):
        return value
    try:
        if isinstance(value, float) and math.isfinite(value):
            return _simplest(float(value))
        text = str(value).strip()
        exponent = re.search(r"e([+-]?\d+)$", text, flags=re.IGNORECASE)
        if exponent and abs(int(exponent[1])) > MOST_DIGITS:  # as a fraction it would fill the memory
            raise ValueError(text)
        found = Fraction(text)
        if abs(found) > 10**MOST_DIGITS:
            raise ValueError(text)
        return found
    except (ValueError, ZeroDivisionError) as error:
        told = text if len(text := str(value)) <= LONG else f"{text[:LONG]}..."
        raise InvalidInput(f"{name} is {told!r}; expected a finite number, such as 0.25 or 1/25") from error


def _simplest(value: float) -> Fraction:
    """The fraction of about the least denominator within two units in the last place."""
    exact, slack = Fraction(value), Fraction(2 * math.ulp(value))
    candidates = (exact.limit_denominator(10**digits) for digits in count(1))
    return next(candidate for candidate in candidates if abs(candidate - exact) <= slack)


def parse_times(text: str) -> Times:
    """Times in seconds from '0.1,0.25' or from a file: numbers one per line (or comma), or a JSON list.

    Raises `InvalidInput` for a file that is missing and for what is not a number.
    """
    words = [word.strip() for word in text.split(",")]
    if all(_is_number(word) for word in words):
        return Times(tuple(as_fraction(word, "time") for word in words))
    path = Path(text)
    if not _is_file(path):
        raise InvalidInput(f"times are {text!r}; expected numbers such as 0.1,0.25 or a file with one time per line")
    content = _text(path)
    if content.lstrip().startswith("["):
        return _json_times(path, content)
    return Times(tuple(_line_times(path, enumerate(content.splitlines(), start=1))))


def _is_file(path: Path) -> bool:
    """Whether there is such a file; a list of times is longer than any name may be."""
    try:
        return path.is_file()
    except OSError:
        return False


def parse_timecodes(path: str | Path) -> Times:
    """Times from a 'timecode format v2' file: milliseconds, one per line, as MKVToolNix and x264 write them.

    Raises `InvalidInput` for another format and for what is not a number.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidInput(f"no time code file {str(path)!r}; expected a file in 'timecode format v2'")
    head, *lines = _text(path).splitlines() or [""]
    if not re.fullmatch(r"#\s*time(code|stamp) format v2\s*", head.strip("\ufeff ")):
        raise InvalidInput(
            f"{path} starts with {head[:40]!r}; expected the line '# timecode format v2':"
            " give times in seconds with --times"
        )
    return Times(tuple(time / 1000 for time in _line_times(path, enumerate(lines, start=2))))


def _make_exact(request: FrameRate | Factor, field: str, name: str, expected: str) -> None:
    """Turn what the user gave into fractions, and refuse what cannot be."""
    value, beyond = as_fraction(getattr(request, field), name), as_fraction(request.beyond, "time beyond the end")
    if value <= 0:
        raise InvalidInput(f"{name} is {value}; expected {expected}")
    if beyond < 0:
        raise InvalidInput(f"time beyond the end is {beyond}; expected zero or more seconds")
    object.__setattr__(request, field, value)
    object.__setattr__(request, "beyond", beyond)


def _is_number(word: str) -> bool:
    try:
        as_fraction(word, "time")
    except InvalidInput:
        return False
    return True


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read as text; expected one time per line") from error


def _line_times(path: Path, lines: Iterable[tuple[int, str]]) -> Iterator[Fraction]:
    for number, line in lines:
        for word in line.partition("#")[0].replace(",", " ").split():
            yield as_fraction(word, f"{path}, line {number}: time")


def _json_times(path: Path, content: str) -> Times:
    try:
        values = json.loads(content, parse_float=str, parse_constant=str)
    except ValueError as error:
        raise InvalidInput(f"{path} is not valid JSON; expected a list of numbers, such as [0.1, 0.25]") from error
    if any(isinstance(value, (bool, list, dict, NoneType)) for value in values):
        raise InvalidInput(f"{path} holds more than numbers; expected a list of numbers, such as [0.1, 0.25]")
    return Times(tuple(as_fraction(value, f"{path}: time") for value in values))
