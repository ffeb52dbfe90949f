"""Weizmann human actions as strips of square frames, the form in which MoCoGAN's authors distribute them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image

from vidode.clip import InvalidInput
from vidode.datasets import RecordedDataset, videos_by_name
from vidode.footage import Preparation, Take
from vidode.sources import Frame
from vidode.sources.images import DAMAGE

RATE = 25
STRIPS = 72
"""In both splits together, numbered from 00000000 on."""


@dataclass(frozen=True)
class WeizmannConfig:
    """root: the folder with train/ and test/. size: side in pixels, none to keep 64. cache: see `RecordedDataset`."""

    root: str = ""
    size: int | None = None
    channels: Literal[1, 3] = 3
    cache: str | None = None


class Weizmann(RecordedDataset):
    """People who bend, jump, run and wave before a still wall: 64x64, 25 frames a second."""

    config: WeizmannConfig
    splits = ("train", "test")
    downloads = (
        "get the Weizmann actions as strips (one picture a clip, square frames of 64x64 side by side, 72 clips of 51 to"
        " 146 frames: 36 MB; the 'actions' data of MoCoGAN) and put them into train/ and test/ under root"
    )

    def find(self, root: Path) -> list[Take]:
        """One clip a strip, in order of name. Raises `InvalidInput` for one that is in both splits."""
        if not (root / self.split).is_dir():
            raise InvalidInput(f"{str(root)!r} has no folder {self.split!r}; {self.downloads}")
        strips = _strips(root / self.split)
        everything = [strip for split in self.splits for strip in _strips(root / split)]
        videos_by_name(everything)  # a clip of both splits would be tested on what was trained on
        _require_one_height(everything)
        preparation = Preparation(self.config.size, self.config.channels)
        return [Take(self.reel(path, preparation, read_strip)) for path in strips]

    @classmethod
    def missing(cls, root: Path) -> list[str]:
        """Strips, of the 72, that are in no split."""
        here = {path.stem for split in cls.splits for path in _strips(root / split)}
        return [name for name in (f"{number:08d}" for number in range(STRIPS)) if name not in here]


def _strips(folder: Path) -> list[Path]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in files if path.suffix.lower() in {".jpg", ".jpeg", ".png"}]


def _require_one_height(strips: list[Path]) -> None:
    """Raise `InvalidInput` naming a strip that is not as high as most are. What is no picture is said when read."""
    heights = {path: height for path in strips if (height := _height(path)) is not None}
    usual = Counter(heights.values()).most_common(1)
    odd = [path for path, height in heights.items() if height != usual[0][0]]
    if odd:
        raise InvalidInput(
            f"{str(odd[0])!r} is {heights[odd[0]]} pixels high; expected {usual[0][0]} as the others: copy it again"
        )


def _height(path: Path) -> int | None:
    try:
        with Image.open(path) as image:  # reads the header alone
            return image.height
    except DAMAGE:
        return None


def read_strip(path: Path) -> Iterator[Frame]:
    """The frames of a strip, from left to right, 1/25 s apart.

    The files are PNG with an alpha channel, whatever their ending says; the alpha is dropped.
    Raises `InvalidInput` for what is not a picture and for a width that is no multiple of the height.
    """
    try:
        with Image.open(path) as image:
            strip = np.asarray(image.convert("RGB")).copy()
    except DAMAGE as error:
        raise InvalidInput(f"{str(path)!r} cannot be read as a picture; expected a strip of square frames") from error
    height, width, _ = strip.shape
    if width % height:
        raise InvalidInput(f"{str(path)!r} is {width}x{height} pixels; expected a strip of square frames")
    pixels = torch.from_numpy(strip).permute(2, 0, 1).float() / 255
    for index, frame in enumerate(torch.split(pixels, height, dim=2)):
        yield Frame(frame, Fraction(index, RATE))
