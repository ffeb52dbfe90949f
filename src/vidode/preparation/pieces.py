"""What is converted at once, into arrays of its own: a clip of a video, or a record of fields."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vidode.clip import InvalidInput
from vidode.footage import saying_where

Entry = dict[str, Any]
"""What is known of a piece: its file, split, source, frames, shape and checksum; or that it is too short."""
COMPANIONS = (".npy", ".times.npy", ".extremes.npy")
"""How the files of a piece end, of which the first is its name."""


class Piece(ABC):
    """What is converted at once. file: its arrays' name in the target, such as train/00000-a.npy.

    least: frames that it has to have, to belong to the data set. one_size: how to have frames of one (C, H, W), for a
    source that has them of several.
    """

    file: str
    least: int
    one_size: ClassVar[str]

    @property
    @abstractmethod
    def source(self) -> Path:
        """What it is read from, or the first of several files."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Which part of which files, with their sizes and dates of change."""

    @abstractmethod
    def store(self, path: Path) -> Entry:
        """Write its arrays, each whole or not at all; what the manifest says of them.

        Raises `InvalidInput`, naming the file, for a source that cannot be read.
        """

    @abstractmethod
    def is_whole(self, path: Path, entry: Entry) -> bool:
        """Whether its arrays are what was noted of them."""

    def is_kept(self, entry: Entry) -> bool:
        """Whether it belongs to the data set, for which it may turn out to be too short."""
        return bool(entry["frames"] >= self.least)

    @abstractmethod
    def forget(self) -> None:
        """Give memory back that no later piece needs."""

    @classmethod
    @abstractmethod
    def tally(cls, kept: Sequence[tuple[Entry, Any]]) -> dict[str, int]:
        """How many there are of what, among entries and their pieces."""


Groups = Mapping[str, Sequence[Piece]]
"""The pieces of each split, or all of them."""


def save(path: Path, values: NDArray[Any]) -> None:
    """Write an array whole or not at all."""
    draft = path.with_suffix(".part")
    try:
        with saying_where(path), draft.open("wb") as file:
            np.save(file, values, allow_pickle=False)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def checksum(*arrays: NDArray[Any]) -> str:
    """SHA-256 of the numbers of some arrays, one after the other."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def short_hash(words: object) -> str:
    """Of what is told by its words."""
    return hashlib.sha256(repr(words).encode()).hexdigest()[:16]


def facts_of(files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """The name, size and date of change of files."""
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def some_of(words: Sequence[str]) -> str:
    """The first five, and how many more there are."""
    return ", ".join(words[:5]) + (f" and {len(words) - 5} more" if len(words) > 5 else "")


def incomplete(source: Path, lacking: Sequence[str], downloads: str) -> InvalidInput:
    """That a source lacks something, naming the first five."""
    return InvalidInput(
        f"{str(source)!r} lacks {some_of(lacking)}; copy them there, or prepare what is there (--partial): {downloads}"
    )
