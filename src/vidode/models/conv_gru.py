"""ConvGRU (Ballas et al., ICLR 2016) as a predictor of frames, a baseline of Vid-ODE (AAAI 2021).

    h_i     = ConvGRU(E(X_i), h_(i-1))        over the observed frames, from h = 0
    X^_i+1  = G(h_i)                          and from the last one on with E(X^) in the place of E(X)

The original is a model of representations and predicts nothing; how it was made to is not told. E and the cell are
Vid-ODE's, G its decoder with half of the inputs and colours for outputs. It is trained on its own predictions (no
teacher forcing) with L1; Adam at 1e-3, since no value is given, with Vid-ODE's decay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from vidode import losses
from vidode.blocks.free_running import FrameCoder, observe
from vidode.blocks.recurrent import ConvGRUCell
from vidode.blocks.regular import Continuation, continuation
from vidode.clip import Batch, InvalidInput
from vidode.models import Example, Objective, OptimiserConfig, Prediction, Task, VideoModel


@dataclass(frozen=True)
class ConvGruConfig:
    """What the network is made of. Defaults are Vid-ODE's sizes.

    neighbours: frames that it goes on from, at most. width: channels of E's first map; the state has 4 times as many.
    layers: cells, each fed with the state of the one before. one_step: weight of the predictions of observed frames
    from those before them, beside those of the frames that are asked for; 0 leaves them out.
    """

    channels: int = 3
    neighbours: int = 5
    width: int = 32
    layers: int = 1
    one_step: float = 0.0

    def __post_init__(self) -> None:
        for name in ("channels", "neighbours", "layers"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.width < 2 or self.width % 2 or self.one_step < 0:
            raise InvalidInput(
                f"width is {self.width} and one_step {self.one_step}; expected an even number from 2 on, and 0 or more"
            )


@dataclass(frozen=True, kw_only=True)
class Rolled(Prediction):
    """An answer, and the frames (B, N - 1, C, H, W) that were predicted of those observed; `told` (B, N - 1) where."""

    one_step: Tensor
    told: Tensor


class ConvGru(VideoModel):
    """The next frames of a regular sequence; the module's docstring holds the equations."""

    tasks: tuple[Task, ...] = ("extrapolation",)
    any_time = False
    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig(name="adam", learning_rate=1e-3)
    config: ConvGruConfig

    def __init__(self, config: ConvGruConfig) -> None:
        super().__init__()
        self.config = config
        self.coder = FrameCoder(config.channels, config.width)
        latent = self.coder.latent
        self.cells = nn.ModuleList(ConvGRUCell(latent, latent) for _ in range(config.layers))

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. Raises `InvalidInput` for times that are not next steps of a regular sequence."""
        going = continuation(observed, query, self.config.neighbours, "conv_gru")
        states = self.read(going)
        made = self.roll_out(states[-1], going)
        return Prediction(going.of_query(made))

    def objective(self) -> Objective:
        """L1 on the frames, free-running, and with `one_step` on the observed ones."""
        return ConvGruObjective(self.config)

    def read(self, going: Continuation) -> list[Tensor]:
        """The state (B, layers, D, h, w) after each observed frame."""
        features = self.coder.encode_present(going.frames, going.present)
        state, states = features.new_zeros(len(features), len(self.cells), *features.shape[2:]), []
        gaps = features.new_zeros(going.present.shape)
        for column in range(features.shape[1]):
            one = slice(column, column + 1)
            state = observe(self._step, features[:, one], gaps[:, one], going.present[:, one], state)
            states.append(state)
        return states

    def roll_out(self, state: Tensor, going: Continuation) -> Tensor:
        """The next frames (B, S, C, H, W), as many as the farthest query asks for."""
        size = (going.frames.shape[-2], going.frames.shape[-1])
        made: list[Tensor] = []
        for count in range(int(going.steps.max())):
            if count:
                state = self._step(self.coder.encode(made[-1]), state, state.new_zeros(len(state)))
            made.append(self.coder.decode(state[:, -1], size))
        return torch.stack(made, dim=1)

    def _step(self, x: Tensor, state: Tensor, gap: Tensor) -> Tensor:
        """Every cell once. The gap does not count: it is always the same."""
        states = []
        for cell, h in zip(self.cells, state.unbind(1), strict=True):
            x = cell(x, h)
            states.append(x)
        return torch.stack(states, dim=1)


class ConvGruObjective(Objective):
    """The mean absolute error of the frames, and of the one-step predictions of the observed ones."""

    def __init__(self, config: ConvGruConfig) -> None:
        super().__init__()
        self.config = config

    def answer(self, model: VideoModel, example: Example) -> Prediction:
        """The answer, with the one-step predictions where they count."""
        assert isinstance(model, ConvGru)
        if not self.config.one_step:
            return model(example.observed, example.query)  # type: ignore[no-any-return]
        going = continuation(example.observed, example.query, self.config.neighbours, "conv_gru", least=2)
        states, size = model.read(going), (going.frames.shape[-2], going.frames.shape[-1])
        before = torch.stack(states[:-1], dim=1)[:, :, -1]  # (B, N - 1, D, h, w)
        guessed = model.coder.decode(before.flatten(0, 1), size)
        return Rolled(
            frames=going.of_query(model.roll_out(states[-1], going)),
            one_step=guessed.view(*before.shape[:2], *guessed.shape[1:]) - going.frames[:, 1:],
            told=going.present[:, :-1],
        )

    def model_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The terms reconstruction and, with its weight, one_step."""
        terms = {"reconstruction": losses.reconstruction(prediction.frames, example.target)}
        if isinstance(prediction, Rolled):
            terms["one_step"] = self.config.one_step * prediction.one_step[prediction.told].abs().mean()
        return terms
