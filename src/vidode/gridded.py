"""Fields on a grid as arrays: NetCDF and HDF5 files with their true times, their units and what is missing.

They are read with xarray, of the extra `grids`: NetCDF 3 through SciPy, NetCDF 4 and HDF5 through h5netcdf.
"""

from __future__ import annotations

import importlib
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidode.clip import InvalidInput

Array = NDArray[np.float32]
ENGINES = {b"CDF": "scipy", b"\x89HDF": "h5netcdf"}
"""How a file begins, and what reads it."""


@dataclass(frozen=True, eq=False)
class Series:
    """A record of fields.

    values: (T, C, H, W) float32 in physical units, NaN where nothing was measured. times: (T,) float64 seconds,
    strictly increasing. names, units: of each channel.
    """

    values: Array
    times: NDArray[np.float64]
    names: tuple[str, ...]
    units: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def extremes(self) -> Array:
        """(T, 2, C) the least and the largest value of every frame and channel, NaN where there is none."""
        extremes = np.empty((len(self), 2, self.values.shape[1]), np.float32)
        for place, frame in enumerate(self.values):  # one at a time: what is compared takes memory, too
            extremes[place] = _extremes(frame)
        return extremes


@dataclass(frozen=True, eq=False)
class Scaling:
    """Physical values to [0, 1] and back, channel by channel. low, high: (C,), the extremes of what was trained on."""

    low: Array
    high: Array

    @staticmethod
    def of(extremes: Array) -> Scaling:
        """That maps the least value of each channel to 0 and the largest to 1; a constant channel to 0.

        extremes: (T, 2, C), see `Series`, of the frames to go by.
        """
        low, high = np.fmin.reduce(extremes[:, 0]), np.fmax.reduce(extremes[:, 1])  # which pass over NaN
        return Scaling(low, np.where(high > low, high, low + 1))

    def unit(self, values: Array) -> Array:
        """Values (..., C, H, W), 0 where they are missing. Those beyond the extremes lie outside of [0, 1]."""
        scaled = (values - self.low[:, None, None]) / (self.high - self.low)[:, None, None]
        return np.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)

    def physical(self, values: Array) -> Array:
        """The inverse of `unit`."""
        return values * (self.high - self.low)[:, None, None] + self.low[:, None, None]


@contextmanager
def grid_file(path: Path, group: str | None = None) -> Iterator[Any]:
    """The file, or a group in it, as an xarray Dataset, nothing decoded but what CF says of values and times.

    Raises `InvalidInput`, naming the file, for what is not NetCDF or HDF5, or is cut short, and without the extra.
    """
    with path.open("rb") as file:
        start = file.read(8)
    engine = next((name for magic, name in ENGINES.items() if start.startswith(magic)), None)
    if engine is None:
        raise InvalidInput(f"{str(path)!r} is neither NetCDF nor HDF5; expected a file of gridded fields")
    library = _library()
    options: dict[str, Any] = {"phony_dims": "sort", "group": group} if engine == "h5netcdf" else {"mmap": True}
    try:
        dataset = library.open_dataset(path, engine=engine, **options)
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        _let_go(error)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidInput(f"{str(path)!r} cannot be read ({reason}); copy or download it again") from error
    with dataset:
        yield dataset


def variable(dataset: Any, name: str, path: Path, missing: Sequence[float] = ()) -> Array:
    """A variable as float32, NaN where it is one of the values that stand for missing.

    Raises `InvalidInput` naming the file and its variables where there is none of that name.
    """
    if name not in dataset.variables:
        known = ", ".join(sorted(map(str, dataset.data_vars)))
        raise InvalidInput(f"{str(path)!r} has no variable {name!r}; it has {known}")
    try:
        values = np.array(dataset[name].values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{str(path)!r} has no numbers in its variable {name!r}; name another") from error
    except (OSError, RuntimeError) as error:  # HDF5 finds a damaged block when it is read, and does not say the file
        raise InvalidInput(f"{str(path)!r} is damaged in its variable {name!r}; copy or download it again") from error
    values[np.isin(values, np.array(missing, np.float32))] = np.nan
    return values


def stacked(fields: Mapping[str, Array], frames: int, side: int | None = None) -> Array:
    """Fields (T, H, W) as channels (T, C, h, w) of so many frames, thinned to a side.

    fields: by what an error shall call them. Raises `InvalidInput` for one of another shape than the first.
    """
    grid = next(iter(fields.values())).shape[-2:]
    for name, values in fields.items():
        if values.shape != (frames, *grid):
            raise InvalidInput(
                f"{name} has shape {values.shape}; expected (time, rows, columns) = {(frames, *grid)} as its times and"
                " the other fields have: leave it out, or copy it again"
            )
    return np.stack([thinned(values, side) for values in fields.values()], axis=1)


def seconds(stamps: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Dates (T,) as seconds from the first."""
    elapsed: NDArray[np.float64] = (stamps - stamps[0]) / np.timedelta64(1, "ns")
    return elapsed / 1e9


def thinned(values: Array, side: int | None) -> Array:
    """Fields (..., H, W) averaged over square blocks, so that the longer side has at most `side` cells, or as they are.

    Cells that fill no whole block at the far edges are dropped; a block is missing where all of its cells are.
    Raises `InvalidInput` where a block would be larger than the field.
    """
    short, long = sorted(values.shape[-2:])
    block = 1 if side is None else -(-long // side)
    if block <= 1:
        return values
    if block > short:
        raise InvalidInput(
            f"side is {side} for fields of {short} by {long} cells; expected at least {-(-long // short)}"
        )
    height, width = (length // block for length in values.shape[-2:])
    cells = values[..., : height * block, : width * block].reshape(*values.shape[:-2], height, block, width, block)
    known = np.isfinite(cells)
    total, count = np.where(known, cells, 0).sum(axis=(-3, -1)), known.sum(axis=(-3, -1))
    mean: Array = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    return mean


def _let_go(error: BaseException) -> None:
    """Close what an attempt to open a file left open, about which SciPy warns and h5netcdf fails on standard error."""
    said = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            traceback.clear_frames(error.__traceback__)
    finally:
        sys.unraisablehook = said


def _extremes(frame: Array) -> Array:
    """Of a frame (C, H, W), as (2, C)."""
    known = np.isfinite(frame)
    low = np.min(frame, axis=(1, 2), where=known, initial=np.inf)
    high = np.max(frame, axis=(1, 2), where=known, initial=-np.inf)
    return np.where(known.any(axis=(1, 2)), np.stack([low, high]), np.float32(np.nan))


def _library() -> Any:
    try:
        for name in ("scipy", "h5netcdf", "h5py"):
            importlib.import_module(name)
        return importlib.import_module("xarray")
    except ImportError as error:
        raise InvalidInput(
            f"gridded files need {error.name}, which is not installed; type: pip install 'vidode[grids]'"
        ) from error
