"""What trained models answer on a clip, for pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from vidode.clip import Batch, Clip
from vidode.evaluation import predict
from vidode.experiments.reproduction.jobs import Job, Places, load_trained
from vidode.experiments.reproduction.scales import Scale
from vidode.hiding import Question, questions
from vidode.models import Prediction
from vidode.pictures import write_strips

CLIP = 0
"""Of the test split, which pictures show: the first, whatever it looks like."""


def shown_clip(job: Job, places: Places) -> tuple[Clip, Question]:
    """The clip of a job's data, and what is seen and asked of it."""
    clip = job.data.open("test", places.data, places.cache).clip(CLIP).normalised()
    (question, *_) = questions(job.measured_by, len(clip), seed=0, clip=CLIP)
    return clip, question


@torch.no_grad()
def answer(job: Job, scale: Scale, places: Places) -> Tensor:
    """The frames (K, C, H, W) of a job's model to its own question."""
    clip, question = shown_clip(job, places)
    model = load_trained(job, scale, places)
    parts = [frames for _, frames in predict(model, clip, question, len(question.asked))]
    return torch.cat(parts).clamp(0, 1)


@torch.no_grad()
def prediction_at(job: Job, scale: Scale, places: Places, slots: Sequence[float]) -> Prediction:
    """All parts of a job's model at times counted in frames of the clip, from its first."""
    clip, question = shown_clip(job, places)
    start, gap = clip.times[0], clip.times.diff().median()
    query = start + gap * torch.tensor([list(slots)], dtype=torch.float64)
    model = load_trained(job, scale, places)
    return model(Batch.collate([clip[question.seen]]), query)  # type: ignore[no-any-return]


def strips(path: Path, rows: dict[str, Tensor], enlarged: int = 2) -> str:
    """A PNG with a row of frames for each name, and the Markdown that shows it."""
    write_strips(path, list(rows.values()), enlarged, list(rows))
    return f"![{', '.join(rows)}]({path.name})\n"
