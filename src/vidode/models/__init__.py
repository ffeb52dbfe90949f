"""The contract of a model, and the catalog of models.

A model is one file in this folder, named after it, that defines one concrete `VideoModel` and its configuration.
The catalog is the folder: a new file is a new name on the command line, in the tests and in the tables.
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, get_type_hints

from torch import Tensor, nn

from vidode import losses
from vidode.clip import Batch, Clip, InvalidInput
from vidode.configuration import catalog, configure, member, require_at_least
from vidode.windows import Windows

Task = Literal["interpolation", "extrapolation"]
TASKS: tuple[Task, ...] = ("interpolation", "extrapolation")


@dataclass(frozen=True)
class Prediction:
    """What a model answers: frames (B, K, C, H, W) in [0, 1], not clamped, and the parts they are made of.

    flow: (B, K, F, 2, H, W) pixels, x then y, one field for each of the F frames that are warped.
    mask: (B, K, 1, H, W) in [0, 1]. difference: (B, K, C, H, W). warped: (B, K, F, C, H, W).
    latent: (B, K, D, h, w). drafts: coarser frames with their flow in pixels of the full size, which a coarse-to-fine
    model learns from; only while training. A part that the model does not have is None.
    """

    frames: Tensor
    flow: Tensor | None = None
    mask: Tensor | None = None
    difference: Tensor | None = None
    warped: Tensor | None = None
    latent: Tensor | None = None
    drafts: list[Prediction] | None = None


@dataclass(frozen=True)
class Example:
    """A batch to learn from: what is observed, which times are asked, and the true frames there.

    query: (B, K) float64. target: (B, K, C, H, W) in [0, 1]. task: which of the two the queries are. flow: where
    the data knows it, (B, K, 2, 2, h, w) pixels of the target, x then y, at h and w at most its size: from each query
    to the observed frame before it and to the one after it; beyond the end, to the last and to the one before that.
    """

    observed: Batch
    query: Tensor
    target: Tensor
    task: Task
    flow: Tensor | None = None

    def to(self, *args: Any, **kwargs: Any) -> Example:
        """Move to a device."""
        observed, query = self.observed.to(*args, **kwargs), self.query.to(*args, **kwargs)
        flow = None if self.flow is None else self.flow.to(*args, **kwargs)
        return Example(observed, query, self.target.to(*args, **kwargs), self.task, flow)


@dataclass(frozen=True)
class OptimiserConfig:
    """How the weights are stepped, and what the learning rate is multiplied by on the way.

    "decay": by `decay` at the start of every `every` steps, the first ones included, and never below `floor` in all;
    without `every`, of every epoch (the released Vid-ODE; its paper has no floor).
    "cosine": from 1 to `floor` along half a wave over the whole run, after `warmup` steps.
    "steps": by the factor of the last of `milestones` (share of the run, factor) that was reached; by 1 before.
    "linear": by 1 for the share `hold` of the run, then along a line to `floor` at its end.
    """

    name: Literal["adamax", "adam", "adamw"] = "adamax"
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: Literal["decay", "cosine", "steps", "linear"] = "decay"
    decay: float = 0.99
    every: int | None = None
    floor: float = 0.1
    warmup: int = 0
    milestones: tuple[tuple[float, float], ...] = ()
    hold: float = 0.0
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise InvalidInput(f"learning_rate is {self.learning_rate}; expected a positive number, such as 0.001")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise InvalidInput(f"betas are {self.betas}; expected two numbers from 0 to below 1, such as 0.9 and 0.999")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise InvalidInput(f"clip_norm is {self.clip_norm}; expected a positive number, or none to clip nothing")
        require_at_least(self, weight_decay=0, decay=0, floor=0, warmup=0)
        if self.every is not None and self.every < 1:
            raise InvalidInput(f"every is {self.every}; expected at least 1 step")
        shares = [share for share, _ in self.milestones]
        if shares != sorted(shares) or not all(0 <= share <= 1 for share in (*shares, self.hold)):
            raise InvalidInput(
                f"milestones are {self.milestones} and hold is {self.hold}; expected shares of the run in order, 0 to 1"
            )
        if not all(factor >= 0 for _, factor in self.milestones):
            raise InvalidInput(f"milestones are {self.milestones}; expected factors of at least 0")


@dataclass(frozen=True)
class Progress:
    """How far a training run is. step: from zero, of `steps`. epoch: from zero."""

    step: int = 0
    steps: int = 1
    epoch: int = 0

    @property
    def share(self) -> float:
        """Of the run that is over, from 0 to 1."""
        return self.step / self.steps


class Objective(nn.Module, ABC):
    """What a model is trained for. Critics, if any, are its submodules and have an optimiser of their own.

    progress: how far the run is, for terms and schedules that change on the way; the loop keeps it up to date.
    """

    progress: Progress = Progress()

    def answer(self, model: VideoModel, example: Example) -> Prediction:
        """What the terms are about: the model's answer, unless it is trained on something else than it is used for."""
        return model(example.observed, example.query)  # type: ignore[no-any-return]

    @abstractmethod
    def model_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The named, already weighted terms whose sum the model minimises."""

    def critic_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The named, weighted terms whose sum the critics minimise; empty without critics. Detaches the prediction."""
        return {}

    def readings(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """Named numbers that are journaled beside the terms and that nothing is minimised by.

        Such as the divergence of a posterior before it is weighted. Asked for without gradients.
        """
        return {}


class ReconstructionObjective(Objective):
    """The mean absolute error of what is asked, and nothing else."""

    def model_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The term reconstruction."""
        return {"reconstruction": losses.reconstruction(prediction.frames, example.target)}


class VideoModel(nn.Module, ABC):
    """Frames at some times from frames at other times.

    A concrete class states `tasks`, `any_time` and `config`, is built from its configuration alone, and keeps the
    laws of the design unless the contract test names it as exempt.
    """

    tasks: tuple[Task, ...] = TASKS
    """What it can do; a model whose configuration decides it says so of itself once it is built."""
    trainable: ClassVar[bool] = True
    """False for a floor, which has nothing to learn."""
    any_time: bool = True
    """False for a model that gives only the next frames of a regular sequence. Where the configuration decides it, the
    model says so of itself once it is built, and its class says False."""
    function_of_time: bool = True
    """False for a model of which a frame changes with what else is asked, as of the released Vid-ODE: what is asked of
    it at once stays together. Where the configuration decides it, the model says so of itself once it is built."""
    exact: ClassVar[bool] = False
    """True for a model that takes exactly `config.neighbours` observations, no fewer and no more."""
    supervised: ClassVar[bool] = False
    """True for a model that learns interpolation from frames between the observed ones."""
    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig()
    config: Any
    """The frozen dataclass that the model is built from; `channels` of its frames, and `neighbours`, the observations
    that a query sees on each side, are among its fields."""

    @abstractmethod
    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """Frames of each clip at its own query times (B, K), in the clip's clock, in any order, with repeats."""

    @abstractmethod
    def objective(self) -> Objective:
        """A new objective with new critics."""

    @classmethod
    def sized(cls, share: float, size: tuple[int, int]) -> dict[str, Any]:
        """Options for a network of this share of the default width, on frames of height and width `size`.

        `width` is scaled where the configuration has one; a model that has other widths, or is bound to a size of
        frames, says so itself.
        """
        config = get_type_hints(cls)["config"]
        return scaled(config(), share, "width") if "width" in {known.name for known in fields(config)} else {}


def scaled(config: Any, share: float, *widths: str) -> dict[str, Any]:
    """These fields of a configuration, whole numbers, at a share of what they are; at least 1."""
    return {name: max(1, round(share * getattr(config, name))) for name in widths}


def names() -> list[str]:
    """Every model's name, in alphabetical order."""
    return catalog(sys.modules[__name__])


def model_class(name: str) -> type[VideoModel]:
    """The class of a model. Raises `InvalidInput` naming the closest name."""
    return member(sys.modules[__name__], name, VideoModel, "model")  # type: ignore[type-abstract]


def config_class(name: str) -> type[Any]:
    """The configuration dataclass of a model: the annotation of its `config`."""
    return get_type_hints(model_class(name))["config"]  # type: ignore[no-any-return]


def build(name: str, /, **configuration: Any) -> VideoModel:
    """A new model with random weights. Raises `InvalidInput` for an unknown name or option."""
    kind: Any = model_class(name)
    return kind(configure(config_class(name), configuration, f"model {name}"))  # type: ignore[no-any-return]


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Within, what is computed leaves no gradient in the module's parameters; what passes through them has one."""
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


def parameter_count(module: nn.Module) -> int:
    """How many numbers a module learns."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def model_name(model: VideoModel) -> str:
    """The name in the catalog, which is that of the file."""
    return type(model).__module__.rpartition(".")[2]


def require_task(model: VideoModel, task: Task) -> None:
    """Raise `InvalidInput`, naming models that can, where `model` cannot do `task`."""
    if task not in model.tasks:
        able = [other for other in names() if task in model_class(other).tasks and model_class(other).any_time]
        raise InvalidInput(f"{model_name(model)} cannot do {task}; use {' or '.join(able)}")


def require_channels(model: VideoModel, clip: Clip, data: str) -> None:
    """Raise `InvalidInput` where the frames of a clip have another number of channels than `model` was built for.

    data: what the clip is of. A floor takes any number.
    """
    found, expected = clip.frames.shape[1], int(model.config.channels)
    if model.trainable and found != expected:
        raise InvalidInput(
            f"{data} has frames of {_channels(found)} and {model_name(model)} takes {_channels(expected)}; give the"
            f" data set the option channels={expected} where it has one, or train a model with channels: {found}"
        )


def _channels(count: int) -> str:
    return f"{count} channel" if count == 1 else f"{count} channels"


def require_tasks(model: VideoModel, seen: Windows) -> None:
    """Raise `InvalidInput`, naming models that can, where a query asks `model` for what it cannot do."""
    inside = seen.has_right[seen.of_query]
    if not bool(inside.all()):
        require_task(model, "extrapolation")
    if bool(inside.any()):
        require_task(model, "interpolation")
