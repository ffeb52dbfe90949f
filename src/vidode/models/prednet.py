"""PredNet (Lotter, Kreiman and Cox, ICLR 2017): each level predicts the one below, and passes its error on.

Level l, at a 2^l-th of the size, has a target A_l, a representation R_l and an error E_l. In each step, from the top,

    R_l   = ConvLSTM_l([R_l, E_l, up(R_l+1)])              before the frame is seen

and then, from the bottom, with A_0 the frame x,

    A^_l  = ReLU(conv R_l), at level 0 at most 1           A^_0 is the prediction of x
    E_l   = [ReLU(A^_l - A_l), ReLU(A_l - A^_l)]
    A_l+1 = pool(ReLU(conv E_l))

Training has two phases, as in the released code: first the errors of the next frame, over all frames but the first,
whose prediction knows nothing; then the frames that the network goes on to from the observed ones, fed with its own
predictions. What is fed at a step is its prediction of the step *before* ("lagged", the released code), so that the
error of level 0 is the motion that was predicted, or that of the step itself ("aligned"), so that it is zero.

A grey frame is shown as three equal channels, as Vid-ODE keeps grey video, and the mean of the three predictions is
the answer. With one channel R_0 would have one, too, and behind a single ReLU that is pushed below zero nothing is ever
learned: on white balls before black it was black within fifty updates, from either seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidode.blocks.frames import pad_to_multiple
from vidode.blocks.regular import Continuation, continuation
from vidode.clip import Batch, InvalidInput
from vidode.configuration import require_at_least
from vidode.models import Example, Objective, OptimiserConfig, Prediction, Task, VideoModel

GREY = 3
"""Equal channels that a grey frame is shown as."""


@dataclass(frozen=True)
class PredNetConfig:
    """What the network is made of. Defaults are the paper's.

    neighbours: observations that it goes on from, at most. widths: channels of the levels above the frame. feedback:
    what is fed where no frame is observed. errors: weights of the levels in the first phase; the paper's "L all" is
    (1, 0.1, 0.1, 0.1). first_phase: share of the training that it lasts.
    """

    channels: int = 3
    neighbours: int = 5
    widths: tuple[int, ...] = (48, 96, 192)
    feedback: Literal["lagged", "aligned"] = "lagged"
    errors: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0)
    first_phase: float = 0.5

    def __post_init__(self) -> None:
        require_at_least(self, channels=1, neighbours=1)
        if not self.widths or min(self.widths) < 1:
            raise InvalidInput(f"widths are {self.widths}; expected a positive number for each level above the frame")
        if len(self.errors) != len(self.widths) + 1 or min(self.errors) < 0 or not any(self.errors):
            raise InvalidInput(f"errors are {self.errors}; expected {len(self.widths) + 1} weights of 0 or more")
        if not 0 <= self.first_phase <= 1:
            raise InvalidInput(f"first_phase is {self.first_phase}; expected a share of the training, 0 to 1")


@dataclass(frozen=True)
class State:
    """Of each level, from the frame up: representation and cell (B, R_l, h, w), and error (B, 2 A_l, h, w)."""

    representation: list[Tensor]
    cell: list[Tensor]
    error: list[Tensor]

    def of(self, rows: Tensor) -> State:
        """That of some clips."""
        return State(*([each[rows] for each in part] for part in vars(self).values()))

    def put(self, rows: Tensor, changed: State) -> State:
        """With that of some clips in its place."""
        parts = zip(vars(self).values(), vars(changed).values(), strict=True)
        return State(
            *([old.to(new.dtype).index_copy(0, rows, new) for old, new in zip(*pair, strict=True)] for pair in parts)
        )


@dataclass(frozen=True, kw_only=True)
class Course(Prediction):
    """A whole sequence. step_errors: (T, levels) mean error of each level after the first frame.

    distance: mean absolute error of the predicted frames after the first.
    """

    step_errors: Tensor
    distance: Tensor


def phased(first: float) -> OptimiserConfig:
    """The paper's Adam: in each phase a tenth of the learning rate after half of it. first: share of the first one."""
    milestones = ((first / 2, 0.1), (first, 1.0), ((1 + first) / 2, 0.1))
    return OptimiserConfig(name="adam", learning_rate=1e-3, schedule="steps", milestones=milestones)


