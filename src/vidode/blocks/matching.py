"""What moved where: features of frames at several scales, and their match at the place where a query sees them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidode.blocks.anchors import HINTS, Anchors
from vidode.blocks.correlation import correlation
from vidode.blocks.warp import shift

MATCHED = 24
"""Channels that are correlated; of all of them, the products take as long as the convolutions."""
SHARPNESS = 20.0
NEARNESS = 1.0
"""Of the softmax over shifts before training: what a match of 1 counts, and what a shift of one cell costs."""
SLOPE = 0.1
"""Of the leaky rectifiers."""


class Pyramid(nn.Module):
    """E: features at a half, a quarter and an eighth of the frame size, with 2, 4 and 4 times `width` channels.

    Without normalisation: statistics of generated scenes are not those of a stranger's footage, and a frame must not
    depend on its neighbours in the batch.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        # Averaged before it is thinned out: strided convolutions alias, and what aliases does not match itself moved.
        self.to_half = nn.Sequential(convolution(channels, width), nn.AvgPool2d(2), convolution(width, 2 * width))
        self.to_quarter = nn.Sequential(
            nn.AvgPool2d(2), convolution(2 * width, 4 * width), convolution(4 * width, 4 * width)
        )
        self.to_eighth = nn.Sequential(
            nn.AvgPool2d(2), convolution(4 * width, 4 * width), convolution(4 * width, 4 * width)
        )

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Frames (N, C, h, w) to three maps (N, F, ...)."""
        x = (2 * frames - 1).contiguous(memory_format=torch.channels_last)
        half = self.to_half(x)
        quarter = self.to_quarter(half)
        return [half, quarter, self.to_eighth(quarter)]


class Matcher(nn.Module):
    """How alike A and B are where each shift would take a cell of the query.

    The motion is the mean shift under a softmax of scores (Xu et al., GMFlow, CVPR 2022, here within reach): those of
    the likeness alone at first, then with what the context adds to them. That gives the features a gradient from the
    first step; without it, 500 steps left the motion at zero.
    """

    def __init__(self, features: int, reach: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(features, MATCHED, 1, bias=False)
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS))
        self.nearness = nn.Parameter(torch.tensor(NEARNESS))
        self.reach = reach

    def forward(self, a: Tensor, b: Tensor, anchors: Anchors) -> tuple[Tensor, Tensor]:
        """Maps (Q, F, h, w) to the likeness and the scores at the query, both (Q, (2 reach + 1)^2, h, w)."""
        pair = torch.stack([self.project(a), self.project(b)]).float()
        pair = pair - pair.mean(dim=(0, 3, 4), keepdim=True)  # what all cells share matches everywhere
        shifts = self.shifts(a.device)
        match = shift(correlation(pair[0], pair[1], self.reach), -anchors.position[:, 0] * shifts)
        away = shifts.square().sum(dim=1)[:, None, None]
        return match, self.sharpness * match - self.nearness * away

    def mean_shift(self, scores: Tensor, anchors: Anchors) -> Tensor:
        """The motion (Q, 2, h, w) in cells, of scores (Q, (2 reach + 1)^2, h, w)."""
        # In float64 the shifts of a cell that looks like all its neighbours sum to nothing, and not to 1e-7.
        share = torch.softmax(scores, dim=1).double()
        moved = torch.einsum("qshw,sd->qdhw", share, self.shifts(scores.device).double())
        return anchors.reach * moved.float()

    def shifts(self, device: torch.device) -> Tensor:
        """((2 reach + 1)^2, 2) x and y in cells, row by row."""
        steps = torch.arange(-self.reach, self.reach + 1, device=device, dtype=torch.float32)
        return torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1).flatten(0, 1)


class Stage(nn.Module):
    """One scale of G: it matches what the motion so far has brought together, and weighs the shifts by their context.

    What the context tells is added to the scores and not to the motion: as a motion it is noise until it is learned,
    and the shortest way to less noise is a network that says nothing. That is what 2,000 steps made of one. A's and B's
    shifts are weighed apart, since a motion that changes its speed is not at the same share of both.
    """

    def __init__(self, features: int, known: int, width: int, reach: int, state: int) -> None:
        super().__init__()
        self.matcher = Matcher(features, reach)
        self.shifts = (2 * reach + 1) ** 2
        inputs = 2 * features + self.shifts + known + HINTS
        self.body = nn.Sequential(convolution(inputs, width), convolution(width, width), convolution(width, width))
        self.head = nn.Conv2d(width, 2 * self.shifts + state, 3, padding=1)
        with torch.no_grad():  # the first frames are then those of the likeness alone
            self.head.weight.mul_(0.1)
            nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, pair: tuple[Tensor, Tensor], known: list[Tensor], anchors: Anchors) -> tuple[Tensor, Tensor]:
        """Maps of A and B (Q, F, h, w), and what else is known there.

        Returns the motion (Q, 4, h, w) to be added, in cells, x and y of A's and of B's; and
        a state for the next scale, within -1 and 1.
        """
        match, scores = self.matcher(*pair, anchors)
        x = torch.cat([*pair, match, *known, anchors.hints.expand(-1, -1, *match.shape[-2:])], dim=1)
        x = self.head(self.body(x.contiguous(memory_format=torch.channels_last)))
        *told, state = torch.split(x, [self.shifts, self.shifts, x.shape[1] - 2 * self.shifts], dim=1)
        moved = torch.cat([self.matcher.mean_shift(scores + each.float(), anchors) for each in told], dim=1)
        return moved, torch.tanh(state)  # unbounded, it grew from stage to stage until it burst


def convolution(inputs: int, outputs: int) -> nn.Sequential:
    """A 3x3 convolution that keeps the spread of its input (He et al., 2015).

    By the framework's default, features fade to a constant within five layers, and constants correlate everywhere.
    """
    layer = nn.Conv2d(inputs, outputs, 3, padding=1)
    nn.init.kaiming_normal_(layer.weight, a=SLOPE, nonlinearity="leaky_relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return nn.Sequential(layer, nn.LeakyReLU(SLOPE))
