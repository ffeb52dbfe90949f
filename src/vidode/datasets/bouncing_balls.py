"""Three balls in a box, as in the Vid-ODE paper: 32x32, ten frames in, ten out, 1,000 clips to train on, 50 to test.

The physics are those of the classic set (Sutskever, Hinton and Taylor, 2009): box side 10, radius 1.2, equal masses,
elastic collisions with the walls and each other, no gravity, and speeds that together have a norm of half a unit a
frame. There the collisions are stepped over; here each is solved for, so that the state is exact at any time.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidode.clip import Clip, InvalidInput, Meaning
from vidode.datasets import Split, VideoDataset, seed_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class BouncingBallsConfig:
    """How many balls and clips, and how they look.

    size: side in pixels. channels: 1, or 3 equal ones. frames: of a clip, `frame_gap` seconds apart. box, radius: in
    units. speed: the norm of all velocities together, units per frame. clips, held_out: how many a split has, training
    and the others.
    """

    size: int = 32
    channels: int = 1
    balls: int = 3
    frames: int = 20
    frame_gap: float = 1 / 25
    box: float = 10.0
    radius: float = 1.2
    speed: float = 0.5
    clips: int = 1000
    held_out: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.size, self.balls, self.frames, self.clips, self.held_out) < 1 or self.channels not in (1, 3):
            raise InvalidInput(
                f"size {self.size}, {self.balls} balls, {self.frames} frames, {self.clips} and {self.held_out} clips,"
                f" {self.channels} channels; expected positive counts, and 1 or 3 channels"
            )
        if not min(self.frame_gap, self.box, self.radius, self.speed) > 0:
            raise InvalidInput(
                f"frame_gap {self.frame_gap}, box {self.box}, radius {self.radius}, speed {self.speed};"
                " expected positive numbers"
            )
        # Balls dropped at random jam when they cover much more than half of the floor.
        if self.balls * math.pi * self.radius**2 > 0.4 * (self.box - 2 * self.radius) ** 2 and self.balls > 1:
            raise InvalidInput(
                f"{self.balls} balls of radius {self.radius} crowd a box of side {self.box}; expected smaller or fewer"
            )
        if self.box <= 2 * self.radius:
            raise InvalidInput(f"a ball of radius {self.radius} does not fit a box of side {self.box}; make it smaller")


@dataclass(frozen=True, eq=False)
class State:
    """Balls at a time, in frames: positions and velocities (N, 2), in units and units per frame."""

    time: float
    positions: Array
    velocities: Array

    def after(self, wait: float) -> State:
        """Straight on for `wait` frames."""
        return State(self.time + wait, self.positions + wait * self.velocities, self.velocities)


class Motion:
    """The balls' motion from a state on, forwards in time: the states right after each collision, found as needed."""

    def __init__(self, start: State, box: float, radius: float) -> None:
        self.box, self.radius = box, radius
        self._states = [start]
        self._times = [start.time]
        self._next = self._collide(start)

    def at(self, time: float) -> State:
        """The state at `time`, which is the start's or later."""
        while self._next.time <= time:
            self._states.append(self._next)
            self._times.append(self._next.time)
            self._next = self._collide(self._next)
        last = self._states[bisect.bisect_right(self._times, time) - 1]
        return last.after(time - last.time)

    def _collide(self, state: State) -> State:
        """The state right after the next collision."""
        walls, pairs = self._until_walls(state), self._until_pairs(state)
        wait = min(float(walls.min()), float(pairs.min()))
        hit = state.after(wait)
        positions, velocities = hit.positions, hit.velocities.copy()
        if walls.min() <= pairs.min():
            ball, axis = np.unravel_index(int(walls.argmin()), walls.shape)
            velocities[ball, axis] *= -1
            # Onto the wall exactly: rounding must not let a ball creep out of the box.
            positions[ball, axis] = self.radius if velocities[ball, axis] > 0 else self.box - self.radius
        else:
            one, two = np.unravel_index(int(pairs.argmin()), pairs.shape)
            normal = positions[one] - positions[two]
            normal /= np.linalg.norm(normal)
            # Equal masses swap the parts of their velocities along the line between them.
            swapped = normal * ((velocities[one] - velocities[two]) @ normal)
            velocities[one] -= swapped
            velocities[two] += swapped
        return State(hit.time, positions, velocities)

    def _until_walls(self, state: State) -> Array:
        """Frames until each ball meets a wall along each axis (N, 2)."""
        x, v = state.positions, state.velocities
        wall = np.where(v > 0, self.box - self.radius, self.radius)
        wait: Array = np.divide(wall - x, v, out=np.full_like(x, np.inf), where=v != 0)
        return wait.clip(min=0)

    def _until_pairs(self, state: State) -> Array:
        """Frames until each pair meets (N, N), infinite where it does not: |d + v t| = 2 r, with the earlier root."""
        d = state.positions[:, None] - state.positions[None]
        v = state.velocities[:, None] - state.velocities[None]
        along, speed = (d * v).sum(-1), (v * v).sum(-1)
        apart = (d * d).sum(-1) - 4 * self.radius**2
        under = along**2 - speed * apart
        meets = (along < 0) & (under > 0)
        # The form of the root that does not cancel where the balls all but touch.
        never = np.full_like(along, np.inf)
        wait: Array = np.divide(apart, np.sqrt(np.maximum(under, 0)) - along, out=never, where=meets)
        return wait.clip(min=0)


