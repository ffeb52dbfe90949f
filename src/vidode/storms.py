"""Annotated storms, and which files of fields have their hours."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidode.clip import InvalidInput
from vidode.gridded import grid_file

COLUMNS = ("storm", "time", "lat", "lon")
HOUR = "%Y-%m-%dT%H"
"""Times are compared as text to the hour, whatever the calendar of the model."""
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d(:\d\d(:\d\d(\.\d+)?)?)?Z?", re.ASCII)
"""A date and an hour. NumPy reads more: 'now', a month, which has no hour, and zones, which it turns with a warning."""
SAME = 1e-3
"""Degrees by which coordinates may differ, as those of single and of double precision do."""
HOLE = 1.5
"""A gap of more than so many typical ones lacks a field."""


@dataclass(frozen=True)
class Storm:
    """One storm's annotations: its name, the hours from first to last, and where it is in the mean."""

    name: str
    hours: tuple[str, ...]
    latitude: float
    longitude: float


@dataclass(frozen=True, eq=False)
class Share:
    """What one file has of a storm. inside: (N,) fields by their place in the file; places: (N,) in the storm."""

    path: Path
    inside: NDArray[np.intp]
    places: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Span:
    """The fields of a storm. times: (T,) seconds from the first. lacking: what is not there, in words, or empty."""

    times: NDArray[np.float64]
    shares: tuple[Share, ...]
    lacking: str


@dataclass(frozen=True, eq=False)
class Hours:
    """When and where the fields of a file are.

    texts: (T,) the hour, whatever the calendar. seconds: (T,). latitudes (H,), longitudes (W,): degrees.
    """

    texts: NDArray[np.str_]
    seconds: NDArray[np.float64]
    latitudes: NDArray[np.float64]
    longitudes: NDArray[np.float64]


class Timeline:
    """Which file has a field of which hour, from opening each file once; values are not read.

    Raises `InvalidInput`, naming the file, for one that cannot be read, has no dates or coordinates, or has others than
    the first: stored from north to south, its rows would be turned over in the middle of a storm.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        parts = [_hours(path) for path in files]
        for path, part in zip(files, parts, strict=True):
            _require_one_grid(files[0], parts[0], path, part)
        counts = [len(part.texts) for part in parts]
        self._files = files
        self._hours = np.concatenate([part.texts for part in parts])
        self._seconds = np.concatenate([part.seconds for part in parts])
        self._file = np.repeat(np.arange(len(files)), counts)
        self._inside = np.concatenate([np.arange(count) for count in counts])
        gaps = np.diff(np.unique(self._seconds))
        self.interval = float(np.median(gaps)) if len(gaps) else math.inf
        """Seconds from a field to the next, typically."""

    def span(self, storm: Storm) -> Span:
        """The fields from a storm's start to its end. Raises `InvalidInput` where two have the same hour."""
        within = np.flatnonzero((self._hours >= storm.hours[0]) & (self._hours <= storm.hours[-1]))
        order = within[np.argsort(self._seconds[within], kind="stable")]
        hours, times = self._hours[order], self._seconds[order]
        gaps = np.diff(times)
        if (gaps == 0).any():
            twice = hours[int(np.argmin(gaps))]
            raise InvalidInput(f"two fields have {twice} of storm {storm.name}; remove one of the files")
        lacking = ", ".join(self._holes(storm, hours, gaps))
        said = f"storm {storm.name} ({lacking})" if lacking else ""
        return Span(times - times[:1], tuple(self._shares(order)), said)

    def _shares(self, order: NDArray[np.intp]) -> Iterator[Share]:
        """Of fields in order of time, those of each file."""
        for number in np.unique(self._file[order]):
            places = np.flatnonzero(self._file[order] == number)
            yield Share(self._files[number], self._inside[order[places]], places)

    def _holes(self, storm: Storm, hours: NDArray[np.str_], gaps: NDArray[np.float64]) -> Iterator[str]:
        """The ranges of hours that a storm lacks, of the fields (T,) that it has, which are so far apart (T - 1,)."""
        first, last = storm.hours[0], storm.hours[-1]
        if not len(hours):
            yield f"{first} to {last}"
            return
        if hours[0] != first:
            yield f"{first} to before {hours[0]}"
        for place in np.flatnonzero(gaps > HOLE * self.interval):
            yield f"between {hours[place]} and {hours[place + 1]}"
        if hours[-1] != last:
            yield f"after {hours[-1]} to {last}"


