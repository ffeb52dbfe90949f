"""Floor: the motion between two observed frames, measured by dense inverse search and applied in proportion to time.

With F_AB the flow from A to B, F_BA the flow back and a = (t - t_A) / (t_B - t_A), where W(x, F)(p) = x(p + F(p)):

    between the neighbours A and B:      x(t) = (1 - a) W(x_A, a F_BA) + a W(x_B, (1 - a) F_AB)
    beyond the last two, A and B:        x(t) = W(x_B, (a - 1) F_BA)      constant velocity
    before the first two, A and B:       x(t) = W(x_A, -a F_AB)           likewise
    with one observation alone:          x(t) = that frame

Occlusion is not treated. The flow is OpenCV's DIS (Kroeger et al., ECCV 2016) at its medium preset on 8-bit grey
images; it needs the extra `optical-flow`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from vidode.blocks.warp import warp
from vidode.clip import Batch, InvalidInput
from vidode.models import Objective, Prediction, VideoModel
from vidode.timing import TimeScale
from vidode.windows import Windows, windows

CLOCK = TimeScale(kind="absolute", per_unit=1.0)
"""Only ratios of times count here, so that a single observation does."""
SMALLEST = 16
"""Smaller images are padded to this side for the search, which OpenCV refuses, or crashes on, below."""
LUMA = (0.299, 0.587, 0.114)

Flow = Callable[[np.ndarray[Any, Any], np.ndarray[Any, Any]], np.ndarray[Any, Any]]


@dataclass(frozen=True)
class OpticalFlowConfig:
    """channels: of the frames; any number works. neighbours: observations seen on each side of a query."""

    channels: int = 3
    neighbours: int = 2

    def __post_init__(self) -> None:
        if self.neighbours < 2:
            raise InvalidInput(f"neighbours is {self.neighbours}; constant velocity expects at least 2")


@dataclass(frozen=True)
class Pairs:
    """The two frames A, B that each of G windows moves, in order of time, and the flow both ways.

    frames: (G, 2, C, H, W). times: (G, 2). flow: (G, 2, 2, H, W) pixels: F_AB on A's grid, F_BA on B's.
    """

    frames: Tensor
    times: Tensor
    flow: Tensor


class OpticalFlow(VideoModel):
    """Motion in proportion to time; see the module."""

    trainable: ClassVar[bool] = False
    config: OpticalFlowConfig

    def __init__(self, config: OpticalFlowConfig) -> None:
        super().__init__()
        self.config = config

    @torch.no_grad()
    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. flow and warped hold A, then B; mask is the weight of A."""
        seen = windows(observed, query, self.config.neighbours, CLOCK)
        pairs, of = pairs_of(seen, observed.frames), seen.of_query
        t_a, t_b = pairs.times[of].unbind(-1)  # (B, K)
        a = ((seen.query - t_a) / torch.where(t_b > t_a, t_b - t_a, 1))[..., None, None, None]
        there, back = pairs.flow[of].unbind(2)  # (B, K, 2, H, W)
        to_a = torch.where(a < 0, -a * there, a * back)
        to_b = torch.where(a > 1, (a - 1) * back, (1 - a) * there)
        flow = torch.stack([to_a, to_b], dim=2)
        frames = pairs.frames[of]  # (B, K, 2, C, H, W)
        warped = warp(frames.flatten(0, 2), flow.flatten(0, 2)).reshape(frames.shape)
        weight = 1 - a.clamp(0, 1)
        mask = weight.expand(*weight.shape[:3], *frames.shape[-2:])
        return Prediction(mask * warped[:, :, 0] + (1 - mask) * warped[:, :, 1], flow=flow, mask=mask, warped=warped)

    def objective(self) -> Objective:
        """Raises `InvalidInput`: a floor learns nothing."""
        raise InvalidInput("optical_flow is a floor and learns nothing; train another model, such as vid_ode")


def pairs_of(seen: Windows, frames: Tensor) -> Pairs:
    """The pair and its flow in every window, from frames (B, T, C, H, W)."""
    last = seen.neighbours - 1
    beyond, before = ~seen.has_right, ~seen.has_left
    first = last - beyond.long() + before.long()  # (G,) place of A in the window
    places = torch.stack([first, first + 1], dim=1)
    # One observation stands on both sides, so that nothing moves.
    places = torch.where(seen.present.gather(1, places), places, places.flip(1))
    row = torch.arange(len(places), device=places.device)[:, None]
    pair = seen.gather(frames)[row, places]  # (G, 2, C, H, W)
    return Pairs(pair, seen.times.gather(1, places), flow_both_ways(pair))


def flow_both_ways(pair: Tensor) -> Tensor:
    """(G, 2, 2, H, W) flow in pixels, x then y, of each pair (G, 2, C, H, W) in [0, 1]: there, then back."""
    search, flows = _search(), []
    for a, b in grey(pair).cpu().numpy():
        flows.append(np.stack([_padded(search, a, b), _padded(search, b, a)]))
    return torch.from_numpy(np.stack(flows)).to(pair.device).movedim(-1, -3)


def grey(frames: Tensor) -> Tensor:
    """Frames (..., C, H, W) in [0, 1] as 8-bit grey images (..., H, W): luma of three channels, else their mean."""
    weights = LUMA if frames.shape[-3] == 3 else (1 / frames.shape[-3],) * frames.shape[-3]
    mixed = (frames.clamp(0, 1) * frames.new_tensor(weights)[:, None, None]).sum(dim=-3)
    return (mixed * 255).round().to(torch.uint8)


def _search() -> Flow:
    """Dense inverse search of one 8-bit image in another."""
    try:
        import cv2
    except ImportError as error:
        raise InvalidInput(
            "optical_flow needs OpenCV, which is not installed; type: pip install 'vidode[optical-flow]'"
        ) from error
    search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return lambda a, b: search.calc(a, b, None)


def _padded(search: Flow, a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The flow (H, W, 2) of images that may be too small for the search, their borders going on."""
    height, width = a.shape
    more = ((0, max(SMALLEST - height, 0)), (0, max(SMALLEST - width, 0)))
    return search(np.pad(a, more, mode="edge"), np.pad(b, more, mode="edge"))[:height, :width]
