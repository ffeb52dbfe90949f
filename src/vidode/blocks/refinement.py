"""What matching leaves to be said: an encoder-decoder on the frames as they were brought to the query."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidode.blocks.matching import convolution

DOWNS = 3
"""Halvings: from the size of a frame to an eighth of it."""
FURTHEST = 4.0
"""Pixels that can be added to a motion: what lies further apart is for matching to find."""
JOINED = 2
"""The halvings after which the deep channels join."""
GROUPS = 4


class Refiner(nn.Module):
    """A U-Net (Ronneberger et al., MICCAI 2015): what is to be added to a motion, and what is to be painted.

    `deep` channels at a quarter of the size join it there, such as those of a recurrence. Its maps are normalised in
    groups of channels, each frame's by themselves: without it the network adds little in thousands of updates, and with
    statistics of a batch a frame would depend on others.
    """

    def __init__(self, inputs: int, deep: int, motion: int, paint: int, width: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 4 * width]
        self.first = _twice(inputs, width)
        self.down = nn.ModuleList(_twice(*sizes) for sizes in pairwise(widths))
        self.up = nn.ModuleList(normalised(deep + skip, skip) for skip, deep in reversed(list(pairwise(widths))))
        self.joint = normalised(widths[JOINED] + deep, widths[JOINED]) if deep else None
        self.motion = motion
        self.head = nn.Conv2d(width, motion + paint, 3, padding=1)
        with torch.no_grad():  # the first frames are then those of matching alone
            self.head.weight.mul_(0.1)
            nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, deep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Maps (Q, inputs, h, w), multiples of 8, and (Q, deep, h / 4, w / 4).

        Returns a motion (Q, motion, h, w) within `FURTHEST`, and (Q, paint, h, w).
        """
        x = self.first(x.contiguous(memory_format=torch.channels_last))
        skips = []
        for level, layer in enumerate(self.down, start=1):
            skips.append(x)
            x = layer(F.avg_pool2d(x, 2))
            if self.joint is not None and deep is not None and level == JOINED:
                x = self.joint(torch.cat([x, deep], dim=1))
        for layer, skip in zip(self.up, reversed(skips), strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = layer(torch.cat([x, skip], dim=1))
        x = self.head(x).float()
        return FURTHEST * torch.tanh(x[:, : self.motion]), x[:, self.motion :]


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(normalised(inputs, outputs), normalised(outputs, outputs))


def normalised(inputs: int, outputs: int) -> nn.Sequential:
    """A 3x3 convolution whose maps are normalised in groups of channels, each frame's by themselves."""
    layer, slope = convolution(inputs, outputs)
    return nn.Sequential(layer, nn.GroupNorm(math.gcd(GROUPS, outputs), outputs), slope)