def read_tracks(path: Path) -> list[Storm]:
    """Every storm of a table `storm,time,lat,lon`, in order of its start.

    Raises `InvalidInput` for what is not a table, for missing columns and for names, positions or times that are none,
    naming the line.
    """
    try:
        points = _points(path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{str(path)!r} is not a table of text in UTF-8; save it as CSV again") from error
    storms = []
    for name, track in points.items():
        hours, latitudes, longitudes = zip(*sorted(track), strict=True)
        # Around the globe: the mean direction, which a track across the meridian of Greenwich does not break.
        turned = np.exp(1j * np.radians(longitudes)).mean()
        storms.append(Storm(name, hours, float(np.mean(latitudes)), float(np.degrees(np.angle(turned)) % 360)))
    return sorted(storms, key=lambda storm: (storm.hours[0], storm.name))


def _points(path: Path) -> dict[str, list[tuple[str, float, float]]]:
    """Of each storm, in the order of the lines: the hour, latitude and longitude."""
    points: dict[str, list[tuple[str, float, float]]] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:  # a spreadsheet may write a mark first
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
        if missing:
            raise InvalidInput(f"{str(path)!r} has no column {missing[0]!r}; expected {','.join(COLUMNS)}")
        for number, row in enumerate(reader, start=2):
            points.setdefault(row["storm"], []).append(_point(row, path, number))
    return points


def _point(row: dict[str, str], path: Path, number: int) -> tuple[str, float, float]:
    try:
        time, latitude, longitude = row["time"].strip(), float(row["lat"]), float(row["lon"])
        is_told = bool(row["storm"].strip()) and MOMENT.fullmatch(time) is not None
        if not (is_told and -90 <= latitude <= 90 and math.isfinite(longitude)):
            raise ValueError
        return str(np.datetime64(time.removesuffix("Z"), "h")), latitude, longitude % 360
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{str(path)!r}, line {number}, is {dict(row)}; expected the storm's name, a time such as 1996-08-30T12:00"
            " (UTC), a latitude from -90 to 90 and a longitude in degrees"
        ) from error


def _seconds(moment: Any) -> float:
    """A date of any calendar as seconds."""
    if isinstance(moment, np.datetime64):
        return float((moment - np.datetime64(0, "s")) / np.timedelta64(1, "s"))
    import cftime

    return float(cftime.date2num(moment, "seconds since 1970-01-01", moment.calendar))


def _require_one_grid(first: Path, one: Hours, path: Path, other: Hours) -> None:
    for axis in ("latitudes", "longitudes"):
        expected, found = getattr(one, axis), getattr(other, axis)
        if found.shape != expected.shape or not np.allclose(found, expected, rtol=0, atol=SAME):
            raise InvalidInput(
                f"{str(path)!r} has {axis} {_range(found)}, {str(first)!r} has them {_range(expected)}; expected one"
                " grid: copy it again, or remove it"
            )


def _range(degrees: NDArray[np.float64]) -> str:
    return f"from {degrees[0]:g} to {degrees[-1]:g} ({len(degrees)})" if len(degrees) else "of no cells"


def _hours(path: Path) -> Hours:
    """Raises `InvalidInput` for a file without dates or without coordinates."""
    with grid_file(path) as dataset:
        axes = ("time", "lat", "lon")
        lacking = [name for name in axes if name not in dataset.variables or dataset[name].dims != (name,)]
        if lacking:
            raise InvalidInput(
                f"{str(path)!r} has no {lacking[0]!r} along an axis; expected fields of time, lat and lon"
            )
        try:
            texts = np.asarray(dataset["time"].dt.strftime(HOUR).values, dtype=np.str_)
        except (AttributeError, TypeError) as error:
            raise InvalidInput(
                f"{str(path)!r} has no dates in 'time'; expected units such as hours since a date"
            ) from error
        seconds = np.array([_seconds(moment) for moment in dataset["time"].values])
        latitudes, longitudes = (np.asarray(dataset[name].values, np.float64) for name in ("lat", "lon"))
        return Hours(texts, seconds, latitudes, longitudes)
