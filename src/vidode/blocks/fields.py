"""f: what the latent of a video changes by in one unit of model time."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class ConvField(nn.Module):
    """f_theta and f_phi of Vid-ODE: convolutions 3x3 with tanh between, autonomous, without normalisation.

    (S, channels, h, w) -> (S, channels, h, w) through `layers` + 1 maps of `hidden` channels.
    """

    def __init__(self, channels: int, hidden: int, layers: int = 2) -> None:
        super().__init__()
        widths = [channels, *[hidden] * (layers + 1), channels]
        stack: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            stack += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*stack[:-1])

    def forward(self, state: Tensor) -> Tensor:
        """The rate of change of the state."""
        return self.layers(state)  # type: ignore[no-any-return]


class DenseField(nn.Module):
    """f of Latent ODE (Rubanova et al., NeurIPS 2019): fully connected layers with tanh between, autonomous.

    (S, size) -> (S, size) through `layers` + 1 layers of `hidden` units.
    """

    def __init__(self, size: int, hidden: int, layers: int = 2) -> None:
        super().__init__()
        widths = [size, *[hidden] * (layers + 1), size]
        stack: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            stack += [nn.Linear(inputs, outputs), nn.Tanh()]
        self.layers = nn.Sequential(*stack[:-1])

    def forward(self, state: Tensor) -> Tensor:
        """The rate of change of the state."""
        return self.layers(state)  # type: ignore[no-any-return]
