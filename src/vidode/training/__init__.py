"""Training: one loop for every model, which it knows by its contract alone.

    config = read_config("configs/bouncing_balls_vid_ode.yaml")
    model = vidode.load(train(config, "runs/balls"))

A run is a folder: config.yaml, checkpoints/, metrics.csv, tensorboard/, samples/, and at the end model/, which
`vidode.load` reads. A run that was stopped in any way goes on when it is started again, and on the processor ends
with the same weights, bit for bit, as one that was not stopped.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from vidode import checkpoints
from vidode.clip import InvalidInput
from vidode.configuration import plain
from vidode.datasets import VideoDataset
from vidode.models import Example, parameter_count, require_channels
from vidode.provenance import provenance
from vidode.sampling import generator_for
from vidode.training.config import Choice, RunConfig, TrainingConfig, as_yaml, config_from, read_config
from vidode.training.examples import Steps, Stream, steps_per_epoch, validation_examples
from vidode.training.folder import CHECKPOINTS, MODEL, claim, claimed, require_ours
from vidode.training.journal import CsvLog, Journal, NotFinite
from vidode.training.learner import Learner
from vidode.training.progress import Bar
from vidode.training.resume import Interrupted, Keeper, Request, WholeFiles, ending_cleanly, newest

__all__ = [
    "Choice",
    "Interrupted",
    "NotFinite",
    "RunConfig",
    "TrainingConfig",
    "as_yaml",
    "config_from",
    "read_config",
    "train",
]


def train(config: TrainingConfig, folder: str | Path, facts: Mapping[str, Any] | None = None) -> Path:
    """Train, or go on training, in a folder; the folder of the saved model.

    facts: more to record in the model's card; the command, the commit and the versions are there already.

    Raises `InvalidInput` for a configuration that cannot be trained or differs from that of the run in the folder, for
    a folder of something else or with another process in it, and for a finished run whose model is damaged; nothing is
    left of a run whose model cannot be built or whose first example cannot be drawn. Raises `Interrupted` after Ctrl-C,
    with a checkpoint or the model saved, and `NotFinite` where the loss stops being a number.
    """
    folder = Path(folder)
    require_ours(folder, config)
    result = folder / MODEL
    if result.is_dir() and newest(folder / CHECKPOINTS).step >= config.steps:
        _require_whole(result)
        return result
    _require_devices(config)
    with claimed(folder):
        require_ours(folder, config)  # as another run may have been here since
        return _train(config, folder, facts or {})


def _train(config: TrainingConfig, folder: Path, facts: Mapping[str, Any]) -> Path:
    """What `train` does in a folder that nobody else is at."""
    result = folder / MODEL
    data = config.open_data("train")
    learner = Learner(config, steps_per_epoch(data, config))
    place = newest(folder / CHECKPOINTS, learner)
    _require_fit(learner, data)
    _require_examples(data, config, place.step)
    journal, request = Journal(folder, _validation(config)), Request()
    table = CsvLog(folder / "metrics.csv", place.step)
    claim(folder, config)
    callbacks = [journal, Bar(), Keeper(folder / CHECKPOINTS, request, place)]
    with _quiet(), _one_line(), _deterministic(config), ending_cleanly(request):
        trainer = _trainer(config, folder, [table, _tensorboard(folder, place.step)], callbacks)
        trainer.fit(learner, datamodule=Stream(data, config, place.step), ckpt_path=place.path, weights_only=True)
    if learner.done < config.steps:
        raise Interrupted(
            f"stopped at step {learner.done} of {config.steps}, saved in {folder}; start it again to go on from there"
        )
    if trainer.is_global_zero:
        checkpoints.save(learner.result, result, config.model.name, _card(learner, journal, facts), config.half)
    if request.stop:  # in the last step: whoever called would go on to the next piece of work
        raise Interrupted(f"stopped at the last of {config.steps} steps; the training is done, its model is {result}")
    return result


def _require_whole(result: Path) -> None:
    """Raise `InvalidInput` where the model of a finished run cannot be read: the run alone can give it again."""
    try:
        checkpoints.load(result)
    except InvalidInput as error:
        reason = str(error).partition(";")[0]
        raise InvalidInput(f"{reason}; remove the folder {result} and train again") from error


def _require_fit(learner: Learner, data: VideoDataset) -> None:
    """Raise `InvalidInput` where the model takes other frames than the data has; one of them is read."""
    frame = data.window(0, 1, generator_for(learner.config.seed))
    require_channels(learner.model, frame, learner.config.data.name)


def _require_examples(data: VideoDataset, config: TrainingConfig, step: int) -> None:
    """Raise `InvalidInput` where the data cannot give what is sampled; a first example of each task is drawn."""
    steps = Steps(data, config)
    for task in config.sampling.tasks:
        steps.example(step, task)


def _require_devices(config: TrainingConfig) -> None:
    """Raise `InvalidInput` where there are fewer accelerators than processes that need one each."""
    found, needed = torch.cuda.device_count(), config.run.processes
    if _accelerator(config) == "cuda" and found < needed:
        raise InvalidInput(
            f"device is {config.run.device!r} with processes {needed}; {found} found: use cpu, or fewer processes"
        )


def _validation(config: TrainingConfig) -> list[Example]:
    if not config.run.validation_every and not config.run.sample_every:
        return []
    return validation_examples(config.open_data(config.run.validation_split), config)


def _trainer(
    config: TrainingConfig, folder: Path, loggers: list[Logger], callbacks: list[lightning.Callback]
) -> lightning.Trainer:
    # What comes with Lightning for checkpoints, progress and validation counts in epochs; here a step is the measure.
    return lightning.Trainer(
        accelerator=_accelerator(config),
        devices=config.run.processes,
        strategy=_strategy(config),
        precision="bf16-mixed" if config.precision == "bfloat16" else "32-true",
        max_epochs=1,
        callbacks=callbacks,
        logger=loggers,
        log_every_n_steps=max(1, config.run.log_every),
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        plugins=[WholeFiles()],
        limit_val_batches=0,
    )


def _accelerator(config: TrainingConfig) -> str:
    if config.run.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return config.run.device


def _strategy(config: TrainingConfig) -> DDPStrategy | str:
    if config.run.processes == 1:
        return "auto"
    backend = "nccl" if _accelerator(config) == "cuda" else "gloo"
    # The critics' pass uses none of the model's weights and the model's pass none of the critics'.
    return DDPStrategy(find_unused_parameters=True, process_group_backend=backend)


def _tensorboard(folder: Path, start: int) -> TensorBoardLogger:
    purge: dict[str, Any] = {"purge_step": start + 1} if start else {}
    return TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False, **purge)


def _card(learner: Learner, journal: Journal, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "training": plain(learner.config),
        "steps": learner.done,
        "seconds": round(journal.seconds, 3),
        "scores": journal.scores,
        "parameters": parameter_count(learner.model),
        **provenance(),
        **facts,
    }


@contextmanager
def _deterministic(config: TrainingConfig) -> Iterator[None]:
    """On the processor, gradients of what several rows share are summed in one order, whatever the threads do."""
    memory: Any = torch.utils.deterministic
    before, filled = torch.are_deterministic_algorithms_enabled(), memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(before or _accelerator(config) == "cpu", warn_only=True)
    memory.fill_uninitialized_memory = False  # for finding errors; a twentieth of the time
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = filled


@contextmanager
def _one_line() -> Iterator[None]:
    """A loader's worker hands an error on inside its whole traceback, whose last line is the message."""
    try:
        yield
    except InvalidInput as error:
        last = str(error).strip().splitlines()[-1]
        raise InvalidInput(last.removeprefix(f"{InvalidInput.__module__}.{InvalidInput.__qualname__}: ")) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's remarks on hardware, its advice on loaders, and what it has yet to change in itself."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            warnings.filterwarnings("ignore", message="Total length of .* across ranks is zero")
            for kind in (FutureWarning, DeprecationWarning):
                warnings.filterwarnings("ignore", category=kind, module=r"lightning\.")
            yield
    finally:
        logger.setLevel(level)
