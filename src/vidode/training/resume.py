"""Stopping and going on: checkpoints that are whole, the newest that can be read, and a clean end on Ctrl-C."""

from __future__ import annotations

import logging
import pickle
import signal
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import lightning
import torch

from vidode.training.journal import require_finite
from vidode.training.learner import Learner

log = logging.getLogger("vidode")

PATTERN = "step-*.ckpt"
UNREADABLE = (
    OSError,
    zipfile.BadZipFile,
    RuntimeError,
    KeyError,
    TypeError,
    ValueError,
    EOFError,
    pickle.UnpicklingError,  # objects, which are never unpickled
)


class Interrupted(KeyboardInterrupt):
    """A run that was stopped by Ctrl-C and can go on. The message is one line that says how."""


@dataclass(frozen=True)
class Place:
    """Where a run goes on from: the step and the checkpoint; step 0 without one."""

    step: int = 0
    path: Path | None = None


@dataclass
class Request:
    """Whether Ctrl-C was pressed."""

    stop: bool = False


def newest(folder: Path) -> Place:
    """The newest checkpoint in a folder that can be read; others are named in a warning and passed over."""
    for path in sorted(folder.glob(PATTERN), reverse=True):
        step = _step_of(path)
        if step is not None:
            return Place(step, path)
        log.warning("checkpoint %s is damaged or not one of a run; passing over it to an older one", path)
    return Place()


class Keeper(lightning.Callback):
    """Writes checkpoints, each whole or not at all, and ends the run at the next step when asked to."""

    def __init__(self, folder: Path, request: Request) -> None:
        self.folder = folder
        self.request = request

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, *unused: Any
    ) -> None:
        """Save where it is due, at the end, and before stopping."""
        assert isinstance(pl_module, Learner)
        run, step = pl_module.config.run, pl_module.done
        stop = self.request.stop
        if trainer.world_size > 1:
            stop = trainer.strategy.reduce_boolean_decision(stop, all=False)
        due = run.checkpoint_every > 0 and step % run.checkpoint_every == 0
        if stop or due or step == pl_module.config.steps:
            sizes = {name: float(value.double().abs().max()) for name, value in pl_module.state_dict().items()}
            require_finite(sizes | {name: float(value) for name, value in outputs.items()}, step)
            self._save(trainer, step, run.keep)
        trainer.should_stop = stop

    def _save(self, trainer: lightning.Trainer, step: int, keep: int) -> None:
        self.folder.mkdir(exist_ok=True)
        path = self.folder / PATTERN.replace("*", f"{step:08d}")
        draft = path.with_suffix(".part")
        trainer.save_checkpoint(draft)
        if trainer.is_global_zero:
            draft.replace(path)
            for old in sorted(self.folder.glob(PATTERN))[:-keep]:
                old.unlink()


@contextmanager
def ending_cleanly(request: Request) -> Iterator[None]:
    """The first Ctrl-C asks for an end at the next step, the second one ends at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: FrameType | None) -> None:
        request.stop = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _step_of(path: Path) -> int | None:
    """The step of a checkpoint, None where it cannot be read. torch.load alone does not check the sums of its parts."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        return int(checkpoint["done"])
    except UNREADABLE:
        return None
