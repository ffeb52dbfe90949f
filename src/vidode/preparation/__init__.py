"""A data set converted once: whole clips or records as memory-mapped arrays, and a manifest that says what they are.

    prepare("penn_action", "downloads/penn", "data/penn_action", {"size": 128})

The target then stands where the source stood: `root` of the same data set. It holds one array (T, C, H, W) a clip, of
8-bit levels, or a record of fields, in their units; their times; and manifest.json, which appears last: where it is,
everything is. Until then a journal says what is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vidode.clip import InvalidInput
from vidode.configuration import configure
from vidode.datasets import FieldDataset, FileDataset, RecordedDataset, config_class, dataset_class, existing_root
from vidode.locking import alone
from vidode.manifest import MANIFEST, is_prepared, read_manifest
from vidode.preparation.clips import clip_pieces
from vidode.preparation.journal import LOCK, Journal
from vidode.preparation.pieces import Entry, Groups, Piece, incomplete
from vidode.preparation.series import series_pieces

Report = Callable[[str, int, int], None]
"""Told the piece that was converted, how many are done, and of how many."""
Known = Mapping[str, Sequence[tuple[Entry, Piece]]]
"""What is known of the pieces of each split."""


def prepare(
    name: str,
    source: Path,
    target: Path,
    options: Mapping[str, Any] | None = None,
    *,
    partial: bool = False,
    report: Report = lambda *_: None,
) -> Path:
    """Convert every clip or record of a data set that is not converted yet; the manifest's path.

    options: of the data set, such as its size. partial: take what is there, where the source is known to be incomplete.
    What was cut off goes on where it stopped, and what was finished is verified; a piece whose source changed since, or
    whose arrays are damaged, is converted anew. Raises `InvalidInput` for a data set without files, a target with
    anything else in it, an incomplete source (naming what is missing), a file that cannot be read (naming it) and one
    whose frames have another size than those before; and where another process prepares the same target.
    """
    kind = dataset_class(name)
    if not issubclass(kind, (RecordedDataset, FieldDataset)):
        raise InvalidInput(f"{name} is not made of files; it needs no preparation")
    if "root" in (options or {}):
        raise InvalidInput("root is given as an option; expected it as the source alone: leave the option out")
    config = configure(config_class(name), {**(options or {}), "root": str(source)}, f"data set {name}")
    source = existing_root(config, kind.downloads)
    _require_source(source, target)
    facts = {"dataset": name, "options": dict(options or {}), "source": str(source.resolve())}
    if target.exists() and not target.is_dir():
        raise InvalidInput(f"{str(target)!r} is a file; expected a folder to write, or a new one")
    with alone(target, LOCK, f"another process is preparing {str(target)!r} now"):
        journal = Journal(target, kind, facts)
        made = _converted(journal, kind, config, source, partial, report)
        journal.finish({**facts, "partial": partial, **made})
    return target / MANIFEST


def _converted(
    journal: Journal,
    kind: type[RecordedDataset] | type[FieldDataset],
    config: Any,
    source: Path,
    partial: bool,
    report: Report,
) -> dict[str, Any]:
    """What the manifest says of the pieces, once all are there."""
    groups = _groups(kind, journal.facts["dataset"], config, source, partial)
    _require_some(groups, kind, source, partial)
    known = _convert(journal, groups, report)
    kept = {split: [each for each in parts if each[1].is_kept(each[0])] for split, parts in known.items()}
    _require_some(kept, kind, source, partial)
    clips = [entry for parts in kept.values() for entry, _ in parts]
    return {"counts": _counts(kind, kept), "short": _short(known, source), "clips": clips}


def _groups(
    kind: type[RecordedDataset] | type[FieldDataset], name: str, config: Any, source: Path, partial: bool
) -> Groups:
    """What is to be converted. Raises `InvalidInput` for a source that is not whole, unless a part is asked for."""
    if issubclass(kind, FieldDataset):
        return series_pieces(kind, config, source, partial=partial)
    if not partial:
        _require_whole(kind, name, source)
    return clip_pieces(kind, config, source)


def _require_source(source: Path, target: Path) -> None:
    here, there = source.resolve(), target.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise InvalidInput(f"{str(target)!r} and the source {str(source)!r} overlap; expected separate folders")
    if is_prepared(source):
        read_manifest(source)
        raise InvalidInput(f"{str(source)!r} is prepared already; use it as root")


def _require_whole(kind: type[RecordedDataset], name: str, source: Path) -> None:
    lacking = kind.missing(source)
    if lacking:
        raise incomplete(source, lacking, kind.downloads)
    for split, count in kind.held(source).items():
        if count != kind.whole[split]:
            cure = "copy the rest there" if count < kind.whole[split] else "remove what does not belong there"
            raise InvalidInput(
                f"{str(source)!r} has {count} clips to {split} of {name}; expected {kind.whole[split]}: {cure}, or"
                " prepare what is there (--partial)"
            )


def _require_some(found: Groups | Known, kind: type[FileDataset], source: Path, partial: bool) -> None:
    """Raise `InvalidInput` where a split is empty, or, of a part, all of them are."""
    empty = [split for split in found if not found[split]]
    if empty and (not partial or len(empty) == len(found)):
        of = "any split" if len(empty) == len(found) else f"the {empty[0]} split"
        raise InvalidInput(f"{str(source)!r} holds no clips of {of}; {kind.downloads}")


def _convert(journal: Journal, groups: Groups, report: Report) -> Known:
    """What is known of every piece, converted where it is not yet."""
    known: dict[str, list[tuple[Entry, Piece]]] = {split: [] for split in groups}
    first: tuple[Entry, Piece] | None = None
    everything = [(split, piece) for split, pieces in groups.items() for piece in pieces]
    for done, (split, piece) in enumerate(everything, start=1):
        entry = journal.known(piece) or journal.convert(piece, split)
        piece.forget()
        known[split].append((entry, piece))
        if piece.is_kept(entry):
            _require_one_shape(first := first or (entry, piece), (entry, piece))
        report(piece.file, done, len(everything))
    return known


def _short(known: Known, source: Path) -> dict[str, list[str]]:
    """What was left out, by the frames that it has to have."""
    short: dict[str, list[str]] = {}
    for entry, piece in (each for parts in known.values() for each in parts):
        if not piece.is_kept(entry):
            short.setdefault(str(piece.least), []).append(piece.source.relative_to(source).as_posix())
    return short


def _require_one_shape(first: tuple[Entry, Piece], other: tuple[Entry, Piece]) -> None:
    """Raise `InvalidInput` for frames of another (C, H, W) than the first's: no batch holds both."""
    (before, one), (after, another) = first, other
    if before["shape"] != after["shape"]:
        raise InvalidInput(
            f"{str(another.source)!r} has frames of {tuple(after['shape'])} (C, H, W), those before it, such as"
            f" {str(one.source)!r}, of {tuple(before['shape'])}; expected one size: {another.one_size}"
        )


def _counts(kind: type[FileDataset], kept: Known) -> dict[str, dict[str, int]]:
    """How much each split has, and all together, beside the videos that the paper states."""
    groups = [*((split,) for split in kept), tuple(kept)]
    stated: dict[tuple[str, ...], int] = {
        tuple(split for split in group if split in kept): count for group, count in kind.stated.items()
    }
    tally = next(piece.tally for parts in kept.values() for _, piece in parts)
    counts = {}
    for group in sorted({*groups, *stated} - {()}, key=lambda group: (len(group), [*kept].index(group[0]))):
        named = "all" if len(group) == len(kept) > 1 else " and ".join(group)
        counts[named] = tally([part for split in group for part in kept[split]])
        if group in stated:
            counts[named]["stated"] = stated[group]
    return counts
