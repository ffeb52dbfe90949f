"""ConvGRU-Decay (Vid-ODE, AAAI 2021, Table 4): a ConvGRU whose state fades with the time that passes.

    decay(gap) = exp(-max(0, w gap + b))                            one w and b for each channel of the state
    h_i = ConvGRU(E(X_i), decay(t_i - t_i-1) h_i-1),  h_0 = 0       over the observed frames, forward in time
    h   = ConvGRU(E(X^ before), decay(s - s before) h),  X^ = G(h)  from the last observation on, first with E(X_last)

It is RNN-Decay (Che et al., GRU-D, 2018; Rubanova et al., Latent ODE, NeurIPS 2019) with the cell made convolutional.
The input decay of GRU-D fills in missing features; a frame is observed as a whole or not at all, so there is nothing
to fill in. The paper rolls out through the times that are asked; see `ChainConfig` for what is done here, and for
the paper's way as an option.

Times are irregular where this model is used. In the CAM5 protocol frames are seen up to 16 slots apart, and asked one
slot apart: with an absolute `time_scale`, `chain.step` is one slot, so that the grid goes through the very times that
are asked. The experiments take ten slots for a unit; the paper's code takes the window.

Source: Vid-ODE names the model; layers, the start of w and b, and the loss (L1, no teacher forcing) are this
library's choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidode.blocks.recurrent import ConvGRUCell
from vidode.blocks.rollout import DOWNS, TimedRollout, TimedRolloutConfig, last_times, observed_gaps
from vidode.clip import Batch
from vidode.models import Objective, OptimiserConfig, Prediction, ReconstructionObjective, VideoModel, require_tasks

FIRST_RATE = 0.1
"""w at the start of training: after one unit of model time, a tenth of the state is gone."""


@dataclass(frozen=True)
class ConvGruDecayConfig(TimedRolloutConfig):
    """A roll-out, and how much of its state fades alike.

    decay: one w and b for each "channel" of the state (GRU-D), or a "scalar" one for all (the code of Latent ODE).
    """

    decay: Literal["channel", "scalar"] = "channel"


class DecayCell(nn.Module):
    """h+ = ConvGRU(x, decay(gap) h). rates: how many w and b there are, one or as many as channels."""

    def __init__(self, channels: int, rates: int) -> None:
        super().__init__()
        self.cell = ConvGRUCell(channels, channels)
        self.rate = nn.Parameter(torch.full((rates,), FIRST_RATE))
        self.offset = nn.Parameter(torch.zeros(rates))

    def forward(self, x: Tensor, h: Tensor, gap: Tensor) -> Tensor:
        """The state (P, D, h, w) after reading x (P, D, h, w), a gap (P,) of model time after the state h."""
        return self.cell(x, self.decay(gap.to(h.dtype)) * h)  # type: ignore[no-any-return]

    def decay(self, gap: Tensor) -> Tensor:
        """What is left of the state after gaps (P,): (P, rates, 1, 1) in [0, 1]."""
        lost = (self.rate * gap[:, None] + self.offset).clamp(min=0)
        return torch.exp(-lost)[..., None, None]


class ConvGruDecay(VideoModel):
    """Frames at any time after the last observation; the module's docstring holds the equations."""

    tasks = ("extrapolation",)
    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig()
    config: ConvGruDecayConfig

    def __init__(self, config: ConvGruDecayConfig) -> None:
        super().__init__()
        self.config = config
        self.function_of_time = config.chain.function_of_time
        latent = config.width * 2**DOWNS
        cell = DecayCell(latent, latent if config.decay == "channel" else 1)
        self.network = TimedRollout(config.channels, config.width, cell)

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. Raises `InvalidInput` for a query that is not after the last observation."""
        seen = self.config.chain.windows(observed, query, self.config.neighbours, self.config.time_scale)
        require_tasks(self, seen)
        since = F.pad(observed_gaps(seen), (1, 0))
        chain = self.config.chain.chains(seen, last_times(seen), self.training)
        frames, latent = self.network(observed, seen, since, chain)
        return Prediction(frames, latent=latent)

    def objective(self) -> Objective:
        """L1, free-running."""
        return ReconstructionObjective()
