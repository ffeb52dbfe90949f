"""E and G of Vid-ODE: frames to features, and states to what the next frame is made of."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn


class FrameEncoder(nn.Module):
    """E: (N, channels, H, W) -> (N, width * 2**downs, H / 2**downs, W / 2**downs), rounded up.

    A 3x3 convolution, then `downs` 4x4 convolutions of stride 2, each with batch normalisation and ReLU.
    """

    def __init__(self, channels: int, width: int, downs: int = 2) -> None:
        super().__init__()
        layers = [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        for _ in range(downs):
            layers += [nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU()]
            width *= 2
        self.multiple = 2**downs
        self.layers = nn.Sequential(*layers)

    def forward(self, frames: Tensor) -> Tensor:
        """Features of each frame by itself."""
        return self.layers(pad_to_multiple(frames, self.multiple))  # type: ignore[no-any-return]


class FrameDecoder(nn.Module):
    """G: (N, inputs, h, w) -> (N, outputs, h * 2**ups, w * 2**ups), without an activation at the end.

    `ups` times bilinear enlargement, 3x3 convolution (to width * 2**ups channels first, then halving), batch
    normalisation and ReLU; then a 3x3 convolution.
    """

    def __init__(self, inputs: int, width: int, outputs: int, ups: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for up in range(ups):
            channels = width * 2 ** (ups - up)
            layers += [
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
                nn.Conv2d(inputs, channels, 3, padding=1),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            ]
            inputs = channels
        self.layers = nn.Sequential(*layers, nn.Conv2d(inputs, outputs, 3, padding=1))

    def forward(self, states: Tensor) -> Tensor:
        """Raw maps at the size of a frame."""
        return self.layers(states)  # type: ignore[no-any-return]


def encode_seen(encode: Callable[[Tensor], Tensor], frames: Tensor, seen: Tensor) -> Tensor:
    """What `encode` makes of the frames (B, T, C, H, W) that are seen (B, T), zero elsewhere: (B, T, ...)."""
    flat = encode(frames[seen])
    return flat.new_zeros(*seen.shape, *flat.shape[1:]).index_put((seen,), flat)


def pad_to_multiple(frames: Tensor, multiple: int, least: int = 1) -> Tensor:
    """Frames (N, C, H, W) with their last row and column repeated until both sides divide; crop with [..., :H, :W].

    least: pixels that both sides have at least after it, itself a multiple.
    """
    down, right = (max(side + -side % multiple, least) - side for side in frames.shape[-2:])
    return F.pad(frames, (0, right, 0, down), mode="replicate") if down or right else frames
