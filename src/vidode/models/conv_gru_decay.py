"""ConvGRU-Decay, a baseline of Vid-ODE (AAAI 2021) for irregular times: the state fades with the gap.

    h-   = gamma(t_i - t_(i-1)) * h_(i-1),  gamma(dt) = exp(-max(0, w dt + b))
    h_i  = ConvGRU(E(X_i), h-)
    X^   = G(h)                                       free-running from the last observed frame, fading with each step

The decay is that of GRU-D (Che et al., Scientific Reports 2018), for each channel; one for all, as in the code of
Latent ODE, is an option. Frames are observed whole or not at all, so that there is no input to fade. The
roll-out goes along a grid of the trained spacing from the last observation, with one last shorter step to the query, so
that a frame depends on its own time; through the queried times, as in the paper's tables, is an option. L1, Adamax at
1e-3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from vidode import losses
from vidode.blocks.chain import GridConfig, chains_of
from vidode.blocks.free_running import FrameCoder, gaps_before, observe, roll_out
from vidode.blocks.recurrent import ConvGRUCell
from vidode.clip import Batch, InvalidInput
from vidode.models import Example, Objective, OptimiserConfig, Prediction, Task, VideoModel, require_tasks
from vidode.timing import TimeScale
from vidode.windows import windows

STARTING_RATE = 0.1
"""Of w."""


@dataclass(frozen=True)
class ConvGruDecayConfig:
    """What the network is made of. Defaults are Vid-ODE's sizes.

    neighbours: observations that it goes on from, at most. width: channels of E's first map; the state has 4 times as
    many. scalar: one decay for all channels. grid: where the roll-out steps.
    """

    channels: int = 3
    neighbours: int = 5
    width: int = 32
    scalar: bool = False
    time_scale: TimeScale = field(default_factory=TimeScale)
    grid: GridConfig = field(default_factory=GridConfig)

    def __post_init__(self) -> None:
        for name in ("channels", "neighbours"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.width < 2 or self.width % 2:
            raise InvalidInput(f"width is {self.width}; expected an even number of at least 2")


class ConvGruDecay(VideoModel):
    """Frames at any time after the last observation; the module's docstring holds the equations."""

    tasks: tuple[Task, ...] = ("extrapolation",)
    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig()
    config: ConvGruDecayConfig

    def __init__(self, config: ConvGruDecayConfig) -> None:
        super().__init__()
        self.config = config
        self.coder = FrameCoder(config.channels, config.width)
        self.cell = ConvGRUCell(self.coder.latent, self.coder.latent)
        rates = 1 if config.scalar else self.coder.latent
        self.rate = nn.Parameter(torch.full((rates,), STARTING_RATE))
        self.offset = nn.Parameter(torch.zeros(rates))

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. Raises `InvalidInput` for a query at or before the last observation."""
        config = self.config
        seen = windows(observed, query, config.neighbours, config.time_scale)
        require_tasks(self, seen)
        n = config.neighbours
        frames, times, present = seen.gather(observed.frames)[:, :n], seen.times[:, :n], seen.present[:, :n]
        features = self.coder.encode_present(frames, present)
        h = observe(self._step, features, gaps_before(times, present), present, torch.zeros_like(features[:, 0]))
        chain = chains_of(config.grid, seen, times[:, -1], self.training)
        made = roll_out(self._step, self.coder, chain, times[:, -1], frames[:, -1], h)
        return Prediction(made[chain.of_query])

    def decay(self, gap: Tensor) -> Tensor:
        """Gamma (S, D or 1, 1, 1) of gaps (S,) in model time."""
        fallen = self.rate * gap[:, None] + self.offset
        return torch.exp(-fallen.clamp(min=0))[:, :, None, None]

    def objective(self) -> Objective:
        """L1."""
        return ConvGruDecayObjective()

    def _step(self, x: Tensor, h: Tensor, gap: Tensor) -> Tensor:
        return self.cell(x, self.decay(gap) * h)  # type: ignore[no-any-return]


class ConvGruDecayObjective(Objective):
    """The mean absolute error."""

    def model_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The term reconstruction."""
        return {"reconstruction": losses.reconstruction(prediction.frames, example.target)}
