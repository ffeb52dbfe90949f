"""A picture of what a model predicts: for each clip what is observed, what is predicted, and the truth."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from vidode.models import Example

GAP = 2
PAPER = 0.5


def write_picture(path: Path, example: Example, predicted: Tensor, clips: int = 4) -> None:
    """PNG with three rows for each of the first clips: observed, predicted, truth; written whole or not at all."""
    observed = example.observed.frames
    columns = max(observed.shape[1], predicted.shape[1])
    rows = [
        _row(frames, columns)
        for clip in range(min(clips, len(predicted)))
        for frames in (observed[clip][example.observed.seen[clip]], predicted[clip], example.target[clip])
    ]
    pixels = (torch.cat(rows, dim=1).clamp(0, 1) * 255).round().to(torch.uint8)  # (3, H, W)
    draft = path.with_suffix(".part")
    Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()).save(draft, format="PNG")
    draft.replace(path)


def _row(frames: Tensor, columns: int) -> Tensor:
    """Frames (T, C, H, W) side by side as colour (3, H + gap, columns (W + gap)); one channel is grey."""
    colour = frames.cpu()[:, :3] if frames.shape[1] >= 3 else frames.cpu()[:, :1].expand(-1, 3, -1, -1)
    framed = functional.pad(colour, (0, GAP, 0, GAP), value=PAPER)
    blank = torch.full((columns - len(framed), *framed.shape[1:]), PAPER)
    return torch.cat([*framed, *blank], dim=2)
