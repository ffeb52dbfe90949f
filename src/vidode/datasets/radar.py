"""Rain seen by radar: the Netherlands every five minutes (KNMI), or a site in Australia every ten (BOM)."""

from __future__ import annotations

import re
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

    def read(self, root: Path) -> Series:
        """One frame a file, at the time in its name."""
        pattern, stamp, form = STAMPS[self.config.source]
        folder = root / self.config.source if (root / self.config.source).is_dir() else root
        named = {path: match[1] for path in sorted(folder.glob(pattern)) if (match := stamp.search(path.name))}
        if not named:
            raise InvalidInput(f"{str(folder)!r} holds no {pattern} with a time in the name; {self.downloads}")
        dates = [_date(path, text, form) for path, text in named.items()]
        times = np.array([(date - dates[0]).total_seconds() for date in dates])
        return Series(np.stack(self._fields(list(named)))[:, None], times, ("rain",), ("log(1 + mm)",))

    def _fields(self, paths: list[Path]) -> list[Array]:
        """The rain of each file (h, w), one at a time: whole, a year of them fills a memory."""
        fields, first = [], None
        for path in paths:
            rain = self._rain(path)
            first = first or rain.shape
            if rain.ndim != 2 or rain.shape != first:
                raise InvalidInput(
                    f"{str(path)!r} has a field of {rain.shape} cells; expected {first} as the first has"
                )
            fields.append(np.log1p(thinned(rain, self.config.side)))
        return fields

    def _rain(self, path: Path) -> Array:
        """Millimetres (H, W), NaN where the radar does not see."""
        if self.config.source == "bom":
            with grid_file(path) as dataset:
                return variable(dataset, "precipitation", path)
        with grid_file(path, "/image1") as dataset:
            return COUNT * variable(dataset, "image_data", path, NO_DATA)


def _date(path: Path, text: str, form: str) -> datetime:
    try:
        return datetime.strptime(text, form)
    except ValueError as error:
        raise InvalidInput(f"{str(path)!r} has the impossible date {text} in its name; rename or remove it") from error
