"""What a camera and a codec do to clean frames: independent noise, and the quantised blocks of JPEG and its kin."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vidode.clip import InvalidInput

# ITU-T T.81 (JPEG), tables K.1 and K.2: the usual quantisation steps, for 8-bit levels.
LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99),
    *([99] * 32),
)
# ITU-R BT.601: luma, and the two colour differences scaled to [-0.5, 0.5].
TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


@dataclass(frozen=True)
class Degradation:
    """How far observed frames may be from clean ones.

    noise: least and greatest deviation of a clip's sensor noise, in [0, 1]. compressed: share of the clips that are
    quantised. quality: least and greatest JPEG quality of a clip, 1 to 100; frames differ by a few steps. clean: share
    of the clips left as they are.
    """

    noise: tuple[float, float] = (0.0, 0.02)
    compressed: float = 0.5
    quality: tuple[int, int] = (35, 95)
    clean: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.noise[0] <= self.noise[1]:
            raise InvalidInput(f"noise is {self.noise}; expected 0 <= least <= greatest deviation")
        if not 1 <= self.quality[0] <= self.quality[1] <= 100:
            raise InvalidInput(f"quality is {self.quality}; expected 1 <= least <= greatest <= 100")


def degrade(frames: Tensor, generator: torch.Generator, how: Degradation | None = None) -> Tensor:
    """Frames (T, C, H, W) in [0, 1] as a camera and a codec would give them. Grey stays grey."""
    how = how or Degradation()
    clean, compressed, noisy, fine = torch.rand(4, generator=generator).tolist()
    if clean < how.clean:
        return frames
    deviation = how.noise[0] + noisy * (how.noise[1] - how.noise[0])
    grey = frames.shape[1] == 1 or bool((frames == frames[:, :1]).all())
    shape = (frames.shape[0], 1, *frames.shape[2:]) if grey else frames.shape
    frames = (frames + deviation * torch.randn(shape, generator=generator)).clamp(0, 1)
    if compressed >= how.compressed:
        return frames
    quality = how.quality[0] + fine * (how.quality[1] - how.quality[0])
    each = quality + 3 * torch.randn(len(frames), generator=generator)
    return compress(frames, each.clamp(how.quality[0], how.quality[1]))


def compress(frames: Tensor, quality: Tensor) -> Tensor:
    """Frames (T, C, H, W) as JPEG gives them at each frame's quality (T,); colour is stored at half the size."""
    if frames.shape[1] != 3:
        planes = _quantise(frames.flatten(0, 1), LUMINANCE, quality.repeat_interleave(frames.shape[1]))
        return planes.view_as(frames).clamp(0, 1)
    to_ycc = torch.tensor(TO_YCC)
    ycc = torch.einsum("ij,tjhw->tihw", to_ycc, frames)
    luma, chroma = _quantise(ycc[:, 0] - 0.5, LUMINANCE, quality)[:, None] + 0.5, ycc[:, 1:]
    half = functional.avg_pool2d(chroma, 2, ceil_mode=True)
    half = _quantise(half.flatten(0, 1), CHROMINANCE, quality.repeat_interleave(2)).view_as(half)
    chroma = functional.interpolate(
        half, scale_factor=2, mode="bilinear", align_corners=False, recompute_scale_factor=False
    )[..., : frames.shape[2], : frames.shape[3]]
    ycc = torch.cat([luma, chroma], dim=1)
    return torch.einsum("ij,tjhw->tihw", torch.linalg.inv(to_ycc), ycc).clamp(0, 1)


def _quantise(planes: Tensor, table: tuple[int, ...], quality: Tensor) -> Tensor:
    """Planes (P, H, W), zero being mid-grey, with the DCT of their 8x8 blocks rounded to the table's steps."""
    steps = torch.tensor(table, dtype=torch.float32).view(8, 8)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)  # the IJG library's rule
    steps = (steps * scale[:, None, None]).clamp(min=1)[:, None, None] / 255  # (P, 1, 1, 8, 8)
    count, height, width = planes.shape
    padded = functional.pad(planes[:, None], (0, -width % 8, 0, -height % 8), mode="replicate")
    rows, columns = padded.shape[2] // 8, padded.shape[3] // 8
    blocks = padded.view(count, rows, 8, columns, 8).transpose(2, 3)
    cosine = _cosines()
    coefficients = cosine @ blocks @ cosine.T
    blocks = cosine.T @ ((coefficients / steps).round() * steps) @ cosine
    return blocks.transpose(2, 3).reshape(count, rows * 8, columns * 8)[:, :height, :width]


def _cosines() -> Tensor:
    """The orthonormal DCT-II of 8 points (8, 8)."""
    k, n = torch.arange(8.0)[:, None], torch.arange(8.0)[None, :]
    cosine = torch.cos(math.pi * (2 * n + 1) * k / 16) / 2
    cosine[0] /= math.sqrt(2)
    return cosine
