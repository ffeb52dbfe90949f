"""Moving GIF: 1,000 animations of cartoon animals, 256x256, as Monkey-Net's authors collected them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Literal

from vidode.clip import InvalidInput
from vidode.datasets import RecordedDataset, Split
from vidode.footage import Preparation, Take, at_rate

ENDINGS = (".gif", ".npy", ".mp4")
RATE = Fraction(10)
"""Frames a second of arrays, whose times are lost. Only gaps count in model time."""


@dataclass(frozen=True)
class MovingGifConfig:
    """Where and which.

    root: the folder with train/ and test/. size: side in pixels, none to keep 256. min_frames: shorter animations are
    left out, as the paper does, for which all are decoded when the data is opened. cache: see `RecordedDataset`.
    """

    root: str = ""
    size: int | None = None
    channels: Literal[1, 3] = 3
    min_frames: int = 10
    cache: str | None = None


class MovingGif(RecordedDataset):
    """One clip an animation; its times are those of its own frames."""

    config: MovingGifConfig
    splits = ("train", "test")
    whole: ClassVar[Mapping[Split, int]] = {"train": 900, "test": 100}
    downloads = (
        "get the Moving GIF data of Monkey-Net (Siarohin et al., CVPR 2019) and put its 900 training and 100 test"
        " animations of 256x256, as .gif, .mp4 or one .npy (T, H, W, 3) a video, into train/ and test/ under root"
    )

    def find(self, root: Path) -> list[Take]:
        """In order of name."""
        if not (root / self.split).is_dir():
            raise InvalidInput(f"{str(root)!r} has no folder {self.split!r}; {self.downloads}")
        paths = animations(root / self.split)
        preparation = Preparation(self.config.size, self.config.channels)
        untimed = at_rate(RATE)
        return [
            Take(self.reel(path, preparation, untimed if path.suffix.lower() == ".npy" else None)) for path in paths
        ]

    @property
    def least(self) -> int:
        """Frames of a clip."""
        return self.config.min_frames

    @classmethod
    def held(cls, root: Path) -> Mapping[Split, int]:
        """Animations of each split, short ones too."""
        return {split: len(animations(root / split)) for split in cls.whole if (root / split).is_dir()}


def animations(folder: Path) -> list[Path]:
    """The files of a split, in order of name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
