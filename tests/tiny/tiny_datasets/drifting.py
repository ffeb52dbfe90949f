"""Waves that drift at a speed of their own, 10 frames a second."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from vidode.clip import Clip
from vidode.datasets import Split, VideoDataset


@dataclass(frozen=True)
class DriftingConfig:
    clips: int = 12
    frames: int = 14
    size: int = 8


class Drifting(VideoDataset):
    config: DriftingConfig
    splits: ClassVar[tuple[Split, ...]] = ("train", "validation")

    def __len__(self) -> int:
        return self.config.clips

    def clip(self, index: int) -> Clip:
        times = torch.arange(self.config.frames, dtype=torch.float64) / 10
        phase = torch.arange(self.config.size)[None, :] - (1 + index) * times[:, None].float()
        rows = 0.5 + 0.4 * torch.sin(phase)
        return Clip(rows[:, None, None, :].repeat(1, 1, self.config.size, 1), times)

    def degrade(self, clip: Clip, generator: torch.Generator) -> Clip:
        """As a negative."""
        return replace(clip, frames=1 - clip.frames)
