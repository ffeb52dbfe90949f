"""A data set converted once: whole clips as memory-mapped arrays, and a manifest that says what they are.

    prepare("penn_action", "downloads/penn", "data/penn_action", {"size": 128})

The target then stands where the source stood: `root` of the same data set. It holds one array a clip (T, C, H, W) of
8-bit levels, their times, and manifest.json, which appears last: where it is, everything is. Until then a journal says
what is done.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vidode.clip import InvalidInput
from vidode.configuration import configure, plain
from vidode.datasets import (
    MANIFEST,
    RecordedDataset,
    Split,
    config_class,
    dataset_class,
    existing_root,
    read_manifest,
)
from vidode.footage import Take, saying_where
from vidode.provenance import write_json, write_text

JOURNAL = ".prepared.jsonl"
"""Of which data it is, and what is done so far, a line each, while there is no manifest yet."""

CLIP = re.compile(r"(train|validation|test)/\d{5,}-[^/]*\.npy")
"""A clip's file in the target."""

Report = Callable[[str, int, int], None]
"""Told the clip that was converted, how many are done, and of how many."""
Entry = dict[str, Any]
"""What is known of a clip: its file, split, source, frames, shape and checksum; or that it is too short."""


def prepare(
    name: str,
    source: Path,
    target: Path,
    options: Mapping[str, Any] | None = None,
    *,
    partial: bool = False,
    report: Report = lambda *_: None,
) -> Path:
    """Convert every clip of a data set that is not converted yet; the manifest's path.

    options: of the data set, such as its size. partial: take what is there, where the source is known to be incomplete.
    What was cut off goes on where it stopped, and what was finished is verified; a clip whose source changed since, or
    whose arrays are damaged, is converted anew. Raises `InvalidInput` for a data set without files, a target with
    anything else in it, an incomplete source (naming what is missing) and a file that cannot be read (naming it).
    """
    kind = dataset_class(name)
    if not issubclass(kind, RecordedDataset):
        raise InvalidInput(f"{name} is not made of videos; it needs no preparation")
    if "root" in (options or {}):
        raise InvalidInput("root is given as an option; expected it as the source alone: leave the option out")
    config = configure(config_class(name), {**(options or {}), "root": str(source)}, f"data set {name}")
    source = existing_root(config, kind.downloads)
    _require_source(source, target)
    facts = {"dataset": name, "options": dict(options or {}), "source": str(source.resolve())}
    journal = Journal(target, facts)
    if not partial:
        _require_whole(kind, name, source)
    sets = {split: kind(config, split, unread=True) for split in kind.expected(config, source)}
    _require_some({split: data.takes for split, data in sets.items()}, sets, source, partial)
    kept = _convert(journal, sets, report)
    _require_some(kept, sets, source, partial)
    counts = _counts(kind, kept)
    clips = [entry for parts in kept.values() for entry, _ in parts]
    journal.finish({**facts, "partial": partial, "counts": counts, "clips": clips})
    return target / MANIFEST


class Journal:
    """What is converted already, in a folder that holds nothing else.

    Raises `InvalidInput` for a folder with other things in it, or with another data set, options or source.
    """

    def __init__(self, target: Path, facts: Mapping[str, Any]) -> None:
        self.target, self.facts = target, facts
        self._path, self._manifest = target / JOURNAL, target / MANIFEST
        self.done: dict[str, Entry] = {}
        if self._manifest.is_file():
            found = read_manifest(target)
            entries = found["clips"]
        elif self._path.is_file():
            found, entries = _read_journal(self._path)
        else:
            _require_empty(target)
            return
        self._require_same(found)
        self.done = {entry["file"]: entry for entry in entries if _is_entry(entry)}

    def add(self, entry: Entry) -> None:
        """Note that a clip is converted."""
        self.done[entry["file"]] = entry
        with saying_where(self._path), self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def open(self) -> None:
        """Be ready for more. A manifest, which says that all is there, gives way to a journal of the same."""
        if self._path.is_file() and not self._manifest.is_file():
            with self._path.open("ab") as file:  # the last line may be one that was cut off
                file.write(b"\n")
            return
        self.target.mkdir(parents=True, exist_ok=True)
        write_text(self._path, "".join(json.dumps(line) + "\n" for line in (self.facts, *self.done.values())))
        self._manifest.unlink(missing_ok=True)

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest, and remove arrays of clips that are no longer in the source."""
        write_json(self._manifest, manifest)
        self._path.unlink(missing_ok=True)
        for name in self.done.keys() - {clip["file"] for clip in manifest["clips"]}:
            for path in _arrays(self.target / name):
                path.unlink(missing_ok=True)

    def _require_same(self, found: Mapping[str, Any]) -> None:
        where = repr(str(self.target))
        for key, here in (("dataset", self.facts["dataset"]), ("source", self.facts["source"])):
            # A manifest of before sources were noted has none.
            if (there := found.get(key, here)) != here:
                raise InvalidInput(f"{where} was prepared from {key} {there}, not {here}; choose another folder")
        here, there = (_options(facts) for facts in (self.facts, {**found, "dataset": self.facts["dataset"]}))
        other = [key for key in here if here[key] != there[key]]
        if other:
            key = other[0]
            raise InvalidInput(
                f"{where} was prepared with {key} {there[key]!r}, not {here[key]!r}; give the same, or choose another"
                " folder"
            )


def _options(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Every option that shapes the clips, defaults too."""
    config = configure(config_class(facts["dataset"]), facts["options"], "what was prepared")
    return {key: value for key, value in plain(config).items() if key not in ("root", "cache")}


def _read_journal(path: Path) -> tuple[dict[str, Any], list[Any]]:
    """What is prepared, and the entries of clips."""
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
    return isinstance(entry.get("shape", []), list) and bool(CLIP.fullmatch(entry["file"]))


