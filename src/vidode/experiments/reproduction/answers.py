"""What trained models answer on a clip, for pictures.

Answers are kept in `answers/`, beside the rows: a picture is drawn again without training its models again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vidode.clip import Batch, Clip
from vidode.evaluation import Asked, predict
from vidode.experiments.reproduction.jobs import Job, Places, batch_of, load_trained, training_digest
from vidode.experiments.reproduction.scales import Scale
from vidode.hiding import Question, questions
from vidode.models import VideoModel
from vidode.pictures import write_strips
from vidode.provenance import write_bytes

log = logging.getLogger(__name__)

Answer = dict[str, Tensor]
"""Parts of a prediction by name, (K, ...) each."""
CLIP = 0
"""Of the test split, which pictures show: the first, whatever it looks like."""


def shown_clip(job: Job, places: Places) -> tuple[Clip, Question]:
    """The clip of a job's data, and what is seen and asked of it."""
    first = next(_asked(job, places))
    return first.clip, first.question


def _asked(job: Job, places: Places) -> Iterator[Asked]:
    """What is asked in turn, as it is when the job is measured."""
    data = job.data.open("test", places.data, places.cache)
    for index in range(CLIP, len(data)):
        clip = data.clip(index).normalised()
        yield from (Asked(clip, question, index) for question in questions(job.measured_by, len(clip), 0, index))


def answer(job: Job, scale: Scale, places: Places) -> Tensor:
    """The frames (K, C, H, W) of a job's model to its own question, beside those that it is measured with at once."""
    count = batch_of(job, scale)

    def make(model: VideoModel) -> Answer:
        group = list(islice(_asked(job, places), count))
        pieces = predict(model, group, len(group[0].question.asked))
        return {"frames": torch.cat([frames[0] for _, frames in pieces])}

    asked = f"{job.measured_by}, {count} at once" if count > 1 else job.measured_by
    return _kept(job, scale, places, job.name, asked, ["frames"], make)["frames"].clamp(0, 1)


def answer_at(
    job: Job, scale: Scale, places: Places, slots: Sequence[float], parts: Sequence[str], figure: str
) -> Answer:
    """Parts of what a job's model says for a figure, at times counted in frames of the clip from its first."""

    def make(model: VideoModel) -> Answer:
        clip, question = shown_clip(job, places)
        start, gap = clip.times[0], clip.times.diff().median()
        query = start + gap * torch.tensor([list(slots)], dtype=torch.float64)
        said = model(Batch.collate([clip[question.seen]]), query)
        return {part: getattr(said, part)[0] for part in parts}

    return _kept(job, scale, places, f"{job.name}-{figure}", repr((*slots, *parts)), parts, make)


def _kept(
    job: Job,
    scale: Scale,
    places: Places,
    name: str,
    asked: str,
    parts: Sequence[str],
    make: Callable[[VideoModel], Answer],
) -> Answer:
    """The parts that are kept under a name, of this very training, clip and question; else made, and kept.

    In half precision: no eye sees the rest.
    """
    path = places.results / "answers" / f"{name}.safetensors"
    made_from = {
        "training": training_digest(job, scale, places),
        "asked": asked,
        "data": places.checksum(job.data, "test"),
    }
    kept = _read(path, made_from, parts)
    if kept is None:
        with torch.no_grad():
            made = make(load_trained(job, scale, places))
        kept = {part: value.half().contiguous() for part, value in made.items()}
        write_bytes(path, safetensors.torch.save(kept, metadata=made_from))
    return {part: value.float() for part, value in kept.items()}


def _read(path: Path, made_from: dict[str, str], parts: Sequence[str]) -> Answer | None:
    """What is kept of the same; None where there is nothing, or nothing whole."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            if file.metadata() != made_from:
                return None
            found = {part: file.get_tensor(part) for part in parts}
        if all(bool(value.isfinite().all()) for value in found.values()):
            return found
        problem = "numbers that are not finite"
    except SafetensorError as error:
        problem = str(error)
    log.warning("answers %s are damaged (%s); making them again", path, problem)
    return None


def strips(path: Path, rows: dict[str, Tensor], enlarged: int = 2) -> str:
    """A PNG with a row of frames for each name, and the Markdown that shows it."""
    write_strips(path, list(rows.values()), enlarged, list(rows))
    return f"![{', '.join(rows)}]({path.name})\n"