class BouncingBalls(VideoDataset):
    """Elastic balls in a box, white on black, exact at any time."""

    config: BouncingBallsConfig
    splits = ("train", "validation", "test")

    def __init__(self, config: BouncingBallsConfig, split: Split) -> None:
        super().__init__(config, split)
        self.config: BouncingBallsConfig = config
        self._motions: dict[int, tuple[Motion, Motion]] = {}

    def __len__(self) -> int:
        return self.config.clips if self.split == "train" else self.config.held_out

    def clip(self, index: int) -> Clip:
        """All frames of clip `index`."""
        return self.at(index, torch.arange(self.config.frames, dtype=torch.float64) * self.config.frame_gap)

    def at(self, index: int, times: Tensor) -> Clip:
        """Clip `index` at any increasing times (T,) in seconds, also before 0 and after the last frame."""
        positions = torch.stack([torch.from_numpy(self.state(index, float(time)).positions) for time in times])
        frames = self._draw(positions).expand(-1, self.config.channels, -1, -1)
        return Clip(frames, times, meaning=Meaning(frame_gap=self.config.frame_gap))

    def state(self, index: int, time: float) -> State:
        """The balls of clip `index` at a time in seconds: exact, whatever else is asked. `State.time` is in frames."""
        frame = time / self.config.frame_gap
        forward, backward = self._motion(index)
        if frame >= 0:
            return forward.at(frame)
        past = backward.at(-frame)  # the laws are the same with time reversed
        return State(frame, past.positions, -past.velocities)

    def manifest(self) -> dict[str, Any]:
        """Every constant of this split, for the record of an experiment."""
        return {
            "data set": "bouncing_balls",
            "split": self.split,
            "clips in split": len(self),
            **asdict(self.config),
            "mass": 1.0,
            "gravity": 0.0,
            "restitution": 1.0,
            "velocities": "Gaussian directions and shares, scaled to the norm `speed` over all balls, units per frame",
            "positions": "uniform without overlap",
            "edge": "coverage falls from 1 to 0 over one pixel across the disc's border",
        }

    def _motion(self, index: int) -> tuple[Motion, Motion]:
        """The motion of a clip forwards and backwards from its first frame."""
        if index not in self._motions:
            start, config = self._start(index), self.config
            mirrored = State(0.0, start.positions, -start.velocities)
            self._motions[index] = tuple(Motion(s, config.box, config.radius) for s in (start, mirrored))  # type: ignore[assignment]
        return self._motions[index]

    def _start(self, index: int) -> State:
        config = self.config
        rng = np.random.default_rng(seed_of(config.seed, self.split, index))
        positions = np.empty((0, 2))
        while len(positions) < config.balls:
            ball = rng.uniform(config.radius, config.box - config.radius, (1, 2))
            if (np.linalg.norm(positions - ball, axis=1) > 2 * config.radius).all():
                positions = np.concatenate([positions, ball])
        velocities = rng.normal(size=(config.balls, 2))
        return State(0.0, positions, velocities * config.speed / np.linalg.norm(velocities))

    def _draw(self, positions: Tensor) -> Tensor:
        """Discs at positions (T, N, 2) as frames (T, 1, size, size)."""
        pixel = self.config.box / self.config.size
        centre = (torch.arange(self.config.size, dtype=torch.float64) + 0.5) * pixel
        across = centre - positions[..., :1]  # (T, N, W)
        down = centre - positions[..., 1:]  # (T, N, H)
        distance = torch.hypot(across[:, :, None, :], down[..., None])
        cover = ((self.config.radius - distance) / pixel + 0.5).clamp(0, 1)
        return cover.sum(dim=1, keepdim=True).clamp(max=1).float()
