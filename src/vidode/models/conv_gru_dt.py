"""ConvGRU-Delta-t, a baseline of Vid-ODE (AAAI 2021) for irregular times: the gap is one more channel of the input.

    h_i  = ConvGRU([E(X_i), dt_i], h_(i-1))           dt_i = t_i - t_(i-1), 0 at the first
    X^   = G(h)                                       free-running from the last observed frame, dt to each step

RNN-Delta-t of Latent ODE (Rubanova et al., NeurIPS 2019) with a ConvGRU for its cell. Its convention of the gap to the
*following* observation, with 0 at the end, is an option. The roll-out goes along a grid of the trained spacing from the
last observation, with one last shorter step to the query, so that a frame depends on its own time; through the queried
times, as in the paper's tables, is an option. L1, Adamax at 1e-3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from vidode import losses
from vidode.blocks.chain import GridConfig, chains_of
from vidode.blocks.free_running import FrameCoder, gaps_before, observe, roll_out
from vidode.blocks.recurrent import ConvGRUCell
from vidode.clip import Batch, InvalidInput
from vidode.models import Example, Objective, OptimiserConfig, Prediction, Task, VideoModel, require_tasks
from vidode.timing import TimeScale
from vidode.windows import windows


@dataclass(frozen=True)
class ConvGruDtConfig:
    """What the network is made of. Defaults are Vid-ODE's sizes.

    neighbours: observations that it goes on from, at most. width: channels of E's first map; the state has 4 times as
    many. gap: from the observation "before" or to the one "after". grid: where the roll-out steps.
    """

    channels: int = 3
    neighbours: int = 5
    width: int = 32
    gap: Literal["before", "after"] = "before"
    time_scale: TimeScale = field(default_factory=TimeScale)
    grid: GridConfig = field(default_factory=GridConfig)

    def __post_init__(self) -> None:
        for name in ("channels", "neighbours"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.width < 2 or self.width % 2:
            raise InvalidInput(f"width is {self.width}; expected an even number of at least 2")


class ConvGruDt(VideoModel):
    """Frames at any time after the last observation; the module's docstring holds the equations."""

    tasks: tuple[Task, ...] = ("extrapolation",)
    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig()
    config: ConvGruDtConfig

    def __init__(self, config: ConvGruDtConfig) -> None:
        super().__init__()
        self.config = config
        self.coder = FrameCoder(config.channels, config.width)
        self.cell = ConvGRUCell(self.coder.latent + 1, self.coder.latent)

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. Raises `InvalidInput` for a query at or before the last observation."""
        config = self.config
        seen = windows(observed, query, config.neighbours, config.time_scale)
        require_tasks(self, seen)
        n = config.neighbours
        frames, times, present = seen.gather(observed.frames)[:, :n], seen.times[:, :n], seen.present[:, :n]
        gaps = gaps_before(times, present)
        if config.gap == "after":
            gaps = torch.cat([gaps[:, 1:], torch.zeros_like(gaps[:, :1])], dim=1)
        features = self.coder.encode_present(frames, present)
        h = observe(self._step, features, gaps, present, torch.zeros_like(features[:, 0]))
        chain = chains_of(config.grid, seen, seen.times[:, n - 1], self.training)
        made = roll_out(self._step, self.coder, chain, seen.times[:, n - 1], frames[:, -1], h)
        return Prediction(made[chain.of_query])

    def objective(self) -> Objective:
        """L1."""
        return ConvGruDtObjective()

    def _step(self, x: Tensor, h: Tensor, gap: Tensor) -> Tensor:
        told = gap[:, None, None, None].to(x.dtype).expand(-1, 1, *x.shape[-2:])
        return self.cell(torch.cat([x, told], dim=1), h)  # type: ignore[no-any-return]


class ConvGruDtObjective(Objective):
    """The mean absolute error."""

    def model_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The term reconstruction."""
        return {"reconstruction": losses.reconstruction(prediction.frames, example.target)}
