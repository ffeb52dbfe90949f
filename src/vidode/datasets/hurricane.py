"""Hurricanes in a climate model (CAM5, 3-hourly, a quarter of a degree), each from its annotated start to its end."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidode.clip import Clip, InvalidInput, Meaning
from vidode.datasets import Split, VideoDataset, existing_root
from vidode.gridded import Array, Scaling, Series, grid_file, thinned, variable

TRACKS = "tracks.csv"
COLUMNS = ("storm", "time", "lat", "lon")
HOUR = "%Y-%m-%dT%H"
"""Times are compared as text to the hour, whatever the calendar of the model."""
BASIN = (60.0, 160.0)
"""Degrees of latitude and longitude, as in the paper."""
RATE_HOURS = 3
"""Of arrays, which have no times of their own."""


@dataclass(frozen=True)
class HurricaneConfig:
    """Where and which.

    root: the folder with fields/*.nc and tracks.csv, or with train/ and test/ of one .npy (T, C, H, W) a storm, scaled
    to [0, 1] already, as Vid-ODE's released code keeps them. variables: the channels. basins: south and west edges in
    degrees; a storm is cut out of the first one that holds its mean position. train: storms, in order of their start,
    to train on; the paper has 280 of 319. side: of the grid in cells at most, by averaging blocks; none keeps it.
    multiple: rows of zeros, declared missing, are added above and below until the height is a multiple of it.
    min_frames: shorter storms are left out.
    """

    root: str = ""
    variables: tuple[str, ...] = ("U850", "V850", "PSL")
    basins: tuple[tuple[float, float], ...] = ((0.0, 60.0), (0.0, 200.0), (-60.0, 0.0), (-60.0, 160.0))
    train: int = 280
    side: int | None = None
    multiple: int = 4
    min_frames: int = 20


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
        " NetCDF files with U850, V850 and PSL into root/fields, and storm,time,lat,lon into root/tracks.csv"
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
            self.scaling, series = None, [_from_array(path) for path in sorted((root / split).glob("*.npy"))]
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
        parts: dict[str, list[Series]] = {storm.name: [] for storm in storms}
        for path in files:
            with grid_file(path) as dataset:
                stamps = dataset["time"].dt.strftime(HOUR).values
                for storm in storms:
                    inside = (stamps >= storm.hours[0]) & (stamps <= storm.hours[-1])
                    if inside.any():
                        parts[storm.name].append(self._cut(dataset, inside, storm, path))
        return [_in_order(storm, parts[storm.name]) for storm in storms]

    def _cut(self, dataset: Any, inside: np.ndarray[Any, Any], storm: Storm, path: Path) -> Series:
        """The storm's basin at the times that one file has of it."""
        south, west = self._basin(storm)
        rows = (dataset["lat"].values >= south) & (dataset["lat"].values < south + BASIN[0])
        columns = (dataset["lon"].values - west) % 360 < BASIN[1]
        order = np.argsort((dataset["lon"].values[columns] - west) % 360)
        part = dataset.isel(time=inside, lat=rows, lon=columns)
        fields = [variable(part, name, path)[..., order] for name in self.config.variables]
        values = padded(thinned(np.stack(fields, axis=1), self.config.side), self.config.multiple)
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

    Raises `InvalidInput` for missing columns and for positions or times that are none, naming the line.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
        if missing:
            raise InvalidInput(f"{str(path)!r} has no column {missing[0]!r}; expected {','.join(COLUMNS)}")
        points: dict[str, list[tuple[str, float, float]]] = {}
        for number, row in enumerate(reader, start=2):
            points.setdefault(row["storm"], []).append(_point(row, path, number))
    storms = []
    for name, track in points.items():
        hours, latitudes, longitudes = zip(*sorted(track), strict=True)
        # Around the globe: the mean direction, which a track across the meridian of Greenwich does not break.
        turned = np.exp(1j * np.radians(longitudes)).mean()
        storms.append(Storm(name, hours, float(np.mean(latitudes)), float(np.degrees(np.angle(turned)) % 360)))
    return sorted(storms, key=lambda storm: (storm.hours[0], storm.name))


def padded(values: Array, multiple: int) -> Array:
    """Fields (..., H, W) with missing rows above and below, as many as the height needs to be a multiple."""
    lacking = -values.shape[-2] % multiple
    rows = [(0, 0)] * (values.ndim - 2) + [(lacking // 2, lacking - lacking // 2), (0, 0)]
    return np.pad(values, rows, constant_values=np.nan)


def _point(row: dict[str, str], path: Path, number: int) -> tuple[str, float, float]:
    try:
        moment = np.datetime64(row["time"].strip().removesuffix("Z"), "h")
        return str(moment), float(row["lat"]), float(row["lon"]) % 360
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{str(path)!r}, line {number}, is {dict(row)}; expected a time such as 1996-08-30T12:00 and degrees"
        ) from error


def _seconds(moment: Any) -> float:
    """A date of any calendar as seconds."""
    if isinstance(moment, np.datetime64):
        return float((moment - np.datetime64(0, "s")) / np.timedelta64(1, "s"))
    import cftime

    return float(cftime.date2num(moment, "seconds since 1970-01-01", moment.calendar))


def _in_order(storm: Storm, parts: list[Series]) -> Series:
    if not parts:
        raise InvalidInput(
            f"no field has the times of storm {storm.name}, {storm.hours[0]} to {storm.hours[-1]}; expected the files"
            " of all annotated times"
        )
    whole = _joined(parts)
    order = np.argsort(whole.times)
    times = whole.times[order]
    return Series(whole.values[order], times - times[0], whole.names, whole.units)


def _joined(parts: Sequence[Series]) -> Series:
    values = np.concatenate([part.values for part in parts])
    return Series(values, np.concatenate([part.times for part in parts]), parts[0].names, parts[0].units)


def _from_array(path: Path) -> Series:
    try:
        values = np.load(path, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError, EOFError) as error:
        raise InvalidInput(f"{str(path)!r} cannot be read as an array; copy it again") from error
    if values.ndim != 4:
        raise InvalidInput(f"{str(path)!r} has shape {values.shape}; expected (T, C, H, W)")
    names = tuple(f"channel {index}" for index in range(values.shape[1]))
    return Series(values, np.arange(len(values), dtype=np.float64) * RATE_HOURS * 3600, names, ("",) * len(names))
