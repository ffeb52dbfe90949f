"""Floor: the last observed frame, unchanged.

A query before the first observation is given the first. A frame is a step function of its time, so this floor is
exempt from the law that the gap counts.
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
"""Only the order of times counts here, so that a single observation does."""


@dataclass(frozen=True)
class CopyLastConfig:
    """channels: of the frames; any number works. neighbours: observations seen on each side of a query."""

    channels: int = 3
    neighbours: int = 2


class CopyLast(VideoModel):
    """The last frame observed at or before the query; see the module."""

    trainable: ClassVar[bool] = False
    config: CopyLastConfig

    def __init__(self, config: CopyLastConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. Pixels that were not measured are zero."""
        seen = windows(observed, query, self.config.neighbours, CLOCK)
        before = seen.present[seen.of_query] & (seen.times[seen.of_query] <= seen.query[..., None])  # (B, K, 2N)
        first = seen.present.int().argmax(dim=1)[seen.of_query]
        last = before.shape[-1] - 1 - before.int().flip(-1).argmax(dim=-1)
        frames = seen.gather(observed.frames)  # (G, 2N, C, H, W)
        return Prediction(frames[seen.of_query, torch.where(before.any(dim=-1), last, first)])

    def objective(self) -> Objective:
        """Raises `InvalidInput`: a floor learns nothing."""
        raise InvalidInput("copy_last is a floor and learns nothing; train another model, such as vid_ode")
