"""Clips of videos as arrays of 8-bit levels (T, C, H, W), beside their times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidode.clip import InvalidInput
from vidode.datasets import RecordedDataset
from vidode.footage import StoredReel, Take
from vidode.preparation.pieces import Entry, Groups, Piece, checksum, facts_of, save, short_hash


@dataclass(frozen=True, eq=False)
class ClipPiece(Piece):
    """A take. is_last: of its reel."""

    file: str
    take: Take
    least: int
    is_last: bool
    one_size = "give all one size, such as --option size=128, or copy it again"

    @property
    def source(self) -> Path:
        """A video, or a folder of pictures."""
        return self.take.reel.path

    def fingerprint(self) -> str:
        """Of the range of frames in the file, or in the files of a folder."""
        path = self.take.reel.path
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        return short_hash((self.take.first, self.take.end, facts_of(files), self.take.reel.preparation))

    def store(self, path: Path) -> Entry:
        """Of one that is too short only its length is noted."""
        footage = self.take.footage()
        if len(footage.times) < self.least:
            return {"frames": len(footage.times)}
        path.parent.mkdir(parents=True, exist_ok=True)
        save(_times_of(path), footage.times)
        save(path, footage.frames)
        return {
            "frames": len(footage.times),
            "shape": list(footage.frames.shape[1:]),
            "sha256": checksum(footage.frames),
        }

    def is_whole(self, path: Path, entry: Entry) -> bool:
        """One that was too short has no arrays."""
        if "sha256" not in entry:
            return True
        try:
            stored = StoredReel(path, (entry["frames"], *entry.get("shape", []))).footage()
        except InvalidInput:
            return False
        return bool(np.all(np.diff(stored.times) > 0)) and checksum(stored.frames) == entry["sha256"]

    def forget(self) -> None:
        """A reel is decoded once for all of its takes, which follow each other."""
        if self.is_last:
            self.take.reel.forget()

    @classmethod
    def tally(cls, kept: Sequence[tuple[Entry, Any]]) -> dict[str, int]:
        """Clips, and the videos that they are cut from."""
        return {"clips": len(kept), "videos": len({piece.take.reel.path for _, piece in kept})}


def clip_pieces(kind: type[RecordedDataset], config: Any, source: Path) -> Groups:
    """Every clip of every split that has clips; nothing is decoded."""
    sets = {split: kind(config, split, unread=True) for split in kind.expected(config, source)}
    return {split: _pieces(data) for split, data in sets.items()}


def _pieces(data: RecordedDataset) -> list[Piece]:
    following = [take.reel for take in data.takes[1:]]
    return [
        ClipPiece(
            f"{data.split}/{index:05d}-{take.reel.path.stem}.npy",
            take,
            data.least,
            is_last=following[index : index + 1] != [take.reel],
        )
        for index, take in enumerate(data.takes)
    ]


def _times_of(path: Path) -> Path:
    return path.with_suffix(".times.npy")
