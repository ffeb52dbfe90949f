"""A winter storm over North America, January 1996: pressure, wind and temperature every six hours, with holes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidode.clip import InvalidInput
from vidode.datasets import SeriesDataset, require_series
from vidode.gridded import Array, Series, grid_file, stacked, variable

UNITS = {"P": "Pa", "U": "m/s", "V": "m/s", "T": "K", "U500": "m/s", "V500": "m/s"}
"""Of sea-level pressure, wind and temperature near the ground, and wind at 500 hPa."""
MISSING = (-9999.0,)
HOUR = 3600.0


@dataclass(frozen=True)
class StormConfig:
    """root: the folder with <variable>storm.cdf. variables: the channels. train, frames, hop: see `SeriesDataset`."""

    root: str = ""
    variables: tuple[str, ...] = ("P", "U", "V")
    train: int = 48
    frames: int | None = None
    hop: int | None = None

    def __post_init__(self) -> None:
        require_series(self)
        unknown = [name for name in self.variables if name not in UNITS]
        if unknown or not self.variables:
            raise InvalidInput(f"variables are {self.variables}; expected some of {', '.join(UNITS)}")


class Storm(SeriesDataset):
    """33x36 cells, 64 frames; a fixed corner is missing, and some frames of some variables."""

    config: StormConfig
    downloads = (
        "get Pstorm.cdf, Ustorm.cdf, Vstorm.cdf, Tstorm.cdf, U500storm.cdf and V500storm.cdf, the example data of the"
        " NCAR Command Language (UCAR), and put them into root (64 frames of 33x36 cells each: 2 MB together)"
    )

    @classmethod
    def files(cls, config: StormConfig, root: Path) -> list[Path]:
        """One a variable."""
        files = [root / f"{name}storm.cdf" for name in config.variables]
        lacking = [path.name for path in files if not path.is_file()]
        if lacking:
            raise InvalidInput(f"{str(root)!r} has no {' and no '.join(lacking)}; {cls.downloads}")
        return files

    @classmethod
    def read(cls, config: StormConfig, files: Sequence[Path]) -> Series:
        """The variables as channels. Raises `InvalidInput` where they do not share their times and their grid."""
        read = {path.name: _field(path, name) for path, name in zip(files, config.variables, strict=True)}
        times = next(iter(read.values()))[1]
        values = stacked({name: values for name, (values, _) in read.items()}, len(times))
        other = [name for name, (_, own) in read.items() if not np.array_equal(own, times)]
        if other:
            folder = str(files[0].parent)
            raise InvalidInput(f"{other[0]} in {folder!r} has other times than {next(iter(read))}; copy it again")
        return Series(values, times, config.variables, tuple(UNITS[name] for name in config.variables))


def _field(path: Path, name: str) -> tuple[Array, NDArray[np.float64]]:
    with grid_file(path) as dataset:
        # A file holds one field, named after the variable without its level.
        values = variable(dataset, name.rstrip("05").lower(), path, MISSING)
        times = np.array(variable(dataset, "timestep", path), dtype=np.float64) * HOUR
    return values, times
