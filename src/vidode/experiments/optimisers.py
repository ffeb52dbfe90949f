"""The small scale's optimiser against each model's own, on training clips that are held out: how it was chosen.

    python -m vidode.experiments.optimisers --data FOLDER --out results/optimisers

Every sixth training clip of Weizmann is held out and measured on; the test clips are not touched. Each model learns
from the others at the small scale, but for the number of updates, once with its paper's optimiser and schedule, the
schedule squeezed into the run, and once with the one that the small scale gives to all.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from vidode.checkpoints import load
from vidode.clip import InvalidInput
from vidode.evaluation import measure
from vidode.experiments.reproduction.jobs import Job, Places, training_of
from vidode.experiments.reproduction.rows import ours, trained
from vidode.experiments.reproduction.scales import BRIEF, SMALL, Scale
from vidode.manifest import is_prepared
from vidode.metrics import PROTOCOLS
from vidode.models import Task
from vidode.program import run_module, whole
from vidode.provenance import command_line, provenance, require_writable, write_json, write_text
from vidode.tables import grid
from vidode.training import train

log = logging.getLogger(__name__)

EACH = 6
"""Of so many training clips, one is held out."""
STEPS = 800
MODELS: tuple[tuple[Task, tuple[str, ...]], ...] = (
    ("interpolation", ("deep_voxel_flow", "unsupervised_interpolation", "vid_ode")),
    (
        "extrapolation",
        (
            "conv_gru",
            "deep_voxel_flow",
            "latent_ode",
            "ode2vae",
            "ode_conv",
            "ode_fc",
            "prednet",
            "retrospective_cycle_gan",
            "vid_ode",
        ),
    ),
)
FLOORS: tuple[tuple[str, Task], ...] = (
    ("blend", "interpolation"),
    ("optical_flow", "interpolation"),
    ("copy_last", "extrapolation"),
    ("optical_flow", "extrapolation"),
)


def development(data: Path, folder: Path) -> Path:
    """A root whose `weizmann` holds links to the training clips alone, the held-out ones as its test split.

    Raises `InvalidInput` where there are no clips, and for what was prepared: some of its arrays are no data set.
    """
    if is_prepared(data / "weizmann"):
        raise InvalidInput(
            f"{data / 'weizmann'} was made by 'vidode datasets prepare'; expected the strips as their owners distribute"
            " them, in train/"
        )
    clips = sorted((data / "weizmann" / "train").glob("*"))
    if len(clips) < EACH:
        raise InvalidInput(f"{data / 'weizmann' / 'train'} holds {len(clips)} clips; expected at least {EACH}")
    for place, clip in enumerate(clips, 1):
        link = folder / "weizmann" / ("train" if place % EACH else "test") / clip.name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(clip.resolve())
    return folder


def scores(job: Job, scale: Scale, places: Places, optimiser: dict[str, Any]) -> dict[str, float]:
    """PSNR of a job under each protocol, trained with these fields in place of the model's own."""
    config = training_of(job, scale, places)
    name = f"{job.run_name}-{'brief' if optimiser else 'own'}"
    saved = train(replace(config, optimiser=optimiser), places.runs / name)
    return _measured(str(saved), job.task, places)


def _measured(model: str, task: Task, places: Places) -> dict[str, float]:
    data = SMALL.data["actions"][0]
    found = measure(load(model), data.open("test", places.data, None), data.schemes[task])
    return {protocol: found.row(protocol).scores.psnr for protocol in PROTOCOLS}


def jobs() -> list[Job]:
    """Every model once, from the first seed."""
    scale = replace(SMALL, seeds=SMALL.seeds[:1])
    made = [job for task, names in MODELS for job in trained(names, task, scale, "actions")]
    return made + ours("interpolation", scale, "actions")[:1]


def main(
    *,
    data: Path,
    out: Path,
    runs: Path = Path("runs/optimisers"),
    steps: Annotated[int, Parameter(converter=whole)] = STEPS,
) -> None:
    """Train, measure, and write JSON and Markdown. runs: for the trainings, which resume."""
    require_writable(out / "optimisers.json")
    places = Places(out, runs, development(data, runs / "data"))
    scale = replace(SMALL, steps=steps)
    lines = []
    for job in jobs():
        log.info("%s", job.run_name)
        own, brief = scores(job, scale, places, {}), scores(job, scale, places, dict(BRIEF))
        lines.append({"model": job.title, "task": job.task, "own": own, "brief": brief})
    lines += [{"model": name, "task": task, "floor": _measured(name, task, places)} for name, task in FLOORS]
    command = command_line(["python", "-m", "vidode.experiments.optimisers", "--data", str(data), "--out", str(out)])
    facts = {"steps": steps, "seed": 0, "brief": dict(BRIEF), "held_out_each": EACH, "lines": lines}
    write_json(out / "optimisers.json", {**provenance(command), **facts})
    write_text(out / "table.md", page(lines, command, steps))


def page(lines: list[dict[str, Any]], command: str, steps: int) -> str:
    """The table as a page."""
    cells = [[line["model"], line["task"], *_cells(line)] for line in lines]
    note = (
        f"PSNR in dB (vidode2021) on every {EACH}. training clip of Weizmann, held out; 32x32, {steps} updates, seed 0."
        " Own: the model's own paper's optimiser and schedule. Brief: Adam with betas 0.9 and 0.99, 0.002, half a"
        " cosine, norm clipped at 1, for every model."
    )
    head = ["model", "task", "own", "brief", "brief - own"]
    return f"# Optimisers of the small scale\n\n`{command}`\n\n{note}\n\n{grid(head, cells)}"


def _cells(line: dict[str, Any]) -> list[str]:
    if "floor" in line:
        return [f"{line['floor']['vidode2021']:.2f}", "", "floor"]
    own, brief = line["own"]["vidode2021"], line["brief"]["vidode2021"]
    return [f"{own:.2f}", f"{brief:.2f}", f"{brief - own:+.2f}"]


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run_module("vidode.experiments.optimisers", main)
