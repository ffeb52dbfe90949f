"""Stopping and going on: checkpoints that are whole, the newest that can be read, and a clean end on Ctrl-C."""

from __future__ import annotations

import io
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
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor
from torch.optim import Optimizer

from vidode.provenance import write_bytes
from vidode.training.journal import Journal, require_finite
from vidode.training.learner import Learner

log = logging.getLogger("vidode")

PATTERN = "step-*.ckpt"
UNREADABLE = (
    OSError,
    zipfile.BadZipFile,
    RuntimeError,
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
    EOFError,
    pickle.UnpicklingError,  # objects, which are never unpickled
)


class Interrupted(KeyboardInterrupt):
    """A run that was stopped by Ctrl-C. The message is one line: how it can go on, or that it was done."""


@dataclass(frozen=True)
class Place:
    """Where a run goes on from: the step and the checkpoint; step 0 without one."""

    step: int = 0
    path: Path | None = None


@dataclass
class Request:
    """Whether Ctrl-C was pressed."""

    stop: bool = False


def newest(folder: Path, learner: Learner | None = None) -> Place:
    """The newest checkpoint in a folder that can be read, and fits the learner where there is one.

    Others are named in a warning and passed over.
    """
    for path in sorted(folder.glob(PATTERN), reverse=True):
        step = _step_of(path, learner)
        if step is not None:
            return Place(step, path)
        log.warning("checkpoint %s is damaged or not one of this run; passing over it to an older one", path)
    return Place()


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint whole or not at all, beside its place; Lightning's own way is by a file in /tmp."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Raises `OSError` that names the checkpoint, with nothing left of it."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_bytes(Path(path), buffer.getbuffer())


class Keeper(lightning.Callback):
    """Writes checkpoints, and ends the run at the next step when asked to.

    start: where the run goes on from. That checkpoint and what is written from now on are known to be whole.
    """

    def __init__(self, folder: Path, request: Request, start: Place) -> None:
        self.folder = folder
        self.request = request
        self.whole = [start.path] if start.path is not None else []

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
        path = self.folder / PATTERN.replace("*", f"{step:08d}")
        trainer.save_checkpoint(path)
        self.whole = [*self.whole, path][-keep:]
        if trainer.is_global_zero and len(self.whole) == keep:
            self._remove_before(self.whole[0])

    def _remove_before(self, first: Path) -> None:
        """Only what is older than enough whole ones: a damaged file, which may have a higher number, is not counted."""
        for path in self.folder.glob(PATTERN):
            if path.name < first.name:
                path.unlink()


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


def _step_of(path: Path, learner: Learner | None) -> int | None:
    """The step of a checkpoint, None where it cannot be used. torch.load alone does not check the sums of its parts."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        step = int(path.stem.removeprefix(PATTERN.partition("*")[0]))
        known = isinstance(checkpoint, dict) and type(checkpoint["done"]) is int and checkpoint["done"] == step
        return step if known and (learner is None or _fits(checkpoint, learner)) else None
    except UNREADABLE:
        return None


def _fits(checkpoint: dict[str, Any], learner: Learner) -> bool:
    """Whether a run of the learner can go on from it, asked before anything of the learner is changed.

    Raises one of `UNREADABLE` where a part is missing or is something else.
    """
    journal = Journal(Path(), [])
    journal.load_state_dict(checkpoint["callbacks"][journal.state_key])
    optimisers, states = learner.configure_optimizers(), checkpoint["optimizer_states"]
    return (
        {"lr_schedulers", "pytorch-lightning_version"} <= checkpoint.keys()
        and _kinds(checkpoint["state_dict"]) == _kinds(learner.state_dict())
        and len(states) == len(optimisers)
        and all(map(_optimiser_fits, optimisers, states))
        and bool(optimisers[0].state)  # critics may have had nothing to learn yet, the model has
    )


def _kinds(tensors: dict[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (value.shape, value.dtype) for name, value in tensors.items()}


def _optimiser_fits(optimiser: Optimizer, state: dict[str, Any]) -> bool:
    """Whether the same is kept of each weight, in the weight's shape. The optimiser is filled."""
    optimiser.load_state_dict(state)
    return len({frozenset(kept) for kept in optimiser.state.values()}) <= 1 and all(
        value.ndim == 0 or value.shape == weight.shape
        for weight, kept in optimiser.state.items()
        for value in kept.values()
    )
