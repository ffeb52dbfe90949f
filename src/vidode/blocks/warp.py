"""W and Psi: moving a frame along a flow, and mixing it with what the flow cannot bring (Eq. 2 of Vid-ODE)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(frames: Tensor, flow: Tensor, outside: Literal["border", "zeros"] = "border") -> Tensor:
    """W(X, F)(p) = X(p + F(p)): backward, bilinear; outside, the border goes on for ever, or all is zero.

    frames: (N, C, H, W). flow: (N, 2, H, W) in pixels, x then y. Returns (N, C, H, W) in the type of `frames`.

    Positions are float64: in float32 a zero flow moves a 128-pixel frame by 1e-5 of its contrast at each warp, and a
    chain of a hundred by 1e-3.
    """
    height, width = frames.shape[-2:]
    with torch.autocast(frames.device.type, enabled=False):
        flow = flow.double()
        x = _normalised(torch.arange(width, device=flow.device) + flow[:, 0], width)
        y = _normalised(torch.arange(height, device=flow.device)[:, None] + flow[:, 1], height)
        moved = F.grid_sample(
            frames.double(), torch.stack([x, y], dim=-1), mode="bilinear", padding_mode=outside, align_corners=True
        )
    return moved.to(frames.dtype)


def shift(maps: Tensor, offsets: Tensor) -> Tensor:
    """Each map read one offset to the right and below, bilinear, zero outside.

    maps: (N, S, H, W) float32. offsets: (N, S, 2) in pixels, x then y. Returns (N, S, H, W).
    """
    height, width = maps.shape[-2:]
    offsets = offsets.flatten(0, 1)[:, :, None, None]
    x = _normalised(torch.arange(width, device=maps.device) + offsets[:, 0], width).expand(-1, height, -1)
    y = _normalised(torch.arange(height, device=maps.device)[:, None] + offsets[:, 1], height).expand(-1, -1, width)
    grid = torch.stack([x, y], dim=-1)
    moved = F.grid_sample(maps.flatten(0, 1)[:, None], grid, padding_mode="zeros", align_corners=True)
    return moved.view_as(maps)


def compose(warped: Tensor, difference: Tensor, mask: Tensor) -> Tensor:
    """Psi (Eq. 2): M * W + (1 - M) * D, with warped W and difference D (..., C, H, W), mask M (..., 1, H, W)."""
    return mask * warped + (1 - mask) * difference


def _normalised(pixels: Tensor, size: int) -> Tensor:
    """-1 at the centre of the first pixel, 1 at that of the last (`align_corners=True`)."""
    return 2 * pixels / max(size - 1, 1) - 1
