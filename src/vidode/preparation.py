"""A data set converted once: whole clips as memory-mapped arrays, and a manifest that says what they are.

    prepare("penn_action", "downloads/penn", "data/penn_action", {"size": 128})

The target then stands where the source stood: `root` of the same data set. It holds one array a clip (T, C, H, W) of
8-bit levels, their times, and manifest.json, which appears last: where it is, everything is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vidode.clip import InvalidInput
from vidode.configuration import configure
from vidode.datasets import MANIFEST, RecordedDataset, Split, config_class, dataset_class
from vidode.footage import Take
from vidode.provenance import write_json

JOURNAL = ".prepared.jsonl"
"""What is done so far, a line each, while there is no manifest yet."""

Report = Callable[[str, int, int], None]
"""Told the clip that was converted, how many are done, and of how many."""


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
    What was cut off goes on where it stopped; a clip whose source changed since is converted anew. Raises
    `InvalidInput` for a data set without files, an incomplete source (naming what is missing) and a file that cannot
    be read (naming it): there is no manifest then.
    """
    kind = dataset_class(name)
    if not issubclass(kind, RecordedDataset):
        raise InvalidInput(f"{name} is not made of videos; it needs no preparation")
    if (target / MANIFEST).is_file():
        raise InvalidInput(f"{str(target)!r} is prepared already; remove it, or choose another folder")
    config = configure(config_class(name), {**(options or {}), "root": str(source)}, f"data set {name}")
    taken = {split: kind(config, split, may_be_empty=partial).takes for split in kind.splits}
    if not partial:
        _require_whole(kind, name, source, taken)
    files = _convert(target, taken, report)
    counts = {split: _count(kind, split, takes) for split, takes in taken.items()}
    facts = {"dataset": name, "options": dict(options or {}), "partial": partial, "counts": counts, "clips": files}
    write_json(target / MANIFEST, facts)
    (target / JOURNAL).unlink(missing_ok=True)
    return target / MANIFEST


def _count(kind: type[RecordedDataset], split: Split, takes: list[Take]) -> dict[str, int]:
    """Clips, the videos they are cut from, and the videos that the paper states, where it counts otherwise."""
    stated = {"stated": kind.stated[split]} if split in kind.stated else {}
    return {"clips": len(takes), "videos": len({take.reel.path for take in takes}), **stated}


def _require_whole(kind: type[RecordedDataset], name: str, source: Path, taken: Mapping[Split, list[Take]]) -> None:
    lacking = kind.missing(source)
    if lacking:
        some = ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
        raise InvalidInput(
            f"{str(source)!r} lacks {some}; copy them there, or prepare what is there (--partial): {kind.downloads}"
        )
    for split, count in kind.whole.items():
        if len(taken[split]) != count:
            raise InvalidInput(
                f"{str(source)!r} has {len(taken[split])} clips to {split} of {name}; expected {count}: copy the rest"
                " there, or prepare what is there (--partial)"
            )


def _convert(target: Path, taken: Mapping[Split, list[Take]], report: Report) -> list[dict[str, Any]]:
    target.mkdir(parents=True, exist_ok=True)
    done, files = _journal(target), []
    total = sum(map(len, taken.values()))
    for split, takes in taken.items():
        for index, take in enumerate(takes):
            name = f"{split}/{index:05d}-{take.reel.path.stem}.npy"
            mark = {"source": _fingerprint(take)}
            known = done.get(name)
            if known is None or known["source"] != mark["source"] or not (target / name).is_file():
                known = {"file": name, "split": split, **mark, **_store(take, target / name)}
                with (target / JOURNAL).open("a") as journal:
                    journal.write(json.dumps(known) + "\n")
            files.append(known)
            report(name, len(files), total)
    return files


def _journal(target: Path) -> dict[str, dict[str, Any]]:
    path = target / JOURNAL
    lines = path.read_text().splitlines() if path.is_file() else []
    found = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # the last line of a run that was cut off
            continue
        found[entry["file"]] = entry
    return found


def _store(take: Take, path: Path) -> dict[str, Any]:
    """Write a clip's frames and times, each whole or not at all; what the manifest says of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    footage = take.footage()
    take.reel.forget()
    _save(path.with_suffix(".times.npy"), footage.times)
    _save(path, footage.frames)
    digest = hashlib.sha256(np.ascontiguousarray(footage.frames).tobytes()).hexdigest()
    return {"frames": len(footage.times), "shape": list(footage.frames.shape[1:]), "sha256": digest}


def _save(path: Path, values: np.ndarray[Any, Any]) -> None:
    draft = path.with_suffix(".part")
    try:
        with draft.open("wb") as file:
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
