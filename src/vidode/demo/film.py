"""A made-up scene, filmed as phones film: unevenly, and with frames missing; and the exact truth beside it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from vidode.clip import InvalidInput
from vidode.datasets.moving_scenes import MovingScenes, MovingScenesConfig
from vidode.scenes import SceneStyle
from vidode.sources import Frame, open_sink
from vidode.timing import FrameRate

SIZE = (128, 160)
SECONDS = Fraction(3, 2)
GAP = Fraction(1, 25)
JITTER = 0.2
"""How far a frame is from its regular time, in gaps."""
MISSING = 1 / 3
REQUEST = FrameRate(Fraction(60), beyond=Fraction(1, 5))
STYLE = SceneStyle(static=0.0, grey=0.0, low_contrast=0.0)
"""Something moves, in colour."""
SCENES = 2**62
"""That can be told apart."""


@dataclass(frozen=True, eq=False)
class Film:
    """The observed and the asked times, and the true frames (K, C, H, W) at those asked for."""

    observed: list[Fraction]
    asked: list[Fraction]
    truth: Tensor

    @property
    def made(self) -> Tensor:
        """(K,) bool: the frame was not observed."""
        return torch.tensor([time not in set(self.observed) for time in self.asked])

    @property
    def beyond(self) -> Tensor:
        """(K,) bool: the frame lies after the last observation."""
        return torch.tensor([time > self.observed[-1] for time in self.asked])


def shoot(path: Path, index: int) -> Film:
    """Film the scene into a video file, at its own times; the truth at all that will be asked."""
    if not 0 <= index < SCENES:
        raise InvalidInput(f"scene is {index}; expected a number of zero or more, below {SCENES}")
    config = MovingScenesConfig(size=SIZE, frames=int(SECONDS / GAP) + 2, frame_gap=float(GAP), style=STYLE)
    scene = MovingScenes(config, "test").scene(index)
    observed = _observed_times(index)
    pixels = scene.render(torch.tensor([float(time) for time in observed], dtype=torch.float64), SIZE)
    # Without loss: at half the colour resolution of usual video, the filmed frames themselves are at 31 dB.
    with open_sink(path, times=observed, lossless=True) as sink:
        for frame, time in zip(pixels, observed, strict=True):
            sink.write(Frame(frame, time))
    asked = list(REQUEST.times(observed))
    truth = scene.render(torch.tensor([float(time) for time in asked], dtype=torch.float64), SIZE)
    return Film(observed, asked, truth)


def _observed_times(seed: int) -> list[Fraction]:
    """Seconds, in whole milliseconds as phones count them; the first two and the last two frames are there."""
    generator = torch.Generator().manual_seed(seed)
    count = int(SECONDS / GAP)
    early = (torch.rand(count, generator=generator, dtype=torch.float64) * 2 - 1) * JITTER
    there = torch.rand(count, generator=generator) >= MISSING
    there[[0, 1, -2, -1]] = True
    gap = 1000 * GAP
    return [Fraction(round((1 + n + shift) * gap), 1000) for n, shift in enumerate(early.tolist()) if there[n]]
