"""Series of fields in files: as their owners hold them, or as a preparation left them, mapped and not read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidode.clip import InvalidInput, as_times, require_increasing
from vidode.gridded import Array, Series
from vidode.manifest import AGAIN, MANIFEST, not_ours, shape_of
from vidode.sources.array_files import known_array

WHOLE = "all"
"""In place of a split: the record is divided, or chosen from, when it is used."""


@dataclass(frozen=True, eq=False)
class StoredSeries:
    """A series that a preparation left: what is known of it is read, its values are mapped. See `Series`.

    shape: of the values (T, C, H, W), as it was noted.
    """

    path: Path
    shape: tuple[int, ...]
    times: NDArray[np.float64]
    extremes: Array
    names: tuple[str, ...]
    units: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.times)

    @property
    def values(self) -> Array:
        """(T, C, H, W), mapped anew each time: a set may have more files than may be open, and workers get a copy.

        Raises `InvalidInput`, naming the file, where it is missing, damaged or another than was noted.
        """
        return known_array(self.path, np.float32, self.shape, AGAIN)


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
    path, shape = root / entry["file"], shape_of(root, entry)
    names, units = tuple(entry["names"]), tuple(entry["units"])
    if len(names) != shape[1]:
        raise not_ours(root / MANIFEST)
    read = partial(stored_series, path, shape, names, units)
    return Record(path.stem, read, entry["split"], entry["place"], (path,))


def stored_series(path: Path, shape: tuple[int, ...], names: tuple[str, ...], units: tuple[str, ...]) -> StoredSeries:
    """A series whose values (T, C, H, W) are in `path`.

    Raises `InvalidInput`, naming the file, for one that is missing, damaged or another than was noted.
    """
    _, times, extremes = arrays_of(path)
    return StoredSeries(
        path,
        shape,
        np.array(known_array(times, np.float64, shape[:1], AGAIN)),
        np.array(known_array(extremes, np.float32, (shape[0], 2, len(names)), AGAIN)),
        names,
        units,
    )


def require_times(record: Record, series: Series | StoredSeries) -> None:
    """Raise `InvalidInput`, naming the record, for one without fields, and for times that do not increase."""
    where = f"{record.name} in {str(record.files[0].parent)!r}"
    if not len(series):
        raise InvalidInput(f"{where} has no fields; expected at least one: copy it again")
    try:
        require_increasing(as_times(series.times))
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from error
