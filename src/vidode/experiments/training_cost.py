"""What an update of each model costs: seconds and memory, at the paper's size or another scale's.

    python -m vidode.experiments.training_cost --scale paper --out results/training_cost

Each model takes a few updates on generated scenes, at the scale's width, size and batch, in a process of its own, since
the most memory that a process had is not forgotten. Time it on a quiet machine; the ratio to Vid-ODE says most. Each
model is a file, so that a run that was interrupted goes on; remove the files to measure again.
"""

from __future__ import annotations

import csv
import json
import logging
import resource
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch

from vidode import checkpoints
from vidode.clip import InvalidInput
from vidode.experiments.reproduction.jobs import Job, Places, training_of
from vidode.experiments.reproduction.scales import SCENES, Scale, scale_named
from vidode.models import TASKS, Task, model_class, names
from vidode.program import run_module
from vidode.provenance import command_line, provenance, require_writable, write_json, write_text
from vidode.tables import grid
from vidode.training import Choice, RunConfig, train

log = logging.getLogger(__name__)

UPDATES = 4
"""Taken; the first, which warms up, is not counted."""
BESIDE = "vid_ode"
"""The model that others are compared with."""
KIB, MIB = 2**10, 2**20


def subjects() -> list[tuple[str, Task]]:
    """Every trained model, in extrapolation where it can."""
    kinds = {name: model_class(name) for name in names()}
    last: Task = "extrapolation"
    return [(name, last if last in kind.tasks else TASKS[0]) for name, kind in kinds.items() if kind.trainable]


def cost(name: str, task: Task, scale: Scale) -> dict[str, Any]:
    """Seconds of an update, the most memory in MiB (of the accelerator, or resident), and parameters."""
    data = scale.data["actions"][0]
    with TemporaryDirectory() as folder:
        place = Path(folder)
        config = training_of(Job(name, task, data), replace(scale, steps=UPDATES), Places(place, place))
        scenes = Choice("moving_scenes", {**SCENES, "size": list(data.size), "frames": 20})
        config = replace(config, data=scenes, run=RunConfig(log_every=1, checkpoint_every=0))
        card = checkpoints.describe(train(config, place / "run")).card
        with (place / "run" / "metrics.csv").open(newline="") as file:
            times = [float(row["seconds"]) for row in csv.DictReader(file)]
    seconds = median(after - before for before, after in pairwise(times))
    return {"seconds": seconds, "memory": _most_memory(), "parameters": card["parameters"]}


def _most_memory() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / MIB
    # In KiB, but on macOS, which counts bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (MIB if sys.platform == "darwin" else KIB)


def one(name: str, task: str, scale: str) -> None:
    """Print the cost of one model as JSON; for the processes that `main` starts."""
    sys.stdout.write(json.dumps(cost(name, cast(Task, task), scale_named(scale))) + "\n")


def main(*, scale: str, out: Path) -> None:
    """Measure what is missing, and write the table."""
    scale_named(scale)
    require_writable(out / scale / "row.json")
    command = command_line(["python", "-m", "vidode.experiments.training_cost", "--scale", scale, "--out", str(out)])
    lines = []
    for name, task in subjects():
        path = out / scale / f"{name}.json"
        if not path.is_file():
            log.info("%s", name)
            write_json(path, {**provenance(command), **measured(name, task, scale)})
        lines.append(json.loads(path.read_text()))
    write_text(out / f"{scale}.md", page(lines, command, scale_named(scale)))


def measured(name: str, task: Task, scale: str) -> dict[str, Any]:
    """What `cost` says in a process of its own. Raises `InvalidInput` with its last line where it fails."""
    words = [sys.executable, "-m", "vidode.experiments.training_cost", "one", name, task, scale]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1].removeprefix("vidode: ")
        raise InvalidInput(f"{name} could not be trained: {reason}")
    facts = {"model": name, "task": task, "updates": UPDATES}
    return {**facts, **json.loads(done.stdout.splitlines()[-1])}


def page(lines: list[dict[str, Any]], command: str, scale: Scale) -> str:
    """The table as a page, the hours being those of the scale's first data set."""
    data = scale.data["actions"][0]
    steps, (base,) = scale.steps_on(data), [line["seconds"] for line in lines if line["model"] == BESIDE]
    cells = [
        [
            line["model"],
            f"{line['parameters']:,}",
            f"{line['seconds']:.2f}",
            f"{line['seconds'] / base:.2f}",
            f"{line['seconds'] * steps / 3600:.1f}",
            f"{line['memory']:,.0f}",
        ]
        for line in lines
    ]
    note = (
        f"{data.size[0]}x{data.size[1]}, batches of {scale.batch_size}, {scale.width:g} of the paper's width; hours are"
        f" those of {steps:,} updates, which is the scale's training on {data.label}. Memory is the most that the"
        " process held, Python and PyTorch (about 400 MiB) included, or what was allocated on an accelerator. We"
        " have no number of the paper's for hours or memory, so that nothing is judged here."
    )
    head = ["model", "parameters", "seconds an update", f"times {BESIDE}", "hours", "memory, MiB"]
    return f"# Cost of training, scale {scale.name}\n\n`{command}`\n\n{note}\n\n{grid(head, cells)}"


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run_module("vidode.experiments.training_cost", main, one)
