"""ERA5 reanalysis: any variables of one NetCDF file, such as hourly temperature two metres above the ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidode.clip import InvalidInput
from vidode.datasets import SeriesDataset, require_series
from vidode.gridded import Series, grid_file, seconds, stacked, variable

TIMES = ("time", "valid_time")
"""What the Climate Data Store calls the times, before and since 2024."""


@dataclass(frozen=True)
class Era5Config:
    """Where and what.

    root: the folder with the file. file: its name, or none for the only one there. variables: the channels. side: of
    the grid in cells at most, by averaging blocks; none keeps it. train, frames, hop: see `SeriesDataset`.
    """

    root: str = ""
    file: str | None = None
    variables: tuple[str, ...] = ("t2m",)
    side: int | None = None
    train: int = 600
    frames: int | None = None
    hop: int | None = None

    def __post_init__(self) -> None:
        require_series(self)


class Era5(SeriesDataset):
    """Fields at regular times; what is irregular is drawn from them."""

    config: Era5Config
    downloads = (
        "get variables of 'ERA5 hourly data on single levels' as NetCDF from the Copernicus Climate Data Store, and put"
        " the file into root; it was developed with t2m over the United Kingdom in March 2019 (744 hours, 33x49 cells:"
        " 3 MB)"
    )

    @classmethod
    def files(cls, config: Era5Config, root: Path) -> list[Path]:
        """The one that is named, or the only one."""
        if config.file is not None:
            found = [root / config.file] if (root / config.file).is_file() else []
        else:
            found = sorted(root.glob("*.nc"))
        if len(found) != 1:
            raise InvalidInput(f"{str(root)!r} holds {len(found)} such files; name one with `file`: {cls.downloads}")
        return found

    @classmethod
    def read(cls, config: Era5Config, files: Sequence[Path]) -> Series:
        """The variables as channels."""
        (path,) = files
        with grid_file(path) as dataset:
            name = next((name for name in TIMES if name in dataset.variables), None)
            if name is None:
                raise InvalidInput(f"{str(path)!r} has no times; expected a variable {' or '.join(TIMES)}")
            stamps = dataset[name].values
            if stamps.ndim != 1 or stamps.dtype.kind != "M" or not len(stamps):
                raise InvalidInput(
                    f"{str(path)!r} has no dates in {name!r}; expected hours since a date, as downloaded"
                )
            fields = {f"{each} of {str(path)!r}": variable(dataset, each, path) for each in config.variables}
            units = tuple(str(dataset[each].attrs.get("units", "")) for each in config.variables)
        values = stacked(fields, len(stamps), config.side)
        return Series(values, seconds(stamps), config.variables, units)
