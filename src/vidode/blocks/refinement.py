"""What matching leaves to be said of the motion: an encoder-decoder on the frames as they were brought to the query."""

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
GROUPS = 4


class Refiner(nn.Module):
    """A U-Net (Ronneberger et al., MICCAI 2015): maps (Q, inputs, h, w) to (Q, outputs, h, w) within `FURTHEST`.

    h and w are multiples of 8. Its maps are normalised in groups of channels, each frame's by themselves: without it
    the network adds little in thousands of updates, and with statistics of a batch a frame would depend on others.
    """

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 4 * width]
        self.first = _twice(inputs, width)
        self.down = nn.ModuleList(_twice(*sizes) for sizes in pairwise(widths))
        self.up = nn.ModuleList(_normalised(deep + skip, skip) for skip, deep in reversed(list(pairwise(widths))))
        self.head = nn.Conv2d(width, outputs, 3, padding=1)
        with torch.no_grad():  # the first frames are then those of matching alone
            self.head.weight.mul_(0.1)
            nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = self.first(x.contiguous(memory_format=torch.channels_last))
        skips = []
        for layer in self.down:
            skips.append(x)
            x = layer(F.avg_pool2d(x, 2))
        for layer, skip in zip(self.up, reversed(skips), strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = layer(torch.cat([x, skip], dim=1))
        return FURTHEST * torch.tanh(self.head(x).float())


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_normalised(inputs, outputs), _normalised(outputs, outputs))


def _normalised(inputs: int, outputs: int) -> nn.Sequential:
    layer, slope = convolution(inputs, outputs)
    return nn.Sequential(layer, nn.GroupNorm(math.gcd(GROUPS, outputs), outputs), slope)
