"""Floor: the two observed frames around the query, mixed by time.

    x(t) = (1 - a) x_A + a x_B   with a = (t - t_A) / (t_B - t_A)

Beyond the last observation, and before the first, the nearest observed frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vidode.clip import Batch, InvalidInput
from vidode.models import Objective, Prediction, VideoModel
from vidode.timing import TimeScale
from vidode.windows import windows

CLOCK = TimeScale(kind="absolute", per_unit=1.0)
"""Only ratios of times count here, so that a single observation does."""


@dataclass(frozen=True)
class BlendConfig:
    """channels: of the frames; any number works. neighbours: observations seen on each side of a query."""

    channels: int = 3
    neighbours: int = 2


class Blend(VideoModel):
    """The neighbours' mean, weighted by time; see the module."""

    trainable: ClassVar[bool] = False
    config: BlendConfig

    def __init__(self, config: BlendConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. Pixels that were not measured count as zero."""
        seen = windows(observed, query, self.config.neighbours, CLOCK)
        left, right = seen.neighbours - 1, seen.neighbours
        of = seen.of_query
        t_a, t_b = seen.times[of, left], seen.times[of, right]  # (B, K)
        between = (seen.has_left & seen.has_right)[of]
        a = torch.where(between, (seen.query - t_a) / torch.where(between, t_b - t_a, 1), (~seen.has_left)[of].float())
        a = a[..., None, None, None]
        frames = seen.gather(observed.frames)  # (G, 2N, C, H, W), zero where absent
        return Prediction((1 - a) * frames[of, left] + a * frames[of, right])

    def objective(self) -> Objective:
        """Raises `InvalidInput`: a floor learns nothing."""
        raise InvalidInput("blend is a floor and learns nothing; train another model, such as vid_ode")
