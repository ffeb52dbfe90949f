"""Series of fields in files: as their owners hold them, or as a preparation left them, mapped and not read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidode.clip import InvalidInput
from vidode.gridded import Array, Series
from vidode.manifest import MANIFEST, not_ours

WHOLE = "all"
"""In place of a split: the record is divided, or chosen from, when it is used."""


@dataclass(frozen=True, eq=False)
class StoredSeries:
    """A series that a preparation left: what is known of it is read, its values are mapped. See `Series`."""

    path: Path
    times: NDArray[np.float64]
    extremes: Array
    names: tuple[str, ...]
    units: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.times)

    @property
    def values(self) -> Array:
        """(T, C, H, W), mapped anew each time: a set may have more files than may be open, and workers get a copy.

        Raises `InvalidInput`, naming the file, where it is missing or damaged.
        """
        values = _loaded(self.path, mapped=True)
        if values.ndim != 4 or values.shape[:2] != (len(self), len(self.names)):
            raise _damaged(self.path)
        return values


@dataclass(frozen=True, eq=False)
class Record:
    """A series before it is read.

    name: in the names of what is written of it. read: all of it, in memory or mapped. split: the one that it belongs
    to, or `WHOLE`. place: its number in that, which it keeps where others are missing. files: what it is read from.
    part: which part of them, in words that differ where the part does. lacking: what the files miss of it, in words;
    empty where it is whole.
    """

    name: str
    read: Callable[[], Series | StoredSeries]
    split: str = WHOLE
    place: int = 0
    files: tuple[Path, ...] = ()
    part: str = ""
    lacking: str = ""


def arrays_of(path: Path) -> tuple[Path, Path, Path]:
    """The files of a stored series, of which `path` is the first: its values, times and extremes."""
    return path, path.with_suffix(".times.npy"), path.with_suffix(".extremes.npy")


def stored_record(root: Path, entry: Mapping[str, Any]) -> Record:
    """What an entry of a manifest says. Raises `InvalidInput` for an entry of something else than a series."""
    kinds = {"file": str, "split": str, "place": int, "names": list, "units": list}
    if not all(isinstance(entry.get(key), kind) for key, kind in kinds.items()):
        raise not_ours(root / MANIFEST)
    path, names, units = root / entry["file"], tuple(entry["names"]), tuple(entry["units"])
    return Record(path.stem, lambda: stored_series(path, names, units), entry["split"], entry["place"])


def stored_series(path: Path, names: tuple[str, ...], units: tuple[str, ...]) -> StoredSeries:
    """A series whose values are in `path`. Raises `InvalidInput`, naming the file, for one missing or damaged."""
    _, *others = arrays_of(path)
    times, extremes = (_loaded(each, mapped=False) for each in others)
    if times.ndim != 1 or extremes.shape != (len(times), 2, len(names)):
        raise _damaged(path)
    return StoredSeries(path, times, extremes, names, units)


def _loaded(path: Path, *, mapped: bool) -> NDArray[Any]:
    try:
        return np.asanyarray(np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> InvalidInput:
    return InvalidInput(f"{str(path)!r} is missing or damaged; prepare the data set again")
