"""What a run leaves to read: numbers in metrics.csv and TensorBoard, and pictures."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from vidode.clip import InvalidInput, NumericalError
from vidode.models import Example
from vidode.provenance import write_text
from vidode.training.learner import Learner
from vidode.training.pictures import write_picture


class NotFinite(NumericalError):
    """A loss or a weight that is no number any more. The message says where and what to do."""


class CsvLog(Logger):
    """A table with a row for each step that is logged. A resumed run goes on below the rows up to its start.

    Nothing is written before the first row. Raises `InvalidInput` for a file that is no such table.
    """

    def __init__(self, path: Path, start: int) -> None:
        super().__init__()
        self.path = path
        self.rows = _rows_until(path, start) if path.exists() else []
        self.columns = list(dict.fromkeys(["step", *(key for row in self.rows for key in row)]))
        self.begun = False

    @property
    def name(self) -> str:
        """Of the file."""
        return self.path.name

    @property
    def version(self) -> str:
        """There is one."""
        return ""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """They are in config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row; a column that is new rewrites the table."""
        row = {"step": str(step)} | {key: f"{value:.8g}" for key, value in metrics.items()}
        self.rows.append(row)
        new = [key for key in row if key not in self.columns]
        if new or not self.begun:
            self.columns += new
            self._write_all()
            self.begun = True
            return
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns, restval="").writerow(row)

    def _write_all(self) -> None:
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, self.columns, restval="")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, table.getvalue())


def _rows_until(path: Path, step: int) -> list[dict[str, str]]:
    """The rows of a table up to a step. Raises `InvalidInput` where it is none of ours or is damaged."""
    try:
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file, strict=True) if int(row["step"]) <= step]
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise _no_log(path) from error
    if any(None in row for row in rows):  # more values than columns
        raise _no_log(path)
    return rows


def _no_log(path: Path) -> InvalidInput:
    return InvalidInput(f"{path} is damaged or not the log of a training; remove it, or choose another folder")


class Journal(lightning.Callback):
    """Means of the terms between rows, validation, and pictures. Nothing waits for the device between rows."""

    def __init__(self, folder: Path, validation: list[Example]) -> None:
        self.folder = folder
        self.validation = validation
        self.sums: dict[str, Tensor | float] = {}
        self.counts: dict[str, int] = {}
        self.seconds = 0.0
        self.scores: dict[str, float] = {}
        self._clock = time.perf_counter()
        self._since = (0, 0.0)

    def state_dict(self) -> dict[str, Any]:
        """Kept in the checkpoint, so that the row after a resume is the mean of all its steps."""
        self._tick()
        sums = {name: float(value) for name, value in self.sums.items()}
        return {"sums": sums, "counts": dict(self.counts), "seconds": self.seconds, "scores": dict(self.scores)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.sums, self.counts = dict(state_dict["sums"]), dict(state_dict["counts"])
        self.seconds, self.scores = state_dict["seconds"], dict(state_dict["scores"])

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Time counts from here."""
        self._clock = time.perf_counter()
        self._since = (_learner(pl_module).done, self.seconds)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, *unused: Any
    ) -> None:
        """Add up; where something is due, write it."""
        learner = _learner(pl_module)
        for name, value in outputs.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.detach()
            self.counts[name] = self.counts.get(name, 0) + 1
        run, last = learner.config.run, learner.done == learner.config.steps
        row = self._means(learner) if last or _due(learner.done, run.log_every) else {}
        if trainer.is_global_zero:
            if run.validation_every and (last or _due(learner.done, run.validation_every)):
                self.scores = validate(learner, self.validation)
                row |= self.scores
            if _due(learner.done, run.sample_every):
                self._picture(learner)
        if row:
            for logger in trainer.loggers:
                logger.log_metrics(row, learner.done)

    def _means(self, learner: Learner) -> dict[str, float]:
        self._tick()
        means = {name: float(value) / self.counts[name] for name, value in self.sums.items()}
        require_finite(means, learner.done)
        steps, seconds = learner.done - self._since[0], self.seconds - self._since[1]
        self.sums, self.counts, self._since = {}, {}, (learner.done, self.seconds)
        return means | {
            "epoch": (learner.done - 1) // learner.steps_per_epoch,
            "learning_rate": learner.learning_rate(learner.done - 1),
            "seconds": self.seconds,
            "steps_per_second": steps / max(seconds, 1e-9),
        }

    def _tick(self) -> None:
        now = time.perf_counter()
        self.seconds += now - self._clock
        self._clock = now

    def _picture(self, learner: Learner) -> None:
        folder = self.folder / "samples"
        folder.mkdir(exist_ok=True)
        firsts = {example.task: example for example in reversed(self.validation)}
        for task, example in firsts.items():
            frames = learner.predict(example).cpu()
            write_picture(folder / f"{task}-{learner.done:08d}.png", example, frames)


def validate(learner: Learner, examples: list[Example]) -> dict[str, float]:
    """PSNR in dB of the mean squared error over all clips, for each task."""
    squares: dict[str, list[float]] = {}
    for example in examples:
        error = (learner.predict(example).cpu() - example.target).double().square()
        squares.setdefault(example.task, []).extend(error.mean(dim=(1, 2, 3, 4)).tolist())
    return {
        f"validation_{task}_psnr": -10 * math.log10(max(sum(errors) / len(errors), 1e-12))
        for task, errors in squares.items()
    }


def require_finite(values: Mapping[str, float], step: int) -> None:
    """Raise `NotFinite` naming the first value that is not."""
    for name, value in values.items():
        if not math.isfinite(value):
            raise NotFinite(
                f"{name} is {value} at or shortly before step {step}; lower the learning rate or set"
                " clip_norm (optimiser), and resume from the last checkpoint"
            )


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _learner(module: lightning.LightningModule) -> Learner:
    assert isinstance(module, Learner)
    return module
