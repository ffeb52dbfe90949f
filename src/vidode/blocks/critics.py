"""The image and the sequence critic of Vid-ODE: one trunk, different inputs."""

from __future__ import annotations

from torch import Tensor, nn


class PatchCritic(nn.Module):
    """A map of scores, high where a patch looks real: (N, inputs, H, W) -> (N, width, h, w), no activation.

    4x4 convolutions of stride 2, 2, 2, 1, 1 with instance normalisation and leaky ReLU. The released code ends in
    `width` maps and not one. Sides of at least 16 pixels: below, the normalisation meets single values.
    """

    def __init__(self, inputs: int, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(inputs, width, 4, stride=2, padding=1, bias=False), nn.LeakyReLU(0.2)]
        channels = width
        for stride, padding in ((2, 1), (2, 1), (1, 2)):
            layers += [
                nn.Conv2d(channels, 2 * channels, 4, stride=stride, padding=padding),
                nn.InstanceNorm2d(2 * channels),
                nn.LeakyReLU(0.2),
            ]
            channels *= 2
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, width, 4, padding=2, bias=False))

    def forward(self, frames: Tensor) -> Tensor:
        """Scores of frames, or of sequences with their frames side by side as channels."""
        return self.layers(frames)  # type: ignore[no-any-return]
