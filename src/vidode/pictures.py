"""Pictures to look at: strips of frames as PNG, and videos side by side as GIF."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

from vidode.sources import Frame, open_sink

GAP = 2
"""Pixels between the frames of a strip."""
PAPER = 0.5
"""How bright they are."""
SHOWN_RATE = 20
"""Frames a second of a GIF; viewers keep up with that."""
CAPTION = 14
"""Height of the captions in pixels."""
MARGIN = 3
"""Pixels before and after a caption."""


def write_strips(path: Path, strips: Sequence[Tensor], enlarged: int = 1, names: Sequence[str] = ()) -> None:
    """A PNG with a row for each strip of frames (T, C, H, W) in [0, 1], written whole or not at all.

    One channel is grey; of more, the first three are colours. enlarged: by a whole number. names: of the rows, before
    them.
    """
    columns = max(len(frames) for frames in strips)
    shown = [_strip(_enlarged(as_colour(frames), enlarged), columns) for frames in strips]
    if names:
        width = max(_width(name) for name in names)
        shown = [
            torch.cat([_beside(name, width, strip), strip], dim=2) for name, strip in zip(names, shown, strict=True)
        ]
    rows = torch.cat(shown, dim=1)
    pixels = (rows.clamp(0, 1) * 255).round().to(torch.uint8)  # (3, H, W)
    draft = path.with_suffix(".part")
    Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()).save(draft, format="PNG")
    draft.replace(path)


def write_side_by_side(path: Path, panels: Mapping[str, Tensor], enlarged: int = 1) -> None:
    """A GIF of videos (K, C, H, W) in [0, 1] side by side, with their names above, written whole or not at all.

    enlarged: by a whole number.
    """
    shown = {name: _enlarged(as_colour(frames), enlarged) for name, frames in panels.items()}
    head = torch.cat([_caption(name, frames.shape[-1]) for name, frames in shown.items()], dim=-1)
    with open_sink(path, rate=Fraction(SHOWN_RATE), overwrite=True) as sink:
        for place, row in enumerate(zip(*shown.values(), strict=True)):
            pixels = torch.cat([head, torch.cat(row, dim=-1)], dim=-2)
            sink.write(Frame(pixels, Fraction(place, SHOWN_RATE)))


def as_colour(frames: Tensor) -> Tensor:
    """Frames (T, C, H, W) as (T, 3, H, W)."""
    frames = frames.cpu()
    return frames[:, :3] if frames.shape[1] >= 3 else frames[:, :1].expand(-1, 3, -1, -1)


def _strip(frames: Tensor, columns: int) -> Tensor:
    """Frames (T, 3, H, W) in a row (3, H + gap, columns (W + gap)), blank after the last."""
    framed = functional.pad(frames, (0, GAP, 0, GAP), value=PAPER)
    blank = torch.full((columns - len(framed), *framed.shape[1:]), PAPER)
    return torch.cat([*framed, *blank], dim=2)


def _enlarged(frames: Tensor, times: int) -> Tensor:
    return frames.repeat_interleave(times, dim=-2).repeat_interleave(times, dim=-1)


def _width(text: str) -> int:
    """Of a caption in pixels."""
    return 2 * MARGIN + math.ceil(ImageDraw.Draw(Image.new("RGB", (1, 1))).textlength(text))


def _beside(text: str, width: int, strip: Tensor) -> Tensor:
    """A caption (3, H, width) as high as a strip (3, H, W)."""
    caption = _caption(text, width)[:, : strip.shape[1]]
    return functional.pad(caption, (0, 0, 0, strip.shape[1] - caption.shape[1]))


def _caption(text: str, width: int) -> Tensor:
    image = Image.new("RGB", (width, CAPTION))
    ImageDraw.Draw(image).text((MARGIN, 1), text, fill="white")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
