"""Hurricanes in a climate model (CAM5, 3-hourly, a quarter of a degree), each from its annotated start to its end."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from vidode.clip import Clip, InvalidInput
from vidode.configuration import require_at_least
from vidode.datasets import FieldDataset, Split, Splits, clip_of, existing_root, require_variables
from vidode.footage import arrays_of
from vidode.gridded import Array, Scaling, Series, grid_file, stacked, variable
from vidode.records import WHOLE, Record, StoredSeries
from vidode.sources.array_files import mapped_array
from vidode.storms import Share, Span, Storm, Timeline, read_tracks

TRACKS = "tracks.csv"
MARGIN = 0.5
"""By which scaled values may leave [0, 1], as those of a test do where the extremes are those of the training."""
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


class Hurricane(FieldDataset):
    """One clip a storm, on the basin that it crosses. Channels are scaled by the extremes of the training storms."""

    config: HurricaneConfig
    free = ("train", "min_frames")
    stated: ClassVar[Mapping[Splits, int]] = {
        ("train",): 280,
        ("test",): 39,
        ("train", "test"): 319,
        ("all",): 319,
    }
    downloads = (
        "the CAM5 fields and storm annotations of Kim et al. (WACV 2019) are given by their authors on request: put"
        " NetCDF files with U850, V850 and PSL into root/fields, and storm,time,lat,lon into root/tracks.csv; or put"
        " one .npy (T, 3, H, W) a storm, scaled to [0, 1], into train/ and test/ under root (the paper has 280 and 39"
        " storms; a frame of 240x640 cells takes 1.8 MB, and there are thousands: prepare them, or memory has to"
        " hold those of a split)"
    )

    def __init__(self, config: HurricaneConfig, split: Split) -> None:
        super().__init__(config, split)
        records = self.opened(existing_root(config, self.downloads))
        self.scaling: Scaling | None = None
        if records[0].split == WHOLE:
            self.scaling, series = self._divided(records)
        else:
            ours = [record for record in records if record.split == split]
            series = [record.read() for record in ours]
            _require_one_shape(zip((record.name for record in ours), (each.values for each in series), strict=True))
        self.series = [each for each in series if len(each) >= config.min_frames]
        if not self.series:
            raise InvalidInput(f"{config.root!r} holds no storms of the {split} split; {self.downloads}")

    @classmethod
    def records(cls, config: HurricaneConfig, root: Path) -> list[Record]:
        """Every storm of the tracks, in order of its start, or every array. Each file of fields is opened once.

        Raises `InvalidInput` for a root with neither, for a storm outside every basin, and for one of which two fields
        have the same hour.
        """
        if not (root / TRACKS).is_file():
            arrays = [record for split in cls.splits for record in _array_records(config, root, split)]
            if not arrays:
                raise InvalidInput(f"{str(root)!r} has no {TRACKS}, and no arrays in train/ and test/; {cls.downloads}")
            return arrays
        storms = read_tracks(root / TRACKS)
        files = sorted((root / "fields").glob("*.nc"))
        if not files:
            raise InvalidInput(f"{str(root / 'fields')!r} holds no NetCDF files; {cls.downloads}")
        timeline = Timeline(files)
        return [_field_record(config, storm, place, timeline) for place, storm in enumerate(storms)]

    def __len__(self) -> int:
        return len(self.series)

    def clip(self, index: int) -> Clip:
        """The whole storm."""
        return self._clip(self.series[index], slice(None))

    def window(self, index: int, length: int, generator: torch.Generator) -> Clip:
        """`length` successive frames from a random start; only these are read."""
        series = self.series[index]
        if len(series) < length:
            raise InvalidInput(f"clip {index} has {len(series)} frames; expected at least {length}")
        start = int(torch.randint(len(series) - length + 1, (), generator=generator))
        return self._clip(series, slice(start, start + length))

    def _clip(self, series: Series | StoredSeries, part: slice) -> Clip:
        values = np.array(series.values[part])
        frames = np.where(np.isfinite(values), values, 0) if self.scaling is None else self.scaling.unit(values)
        return clip_of(frames, values, series.times[part], series.names)

    def _divided(self, records: Sequence[Record]) -> tuple[Scaling, list[Series | StoredSeries]]:
        """The scaling by the training storms, also by those that are too short to be used, and the split's storms."""
        training = [record for record in records if record.place < self.config.train]
        test = [record for record in records if record.place >= self.config.train]
        if not (training and test):
            count = records[-1].place + 1
            raise InvalidInput(f"train is {self.config.train} of {count} storms; expected some of them, not all")
        extremes: list[Array] = []
        storms: list[Series | StoredSeries] = []
        for record in training:
            storm = record.read()
            extremes.append(storm.extremes)
            if self.split == "train":  # for a test the extremes are enough: memory never holds both parts
                storms.append(storm)
        storms = storms or [record.read() for record in test]
        ours = training if self.split == "train" else test
        _require_one_shape(zip((record.name for record in ours), (storm.values for storm in storms), strict=True))
        return Scaling.of(np.concatenate(extremes)), storms


