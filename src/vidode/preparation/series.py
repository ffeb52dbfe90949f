"""Records of fields as float32 in physical units (T, C, H, W), beside their times and each frame's extremes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidode.clip import InvalidInput
from vidode.datasets import FieldDataset
from vidode.gridded import Series
from vidode.preparation.pieces import Entry, Groups, Piece, checksum, facts_of, incomplete, save, short_hash
from vidode.records import WHOLE, Record, StoredSeries, arrays_of, require_times, stored_series


@dataclass(frozen=True, eq=False)
class SeriesPiece(Piece):
    """A record, which is read into memory while it is stored, and no longer.

    Short ones are kept, too: their extremes count for the scaling.
    """

    file: str
    record: Record
    least: int = 0
    one_size = "copy it again, or remove it"

    @property
    def source(self) -> Path:
        """The first of the record's files."""
        return self.record.files[0]

    def fingerprint(self) -> str:
        """Of the part that is taken of the record's files."""
        return short_hash((self.record.part, facts_of(self.record.files)))

    def store(self, path: Path) -> Entry:
        """Raises `InvalidInput` for a record without fields, and for times that do not increase, too."""
        series = self.record.read()
        require_times(self.record, series)
        path.parent.mkdir(parents=True, exist_ok=True)
        for each, values in zip(arrays_of(path), _arrays(series), strict=True):
            save(each, values)
        return {
            "place": self.record.place,
            "frames": len(series),
            "shape": list(series.values.shape[1:]),
            "names": list(series.names),
            "units": list(series.units),
            "sha256": checksum(*_arrays(series)),
        }

    def is_whole(self, path: Path, entry: Entry) -> bool:
        """Whether the three arrays are what was noted of them."""
        try:
            shape, names, units = ((*entry[key],) for key in ("shape", "names", "units"))
            arrays = _arrays(stored_series(path, (entry["frames"], *shape), names, units))
        except (InvalidInput, KeyError, TypeError):  # the entry may be damaged, too
            return False
        return entry.get("place") == self.record.place and checksum(*arrays) == entry.get("sha256")

    def forget(self) -> None:
        """Nothing is kept in memory."""

    @classmethod
    def tally(cls, kept: Sequence[tuple[Entry, Any]]) -> dict[str, int]:
        """Records, and their frames together."""
        return {"records": len(kept), "frames": sum(entry["frames"] for entry, _ in kept)}


def series_pieces(kind: type[FieldDataset], config: Any, source: Path, *, partial: bool) -> Groups:
    """Every record, or of a part those that are whole; no values are read.

    Raises `InvalidInput`, naming what is missing, for a source that lacks something, unless a part is asked for.
    """
    records = kind.records(config, source)
    lacking = [record.lacking for record in records if record.lacking]
    if lacking and not partial:
        raise incomplete(source, [f"fields of {each}" for each in lacking], kind.downloads)
    has_splits = any(record.split != WHOLE for record in records)
    groups: dict[str, list[Piece]] = {split: [] for split in (kind.splits if has_splits else (WHOLE,))}
    for record in records:
        if not record.lacking:
            file = f"{record.split}/{record.place:05d}-{record.name}.npy"
            groups[record.split].append(SeriesPiece(file, record))
    return groups


def _arrays(series: Series | StoredSeries) -> tuple[np.ndarray[Any, Any], ...]:
    """What is stored, in the order of `arrays_of`."""
    return series.values, series.times, series.extremes
