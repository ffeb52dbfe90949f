"""What a preparation says of the folder that it made: of which data set, with which options, and what every file is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidode.clip import InvalidInput
from vidode.configuration import plain

MANIFEST = "manifest.json"
"""In a folder that `vidode.preparation` made."""


AGAIN = "prepare the data set again"
"""What to do about arrays that are not what the manifest says."""

JOURNAL = ".prepared.jsonl"
"""Of which data it is, and what is done so far, a line each, while there is no manifest yet."""


def is_prepared(root: Path) -> bool:
    """Whether a preparation made this folder."""
    return (root / MANIFEST).is_file()


def require_finished(root: Path) -> None:
    """Raise `InvalidInput` for a folder that a preparation has begun to fill: what is there would pass for all."""
    if (root / JOURNAL).is_file() and not is_prepared(root):
        raise InvalidInput(
            f"{str(root)!r} holds a preparation that is not finished; type the same 'vidode datasets prepare NAME SRC"
            " DST' again, or give the folder that it was prepared from"
        )


def read_manifest(root: Path) -> dict[str, Any]:
    """What a preparation says of the folder that it made. Raises `InvalidInput` for what is damaged or of another."""
    path = root / MANIFEST
    try:
        facts = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        facts = None
    if not _is_manifest(facts):
        raise not_ours(path)
    return dict(facts)


def not_ours(path: Path) -> InvalidInput:
    """That a file is no manifest."""
    return InvalidInput(
        f"{str(path)!r} is not what 'vidode datasets prepare' writes, or is damaged; remove it or give another root"
    )


def shape_of(root: Path, entry: Mapping[str, Any]) -> tuple[int, ...]:
    """(T, C, H, W) of what an entry of a manifest says. Raises `InvalidInput` for one that does not say it."""
    shape = [entry.get("frames"), *sizes] if isinstance(sizes := entry.get("shape"), list) else []
    if len(shape) != 4 or not all(isinstance(length, int) for length in shape):
        raise not_ours(root / MANIFEST)
    return tuple(shape)


def shaping(config: Any, free: Sequence[str]) -> dict[str, Any]:
    """Every option that shapes what is stored, defaults too: all but where the files are and those that are free."""
    return {key: value for key, value in plain(config).items() if key not in ("root", *free)}


def require_same_options(root: Path, made: Mapping[str, Any], asked: Mapping[str, Any], instead: str) -> None:
    """Raise `InvalidInput` naming every option that it was prepared with otherwise; `instead` ends the line."""
    other = [f"{key} {made[key]!r}, not {asked[key]!r}" for key in asked if made[key] != asked[key]]
    if other:
        raise InvalidInput(f"{str(root)!r} was prepared with {', and '.join(other)}; give the same, or {instead}")


def _is_manifest(facts: Any) -> bool:
    if not isinstance(facts, dict) or not isinstance(facts.get("dataset"), str):
        return False
    options, clips = facts.get("options"), facts.get("clips")
    if not isinstance(options, dict) or not isinstance(clips, list):
        return False
    return all(
        isinstance(clip, dict) and all(isinstance(clip.get(k), str) for k in ("file", "split")) for clip in clips
    )
