"""Hurricanes in a climate model (CAM5, 3-hourly, a quarter of a degree), each from its annotated start to its end."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidode.clip import Clip, InvalidInput, Meaning
from vidode.configuration import require_at_least
from vidode.datasets import Split, VideoDataset, existing_root, require_variables
from vidode.gridded import Array, Scaling, Series, grid_file, stacked, variable

TRACKS = "tracks.csv"
COLUMNS = ("storm", "time", "lat", "lon")
HOUR = "%Y-%m-%dT%H"
"""Times are compared as text to the hour, whatever the calendar of the model."""
BASIN = (60.0, 160.0)
"""Degrees of latitude and longitude, as in the paper."""
RATE_HOURS = 3
"""Of arrays, which have no times of their own."""
HOLE = 1.5
"""A gap of more than so many typical ones lacks a field."""


@dataclass(frozen=True)
class HurricaneConfig:
    """Where and which.

    root: the folder with fields/*.nc and tracks.csv, or with train/ and test/ of one .npy (T, C, H, W) a storm, scaled
    to [0, 1] already, as Vid-ODE's released code keeps them. variables: the channels. basins: south and west edges in
    degrees; a storm is cut out of the first one that holds its mean position. train: storms, in order of their start,
    to train on; the paper has 280 of 319. side: of the grid in cells at most, by averaging blocks; none keeps it.
    edge: rows of zeros, declared missing, that are added above and below: one, as in the paper. multiple: more of them,
    until the height is a multiple of it. min_frames: shorter storms are left out.
    """

    root: str = ""
    variables: tuple[str, ...] = ("U850", "V850", "PSL")
    basins: tuple[tuple[float, float], ...] = ((0.0, 60.0), (0.0, 200.0), (-60.0, 0.0), (-60.0, 160.0))
    train: int = 280
    side: int | None = None
    edge: int = 1
    multiple: int = 1
    min_frames: int = 20

    def __post_init__(self) -> None:
        require_at_least(self, train=1, edge=0, multiple=1, min_frames=1, **({} if self.side is None else {"side": 1}))
        require_variables(self.variables)


@dataclass(frozen=True, eq=False)
class Part:
    """What one file has of a storm. hours: (T,) as text, whatever the calendar."""

    series: Series
    hours: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Storm:
    """One storm's annotations: its name, the hours from first to last, and where it is in the mean."""

    name: str
    hours: tuple[str, ...]
    latitude: float
    longitude: float


class Hurricane(VideoDataset):
    """One clip a storm, on the basin that it crosses. Channels are scaled by the extremes of the training storms."""

    config: HurricaneConfig
    downloads = (
        "the CAM5 fields and storm annotations of Kim et al. (WACV 2019) are given by their authors on request: put"
        " NetCDF files with U850, V850 and PSL into root/fields, and storm,time,lat,lon into root/tracks.csv; or put"
        " one .npy (T, 3, H, W) a storm, scaled to [0, 1], into train/ and test/ under root (the paper has 280 and 39"
        " storms; a frame of 240x640 cells takes 1.8 MB)"
    )

    def __init__(self, config: HurricaneConfig, split: Split) -> None:
        super().__init__(config, split)
        root = existing_root(config, self.downloads)
        if (root / TRACKS).is_file():
            storms = read_tracks(root / TRACKS)
            if not 0 < config.train < len(storms):
                raise InvalidInput(f"train is {config.train} of {len(storms)} storms; expected some of them, not all")
            training = self._read(root, storms[: config.train])
            self.scaling: Scaling | None = Scaling.of(_joined(training))
            series = training if split == "train" else self._read(root, storms[config.train :])
        else:
            self.scaling = None
            series = [self._from_array(path) for path in sorted((root / split).glob("*.npy"))]
        self.series = [each for each in series if len(each) >= config.min_frames]
        if not self.series:
            raise InvalidInput(f"{config.root!r} holds no storms of the {split} split; {self.downloads}")

    def __len__(self) -> int:
        return len(self.series)

    def clip(self, index: int) -> Clip:
        """The whole storm."""
        series = self.series[index]
        values = series.values if self.scaling is None else self.scaling.unit(series.values)
        valid = np.isfinite(series.values)
        return Clip(
            torch.from_numpy(np.nan_to_num(values)),
            torch.from_numpy(series.times.copy()),
            None if valid.all() else torch.from_numpy(valid),
            Meaning(channels=series.names),
        )

    def _read(self, root: Path, storms: Sequence[Storm]) -> list[Series]:
        files = sorted((root / "fields").glob("*.nc"))
        if not files:
            raise InvalidInput(f"{str(root / 'fields')!r} holds no NetCDF files; {self.downloads}")
        parts: dict[str, list[Part]] = {storm.name: [] for storm in storms}
        moments: list[float] = []
        for path in files:
            with grid_file(path) as dataset:
                stamps = _stamps(dataset, path)
                moments += map(_seconds, dataset["time"].values)
                for storm in storms:
                    inside = (stamps >= storm.hours[0]) & (stamps <= storm.hours[-1])
                    if inside.any():
                        series = self._cut(dataset, inside, storm, path)
                        parts[storm.name].append(Part(series, stamps[inside]))
        gaps = np.diff(np.unique(moments))
        interval = float(np.median(gaps)) if len(gaps) else math.inf
        return [_in_order(storm, parts[storm.name], interval) for storm in storms]

    def _from_array(self, path: Path) -> Series:
        try:
            values = np.load(path, allow_pickle=False).astype(np.float32)
        except (OSError, ValueError, EOFError) as error:
            raise InvalidInput(f"{str(path)!r} cannot be read as an array; copy it again") from error
        if values.ndim != 4:
            raise InvalidInput(f"{str(path)!r} has shape {values.shape}; expected (T, C, H, W)")
        names = tuple(f"channel {index}" for index in range(values.shape[1]))
        times = np.arange(len(values), dtype=np.float64) * RATE_HOURS * 3600
        return Series(padded(values, self.config.edge, self.config.multiple), times, names, ("",) * len(names))

    def _cut(self, dataset: Any, inside: np.ndarray[Any, Any], storm: Storm, path: Path) -> Series:
        """The storm's basin at the times that one file has of it."""
        south, west = self._basin(storm)
        rows = (dataset["lat"].values >= south) & (dataset["lat"].values < south + BASIN[0])
        columns = (dataset["lon"].values - west) % 360 < BASIN[1]
        order = np.argsort((dataset["lon"].values[columns] - west) % 360)
        if not (rows.any() and columns.any()):
            raise InvalidInput(f"{str(path)!r} has no cells of the basin from {south:g}, {west:g}; change basins")
        part = dataset.isel(time=inside, lat=rows, lon=columns)
        fields = {name: variable(part, name, path) for name in self.config.variables}
        named = {f"{name} of {str(path)!r}": values for name, values in fields.items()}
        values = stacked({name: values[..., order] for name, values in named.items()}, inside.sum(), self.config.side)
        values = padded(values, self.config.edge, self.config.multiple)
        moments = part["time"].values
        units = tuple(str(dataset[name].attrs.get("units", "")) for name in self.config.variables)
        return Series(values, np.array([_seconds(moment) for moment in moments]), self.config.variables, units)

    def _basin(self, storm: Storm) -> tuple[float, float]:
        for south, west in self.config.basins:
            if south <= storm.latitude < south + BASIN[0] and (storm.longitude - west) % 360 < BASIN[1]:
                return south, west
        raise InvalidInput(
            f"storm {storm.name} lies at {storm.latitude:g}, {storm.longitude:g}, in none of the basins"
            f" {self.config.basins}; add one"
        )


def read_tracks(path: Path) -> list[Storm]:
    """Every storm of a table `storm,time,lat,lon`, in order of its start.

    Raises `InvalidInput` for what is not a table, for missing columns and for positions or times that are none, naming
    the line.
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


def padded(values: Array, edge: int, multiple: int = 1) -> Array:
    """Fields (..., H, W) with `edge` missing rows above and below, and more until the height is a multiple."""
    lacking = -(values.shape[-2] + 2 * edge) % multiple
    rows = [(0, 0)] * (values.ndim - 2) + [(edge + lacking // 2, edge + lacking - lacking // 2), (0, 0)]
    return np.pad(values, rows, constant_values=np.nan)


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
        moment = np.datetime64(row["time"].strip().removesuffix("Z"), "h")
        latitude, longitude = float(row["lat"]), float(row["lon"])
        if np.isnat(moment) or not -90 <= latitude <= 90 or not math.isfinite(longitude):
            raise ValueError
        return str(moment), latitude, longitude % 360
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{str(path)!r}, line {number}, is {dict(row)}; expected a time such as 1996-08-30T12:00, a latitude from"
            " -90 to 90 and a longitude in degrees"
        ) from error


def _seconds(moment: Any) -> float:
    """A date of any calendar as seconds."""
    if isinstance(moment, np.datetime64):
        return float((moment - np.datetime64(0, "s")) / np.timedelta64(1, "s"))
    import cftime

    return float(cftime.date2num(moment, "seconds since 1970-01-01", moment.calendar))


def _stamps(dataset: Any, path: Path) -> np.ndarray[Any, Any]:
    """The hours (T,) of a file as text. Raises `InvalidInput` for a file without dates or without coordinates."""
    lacking = [name for name in ("time", "lat", "lon") if name not in dataset.variables]
    lacking += [name for name in ("time", "lat", "lon") if name not in lacking and dataset[name].ndim != 1]
    if lacking:
        raise InvalidInput(f"{str(path)!r} has no {lacking[0]!r} along an axis; expected fields of time, lat and lon")
    try:
        return np.asarray(dataset["time"].dt.strftime(HOUR).values)
    except (AttributeError, TypeError) as error:
        raise InvalidInput(
            f"{str(path)!r} has no dates in 'time'; expected units such as hours since a date"
        ) from error


def _in_order(storm: Storm, parts: list[Part], interval: float) -> Series:
    """A storm's parts as one series from 0 s on. Raises `InvalidInput` naming the hours that are missing."""
    if not parts:
        raise InvalidInput(
            f"no field has the times of storm {storm.name}, {storm.hours[0]} to {storm.hours[-1]}; expected the files"
            " of all annotated times"
        )
    whole = _joined([part.series for part in parts])
    order = np.argsort(whole.times, kind="stable")
    times, hours = whole.times[order], np.concatenate([part.hours for part in parts])[order]
    for hour in (storm.hours[0], storm.hours[-1]):
        if hour not in hours:
            raise InvalidInput(f"no field has {hour} of storm {storm.name}; expected the files of all annotated times")
    for before, after, gap in zip(hours, hours[1:], np.diff(times), strict=False):
        if gap == 0:
            raise InvalidInput(f"two fields have {before} of storm {storm.name}; remove one of the files")
        if gap > HOLE * interval:
            raise InvalidInput(
                f"no field lies between {before} and {after} of storm {storm.name}; expected one every"
                f" {interval / 3600:g} hours: add the missing files"
            )
    return Series(whole.values[order], times - times[0], whole.names, whole.units)


def _joined(parts: Sequence[Series]) -> Series:
    shapes = sorted({part.values.shape[1:] for part in parts})
    if len(shapes) > 1:
        raise InvalidInput(f"fields have shapes {shapes[0]} and {shapes[1]} (C, H, W); expected one grid and one size")
    values = np.concatenate([part.values for part in parts])
    return Series(values, np.concatenate([part.times for part in parts]), parts[0].names, parts[0].units)
