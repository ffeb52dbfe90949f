"""Real video with frames hidden: every model beside the floors, on Weizmann, UCF-101 and KTH.

    python -m vidode.experiments.real_video --data FOLDER --out results/real_video --split development

Every second frame hidden, 40 % of the frames hidden at random, and one to five frames beyond the end, each in PSNR,
SSIM and LPIPS under both protocols. Choices are made on `development` (weizmann/train, ucf101/train, kth person01);
`test` (weizmann/test, ucf101/test, kth person03 and person04) is for measuring what was chosen, once.

FOLDER holds the data sets, each in a folder with its name. Every row is a file, so that a run that was interrupted
goes on where it stopped; a row is measured again where the model, its weights, LPIPS, the seed or the choice of data
changed. What changed in the code of a model or in the files of the data does not show: remove the rows then.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from vidode.blocks.perceptual import Lpips, MissingWeights, load_lpips
from vidode.checkpoints import load
from vidode.clip import InvalidInput
from vidode.datasets import Split, VideoDataset, open_dataset
from vidode.evaluation import Row, describe_data, describe_model, measure, report
from vidode.metrics import PROTOCOLS
from vidode.models import VideoModel
from vidode.program import run_module, whole
from vidode.provenance import command_line, require_writable, weights_checksum, write_json, write_text
from vidode.tables import by_distance, markdown, plot_by_distance

log = logging.getLogger(__name__)

FLOORS = ("copy_last", "blend", "optical_flow")
MODELS = ("anchored_vid_ode", "vid_ode", *FLOORS)
SCHEMES = {
    "every-second": "Every second frame hidden",
    "random-40": "40 % of the frames hidden at random",
    "beyond-5": "One to five frames beyond the end",
}
AXES = {"random-40": "frames to the nearest observed one", "beyond-5": "frames beyond the last observed one"}


@dataclass(frozen=True)
class Source:
    """A data set of the table. options: of its configuration, beside the folder."""

    label: str
    name: str
    split: Split
    options: dict[str, Any] = field(default_factory=dict)

    def open(self, root: Path, cache: Path | None = None) -> VideoDataset:
        """The data set in a folder of data sets. cache: where decoded frames are kept, in memory without."""
        place = {"root": str(root / self.name), "cache": None if cache is None else str(cache)}
        return open_dataset(self.name, self.split, **place, **self.options)


KTH_PEOPLE: dict[str, Any] = {"train": (15,), "validation": (1,), "test": (3, 4)}
"""Eight of the 599 videos, not the owners' split."""
SOURCES: dict[str, tuple[Source, ...]] = {
    "development": (
        Source("weizmann/train", "weizmann", "train"),
        Source("ucf101/train", "ucf101", "train"),
        Source("kth person01", "kth", "validation", KTH_PEOPLE),
    ),
    "test": (
        Source("weizmann/test", "weizmann", "test"),
        Source("ucf101/test", "ucf101", "test"),
        Source("kth person03, person04", "kth", "test", KTH_PEOPLE),
    ),
}


@dataclass(frozen=True)
class Settings:
    """What is measured and where it goes.

    data: the folder of data sets. cache: a folder in which decoded frames are kept; in memory without one.
    clips, stride: the first so many of every `stride`-th clip of each data set; None and 1 measure all. lpips: the
    weights of that metric; without them, those that VIDODE_LPIPS names, if any.
    """

    data: Path
    out: Path
    split: Literal["development", "test"] = "development"
    models: tuple[str, ...] = MODELS
    schemes: tuple[str, ...] = tuple(SCHEMES)
    seed: Annotated[int, Parameter(converter=whole)] = 0
    clips: Annotated[int | None, Parameter(converter=whole)] = None
    stride: Annotated[int, Parameter(converter=whole)] = 1
    device: str = "cpu"
    cache: Path | None = None
    lpips: Path | None = None

    @property
    def command(self) -> str:
        """What to type to get the result again."""
        words = ["python", "-m", "vidode.experiments.real_video", "--data", str(self.data), "--out", str(self.out)]
        words += ["--split", self.split, "--seed", str(self.seed)]
        words += [word for name in self.models for word in ("--models", name)]
        words += [word for name in self.schemes for word in ("--schemes", name)]
        words += ["--clips", str(self.clips)] if self.clips else []
        words += ["--stride", str(self.stride)] if self.stride > 1 else []
        words += ["--device", self.device] if self.device != "cpu" else []
        return command_line(words + (["--lpips", str(self.lpips)] if self.lpips else []))


def run(settings: Settings, lpips: Lpips | None) -> None:
    """Measure what is missing, row by row, and write the tables and plots."""
    models = {name: _opened(name) for name in settings.models}
    _require_different_labels(settings.models)
    rows: list[Row] = []
    for source in SOURCES[settings.split]:
        data = source.open(settings.data, settings.cache)
        for scheme in settings.schemes:
            for name, model in models.items():
                if isinstance(model, VideoModel):
                    cell = _Cell(scheme, source, data, name, model.to(settings.device))
                    rows += _measured(settings, cell, lpips)
    missing = {name: str(reason) for name, reason in models.items() if isinstance(reason, InvalidInput)}
    present(settings, rows, missing)


