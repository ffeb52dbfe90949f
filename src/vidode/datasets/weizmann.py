"""Weizmann human actions as strips of square frames, the form in which MoCoGAN's authors distribute them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from vidode.clip import InvalidInput
from vidode.datasets import RecordedDataset
from vidode.footage import Preparation, Take
from vidode.sources import Frame

RATE = 25


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
        "get the Weizmann actions as strips (one picture a clip, square frames side by side; the 'actions' data of"
        " MoCoGAN) and put them into train/ and test/ under root"
    )

    def find(self, root: Path) -> list[Take]:
        """One clip a strip, in order of name."""
        folder = root / self.split
        if not folder.is_dir():
            raise InvalidInput(f"{str(root)!r} has no folder {self.split!r}; {self.downloads}")
        strips = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
        preparation = Preparation(self.config.size, self.config.channels)
        return [Take(self.reel(path, preparation, read_strip)) for path in strips]


def read_strip(path: Path) -> Iterator[Frame]:
    """The frames of a strip, from left to right, 1/25 s apart.

    The files are PNG with an alpha channel, whatever their ending says; the alpha is dropped.
    Raises `InvalidInput` for what is not a picture and for a width that is no multiple of the height.
    """
    try:
        with Image.open(path) as image:
            strip = np.asarray(image.convert("RGB")).copy()
    except (UnidentifiedImageError, OSError) as error:
        raise InvalidInput(f"{str(path)!r} cannot be read as a picture; expected a strip of square frames") from error
    height, width, _ = strip.shape
    if width % height:
        raise InvalidInput(f"{str(path)!r} is {width}x{height} pixels; expected a strip of square frames")
    pixels = torch.from_numpy(strip).permute(2, 0, 1).float() / 255
    for index, frame in enumerate(torch.split(pixels, height, dim=2)):
        yield Frame(frame, Fraction(index, RATE))
