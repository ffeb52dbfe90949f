"""Surfaces and outlines, drawn once for each scene on square grids whose coordinates run over [-1, 1]."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

Pattern = Callable[[np.random.Generator, Tensor, int], Tensor]


@lru_cache(maxsize=8)
def plane(side: int) -> tuple[Tensor, Tensor]:
    """Coordinates x and y (side, side) of a texture."""
    line = torch.linspace(-1, 1, side)
    x, y = torch.meshgrid(line, line, indexing="xy")
    return x, y


@lru_cache(maxsize=8)
def frequencies(side: int) -> tuple[Tensor, Tensor]:
    """Cycles per texel along x (1, side // 2 + 1) and y (side, 1), as `rfft2` orders them."""
    return torch.fft.rfftfreq(side)[None, :], torch.fft.fftfreq(side)[:, None]


def noise(exponents: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Random fields (K, side, side) of mean 0 and deviation 1 with amplitude spectra |f|^-exponent.

    Photographs have exponents near 1; larger ones are smoother.
    """
    x, y = frequencies(side)
    radius = torch.hypot(x, y) * side
    radius[0, 0] = 1.0
    white = torch.randn(len(exponents), *radius.shape, 2, generator=generator)
    spectrum = torch.view_as_complex(white) * torch.exp(-exponents[:, None, None] * radius.log())
    spectrum[:, 0, 0] = 0
    fields: Tensor = torch.fft.irfft2(spectrum, s=(side, side))
    return fields / fields.std(dim=(1, 2), keepdim=True)


def blur(textures: Tensor, deviation: Tensor) -> Tensor:
    """Gaussian blur of (N, C, side, side), of deviation (N, 2) texels along x and y: what the camera's optics do."""
    x, y = frequencies(textures.shape[-1])
    squared = (2 * math.pi * deviation) ** 2 / 2
    transfer = torch.exp(-squared[:, :1, None] * x**2 - squared[:, 1:, None] * y**2)  # (N, side, side // 2 + 1)
    blurred: Tensor = torch.fft.irfft2(torch.fft.rfft2(textures) * transfer[:, None], s=textures.shape[-2:])
    return blurred


def paint(rng: np.random.Generator, fields: Tensor, cells: float) -> Tensor:
    """A surface (3, side, side) in [0, 1] from two noise fields (2, side, side).

    cells: pixels that the texture will cover, which bounds how fine its pattern may be.
    """
    side = fields.shape[-1]
    if rng.random() < 0.3:
        surface = _leaves(rng, side)
    else:
        pattern = PATTERNS[rng.integers(len(PATTERNS))](rng, fields[0], int(cells))
        dark, light = (_colour(rng)[:, None, None] for _ in range(2))
        surface = torch.lerp(dark, light, pattern.clamp(0, 1))
    tint = torch.from_numpy(rng.normal(0, 1, 3) * 0.3 + 1).float()[:, None, None]
    surface = surface + tint * fields[1] * float(rng.choice([0, 0.03, 0.08, 0.15]))
    return surface.clamp_(0, 1)


def _colour(rng: np.random.Generator) -> Tensor:
    """Any colour, from grey to saturated."""
    grey, pure = rng.random(), rng.random(3)
    return torch.from_numpy(grey + (pure - grey) * rng.random()).float()


def _flat(rng: np.random.Generator, field: Tensor, cells: int) -> Tensor:
    return torch.full_like(field, 0.5)


def _clouds(rng: np.random.Generator, field: Tensor, cells: int) -> Tensor:
    return 0.5 + field * rng.uniform(0.15, 0.35)


def _spots(rng: np.random.Generator, field: Tensor, cells: int) -> Tensor:
    return torch.sigmoid((field - rng.uniform(-0.7, 0.7)) * rng.uniform(5, 40))


def _gradient(rng: np.random.Generator, field: Tensor, cells: int) -> Tensor:
    return 0.5 + 0.5 * _along(rng, field.shape[-1]) + 0.1 * field


def _stripes(rng: np.random.Generator, field: Tensor, cells: int) -> Tensor:
    phase = _along(rng, field.shape[-1]) * _wave_number(rng, cells) + rng.uniform(0, 1) * field
    return torch.sigmoid(phase.sin() * rng.uniform(1.5, 20))


def _checker(rng: np.random.Generator, field: Tensor, cells: int) -> Tensor:
    x, y = plane(field.shape[-1])
    turn, count = rng.uniform(0, math.pi), _wave_number(rng, cells) * 0.7
    across, down = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    return torch.sigmoid((across * count).sin() * (down * count).sin() * rng.uniform(3, 30))


PATTERNS: tuple[Pattern, ...] = (_flat, _clouds, _clouds, _spots, _gradient, _stripes, _checker)


def _along(rng: np.random.Generator, side: int) -> Tensor:
    x, y = plane(side)
    turn = rng.uniform(0, 2 * math.pi)
    return x * math.cos(turn) + y * math.sin(turn)


def _wave_number(rng: np.random.Generator, cells: int) -> float:
    """Radians per unit: from one period a texture to one every five pixels, evenly in octaves."""
    return float(math.pi * np.exp(rng.uniform(0, math.log(max(cells / 5, 2)))))


def _leaves(rng: np.random.Generator, side: int) -> Tensor:
    """Boxes and ellipses that fall on each other, small ones often: the edges and corners of photographs."""
    canvas = np.empty((3, side, side), dtype=np.float32)
    canvas[:] = rng.random((3, 1, 1))
    count = int(rng.integers(15, 60))
    radius = side * np.exp(rng.uniform(math.log(0.02), math.log(0.35), (count, 2)))
    place = rng.uniform(0, side, (count, 2))
    colours = rng.random((count, 3)).astype(np.float32)
    colours += (colours.mean(axis=1, keepdims=True) - colours) * rng.random((count, 1)).astype(np.float32)
    round_ones = rng.random(count) < 0.5
    for (w, h), (x, y), colour, is_round in zip(radius, place, colours, round_ones, strict=True):
        left, top = max(int(x - w), 0), max(int(y - h), 0)
        part = canvas[:, top : int(y + h) + 1, left : int(x + w) + 1]
        if is_round:
            across = (np.arange(left, left + part.shape[2]) - x) / w
            down = (np.arange(top, top + part.shape[1]) - y) / h
            np.copyto(part, colour[:, None, None], where=(across**2 + (down**2)[:, None] < 1)[None])
        else:
            part[:] = colour[:, None, None]
    return torch.from_numpy(canvas)


def outline(rng: np.random.Generator, field: Tensor) -> Tensor:
    """A random shape (side, side), 1 inside and 0 outside, that stays clear of the texture's border."""
    x, y = plane(field.shape[-1])
    reach = 0.85
    kind = rng.choice(["ellipse", "polygon", "lobes", "blob"])
    if kind == "ellipse":
        power, narrow = float(rng.choice([2.0, 2.0, 4.0, 8.0])), rng.uniform(0.3, 1)
        return ((x / reach).abs() ** power + (y / (reach * narrow)).abs() ** power < 1).float()
    if kind == "polygon":
        sides = int(rng.integers(3, 8))
        turns = (np.arange(sides) + rng.uniform(-0.35, 0.35, sides)) * 2 * math.pi / sides
        inside = [x * math.cos(turn) + y * math.sin(turn) < reach * rng.uniform(0.45, 0.7) for turn in turns]
        return (torch.stack(inside).all(dim=0) & (torch.hypot(x, y) < reach)).float()
    if kind == "lobes":
        angle, radius = torch.atan2(y, x), torch.full_like(x, 0.6)
        for lobes in rng.integers(2, 8, 2):
            radius = radius + rng.uniform(0, 0.13) * torch.cos(int(lobes) * angle + rng.uniform(0, 2 * math.pi))
        return (torch.hypot(x, y) < radius).float()
    inward = 1 - (torch.hypot(x, y) / reach) ** 4
    return ((field + rng.uniform(-0.3, 1.0) + 2 * (inward - 1) > 0) & (inward > 0)).float()


def capsule(side: int, extent: tuple[float, float], length: float, widths: tuple[float, float]) -> Tensor:
    """A limb (side, side): the hinge at its left end, half as wide as `widths` at the hinge and at the tip."""
    x, y = plane(side)
    along, across = x * extent[0] + length / 2, y * extent[1]
    place = (along / length).clamp(0, 1)
    radius = widths[0] + (widths[1] - widths[0]) * place
    return (torch.hypot(along - place * length, across) < radius).float()
