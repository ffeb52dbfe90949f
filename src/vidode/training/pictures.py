"""A picture of what a model predicts: for each clip what is observed, what is predicted, and the truth."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from vidode.models import Example
from vidode.pictures import write_strips


def write_picture(path: Path, example: Example, predicted: Tensor, clips: int = 4) -> None:
    """PNG with three rows for each of the first clips: observed, predicted, truth; written whole or not at all."""
    observed = example.observed.frames
    strips = [
        frames
        for clip in range(min(clips, len(predicted)))
        for frames in (observed[clip][example.observed.seen[clip]], predicted[clip], example.target[clip])
    ]
    write_strips(path, strips)
