"""Rain seen by radar: the Netherlands every five minutes (KNMI), or a site in Australia every ten (BOM)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np

from vidode.clip import InvalidInput
from vidode.datasets import SeriesDataset, require_series
from vidode.gridded import Array, Series, grid_file, thinned, variable

STAMPS = {
    "knmi": ("*.h5", re.compile(r"_(\d{12})\.h5$"), "%Y%m%d%H%M"),
    "bom": ("*.nc", re.compile(r"_(\d{8}_\d{6})\."), "%Y%m%d_%H%M%S"),
}
"""Of each source: its files, and the time in their names."""
COUNT = 0.01
"""Millimetres a count, of KNMI's composites."""
NO_DATA = (65535.0,)


@dataclass(frozen=True)
class RadarConfig:
    """Where and what.

    root: the folder with knmi/ or bom/, or with the files of one. source: whose. side: of the grid in cells at most,
    by averaging blocks; none keeps it. train, frames, hop: see `SeriesDataset`.
    """

    root: str = ""
    source: Literal["knmi", "bom"] = "knmi"
    side: int | None = 128
    train: int = 64
    frames: int | None = None
    hop: int | None = None

    def __post_init__(self) -> None:
        require_series(self)


class Radar(SeriesDataset):
    """Rain in millimetres, as log(1 + x): most of it is light, and what is heavy would hide it."""

    config: RadarConfig
    downloads = (
        "get five-minute radar composites (RAD_NL25_RAP_5min_*.h5) from the KNMI Data Platform into root/knmi, or"
        " ten-minute Rainfields accumulations (*.prcp-c10.nc) of the Bureau of Meteorology into root/bom; it was"
        " developed with 92 files of the first (765x700 cells: 5 MB) and 144 of the second (512x512: 10 MB)"
    )

    @classmethod
    def files(cls, config: RadarConfig, root: Path) -> list[Path]:
        """One a frame, in order of name, which tells the time."""
        pattern, stamp, _ = STAMPS[config.source]
        folder = root / config.source if (root / config.source).is_dir() else root
        files = [path for path in sorted(folder.glob(pattern)) if stamp.search(path.name)]
        if not files:
            raise InvalidInput(f"{str(folder)!r} holds no {pattern} with a time in the name; {cls.downloads}")
        return files

    @classmethod
    def read(cls, config: RadarConfig, files: Sequence[Path]) -> Series:
        """The rain of every file."""
        dates = [_date(path, config.source) for path in files]
        times = np.array([(date - dates[0]).total_seconds() for date in dates])
        return Series(np.stack(_fields(config, files))[:, None], times, ("rain",), ("log(1 + mm)",))


def _fields(config: RadarConfig, files: Sequence[Path]) -> list[Array]:
    """The rain of each file (h, w), one at a time: whole, a year of them fills a memory."""
    fields, first = [], None
    for path in files:
        rain = _rain(config, path)
        first = first or rain.shape
        if rain.ndim != 2 or rain.shape != first:
            raise InvalidInput(f"{str(path)!r} has a field of {rain.shape} cells; expected {first} as the first has")
        fields.append(np.log1p(thinned(rain, config.side)))
    return fields


def _rain(config: RadarConfig, path: Path) -> Array:
    """Millimetres (H, W), NaN where the radar does not see."""
    if config.source == "bom":
        with grid_file(path) as dataset:
            return variable(dataset, "precipitation", path)
    with grid_file(path, "/image1") as dataset:
        return COUNT * variable(dataset, "image_data", path, NO_DATA)


def _date(path: Path, source: str) -> datetime:
    _, stamp, form = STAMPS[source]
    text = stamp.findall(path.name)[0]
    try:
        return datetime.strptime(text, form)
    except ValueError as error:
        raise InvalidInput(f"{str(path)!r} has the impossible date {text} in its name; rename or remove it") from error
