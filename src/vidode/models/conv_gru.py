"""ConvGRU (after Ballas et al., ICLR 2016): a convolutional state reads frames and makes the next one, and the next.

    h_i = ConvGRU(E(X_i), h_i-1),  h_0 = 0        over the observed frames, forward in time
    X^_L+1 = G(h_L)                               the frame after the last observed one
    h_i = ConvGRU(E(X^_i), h_i-1),  X^_i+1 = G(h_i)

The paper's network tells actions apart and makes no frames. Vid-ODE compares with a ConvGRU that extrapolates (its
Table 2) and says no more, so E and the sizes are Vid-ODE's, G its decoder with a frame's channels as output, and the
loss is L1 on the predictions, which are fed back in training as in use (no teacher forcing). Nothing here takes a
time: only the next frames of a regular sequence can be asked for.

Source: Ballas et al. for the cell; what is around it is this library's choice (no code was ever published).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from vidode import losses
from vidode.blocks.frames import encode_seen
from vidode.blocks.recurrent import ConvGRUCell
from vidode.blocks.regular import Continuation, continuation
from vidode.blocks.rollout import FrameCoder, observe
from vidode.clip import Batch, InvalidInput
from vidode.configuration import require_at_least
from vidode.models import Example, Objective, OptimiserConfig, Prediction, VideoModel


@dataclass(frozen=True)
class ConvGruConfig:
    """What the network is made of.

    width: channels of the first map; the state has 4 times as many. neighbours: the last observed frames that are
    read. layers: of ConvGRU; each reads the new state of the one below, and G that of the last one. one_step: weight
    of the L1 of one-step predictions: of each observed frame from those before it; 0 leaves them out.
    """

    channels: int = 3
    width: int = 32
    neighbours: int = 5
    layers: int = 1
    one_step: float = 0.0

    def __post_init__(self) -> None:
        require_at_least(self, channels=1, width=2, neighbours=2 if self.one_step else 1, layers=1)
        if self.one_step < 0:
            raise InvalidInput(f"one_step is {self.one_step}; expected a weight of at least 0")


@dataclass(frozen=True)
class OneStepPrediction(Prediction):
    """With one-step predictions `ahead` (P, C, H, W), each from observed frames alone, and the true frames there."""

    ahead: Tensor | None = None
    truth: Tensor | None = None


class ConvGru(VideoModel):
    """The next frames of a regular sequence; the module's docstring holds the equations."""

    tasks = ("extrapolation",)
    any_time = False
    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig(name="adam")
    config: ConvGruConfig

    def __init__(self, config: ConvGruConfig) -> None:
        super().__init__()
        self.config = config
        self.coder = FrameCoder(config.channels, config.width)
        self.cells = nn.ModuleList(ConvGRUCell(self.coder.latent, self.coder.latent) for _ in range(config.layers))

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. Raises `InvalidInput` as `vidode.blocks.regular.continuation` does."""
        seen = continuation(observed, query, self.config.neighbours, "conv_gru")
        return self._go_on(seen, self._read(seen)[-1])

    def predict_ahead(self, observed: Batch, query: Tensor) -> OneStepPrediction:
        """The answer, and the one-step predictions; needs two observed frames of every clip."""
        seen = continuation(observed, query, self.config.neighbours, "conv_gru", least=2)
        states = self._read(seen)
        followed = seen.present[:, :-1]  # the frame after a present one is present
        before = torch.stack(states[:-1], dim=1)[followed]
        ahead = self._frames(before, (seen.frames.shape[-2], seen.frames.shape[-1]))
        return OneStepPrediction(**vars(self._go_on(seen, states[-1])), ahead=ahead, truth=seen.frames[:, 1:][followed])

    def objective(self) -> Objective:
        """L1, free-running."""
        return ConvGruObjective(self.config)

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        """The states (B, layers * D, h, w) after reading features x (B, D, h, w)."""
        states = []
        for cell, before in zip(self.cells, h.chunk(len(self.cells), dim=1), strict=True):
            x = cell(x, before)
            states.append(x)
        return torch.cat(states, dim=1)

    def _read(self, seen: Continuation) -> list[Tensor]:
        """The states after each observed frame."""
        x = encode_seen(self.coder.frame_encoder, seen.frames, seen.present)
        return observe(self.step, len(self.cells) * self.coder.latent, x, seen.present)

    def _go_on(self, seen: Continuation, h: Tensor) -> Prediction:
        """The frames that are asked, rolled out from the states after the last observed one."""
        size = seen.frames.shape[-2], seen.frames.shape[-1]
        frames, states = [self._frames(h, size)], [h]
        for _ in range(int(seen.steps.max()) - 1):
            h = self.step(self.coder.frame_encoder(frames[-1]), h)
            frames.append(self._frames(h, size))
            states.append(h)
        return Prediction(seen.of_query(torch.stack(frames, dim=1)), latent=seen.of_query(torch.stack(states, dim=1)))

    def _frames(self, h: Tensor, size: tuple[int, int]) -> Tensor:
        """G of the last layer's state."""
        return self.coder.decode(h[:, -self.coder.latent :], size)


class ConvGruObjective(Objective):
    """L1 of the free-running predictions, and of the one-step ones where they have a weight."""

    def __init__(self, config: ConvGruConfig) -> None:
        super().__init__()
        self.config = config

    def answer(self, model: VideoModel, example: Example) -> Prediction:
        """The model's answer, with the one-step predictions where they have a weight."""
        if not self.config.one_step:
            return super().answer(model, example)
        return cast("ConvGru", model).predict_ahead(example.observed, example.query)

    def model_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The terms reconstruction and one_step."""
        terms = {"reconstruction": losses.reconstruction(prediction.frames, example.target)}
        if isinstance(prediction, OneStepPrediction) and prediction.ahead is not None and prediction.truth is not None:
            terms["one_step"] = self.config.one_step * losses.reconstruction(prediction.ahead, prediction.truth)
        return terms
