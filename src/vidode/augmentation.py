"""Changes of a training window that leave it a plausible video.

The order of Vid-ODE's preparation: the window is drawn, its frames are resized (by the data set), then it is augmented
as here. Every change is drawn once for the whole window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor
from torch.nn import functional

from vidode.clip import Clip, InvalidInput


@dataclass(frozen=True)
class Augmentation:
    """How a window may change, in this order; the defaults are the paper's.

    crop: height and width of a random part of the frame; none keeps it whole. reverse: probability that time runs
    backwards. flip: probability that left and right change places. degrees: the frames turn by one angle between minus
    this and this, bilinearly, with zeros where nothing was seen.
    """

    crop: tuple[int, int] | None = None
    reverse: float = 0.0
    flip: float = 0.5
    degrees: float = 10.0

    def __post_init__(self) -> None:
        for name in ("reverse", "flip"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; expected a probability from 0 to 1")
        if not 0 <= self.degrees <= 180:
            raise InvalidInput(f"degrees is {self.degrees}; expected an angle from 0 to 180")
        if self.crop is not None and min(self.crop) < 1:
            raise InvalidInput(f"crop is {self.crop}; expected a positive height and width, or none")


def augment(window: Clip, how: Augmentation, generator: Generator) -> Clip:
    """A changed window, with values in [0, 1] as data sets give them, deterministic given the generator.

    As many numbers are drawn whatever happens, so that one option does not change what another one draws.
    Raises `InvalidInput` where the frame is smaller than the crop.
    """
    row, column, backwards, mirrored, turn = torch.rand(5, generator=generator, dtype=torch.float64).tolist()
    if how.crop is not None:
        window = _crop(window, how.crop, row, column)
    if backwards < how.reverse:
        window = reverse(window)
    if mirrored < how.flip:
        window = flip(window)
    if how.degrees:
        window = rotate(window, (2 * turn - 1) * how.degrees)
    return window


def reverse(clip: Clip) -> Clip:
    """The clip run backwards between the same first and last time."""
    times = (clip.times[0] + clip.times[-1] - clip.times).flip(0)
    valid = None if clip.valid is None else clip.valid.flip(0)
    return replace(clip, frames=clip.frames.flip(0), times=times, valid=valid)


def flip(clip: Clip) -> Clip:
    """The clip with left and right changed over."""
    return replace(clip, frames=clip.frames.flip(-1), valid=None if clip.valid is None else clip.valid.flip(-1))


def crop(clip: Clip, size: tuple[int, int], top: int, left: int) -> Clip:
    """The part of each frame with `size` rows and columns from row `top` and column `left` on."""
    part = (..., slice(top, top + size[0]), slice(left, left + size[1]))
    return replace(clip, frames=clip.frames[part], valid=None if clip.valid is None else clip.valid[part])


def rotate(clip: Clip, degrees: float) -> Clip:
    """The clip with its frames turned counter-clockwise about their centre, bilinearly, with zeros outside.

    Where pixels can be missing, a pixel is valid if all of what it is made from was measured.
    """
    if clip.valid is None:
        return replace(clip, frames=_turned(clip.frames, degrees))
    measured = torch.where(clip.valid, clip.frames, torch.zeros(()))
    valid = _turned(clip.valid.float(), degrees) > 1 - 1e-4
    return replace(clip, frames=_turned(measured, degrees), valid=valid)


def _turned(frames: Tensor, degrees: float) -> Tensor:
    """Frames (T, C, H, W) turned: the pixel at p shows what was at R p, with p from the centre and y pointing down."""
    height, width = frames.shape[-2:]
    y, x = torch.meshgrid(_from_centre(height), _from_centre(width), indexing="ij")
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    across, down = cosine * x - sine * y, sine * x + cosine * y
    grid = torch.stack([across * 2 / width, down * 2 / height], dim=-1)[None].float()
    planes = frames.flatten(0, 1)[None]
    turned = functional.grid_sample(planes, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return turned.view_as(frames)


def _from_centre(count: int) -> Tensor:
    """The pixels' centres, in pixels from the middle of the frame (count,)."""
    return torch.arange(count, dtype=torch.float64) - (count - 1) / 2


def _crop(window: Clip, size: tuple[int, int], row: float, column: float) -> Clip:
    spare = [have - want for have, want in zip(window.size, size, strict=True)]
    if min(spare) < 0:
        raise InvalidInput(f"frames are {window.size}; expected at least the crop {size}: crop less, or resize first")
    return crop(window, size, int(row * (spare[0] + 1)), int(column * (spare[1] + 1)))