class PredNet(VideoModel):
    """The next frames of a regular sequence; the module's docstring holds the equations."""

    tasks: tuple[Task, ...] = ("extrapolation",)
    any_time = False
    optimiser: ClassVar[OptimiserConfig] = phased(0.5)
    config: PredNetConfig

    def __init__(self, config: PredNetConfig) -> None:
        super().__init__()
        self.config = config
        self.optimiser = phased(config.first_phase)  # type: ignore[misc]  # that of the class is the default's
        self.levels = [GREY if config.channels == 1 else config.channels, *config.widths]
        above = [*config.widths, 0]
        self.lstm = nn.ModuleList(
            nn.Conv2d(3 * own + upper, 4 * own, 3, padding=1) for own, upper in zip(self.levels, above, strict=True)
        )
        self.prediction = nn.ModuleList(nn.Conv2d(own, own, 3, padding=1) for own in self.levels)
        self.target = nn.ModuleList(nn.Conv2d(2 * own, upper, 3, padding=1) for own, upper in pairwise(self.levels))
        # As the released code's framework does. A prediction that begins below zero learns nothing behind its ReLU.
        for layer in (*self.lstm, *self.prediction, *self.target):
            nn.init.xavier_uniform_(cast(Tensor, layer.weight))
            nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. Raises `InvalidInput` for times that are not next steps of a regular sequence."""
        going = continuation(observed, query, self.config.neighbours, "prednet")
        frames = self.shown(going.frames)
        state, last = self.start(frames), torch.zeros_like(frames[:, 0])
        for column in range(frames.shape[1]):
            rows = going.present[:, column].nonzero()[:, 0]
            if len(rows):
                told, guess = self.step(state.of(rows), frames[rows, column])
                state, last = state.put(rows, told), last.to(guess.dtype).index_copy(0, rows, guess)
        made = torch.stack(self.go_on(state, last, int(going.steps.max())), dim=1)
        return Prediction(going.of_query(self.answered(made, going)))

    def objective(self) -> Objective:
        """The errors of the next frame, then those of the frames after the observed ones."""
        return PredNetObjective(self.config)

    @classmethod
    def sized(cls, share: float, size: tuple[int, int]) -> dict[str, Any]:
        """See `VideoModel.sized`."""
        return {"widths": [max(1, round(share * width)) for width in PredNetConfig().widths]}

    def start(self, frames: Tensor) -> State:
        """The state before anything is seen, for frames (B, T, C, H, W) whose sides divide: zero."""
        sizes = [(frames.shape[-2] >> level, frames.shape[-1] >> level) for level in range(len(self.levels))]
        zeros = [frames.new_zeros(len(frames), own, *size) for own, size in zip(self.levels, sizes, strict=True)]
        return State(zeros, list(zeros), [torch.cat([zero, zero], dim=1) for zero in zeros])

    def step(self, state: State, frame: Tensor) -> tuple[State, Tensor]:
        """The state after a frame (B, C, H, W), and what was predicted of it."""
        state = self.look_down(state)
        guess = self.guess(state, 0)
        return self.look_up(state, guess, frame), guess

    def go_on(self, state: State, last: Tensor, count: int) -> list[Tensor]:
        """The next `count` frames, each (B, C, H, W). last: what was predicted of the last observed frame."""
        made: list[Tensor] = []
        for _ in range(count):
            state = self.look_down(state)
            guess = self.guess(state, 0)
            fed = guess if self.config.feedback == "aligned" else [last, *made][-1]
            state = self.look_up(state, guess, fed)
            made.append(guess)
        return made

    def look_down(self, state: State) -> State:
        """Representations and cells, from the top down."""
        representation, cell = list(state.representation), list(state.cell)
        for level in reversed(range(len(self.levels))):
            inputs = [state.representation[level], state.error[level]]
            if level + 1 < len(self.levels):
                inputs.append(F.interpolate(representation[level + 1], scale_factor=2.0, mode="nearest"))
            i, f, o, g = self.lstm[level](torch.cat(inputs, dim=1)).float().chunk(4, dim=1)
            cell[level] = hard_sigmoid(f) * cell[level] + hard_sigmoid(i) * torch.tanh(g)
            representation[level] = hard_sigmoid(o) * torch.tanh(cell[level])
        return State(representation, cell, state.error)

    def guess(self, state: State, level: int) -> Tensor:
        """A^ of a level."""
        guess = F.relu(self.prediction[level](state.representation[level]).float())
        return guess.clamp(max=1) if level == 0 else guess

    def look_up(self, state: State, guess: Tensor, frame: Tensor) -> State:
        """Errors, from the bottom up, of what was guessed of a frame."""
        target, error = frame, []
        for level in range(len(self.levels)):
            guess = guess if level == 0 else self.guess(state, level)
            error.append(torch.cat([F.relu(guess - target), F.relu(target - guess)], dim=1))
            if level + 1 < len(self.levels):
                target = F.max_pool2d(F.relu(self.target[level](error[-1]).float()), 2)
        return State(state.representation, state.cell, error)

    def shown(self, frames: Tensor) -> Tensor:
        """What the network sees of frames (B, T, C, H, W): in its channels, padded to sides that divide."""
        flat = pad_to_multiple(frames.flatten(0, 1), 2 ** len(self.config.widths))
        return flat.expand(-1, self.levels[0], -1, -1).reshape(*frames.shape[:2], -1, *flat.shape[-2:])

    def answered(self, made: Tensor, going: Continuation) -> Tensor:
        """The inverse for what it predicts (B, K, ...): cropped, in the channels of the frames."""
        made = made[..., : going.frames.shape[-2], : going.frames.shape[-1]]
        return made.mean(dim=2, keepdim=True) if self.config.channels == 1 else made


class PredNetObjective(Objective):
    """First the mean error of the levels, then the distance of the frames; see the module."""

    def __init__(self, config: PredNetConfig) -> None:
        super().__init__()
        self.config = config

    def answer(self, model: VideoModel, example: Example) -> Prediction:
        """The course over what is observed and asked, as one sequence.

        Raises `InvalidInput` where the queries are not the next frames one after the other, and for clips of different
        lengths.
        """
        assert isinstance(model, PredNet)
        going = continuation(example.observed, example.query, self.config.neighbours, "prednet")
        order = going.steps.argsort(dim=1)
        clip = torch.arange(len(order), device=order.device)[:, None]
        count = torch.arange(1, order.shape[1] + 1, device=order.device)
        there = going.present.any(dim=0)
        if not bool((going.steps[clip, order] == count).all()) or not bool(going.present[:, there].all()):
            raise InvalidInput("prednet learns from whole sequences; expected the next frames, one after the other")
        seen = int(there.sum())
        frames = model.shown(torch.cat([going.frames[:, there], example.target[clip, order]], dim=1))
        guesses, errors = self._course(model, frames, seen)
        apart = (guesses[:, 1:] - frames[:, 1:]).abs().mean()
        answer = going.of_query(model.answered(guesses[:, seen:], going))
        return Course(frames=answer, step_errors=errors, distance=apart)

    def model_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The term errors in the first phase, frames in the second."""
        assert isinstance(prediction, Course)
        if self._goes_on:
            return {"frames": 0.5 * prediction.distance}
        weights = prediction.step_errors.new_tensor(self.config.errors)
        return {"errors": (prediction.step_errors.mean(dim=0) * weights).sum()}

    @property
    def _goes_on(self) -> bool:
        return self.progress.share >= self.config.first_phase

    def _course(self, model: PredNet, frames: Tensor, seen: int) -> tuple[Tensor, Tensor]:
        """Guesses of all frames (B, T, C, H, W), and the levels' mean errors after the first (T - 1, levels)."""
        state, guesses, errors = model.start(frames), [], []
        for column in range(seen if self._goes_on else frames.shape[1]):
            state, guess = model.step(state, frames[:, column])
            guesses.append(guess)
            errors.append(torch.stack([error.mean() for error in state.error]))
        if self._goes_on:
            guesses += model.go_on(state, guesses[-1], frames.shape[1] - seen)
        told = torch.stack(errors[1:]) if errors[1:] else frames.new_zeros(1, len(model.levels))
        return torch.stack(guesses, dim=1), told


def hard_sigmoid(x: Tensor) -> Tensor:
    """The gate of the released code: 0.2 x + 0.5, between 0 and 1."""
    return (0.2 * x + 0.5).clamp(0, 1)
