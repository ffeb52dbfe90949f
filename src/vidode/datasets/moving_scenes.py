"""Textured layers that translate, turn, scale, ripple and hide each other, known exactly at any time, without end.

Nothing is downloaded and nothing is stored: a clip is its seed, which is a hash of the configured seed, the split and
the index, so that no scene is in two splits.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import torch
from torch import Tensor

from vidode.clip import Clip, InvalidInput, Meaning
from vidode.datasets import Split, VideoDataset, seed_of
from vidode.scenes import Degradation, Scene, SceneStyle, degrade, draw_scene

FLOW_SCALE = 4
"""The true flow is rendered at a quarter of the frames' size, at a sixteenth of the cost."""


@dataclass(frozen=True)
class MovingScenesConfig:
    """Which scenes, and how they are filmed.

    size: height and width in pixels. channels: 3, or 1 for grey scenes. frames: of a clip, `frame_gap` seconds apart.
    jitter: how far a frame may be from its regular time, in frame gaps, below half a gap. clips, held_out: how many a
    split has, training and the others; any larger index gives one more scene. style: what is in the scenes.
    degradation: what `degrade` does to observed frames.
    """

    size: tuple[int, int] = (64, 64)
    channels: int = 3
    frames: int = 20
    frame_gap: float = 1 / 25
    jitter: float = 0.0
    clips: int = 10_000
    held_out: int = 100
    seed: int = 0
    style: SceneStyle = field(default_factory=SceneStyle)
    degradation: Degradation = field(default_factory=Degradation)

    def __post_init__(self) -> None:
        if min(self.size) < 8 or self.frames < 1 or self.channels not in (1, 3) or min(self.clips, self.held_out) < 1:
            raise InvalidInput(
                f"size {self.size}, {self.frames} frames, {self.channels} channels, {self.clips} and {self.held_out}"
                " clips; expected at least 8x8 pixels, one frame and one clip, and 1 or 3 channels"
            )
        if not self.frame_gap > 0 or not 0 <= self.jitter < 0.5:
            raise InvalidInput(
                f"frame_gap {self.frame_gap} and jitter {self.jitter}; expected a positive gap in seconds"
                " and 0 <= jitter < 0.5"
            )


class MovingScenes(VideoDataset):
    """Scenes on the fly; clean at `clip` and `window`, filmed and coded at `degrade`."""

    config: MovingScenesConfig
    splits = ("train", "validation", "test")

    def __init__(self, config: MovingScenesConfig, split: Split) -> None:
        super().__init__(config, split)
        self.config: MovingScenesConfig = config

    def __len__(self) -> int:
        return self.config.clips if self.split == "train" else self.config.held_out

    def scene(self, index: int) -> Scene:
        """The scene of clip `index`, at any time and any size."""
        return _scene(self.config, seed_of(self.config.seed, self.split, index))

    def times(self, index: int) -> Tensor:
        """When clip `index` is filmed (T,), float64 seconds."""
        config = self.config
        regular = torch.arange(config.frames, dtype=torch.float64)
        if config.jitter:
            generator = torch.Generator().manual_seed(seed_of(config.seed, self.split, index, "times"))
            early = torch.rand(config.frames, generator=generator, dtype=torch.float64) * 2 - 1
            regular = regular + config.jitter * early
        return regular * config.frame_gap

    def clip(self, index: int) -> Clip:
        """All frames of clip `index`, clean."""
        return self.at(index, self.times(index))

    def window(self, index: int, length: int, generator: torch.Generator) -> Clip:
        """`length` successive frames from a random start; only these are rendered."""
        times = self.times(index)
        if length > len(times):
            raise InvalidInput(f"a clip has {len(times)} frames; expected at least {length}: raise `frames`")
        start = int(torch.randint(len(times) - length + 1, (), generator=generator))
        return self.at(index, times[start : start + length])

    def at(self, index: int, times: Tensor) -> Clip:
        """Clip `index` at any increasing times (T,) in seconds, also outside those of `clip`."""
        frames = self.scene(index).render(times, self.config.size)
        if self.config.channels == 1:
            frames = frames.mean(dim=1, keepdim=True)
        return Clip(frames, times, meaning=Meaning(frame_gap=self.config.frame_gap))

    def flow(self, index: int, start: float, ends: Tensor) -> Tensor:
        """See `VideoDataset.flow`. Points that are hidden or outside the frame at the end have one too."""
        height, width = self.config.size
        small = (-(-height // FLOW_SCALE), -(-width // FLOW_SCALE))
        scale = min(self.config.size) / min(small)
        return torch.stack([scale * self.scene(index).flow(start, float(end), small).field for end in ends])

    def degrade(self, clip: Clip, generator: torch.Generator) -> Clip:
        """The clip with the sensor noise and coding that `degradation` describes."""
        return replace(clip, frames=degrade(clip.frames, generator, self.config.degradation))


@lru_cache(maxsize=16)
def _scene(config: MovingScenesConfig, seed: int) -> Scene:
    """The last few scenes stay: one is asked for its frames, then for its flow."""
    return draw_scene(seed, min(config.size), config.frames, config.frame_gap, config.style)
