"""What the verbs say: plain lines on standard output, for people and for `grep` alike."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidode import checkpoints
from vidode.configuration import plain
from vidode.sources.inspection import Inspection
from vidode.tables import grid

MANY = 12
"""So many numbers of frames are listed; of more, the first ones."""


def text(content: str) -> None:
    """Write text as it is."""
    sys.stdout.write(content)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as they need to be, two spaces apart."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        text("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n")


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """A name and a value a line; what has no value is left out."""
    known = [(name, value) for name, value in pairs if value]
    width = max(len(name) for name, _ in known)
    for name, value in known:
        text(f"{name.ljust(width)}  {value}\n")


MODELS = ("model", "tasks", "times", "parameters", "weights", "what it is")


def models(markdown: bool = False) -> None:
    """Every model: its tasks, the times it takes, its size, whether it can be used at once, and what it is."""
    text(grid(MODELS, _models(), rule="---")) if markdown else table(MODELS, _models())


def prepared(manifest: Path) -> None:
    """How much of each split there is, beside what the paper counts, what was left out, and how to use it."""
    from vidode.preparation.pieces import some_of

    facts = json.loads(manifest.read_text())
    for split, count in facts["counts"].items():
        stated = f" (the Vid-ODE paper states {count['stated']} videos)" if "stated" in count else ""
        parts = "{clips} clips of {videos} videos" if "clips" in count else "{records} records of {frames} frames"
        text(f"{split}: {parts.format(**count)}{stated}\n")
    for least, files in facts["short"].items():
        text(f"{len(files)} shorter than {least} frames, left out: {some_of(files)}\n")
    text(f"{manifest}: the manifest; use --root {manifest.parent}\n")


def _models() -> list[list[str]]:
    import torch

    from vidode.models import build, model_class, names, parameter_count

    ready = {*checkpoints.shipped(), *checkpoints.floors()}
    rows = []
    for name in names():
        kind = model_class(name)
        state = "nothing to learn" if not kind.trainable else "shipped" if name in ready else "none: train it"
        with torch.device("meta"):  # shapes alone, no numbers
            made = build(name)
        times = "any" if made.any_time else "next frames"
        about = _first_line(sys.modules[kind.__module__].__doc__)
        rows.append([name, ", ".join(kind.tasks), times, f"{parameter_count(made):,}", state, about])
    return rows


def datasets() -> None:
    """Every data set: its splits, where it comes from, and what it is."""
    from vidode.datasets import dataset_class, names

    rows = []
    for name in names():
        kind = dataset_class(name)
        about = _first_line(sys.modules[kind.__module__].__doc__)
        rows.append((name, ", ".join(kind.splits), about, kind.downloads or "generated: nothing to download"))
    table(("data set", "splits", "what it is", "where it comes from"), rows)


def model(name: str) -> None:
    """What a checkpoint, or a model without one, is."""
    from vidode.models import build, config_class, names, parameter_count

    if name in names() and name not in checkpoints.shipped():
        weights = "nothing to learn" if name in checkpoints.floors() else "none here: train it"
        facts([("model", name), ("weights", weights), *_configuration(plain(config_class(name)()))])
        return
    found = checkpoints.describe(name)
    network = build(found.model, **found.configuration)
    facts(
        [
            ("model", found.model),
            ("tasks", ", ".join(network.tasks)),
            ("parameters", f"{parameter_count(network):,}"),
            ("folder", str(found.folder)),
            ("stored as", found.stored),
            ("sha256", found.sha256),
            *_configuration(found.configuration),
            *((f"card: {key}", str(value)) for key, value in found.card.items()),
        ]
    )


def file(found: Inspection) -> None:
    """What a file really contains."""
    low, high = found.value_range
    facts(
        [
            ("file", str(found.path)),
            ("size", f"{found.size[1]}x{found.size[0]}, {found.channels} channels, values {low:g} to {high:g}"),
            ("frames", f"{found.frames} from {_seconds(found.times[0])} to {_seconds(found.times[-1])}"),
            ("true rate", "" if found.true_rate is None else f"{float(found.true_rate):.6g} a second"),
            ("gaps", _gaps(found)),
            ("missing", _listed(f"{hole.frames} after frame {hole.after}" for hole in found.missing)),
            ("repeated times", _listed(f"frame {index}" for index in found.repeated_times)),
            ("repeated pictures", _listed(f"frame {index}" for index in found.repeated_pictures)),
            ("cuts", _listed(f"before frame {index}" for index in found.cuts)),
            *([] if found.video is None else _video(found.video)),
        ]
    )


def _gaps(found: Inspection) -> str:
    if found.gaps is None:
        return ""
    least, median, largest = (_seconds(gap) for gap in (found.gaps.least, found.gaps.median, found.gaps.largest))
    return f"all {median}" if least == largest else f"{least} to {largest}, typically {median}"


def _video(video: Any) -> list[tuple[str, str]]:
    """The facts that only videos have, by their own names."""
    pairs = []
    for one in fields(video):
        value = getattr(video, one.name)
        if is_dataclass(value):
            value = ", ".join(f"{part.name} {getattr(value, part.name)}" for part in fields(value))
        elif isinstance(value, tuple):
            value = ", ".join(map(str, value)) or "none"
        pairs.append((one.name.replace("_", " "), str(value)))
    return pairs


def _seconds(time: Fraction) -> str:
    exact = f" ({time})" if time.denominator not in (1, 2, 4, 5, 10, 20, 25, 50, 100, 1000) else ""
    return f"{float(time):.6g} s{exact}"


def _listed(words: Iterable[str]) -> str:
    listed = list(words)
    if not listed:
        return "none"
    more = f" and {len(listed) - MANY} more" if len(listed) > MANY else ""
    return f"{len(listed)}: {', '.join(listed[:MANY])}{more}"


def _configuration(values: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f"configuration: {key}", str(value)) for key, value in values.items()]


def _first_line(doc: str | None) -> str:
    return (doc or "").strip().split("\n\n")[0].replace("\n", " ")


def row(measured: Any) -> None:
    """A row of an evaluation, whole and by the distance to the nearest frame that was seen."""
    lines = [("all", measured.scores), *((f"{step} away", scores) for step, scores in measured.by_distance.items())]
    skipped = f", {measured.skipped} too short" if measured.skipped else ""
    about = f"{measured.model} on {measured.data}: {measured.scheme}, protocol {measured.protocol}"
    text(f"{about}, {measured.clips} clips{skipped}\n")
    table(
        ("frames", "number", "PSNR (dB)", "SSIM", "MSE", "LPIPS"),
        [(name, str(s.frames), f"{s.psnr:.2f}", f"{s.ssim:.4f}", f"{s.mse:.6f}", _lpips(s.lpips)) for name, s in lines],
    )


def _lpips(value: float | None) -> str:
    return "not measured: give --lpips" if value is None else f"{value:.4f}"


def demonstration(done: Any) -> None:
    """The table of a demo, and where to look."""
    had, has = done.frames
    text(f"a video of {had} frames, uneven and with gaps, as {has} at 60 a second; all in {done.seconds:.0f} s\n\n")
    table(
        ("model", "PSNR between", "SSIM between", "PSNR beyond", "SSIM beyond"),
        [
            (
                line.model,
                f"{line.between.psnr:.2f} dB",
                f"{line.between.ssim:.4f}",
                f"{line.beyond.psnr:.2f} dB",
                f"{line.beyond.ssim:.4f}",
            )
            for line in done.lines
        ],
    )
    first = done.lines[0].between
    text(
        f"\nbetween: the {first.frames} frames between the observed ones; beyond: the {done.lines[0].beyond.frames}"
        " after the last, against the exact truth\n"
    )
    for path in sorted(done.folder.iterdir()):
        text(f"{path}\n")
