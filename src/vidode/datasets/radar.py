"""Rain seen by radar: the Netherlands every five minutes (KNMI), or a site in Australia every ten (BOM)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np

from vidode.clip import InvalidInput
from vidode.datasets import SeriesDataset
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


class Radar(SeriesDataset):
    """Rain in millimetres, as log(1 + x): most of it is light, and what is heavy would hide it."""

    config: RadarConfig
    downloads = (
        "get five-minute radar composites (RAD_NL25_RAP_5min_*.h5) from the KNMI Data Platform into root/knmi, or"
        " ten-minute Rainfields accumulations (*.prcp-c10.nc) of the Bureau of Meteorology into root/bom"
    )

    def read(self, root: Path) -> Series:
        """One frame a file, at the time in its name."""
        pattern, stamp, form = STAMPS[self.config.source]
        folder = root / self.config.source if (root / self.config.source).is_dir() else root
        named = {path: match[1] for path in sorted(folder.glob(pattern)) if (match := stamp.search(path.name))}
        if not named:
            raise InvalidInput(f"{str(folder)!r} holds no {pattern} with a time in the name; {self.downloads}")
        fields = [np.log1p(thinned(self._rain(path), self.config.side)) for path in named]
        dates = [datetime.strptime(text, form) for text in named.values()]
        times = np.array([(date - dates[0]).total_seconds() for date in dates])
        return Series(np.stack(fields)[:, None], times, ("rain",), ("log(1 + mm)",))

    def _rain(self, path: Path) -> Array:
        """Millimetres (H, W), NaN where the radar does not see."""
        if self.config.source == "bom":
            with grid_file(path) as dataset:
                return variable(dataset, "precipitation", path)
        with grid_file(path, "/image1") as dataset:
            return COUNT * variable(dataset, "image_data", path, NO_DATA)
