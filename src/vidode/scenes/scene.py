"""A scene: what it looks like at any time and size, and where every visible point goes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vidode.scenes.motion import Array, Curve, Rig

# Layers x frames x pixels resampled at once: keeps the grids of one pass within the processor's caches.
PIXELS_AT_ONCE = 400_000
# A deformation's slope is below 0.6, so that each step of the fixed point at least nearly halves the error.
INVERSION_STEPS = 40


@dataclass(frozen=True, eq=False)
class Ripple:
    """A smooth deformation of one layer: u -> u + amplitude * sin(wave u + omega s + phase), in texture coordinates.

    amplitude: (2,). wave: (2, 2) radians per unit. omega: (2,) radians per frame. phase: (2,).
    """

    amplitude: Array
    wave: Array
    omega: Array
    phase: Array

    def __call__(self, point: Tensor, s: Tensor) -> Tensor:
        """Displacement of points (T, ..., 2) at the times (T,)."""
        parts = []
        times = s.view(-1, *([1] * (point.dim() - 2)))
        for axis in range(2):
            (a, b), rate, phase = self.wave[axis], self.omega[axis], self.phase[axis]
            moving = (times * rate + phase).to(point)
            angle = (point[..., 0] * a).add_(point[..., 1], alpha=b).add_(moving)
            parts.append(angle.sin_().mul_(self.amplitude[axis]))
        return torch.stack(parts, dim=-1)


@dataclass(frozen=True, eq=False)
class Flow:
    """Where the surface seen at one time is at another.

    field: (2, H, W) pixels, x then y: the point seen at p is at p + field. visible: (H, W) bool, False where it is then
    hidden or outside the frame.
    """

    field: Tensor
    visible: Tensor


@dataclass(frozen=True, eq=False)
class Scene:
    """A background and N layers over it, as a function of continuous time in seconds.

    background: (3, R, R) in [0, 1], continued by reflection. layers: (N, 4, r, r), colours and alpha in [0, 1].
    centre (1 + N,) complex and extent (1 + N, 2): the part of each layer's plane that its texture covers.
    order: indices of the layers, 0 to N - 1, from the farthest to the nearest. ripples: of layers by index, 0 being
    the background. gain: the brightness over time. detail: the shorter side in pixels at which the textures are sharp.

    The frame's shorter side spans [-1, 1] of the plane at every size, so every size shows the same scene.
    """

    background: Tensor
    layers: Tensor
    centre: np.ndarray
    extent: Array
    order: tuple[int, ...]
    rig: Rig
    ripples: dict[int, Ripple]
    gain: Curve
    detail: int
    frame_gap: float
    middle: float

    def render(self, times: Tensor, size: tuple[int, int]) -> Tensor:
        """Frames (T, 3, H, W) in [0, 1] at the times (T,) in seconds.

        A frame smaller than the scene's detail is rendered larger and averaged, so that nothing aliases.
        """
        finer = max(1, math.ceil(self.detail / min(size) - 0.25))
        large = (size[0] * finer, size[1] * finer)
        cost = (1 + len(self.layers)) * large[0] * large[1]
        parts = [self._render(part, large) for part in torch.split(times, max(1, PIXELS_AT_ONCE // cost))]
        frames = torch.cat(parts)
        return functional.avg_pool2d(frames, finer) if finer > 1 else frames

    def flow(self, start: float, end: float, size: tuple[int, int]) -> Flow:
        """The true flow from one time to another, in seconds. A layer owns the pixels it covers by more than half."""
        times = torch.tensor([start, end], dtype=torch.float64)
        height, width = size
        per_unit = min(size) / 2
        seen = _screen(size)  # (H, W, 2)
        everywhere = seen.expand(1 + len(self.layers), 1, height, width, 2)
        owner = self._owner(everywhere, times[:1])  # (H, W)
        texture = self._to_texture(everywhere, times[:1])
        there = self._to_screen(texture, times[1:])[:, 0]  # (1 + N, H, W, 2)
        there = there.gather(0, owner[None, ..., None].expand(1, height, width, 2))[0]
        then = self._owner(there.expand(1 + len(self.layers), 1, height, width, 2), times[1:])
        half = torch.tensor([width, height], dtype=torch.float64) / min(size)
        inside = (there.abs() <= half).all(dim=-1)
        return Flow(((there - seen) * per_unit).permute(2, 0, 1).float(), inside & (then == owner))

    def _render(self, times: Tensor, size: tuple[int, int]) -> Tensor:
        grid = self._grid(times, size)  # (1 + N, T, H, W, 2)
        steps, (height, width) = len(times), size
        frames = functional.grid_sample(
            self.background[None],
            grid[:1].flatten(1, 2),
            mode="bilinear",
            padding_mode="reflection",
            align_corners=True,
        )[0].view(3, steps, height, width)
        if len(self.layers):
            covers = functional.grid_sample(
                self.layers, grid[1:].flatten(1, 2), mode="bilinear", padding_mode="zeros", align_corners=True
            ).view(len(self.layers), 4, steps, height, width)
            for index in self.order:
                frames.lerp_(covers[index, :3], covers[index, 3])
        gain = torch.from_numpy(self.gain(self._frame_number(times)).real).float()
        return (frames * gain[:, None, None]).clamp_(0, 1).transpose(0, 1).contiguous()

    def _frame_number(self, times: Tensor) -> Array:
        return np.asarray(times.to(torch.float64).numpy() / self.frame_gap - self.middle)

    def _inverse(self, times: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Turn and shift (1 + N, T) from the screen to each layer's own plane, its texture's centre at zero."""
        turn, shift = self.rig.poses(self._frame_number(times))
        back = 1 / turn
        return back.T, (-shift * back - self.centre).T

    def _grid(self, times: Tensor, size: tuple[int, int]) -> Tensor:
        """Texture coordinates (1 + N, T, H, W, 2) of every pixel, float32."""
        turn, shift = self._inverse(times)
        x, y = _axes(size)
        across, down = self.extent[:, :1], self.extent[:, 1:]
        grid = torch.empty(*turn.shape, *size, 2)
        for axis, (of_x, of_y, rest) in enumerate(
            [
                (turn.real / across, -turn.imag / across, shift.real / across),
                (turn.imag / down, turn.real / down, shift.imag / down),
            ]
        ):
            row = torch.from_numpy(of_x[..., None] * x + rest[..., None]).float()
            column = torch.from_numpy(of_y[..., None] * y).float()
            torch.add(row[:, :, None, :], column[..., None], out=grid[..., axis])
        self._ripple(grid, times)
        return grid

    def _ripple(self, grid: Tensor, times: Tensor) -> None:
        s = torch.from_numpy(self._frame_number(times))
        for index, ripple in self.ripples.items():
            grid[index] += ripple(grid[index], s)

    def _to_texture(self, screen: Tensor, times: Tensor) -> Tensor:
        """Texture coordinates of points of the screen (1 + N, T, H, W, 2), float64."""
        turn, shift = (torch.from_numpy(part)[..., None, None] for part in self._inverse(times))
        plane = torch.view_as_complex(screen.contiguous()) * turn + shift
        texture = torch.view_as_real(plane) / torch.from_numpy(self.extent)[:, None, None, None]
        self._ripple(texture, times)
        return texture

    def _to_screen(self, texture: Tensor, times: Tensor) -> Tensor:
        """The inverse of `_to_texture`: ripples are undone by fixed-point iteration."""
        smooth = texture.clone()
        s = torch.from_numpy(self._frame_number(times))
        for index, ripple in self.ripples.items():
            for _ in range(INVERSION_STEPS):
                smooth[index] = texture[index] - ripple(smooth[index], s)
        plane = torch.view_as_complex(smooth * torch.from_numpy(self.extent)[:, None, None, None])
        turn, shift = (torch.from_numpy(part)[..., None, None] for part in self._inverse(times))
        return torch.view_as_real((plane - shift) / turn)

    def _owner(self, screen: Tensor, times: Tensor) -> Tensor:
        """Index (H, W) of the nearest layer that covers each point of the screen by more than half."""
        owner = torch.zeros(screen.shape[2:4], dtype=torch.int64)
        if not len(self.layers):
            return owner
        texture = self._to_texture(screen, times)[1:, 0].float()
        alpha = functional.grid_sample(
            self.layers[:, 3:], texture, mode="bilinear", padding_mode="zeros", align_corners=True
        )[:, 0]
        for index in self.order:
            owner = torch.where(alpha[index] > 0.5, index + 1, owner)
        return owner


def _axes(size: tuple[int, int]) -> tuple[Array, Array]:
    """Coordinates x (W,) and y (H,) of the pixels' centres on the plane."""
    height, width = size
    short = min(size)
    return (2 * np.arange(width) + 1 - width) / short, (2 * np.arange(height) + 1 - height) / short


def _screen(size: tuple[int, int]) -> Tensor:
    """The pixels' centres (H, W, 2) on the plane, x then y, float64."""
    x, y = (torch.from_numpy(axis) for axis in _axes(size))
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