def present(settings: Settings, rows: Sequence[Row], missing: dict[str, str]) -> None:
    """Write the tables and plots. missing: models that could not be opened, and why."""
    folder = settings.out / settings.split
    parts = [f"# Real video, {settings.split}\n", f"`{settings.command}`\n"]
    parts += [f"{name} was not measured: {reason}\n" for name, reason in missing.items()]
    for scheme, title in SCHEMES.items():
        for protocol in PROTOCOLS:
            here = [row for row in rows if (row.scheme, row.protocol) == (scheme, protocol)]
            if here:
                parts += [f"## {title}, protocol {protocol}\n", markdown(here)]
                parts += [by_distance(here)] if scheme in AXES else []
                parts += [claims(here)] if scheme == "every-second" else []
            if here and scheme in AXES and protocol == "per-frame":
                plot_by_distance(here, folder / f"{scheme}.png", AXES[scheme])
                parts.append(f"![{title}]({scheme}.png)\n")
    write_text(folder / "table.md", "\n".join(parts))


def claims(rows: Sequence[Row]) -> str:
    """Where `anchored_vid_ode` is ahead of blend in all three metrics and of optical flow in PSNR; and where not."""
    found = {(row.model, row.data): row.scores for row in rows}
    lines = []
    for data in dict.fromkeys(row.data for row in rows):
        ours, blend, flow = (found.get((name, data)) for name in ("anchored_vid_ode", "blend", "optical_flow"))
        if ours is None or blend is None or flow is None:
            continue
        ahead = {"PSNR": ours.psnr > blend.psnr, "SSIM": ours.ssim > blend.ssim}
        if ours.lpips is not None and blend.lpips is not None:
            ahead["LPIPS"] = ours.lpips < blend.lpips
        told = ", ".join(f"{metric} {'yes' if holds else '**no**'}" for metric, holds in ahead.items())
        over_flow = f"{ours.psnr - flow.psnr:+.2f} dB PSNR"
        lines.append(f"- {data}: anchored_vid_ode ahead of blend: {told}; against optical_flow {over_flow}\n")
    return "".join(lines)


def main(settings: Annotated[Settings, Parameter(name="*")]) -> None:
    """Measure the table."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    require_writable(settings.out / settings.split / "table.md")
    run(settings, _network(settings.lpips, settings.device))


def _network(path: Path | None, device: str) -> Lpips | None:
    try:
        return load_lpips(path).to(device)
    except MissingWeights as error:
        log.warning("%s", error)
        return None


def _opened(name: str) -> VideoModel | InvalidInput:
    try:
        return load(name)
    except InvalidInput as error:
        log.warning("%s is not measured: %s", name, error)
        return error


def _require_different_labels(models: Sequence[str]) -> None:
    labels = [label(name) for name in models]
    if len(set(labels)) < len(labels):
        raise InvalidInput(f"models {', '.join(models)} have the same name in the table; rename a folder")


@dataclass(frozen=True)
class _Cell:
    """What a row is of: a model, by the name it was asked for, on a data set with frames hidden by a scheme."""

    scheme: str
    source: Source
    data: VideoDataset
    name: str
    model: VideoModel

    def path(self, settings: Settings) -> Path:
        """Its file."""
        folder = settings.out / settings.split / self.scheme / self.source.label.replace("/", "-")
        return folder / f"{label(self.name)}.json"


def _measured(settings: Settings, cell: _Cell, lpips: Lpips | None) -> list[Row]:
    """A row for each protocol: from their file where that is still of this model, data and seed, else measured."""
    path = cell.path(settings)
    key = {
        "model": describe_model(cell.model),
        "data": describe_data(cell.data),
        "seed": settings.seed,
        "clips": settings.clips,
        "stride": settings.stride,
        "lpips": None if lpips is None else weights_checksum(lpips),
    }
    if not path.is_file() or json.loads(path.read_text())["key"] != json.loads(json.dumps(key)):
        write_json(path, {**_measure(settings, cell, lpips), "key": key})
    return [Row.from_plain(row) for row in json.loads(path.read_text())["rows"]]


def _measure(settings: Settings, cell: _Cell, lpips: Lpips | None) -> dict[str, Any]:
    log.info("%s: %s on %s", cell.scheme, cell.name, cell.source.label)
    measured = measure(
        cell.model,
        cell.data,
        cell.scheme,
        lpips=lpips,
        seed=settings.seed,
        clips=settings.clips,
        stride=settings.stride,
    )
    measured = replace(measured, model=label(cell.name), data=cell.source.label)
    return report(measured, cell.data, settings.command)


def label(name: str) -> str:
    """What a model is called in the table: its name or its folder's; a run's `model/` is called after the run."""
    path = Path(name)
    return path.parent.name if path.name == "model" else path.name


if __name__ == "__main__":
    run_module("vidode.experiments.real_video", main)
