"""ConvGRU-dt (Vid-ODE, AAAI 2021, Table 4): a ConvGRU that is told the gap, as one more channel of what it reads.

    h_i = ConvGRU([E(X_i), gap_i 1], h_i-1),  h_0 = 0              over the observed frames, forward in time
    h   = ConvGRU([E(X^ before), (s - s before) 1], h),  X^ = G(h)  from the last observation on, first with E(X_last)

It is RNN-dt (Rubanova et al., Latent ODE, NeurIPS 2019) with the cell made convolutional; the gap is a constant map.
gap_i = t_i - t_i-1, zero for the first; or, as the code of Latent ODE has it, the gap to the next observation, zero for
the last. A step of the roll-out is told how far it goes. The paper rolls out through the times that are asked; see
`ChainConfig` for what is done here, and for the paper's way as an option.

Times are irregular where this model is used. In the CAM5 protocol frames are seen up to 16 slots apart, and asked one
slot apart: with an absolute `time_scale`, `chain.step` is one slot, so that the grid goes through the very times that
are asked. The experiments take ten slots for a unit; the paper's code takes the window.

Source: Vid-ODE names the model; layers and loss (L1, no teacher forcing) are this library's choice.
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


@dataclass(frozen=True)
class ConvGruDtConfig(TimedRolloutConfig):
    """A roll-out, and the gap that it is told with an observation.

    gap: the time since the one "before" or until the "next" one (Latent ODE's code).
    """

    gap: Literal["before", "next"] = "before"


class GapCell(nn.Module):
    """h+ = ConvGRU([x, gap], h), with the gap as a constant map behind the features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cell = ConvGRUCell(channels + 1, channels)

    def forward(self, x: Tensor, h: Tensor, gap: Tensor) -> Tensor:
        """The state (P, D, h, w) after reading x (P, D, h, w), a gap (P,) of model time after the state h."""
        told = gap.to(h.dtype)[:, None, None, None].expand(-1, 1, *x.shape[2:])
        return self.cell(torch.cat([x.to(h.dtype), told], dim=1), h)  # type: ignore[no-any-return]


class ConvGruDt(VideoModel):
    """Frames at any time after the last observation; the module's docstring holds the equations."""

    tasks = ("extrapolation",)
    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig()
    config: ConvGruDtConfig

    def __init__(self, config: ConvGruDtConfig) -> None:
        super().__init__()
        self.config = config
        self.function_of_time = config.chain.function_of_time
        self.network = TimedRollout(config.channels, config.width, GapCell(config.width * 2**DOWNS))

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. Raises `InvalidInput` for a query that is not after the last observation."""
        seen = self.config.chain.windows(observed, query, self.config.neighbours, self.config.time_scale)
        require_tasks(self, seen)
        ends = (1, 0) if self.config.gap == "before" else (0, 1)
        gaps = F.pad(observed_gaps(seen), ends)
        chain = self.config.chain.chains(seen, last_times(seen), self.training)
        frames, latent = self.network(observed, seen, gaps, chain)
        return Prediction(frames, latent=latent)

    def objective(self) -> Objective:
        """L1, free-running."""
        return ReconstructionObjective()
