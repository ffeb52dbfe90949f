"""What a preparation has done so far, so that one that was cut off goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidode.clip import InvalidInput
from vidode.configuration import configure
from vidode.datasets import FileDataset, config_class
from vidode.footage import saying_where
from vidode.manifest import JOURNAL, MANIFEST, is_prepared, read_manifest, require_same_options, shaping
from vidode.preparation.pieces import COMPANIONS, Entry, Piece
from vidode.provenance import write_json, write_text

LOCK = ".preparing.lock"
"""In the target while it is prepared."""
FILE = re.compile(r"(train|validation|test|all)/\d{5,}-[^/]*\.npy")
"""A piece's file in the target."""


class Journal:
    """What is converted already, in a folder that holds nothing else.

    Raises `InvalidInput` for a folder with other things in it, or with another data set, options or source.
    """

    def __init__(self, target: Path, kind: type[FileDataset], facts: Mapping[str, Any]) -> None:
        self.target, self.facts = target, facts
        self._kind, self._is_open = kind, False
        self._path, self._manifest = target / JOURNAL, target / MANIFEST
        self.done: dict[str, Entry] = {}
        if is_prepared(target):
            found = read_manifest(target)
            entries = found["clips"]
        elif self._path.is_file():
            found, entries = _read_journal(self._path)
        else:
            _require_empty(target)
            return
        self.done = {entry["file"]: entry for entry in entries if _is_entry(entry)}
        if self.done or is_prepared(target):  # a run that failed before it stored anything binds to nothing
            self._require_same(found)

    def known(self, piece: Piece) -> Entry | None:
        """What was noted of a piece; None where it is to be converted, as it was not yet, or changed since."""
        entry = self.done.get(piece.file)
        if entry is None or entry["source"] != piece.fingerprint():
            return None
        return entry if piece.is_whole(self.target / piece.file, entry) else None

    def convert(self, piece: Piece, split: str) -> Entry:
        """Store a piece, and note it."""
        self._open()
        source = piece.fingerprint()  # before it is read: what changes meanwhile is converted again
        stored = piece.store(self.target / piece.file)
        entry = {"file": piece.file, "split": split, "source": source, **stored}
        self.done[piece.file] = entry
        with saying_where(self._path), self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        return entry

    def _open(self) -> None:
        """Be ready for more. A manifest, which says that all is there, gives way to a journal of the same."""
        if self._is_open:
            return
        self.target.mkdir(parents=True, exist_ok=True)
        write_text(self._path, "".join(json.dumps(line) + "\n" for line in (self.facts, *self.done.values())))
        self._manifest.unlink(missing_ok=True)
        self._is_open = True

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest, and remove arrays of what is no longer in the source."""
        write_json(self._manifest, manifest)
        self._path.unlink(missing_ok=True)
        for name in self.done.keys() - {clip["file"] for clip in manifest["clips"]}:
            for ending in COMPANIONS:
                (self.target / name).with_suffix(ending).unlink(missing_ok=True)

    def _require_same(self, found: Mapping[str, Any]) -> None:
        where = repr(str(self.target))
        for key, here in (("dataset", self.facts["dataset"]), ("source", self.facts["source"])):
            # A manifest of before sources were noted has none.
            if (there := found.get(key, here)) != here:
                raise InvalidInput(f"{where} was prepared from {key} {there}, not {here}; choose another folder")
        here, there = (self._options(facts["options"]) for facts in (self.facts, found))
        require_same_options(self.target, there, here, "choose another folder")

    def _options(self, given: dict[str, Any]) -> dict[str, Any]:
        config = configure(config_class(self.facts["dataset"]), given, "what was prepared")
        return shaping(config, self._kind.free)


def _read_journal(path: Path) -> tuple[dict[str, Any], list[Any]]:
    """What is prepared, and the entries of pieces."""
    head, *lines = [_parsed(line) for line in path.read_bytes().splitlines()] or [None]
    if not isinstance(head, dict) or not isinstance(head.get("options"), dict) or "dataset" not in head:
        raise InvalidInput(
            f"{str(path)!r} is not the journal of a preparation, or is damaged; remove it with its folder, or choose"
            " another folder"
        )
    return head, lines


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):  # the last line of a run that was cut off
        return None


def _is_entry(entry: Any) -> bool:
    kinds = {"file": str, "split": str, "source": str, "frames": int}
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), kind) for key, kind in kinds.items()):
        return False
    # What is noted may be removed again, so that it has to lie in its split's folder.
    return isinstance(entry.get("shape", []), list) and bool(FILE.fullmatch(entry["file"]))


def _require_empty(target: Path) -> None:
    other = sorted(path for path in target.iterdir() if path.name != LOCK)
    if other:
        raise InvalidInput(f"{str(target)!r} holds {other[0].name!r} already; expected an empty folder, or a new one")
