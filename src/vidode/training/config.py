"""What a training run is: read from YAML, written beside the weights."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from vidode import datasets, models
from vidode.augmentation import Augmentation
from vidode.clip import InvalidInput
from vidode.configuration import configure, from_yaml, plain, require_at_least
from vidode.datasets import Split, VideoDataset
from vidode.models import OptimiserConfig, VideoModel
from vidode.sampling import SamplingConfig


@dataclass(frozen=True)
class Choice:
    """A name of the catalog and the options it is built with."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunConfig:
    """How the run is carried out. Changing any of it in the middle of a run leaves the examples as they are.

    device: "auto" takes an accelerator where there is one. processes: of which each has a device, or a share of the
    processor. workers: that prepare examples, per process; 0 prepares them between steps. The others count steps; 0
    turns that off. samples: pictures, from the first validation clips. keep: the newest checkpoints that stay.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    processes: int = 1
    workers: int = 0
    log_every: int = 50
    sample_every: int = 0
    checkpoint_every: int = 500
    validation_every: int = 0
    validation_clips: int = 16
    validation_split: Split = "validation"
    keep: int = 2

    def __post_init__(self) -> None:
        turned_off = ("workers", "log_every", "sample_every", "checkpoint_every", "validation_every")
        require_at_least(self, processes=1, **dict.fromkeys(turned_off, 0), validation_clips=0, keep=1)


@dataclass(frozen=True)
class TrainingConfig:
    """What is trained on what, and how.

    augmentation: of whole windows, none without it. degrade: what is observed is noisy and coded as the data set
    describes; what is asked stays clean, and validation too. flow: examples carry the true flow, where the data knows
    it, for models that learn from it; not with augmentation, which moves pixels. optimiser: fields of
    `OptimiserConfig` that differ from the model's own. batch_size: clips a step, over all processes together.
    steps_per_epoch: that learning rates which fall by the epoch count; by default those that show every clip once.
    average: decay of the moving average of the weights, such as 0.999; the average is what is saved as the model.
    half: save the model as float16. precision "bfloat16" is mixed: weights and losses stay float32.
    """

    model: Choice
    data: Choice
    steps: int
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    augmentation: Augmentation | None = None
    degrade: bool = False
    flow: bool = False
    optimiser: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 8
    steps_per_epoch: int | None = None
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    average: float | None = None
    half: bool = False
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        for name, value in (("steps", self.steps), ("batch_size", self.batch_size)):
            if value < 1:
                raise InvalidInput(f"{name} is {value}; expected at least 1")
        if self.flow and self.augmentation is not None:
            raise InvalidInput(
                "flow is true with augmentation; expected one of them: the true flow is of unmoved pixels"
            )
        if not -(2**63) <= self.seed < 2**63:
            raise InvalidInput(f"seed is {self.seed}; expected a number of 64 bits")
        if self.steps_per_epoch is not None and self.steps_per_epoch < 1:
            raise InvalidInput(f"steps_per_epoch is {self.steps_per_epoch}; expected at least 1")
        if self.average is not None and not 0 < self.average < 1:
            raise InvalidInput(f"average is {self.average}; expected a decay between 0 and 1, such as 0.999")
        if self.batch_size % self.run.processes:
            raise InvalidInput(
                f"batch_size is {self.batch_size} with {self.run.processes} processes; expected a multiple of them"
            )

    def build_model(self) -> VideoModel:
        """The model with random weights. Raises `InvalidInput` where it cannot learn what is sampled."""
        model = models.build(self.model.name, **self.model.options)
        if not model.trainable:
            raise InvalidInput(f"{self.model.name} has nothing to learn; choose another model to train")
        for task in self.sampling.tasks:
            models.require_task(model, task)
        return model

    def open_data(self, split: Split) -> VideoDataset:
        """The data set in a split."""
        return datasets.open_dataset(self.data.name, split, **self.data.options)

    def resolved(self) -> TrainingConfig:
        """The same training, with every option of the model, the data and the optimiser written out.

        Raises `InvalidInput` as `build_model` and `optimiser_of`, and for an unknown data set or option of it.
        """
        model, data = models.config_class(self.model.name), datasets.config_class(self.data.name)
        return replace(
            self,
            model=_written_out(self.model, model, "model"),
            data=_written_out(self.data, data, "data set"),
            optimiser=plain(self.optimiser_of(self.build_model())),
        )

    def optimiser_of(self, model: VideoModel) -> OptimiserConfig:
        """The model's own optimiser with the fields that differ. Raises `InvalidInput` for what cannot be stepped."""
        return configure(OptimiserConfig, {**plain(model.optimiser), **self.optimiser}, "optimiser")


def read_config(path: str | Path) -> TrainingConfig:
    """A training configuration from a YAML file.

    Raises `InvalidInput` for a missing file, what is not YAML, and unknown or missing keys, with the closest name.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidInput(f"no configuration file {path}; expected a YAML file such as those in configs/")
    try:
        text = path.read_text()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not YAML: {error}") from error
    values = from_yaml(text, str(path))
    if not isinstance(values, dict):
        raise InvalidInput(f"{path} holds {type(values).__name__}; expected keys with values, such as steps: 1000")
    return config_from(values, str(path))


def config_from(values: dict[str, Any], owner: str = "training configuration") -> TrainingConfig:
    """A training configuration from plain values, as YAML gives them. Raises `InvalidInput` as `read_config`.

    Where the sampling does not say whether it is supervised, it is as the model's paper has it.
    """
    missing = [key for key in ("model", "data", "steps") if key not in values]
    if missing:
        raise InvalidInput(f"{owner} has no {' and no '.join(missing)}; expected model, data and steps")
    for key in ("model", "data"):
        if isinstance(values[key], str):
            values = {**values, key: {"name": values[key]}}
        elif not isinstance(values[key], dict) or "name" not in values[key]:
            raise InvalidInput(f"{owner}, {key} is {values[key]!r}; expected a name, or a name and options")
    sampling = values.get("sampling", {})
    if isinstance(sampling, dict) and isinstance(name := values["model"]["name"], str):
        values = {**values, "sampling": {"supervised": models.model_class(name).supervised, **sampling}}
    return configure(TrainingConfig, values, owner)


def _written_out(choice: Choice, config: type[Any], what: str) -> Choice:
    return Choice(choice.name, plain(configure(config, choice.options, f"{what} {choice.name}")))


def as_yaml(config: TrainingConfig) -> str:
    """The inverse of `read_config`."""
    return yaml.safe_dump(plain(config), sort_keys=False)


def other_than(old: TrainingConfig, new: TrainingConfig) -> str | None:
    """Why a run that began as `old` cannot go on as `new`: the first option that differs, and both of its values.

    None where it can: the same, longer or carried out in another way, whether options are written out or left at their
    defaults.
    """
    old = replace(old, run=new.run, steps=new.steps)
    return None if old == new else _difference(plain(old.resolved()), plain(new.resolved()))


def _difference(old: Any, new: Any, name: str = "") -> str | None:
    """The first place at which two nested dictionaries of the same keys differ, or of others as a whole."""
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        inner = (_difference(old[key], new[key], f"{name}.{key}".removeprefix(".")) for key in old)
        return next((found for found in inner if found is not None), None)
    return None if old == new else f"{name} {old!r}, not {new!r}"
