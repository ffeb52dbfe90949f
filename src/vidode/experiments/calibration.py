"""The floors against figures measured elsewhere, which says whether this harness measures what others measure.

    python -m vidode.experiments.calibration --data FOLDER --out results/real_video/calibration

The figures are PSNR of every second frame hidden, on parts of the test sets; which parts, which size and which average
is not recorded with them. Both are therefore measured: the whole set, and a part on which the figures are met, in the
average over frames.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vidode.checkpoints import load
from vidode.clip import Clip
from vidode.datasets import VideoDataset
from vidode.evaluation import describe_data, measure
from vidode.experiments.real_video import FLOORS, SOURCES, Source
from vidode.program import run_module
from vidode.provenance import command_line, provenance, require_writable, write_json, write_text
from vidode.tables import grid

TOLERANCE = 0.5
"""dB within which a figure counts as met."""

NOTE = (
    "PSNR in dB, averaged over frames, every second frame hidden and asked for; in brackets the difference from the "
    f"figure, bold within {TOLERANCE} dB."
)


@dataclass(frozen=True)
class PartConfig:
    """Every `stride`-th clip and its first `frames` frames; None is all of them."""

    stride: int = 1
    frames: int | None = None


class Part(VideoDataset):
    """A part of another data set."""

    config: PartConfig

    def __init__(self, whole: VideoDataset, config: PartConfig) -> None:
        self.whole, self.config, self.split = whole, config, whole.split

    def __len__(self) -> int:
        """How many clips the part has."""
        return len(range(0, len(self.whole), self.config.stride))

    def clip(self, index: int) -> Clip:
        """See `VideoDataset.clip`."""
        return self.whole.clip(index * self.config.stride)[: self.config.frames]


@dataclass(frozen=True)
class Case:
    """Figures (PSNR in dB of the floors, in their order) and the part on which they are looked for."""

    source: Source
    figures: tuple[float, ...]
    part: PartConfig = field(default_factory=PartConfig)
    options: dict[str, Any] = field(default_factory=dict)


WEIZMANN, UCF101, KTH = SOURCES["test"]
CASES = (
    Case(WEIZMANN, (28.3, 31.0, 33.7), PartConfig(stride=3, frames=31)),
    Case(UCF101, (24.7, 26.7, 30.1), PartConfig(stride=3, frames=21)),
    Case(KTH, (35.2, 39.4, 41.2), options={"size": 128}),
)


def lines_of(case: Case, root: Path, cache: Path | None = None) -> list[dict[str, Any]]:
    """The whole set and the part, each beside the figures."""
    prepared = replace(case.source, options={**case.source.options, **case.options})
    part = Part(prepared.open(root, cache), case.part)
    whole = line_of(case, case.source.open(root, cache))
    return [
        {**whole, "part": None},
        {**line_of(case, part), "data": describe_data(part.whole), "part": {**asdict(case.part), **case.options}},
    ]


def line_of(case: Case, data: VideoDataset) -> dict[str, Any]:
    """PSNR of every floor, averaged over frames, every second frame hidden, beside the figures."""
    floors = {name: measure(load(name), data, "every-second") for name in FLOORS}
    return {
        "label": case.source.label,
        "data": describe_data(data),
        "sha256": floors[FLOORS[0]].checksum,
        "psnr": {name: floor.row("per-frame").scores.psnr for name, floor in floors.items()},
        "figures": dict(zip(FLOORS, case.figures, strict=True)),
    }


def table(lines: list[dict[str, Any]]) -> str:
    """Measured PSNR with its difference from the figure; those within the tolerance are bold."""
    cells = [
        [line["label"], _said(line["part"]), *(_cell(line["psnr"][name], line["figures"][name]) for name in FLOORS)]
        for line in lines
    ]
    return grid(["data", "measured on", *FLOORS], cells)


def main(*, data: Path, out: Path, cache: Path | None = None) -> None:
    """Measure the floors and write JSON and Markdown. cache: a folder in which decoded frames are kept."""
    require_writable(out / "calibration.json")
    lines = [line for case in CASES for line in lines_of(case, data, cache)]
    command = command_line(["python", "-m", "vidode.experiments.calibration", "--data", str(data), "--out", str(out)])
    write_json(out / "calibration.json", {**provenance(command), "protocol": "per-frame", "lines": lines})
    head = f"# The floors against calibration figures\n\n`{command}`\n\n{NOTE}\n\n"
    write_text(out / "calibration.md", head + table(lines))


def _said(part: dict[str, Any] | None) -> str:
    if part is None:
        return "everything"
    words = [f"every {part['stride']}. clip" if part["stride"] > 1 else "every clip"]
    words += [f"first {part['frames']} frames"] if part["frames"] else []
    return ", ".join(words + ([f"{part['size']}x{part['size']}"] if "size" in part else []))


def _cell(psnr: float, figure: float) -> str:
    text = f"{psnr:.2f} ({psnr - figure:+.2f})"
    return f"**{text}**" if abs(psnr - figure) <= TOLERANCE else text


if __name__ == "__main__":
    run_module("vidode.experiments.calibration", main)
