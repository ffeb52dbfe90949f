"""What a recurrence reads of the frames, where it has an encoder of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidode.blocks.refinement import normalised


class ContextEncoder(nn.Module):
    """Features of a frame at a quarter of its size, normalised each frame by itself.

    Features that are trained to match tell a recurrence too little: what it sums of them was read by nothing.
    """

    def __init__(self, channels: int, width: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            normalised(channels, 2 * width),
            nn.AvgPool2d(2),
            normalised(2 * width, 4 * width),
            nn.AvgPool2d(2),
            normalised(4 * width, outputs),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (N, C, h, w) in [0, 1] to (N, outputs, h / 4, w / 4); h and w are multiples of 4."""
        made: Tensor = self.body((2 * frames - 1).contiguous(memory_format=torch.channels_last))
        return made


def with_time(maps: Tensor, time: Tensor) -> Tensor:
    """Maps (..., F, h, w) with one more channel: a model time (...).

    A state that flows for a tenth of a unit hardly tells how long it was.
    """
    value = time.to(maps.dtype)[..., None, None, None]
    return torch.cat([maps, value.expand(*maps.shape[:-3], 1, *maps.shape[-2:])], dim=-3)