def padded(values: Array, edge: int, multiple: int = 1) -> Array:
    """Fields (..., H, W) with `edge` missing rows above and below, and more until the height is a multiple."""
    lacking = -(values.shape[-2] + 2 * edge) % multiple
    rows = [(0, 0)] * (values.ndim - 2) + [(edge + lacking // 2, edge + lacking - lacking // 2), (0, 0)]
    return np.pad(values, rows, constant_values=np.nan)


def _array_records(config: HurricaneConfig, root: Path, split: str) -> list[Record]:
    return [
        Record(path.stem, partial(_from_array, config, path), split, place, (path,))
        for place, path in enumerate(arrays_of(root, split))
    ]


def _from_array(config: HurricaneConfig, path: Path) -> Series:
    values = np.array(mapped_array(path, "copy it again"), np.float32)
    if values.ndim != 4:
        raise InvalidInput(f"{str(path)!r} has shape {values.shape}; expected (T, C, H, W)")
    _require_unit(path, values)
    names = tuple(f"channel {index}" for index in range(values.shape[1]))
    times = np.arange(len(values), dtype=np.float64) * RATE_HOURS * 3600
    return Series(padded(values, config.edge, config.multiple), times, names, ("",) * len(names))


def _require_unit(path: Path, values: Array) -> None:
    """Raise `InvalidInput` for values in physical units or in bytes. By whose extremes others scaled is not known."""
    if not values.size:
        return
    least, largest = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)  # which pass over NaN
    if least < -MARGIN or largest > 1 + MARGIN:
        raise InvalidInput(
            f"{str(path)!r} has values from {least:g} to {largest:g}; expected them scaled to [0, 1] already"
        )


def _field_record(config: HurricaneConfig, storm: Storm, place: int, timeline: Timeline) -> Record:
    span, corner = timeline.span(storm), _basin(config, storm)
    name = re.sub(r"[^\w.-]", "_", storm.name)[:64]  # as a file may be called
    files = tuple(share.path for share in span.shares)
    read = partial(_read, config, span, corner, timeline.interval)
    return Record(name, read, WHOLE, place, files, repr((storm, corner)), span.lacking)


def _read(config: HurricaneConfig, span: Span, corner: tuple[float, float], interval: float) -> Series:
    """A storm out of the files that have it, one after the other. interval: seconds, typically, between fields."""
    if span.lacking:
        every = "" if math.isinf(interval) else f" every {interval / 3600:g} hours"
        raise InvalidInput(f"no field is there of {span.lacking}; expected one{every}: add the missing files")
    parts = [_cut(config, share, corner) for share in span.shares]
    _require_one_shape((share.path.name, part) for share, (part, _) in zip(span.shares, parts, strict=True))
    values = np.empty((len(span.times), *parts[0][0].shape[1:]), np.float32)
    for share, (part, _) in zip(span.shares, parts, strict=True):
        values[share.places] = part
    return Series(values, span.times, config.variables, parts[0][1])


def _cut(config: HurricaneConfig, share: Share, corner: tuple[float, float]) -> tuple[Array, tuple[str, ...]]:
    """The basin at the times that one file has of a storm, (N, C, H, W), and the units of its channels."""
    path, (south, west) = share.path, corner
    with grid_file(path) as dataset:
        latitudes, eastward = dataset["lat"].values, (dataset["lon"].values - west) % 360
        rows = np.flatnonzero((latitudes >= south) & (latitudes < south + BASIN[0]))
        columns = np.argsort(eastward)[: np.count_nonzero(eastward < BASIN[1])]
        if not (len(rows) and len(columns)):
            raise InvalidInput(f"{str(path)!r} has no cells of the basin from {south:g}, {west:g}; change basins")
        part = dataset.isel(time=_block(share.inside), lat=_block(rows), lon=_block(columns))
        fields = {f"{name} of {str(path)!r}": variable(part, name, path) for name in config.variables}
        units = tuple(str(dataset[name].attrs.get("units", "")) for name in config.variables)
    values = stacked(fields, len(share.inside), config.side)
    return padded(values, config.edge, config.multiple), units


def _block(places: NDArray[np.intp]) -> Any:
    """The same as a slice where they follow each other: HDF5 reads a block at once, and others cell by cell."""
    follows = len(places) > 0 and bool((np.diff(places) == 1).all())
    return slice(int(places[0]), int(places[-1]) + 1) if follows else places


def _basin(config: HurricaneConfig, storm: Storm) -> tuple[float, float]:
    """Its south-west corner, in degrees."""
    for south, west in config.basins:
        if south <= storm.latitude < south + BASIN[0] and (storm.longitude - west) % 360 < BASIN[1]:
            return south, west
    raise InvalidInput(
        f"storm {storm.name} lies at {storm.latitude:g}, {storm.longitude:g}, in none of the basins"
        f" {config.basins}; add one"
    )


def _require_one_shape(fields: Iterable[tuple[str, Array]]) -> None:
    """Raise `InvalidInput` naming those that differ first, of fields (T, C, H, W) and whose they are."""
    shapes = [(name, values.shape[1:]) for name, values in fields]
    odd = next((each for each in shapes if each[1] != shapes[0][1]), None)
    if odd:
        (one, shape), (other, another) = shapes[0], odd
        raise InvalidInput(
            f"{one} has fields of {shape} and {other} of {another} (C, H, W); expected one grid and one size"
        )
