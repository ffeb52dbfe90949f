"""Bouncing balls, ten frames in and ten out: how long a prediction keeps to where the balls truly are.

    python -m vidode.experiments.bouncing_balls --out results/bouncing_balls

Reads the weights from OUT/vid_ode, which `vidode train configs/bouncing_balls_vid_ode.yaml` makes, and measures them on
the 50 test clips beside the floors, under both protocols; then draws the first clips.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
from cyclopts import Parameter
from torch import Tensor

from vidode.checkpoints import load
from vidode.datasets import VideoDataset
from vidode.datasets.bouncing_balls import BouncingBalls, BouncingBallsConfig
from vidode.evaluation import Asked, Row, measure, predict, report
from vidode.hiding import questions
from vidode.metrics import PROTOCOLS
from vidode.models import VideoModel
from vidode.pictures import write_side_by_side, write_strips
from vidode.program import run_module, whole
from vidode.provenance import command_line, require_writable, write_json, write_text
from vidode.tables import by_distance, markdown, plot_by_distance

log = logging.getLogger(__name__)

SCHEME = "long-extrapolation"
FLOORS = ("copy_last", "optical_flow")
DRAWN = 4
"""Clips in the picture."""
ENLARGED = 4


def run(out: Path, clips: int | None = None) -> None:
    """Measure and draw; `clips` measures the first so many. Raises `InvalidInput` where the weights are missing."""
    data = BouncingBalls(BouncingBallsConfig(frames=20), "test")
    models = {name: load(name) if name in FLOORS else load(out / name) for name in ("vid_ode", *FLOORS)}
    words = ["python", "-m", "vidode.experiments.bouncing_balls", "--out", str(out)]
    command = command_line(words + (["--clips", str(clips)] if clips else []))
    write_json(out / "data.json", data.manifest())
    rows: list[Row] = []
    for name, model in models.items():
        log.info("%s", name)
        measured = replace(measure(model, data, SCHEME, clips=clips), model=name)
        write_json(out / f"{name}.json", report(measured, data, command))
        rows += [measured.row(protocol) for protocol in PROTOCOLS]
    draw(out, models, data)
    curves = [row for row in rows if row.protocol == "vidode2021"]
    plot_by_distance(curves, out / "steps.png", "frames beyond the last observed one")
    write_text(out / "table.md", page(rows, command))


def page(rows: Sequence[Row], command: str) -> str:
    """The tables of both protocols, and how far ahead of the floor each of them finds the model."""
    parts = ["# Bouncing balls, ten frames in, ten out\n", f"`{command}`\n"]
    for protocol in PROTOCOLS:
        here = [row for row in rows if row.protocol == protocol]
        ours, floor = (next(row.scores.psnr for row in here if row.model == name) for name in ("vid_ode", "copy_last"))
        parts += [f"## Protocol {protocol}\n", markdown(here), by_distance(here)]
        parts.append(f"vid_ode is {ours - floor:+.2f} dB PSNR ahead of copying the last frame.\n")
    parts.append("![PSNR over the steps beyond the last frame](steps.png)\n")
    parts.append("For each clip: the truth, vid_ode, the last frame copied.\n\n![Ten steps](strips.png)\n")
    parts.append("![The first clip](balls.gif)\n")
    return "\n".join(parts)


def draw(out: Path, models: dict[str, VideoModel], data: VideoDataset) -> None:
    """The strips of the first clips and a video of the first."""
    drawn = [_answers(models, data, index) for index in range(min(DRAWN, len(data)))]
    shown = [frames[name] for frames in drawn for name in ("truth", "vid_ode", "copy_last")]
    write_strips(out / "strips.png", shown, enlarged=2)
    write_side_by_side(out / "balls.gif", drawn[0], enlarged=ENLARGED)


@torch.no_grad()
def _answers(models: dict[str, VideoModel], data: VideoDataset, index: int) -> dict[str, Tensor]:
    """The truth and each model's frames (10, C, H, W) of one clip."""
    clip = data.clip(index)
    (question,) = questions(SCHEME, len(clip), seed=0, clip=index)
    answers = {
        name: torch.cat(
            [frames[0] for _, frames in predict(model.eval(), [Asked(clip, question)], len(question.asked))]
        )
        for name, model in models.items()
    }
    return {"truth": clip.frames[question.asked], **{name: frames.clamp(0, 1) for name, frames in answers.items()}}


def main(*, out: Path, clips: Annotated[int | None, Parameter(converter=whole)] = None) -> None:
    """Measure and draw. clips: the first so many of the test clips; without it, all."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    require_writable(out / "table.md")
    run(out, clips)


if __name__ == "__main__":
    run_module("vidode.experiments.bouncing_balls", main)