def _require_empty(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise InvalidInput(f"{str(target)!r} is a file; expected a folder to write, or a new one")
    other = sorted(target.iterdir()) if target.is_dir() else []
    if other:
        raise InvalidInput(f"{str(target)!r} holds {other[0].name!r} already; expected an empty folder, or a new one")


def _require_source(source: Path, target: Path) -> None:
    here, there = source.resolve(), target.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise InvalidInput(f"{str(target)!r} and the source {str(source)!r} overlap; expected separate folders")
    if (source / MANIFEST).is_file():
        read_manifest(source)
        raise InvalidInput(f"{str(source)!r} is prepared already; use it as root")


def _require_whole(kind: type[RecordedDataset], name: str, source: Path) -> None:
    lacking = kind.missing(source)
    if lacking:
        some = ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
        raise InvalidInput(
            f"{str(source)!r} lacks {some}; copy them there, or prepare what is there (--partial): {kind.downloads}"
        )
    for split, count in kind.held(source).items():
        if count != kind.whole[split]:
            raise InvalidInput(
                f"{str(source)!r} has {count} clips to {split} of {name}; expected {kind.whole[split]}: copy the rest"
                " there, or prepare what is there (--partial)"
            )


def _require_some(
    found: Mapping[Split, Any], sets: Mapping[Split, RecordedDataset], source: Path, partial: bool
) -> None:
    """Raise `InvalidInput` where a split is empty, or, of a part, all of them are."""
    empty = [split for split in sets if not found[split]]
    if empty and (not partial or len(empty) == len(sets)):
        of = "any split" if partial else f"the {empty[0]} split"
        raise InvalidInput(f"{str(source)!r} holds no clips of {of}; {sets[empty[0]].downloads}")


def _convert(
    journal: Journal, sets: Mapping[Split, RecordedDataset], report: Report
) -> dict[Split, list[tuple[Entry, Take]]]:
    """What is known of every clip that is long enough, converted where it is not yet."""
    kept: dict[Split, list[tuple[Entry, Take]]] = {split: [] for split in sets}
    total, handled, is_open = sum(len(data.takes) for data in sets.values()), 0, False
    for split, data in sets.items():
        for index, take in enumerate(data.takes):
            name = f"{split}/{index:05d}-{take.reel.path.stem}.npy"
            mark, known = _fingerprint(take), journal.done.get(name)
            if known is None or known["source"] != mark or not _is_whole(journal.target / name, known):
                if not is_open:
                    journal.open()
                    is_open = True
                known = {
                    "file": name,
                    "split": split,
                    "source": mark,
                    **_store(take, journal.target / name, data.least),
                }
                journal.add(known)
            following = data.takes[index + 1 : index + 2]
            if not following or following[0].reel is not take.reel:
                take.reel.forget()
            if known["frames"] >= data.least:
                kept[split].append((known, take))
            handled += 1
            report(name, handled, total)
    return kept


def _counts(kind: type[RecordedDataset], kept: Mapping[Split, list[tuple[Entry, Take]]]) -> dict[str, dict[str, int]]:
    """Clips of each split and of all, the videos they are cut from, and the videos that the paper states."""
    groups: list[tuple[Split, ...]] = [*((split,) for split in kept), tuple(kept)]
    stated = {tuple(split for split in group if split in kept): count for group, count in kind.stated.items()}
    counts = {}
    for group in sorted({*groups, *stated} - {()}, key=lambda group: (len(group), [*kept].index(group[0]))):
        takes = [take for split in group for _, take in kept[split]]
        named = "all" if len(group) == len(kept) > 1 else " and ".join(group)
        counts[named] = {"clips": len(takes), "videos": len({take.reel.path for take in takes})}
        if group in stated:
            counts[named]["stated"] = stated[group]
    return counts


def _store(take: Take, path: Path, least: int) -> dict[str, Any]:
    """Write a clip's frames and times, each whole or not at all; what the manifest says of it.

    Of one that is shorter than `least` only its length is noted.
    """
    footage = take.footage()
    if len(footage.times) < least:
        return {"frames": len(footage.times)}
    path.parent.mkdir(parents=True, exist_ok=True)
    frames, times = _arrays(path)
    _save(times, footage.times)
    _save(frames, footage.frames)
    return {
        "frames": len(footage.times),
        "shape": list(footage.frames.shape[1:]),
        "sha256": _checksum(footage.frames),
    }


def _is_whole(path: Path, known: Entry) -> bool:
    """Whether both arrays are what was noted of them. A clip that was too short has none."""
    if "sha256" not in known:
        return True
    try:
        frames, times = (np.load(array, mmap_mode="r", allow_pickle=False) for array in _arrays(path))
    except (OSError, ValueError, EOFError):
        return False
    is_shaped = frames.dtype == np.uint8 and list(frames.shape) == [known["frames"], *known.get("shape", [])]
    is_timed = times.shape == (known["frames"],) and bool(np.all(np.diff(times) > 0))
    return is_shaped and is_timed and _checksum(frames) == known["sha256"]


def _arrays(path: Path) -> tuple[Path, Path]:
    """A clip's frames and times."""
    return path, path.with_suffix(".times.npy")


def _checksum(frames: np.ndarray[Any, Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(frames).data).hexdigest()


def _save(path: Path, values: np.ndarray[Any, Any]) -> None:
    draft = path.with_suffix(".part")
    try:
        with saying_where(path), draft.open("wb") as file:
            np.save(file, values, allow_pickle=False)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _fingerprint(take: Take) -> str:
    """Which part of which file, and its size and date of change."""
    path = take.reel.path
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    words = repr((take.first, take.end, facts, take.reel.preparation))
    return hashlib.sha256(words.encode()).hexdigest()[:16]
