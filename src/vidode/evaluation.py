"""Model x data x hiding scheme x protocol: a row.

Clips are measured one after another and in pieces. A query sees only the N observations nearest to it on each side
(law 6 of the design), so each piece is given the observations around it and no more, and a clip of any length and size
takes the memory of one piece.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidode.blocks.perceptual import Lpips
from vidode.clip import Batch, Clip, InvalidInput
from vidode.datasets import VideoDataset
from vidode.hiding import SCHEMES, Question, questions, scheme
from vidode.metrics import PROTOCOLS, FrameScores, Protocol, Scores, score_frames, summarise
from vidode.models import Task, VideoModel, model_name, parameter_count, require_channels, require_task
from vidode.provenance import DataChecksum, configuration, provenance, require_writable, weights_checksum, write_json

PIXELS_PER_CALL = 2**20
"""Pixels that a model is asked for at once: 13 frames of 320x240. See `VideoModel.function_of_time` for what is not
divided."""
SCHEME_OF: dict[Task, str] = {"interpolation": "every-second", "extrapolation": "beyond-5"}
"""The way to hide frames, where a task is named and no scheme."""


@dataclass(frozen=True)
class Row:
    """One line of a table.

    clips: how many were measured; skipped: how many were too short for the scheme. by_distance: the scores of the
    frames so many frames away from the nearest one seen, which beyond the end is the step.
    """

    model: str
    data: str
    scheme: str
    protocol: Protocol
    clips: int
    skipped: int
    scores: Scores
    by_distance: dict[int, Scores]

    @staticmethod
    def from_plain(values: dict[str, Any]) -> Row:
        """The inverse of `dataclasses.asdict`, also after JSON, whose keys are strings."""
        by_distance = {int(step): Scores(**scores) for step, scores in values["by_distance"].items()}
        return Row(**{**values, "scores": Scores(**values["scores"]), "by_distance": by_distance})


@dataclass(frozen=True, eq=False)
class Measurement:
    """Every asked frame's scores, from which rows of both protocols are averaged.

    clip and distance: (N,) index of each frame's clip, and frames to the nearest one seen. checksum: of the data.
    described: the model, as it was before it was asked: batch statistics of a test would change it.
    """

    model: str
    data: str
    scheme: str
    seed: int
    scores: FrameScores
    clip: Tensor
    distance: Tensor
    skipped: int
    checksum: str
    described: dict[str, Any]

    def row(self, protocol: Protocol) -> Row:
        """The row under a protocol. Raises `InvalidInput` for an unknown one."""
        distances = sorted(set(self.distance.tolist()))
        return Row(
            model=self.model,
            data=self.data,
            scheme=self.scheme,
            protocol=protocol,
            clips=len(set(self.clip.tolist())),
            skipped=self.skipped,
            scores=summarise(self.scores, protocol),
            by_distance={value: summarise(self.scores[self.distance == value], protocol) for value in distances},
        )


def scheme_for(task: Task | None, name: str | None) -> str:
    """The scheme of this name, else that of the task; without either, that of interpolation.

    Raises `InvalidInput` for an unknown scheme and, naming those that fit, for one that belongs to another task.
    """
    if name is None:
        return SCHEME_OF[task or "interpolation"]
    own = scheme(name).task
    if task is not None and task != own:
        fitting = [other for other, known in SCHEMES.items() if known.task == task]
        raise InvalidInput(
            f"scheme {name} is for {own}, not {task}; expected one of {', '.join(fitting)}, or leave the task out"
        )
    return name


def evaluate(
    model: VideoModel,
    data: VideoDataset,
    scheme: str = "every-second",
    protocol: Protocol = "vidode2021",
    *,
    lpips: Lpips | None = None,
    seed: int = 0,
    clips: int | None = None,
) -> Row:
    """A row. See `measure`, which gives both protocols for the price of one."""
    return measure(model, data, scheme, lpips=lpips, seed=seed, clips=clips).row(protocol)


@torch.no_grad()
def measure(
    model: VideoModel,
    data: VideoDataset,
    scheme_name: str = "every-second",
    *,
    lpips: Lpips | None = None,
    seed: int = 0,
    clips: int | None = None,
    stride: int = 1,
    pixels_per_call: int = PIXELS_PER_CALL,
    together: int = 1,
) -> Measurement:
    """Hide frames of every clip, ask the model for them, and score the answers.

    model: put in evaluation mode; it works on the device of its parameters, and its answers are scored there.
    clips, stride: measure the first so many of every `stride`-th clip only. together: questions that are answered in
    one batch, for a model whose answers depend on the batch; a scheme that asks each for as many frames.
    Raises `InvalidInput` for an unknown scheme, for one that the model cannot do, for frames of another number of
    channels than the model takes, and where every clip is too short.
    """
    require_task(model.eval(), scheme(scheme_name).task)
    described = describe_model(model)
    if stride < 1 or (clips is not None and clips < 1):
        raise InvalidInput(f"clips is {clips} and stride {stride}; expected at least 1 of each, or no clips for all")
    parts: list[_Part] = []
    waiting: list[Asked] = []
    checksum, skipped = DataChecksum(), 0
    indices = range(0, len(data), stride)[:clips]
    for index in indices:
        clip = data.clip(index).normalised()
        require_channels(model, clip, data_name(data))
        checksum.update(clip)
        asked = questions(scheme_name, len(clip), seed, index)
        skipped += not asked
        waiting += [Asked(clip, question, index) for question in asked]
        while len(waiting) >= together:
            parts += _scored(model, waiting[:together], lpips, pixels_per_call)
            del waiting[:together]
    parts += _scored(model, waiting, lpips, pixels_per_call) if waiting else []
    if not parts:
        raise InvalidInput(f"none of {len(indices)} clips is long enough for {scheme_name}; choose longer clips")
    return Measurement(
        model=model_name(model),
        data=data_name(data),
        scheme=scheme_name,
        seed=seed,
        scores=FrameScores.join([part.scores for part in parts]),
        clip=torch.cat([part.clip for part in parts]),
        distance=torch.cat([part.distance for part in parts]),
        skipped=skipped,
        checksum=checksum.hexdigest(),
        described=described,
    )


def report(measurement: Measurement, data: VideoDataset, command: str | None = None) -> dict[str, Any]:
    """What a result file holds: where the numbers come from, and a row for each protocol."""
    return {
        **provenance(command),
        "seed": measurement.seed,
        "model": measurement.described,
        "data": {**describe_data(data), "sha256": measurement.checksum},
        "rows": [asdict(measurement.row(protocol)) for protocol in PROTOCOLS],
    }


def write_report(path: str | Path, *arguments: Any, **options: Any) -> None:
    """Write `report` as JSON, whole or not at all. Raises as `require_place`."""
    require_place(Path(path))
    write_json(Path(path), report(*arguments, **options))


def require_place(path: Path) -> None:
    """Raise `InvalidInput` where no report can be written, or something else would be replaced by it."""
    if path.is_dir():
        raise InvalidInput(f"--out is {path}, a folder; expected a file, such as {path / 'row.json'}")
    if path.exists() and not _is_report(path):
        raise InvalidInput(f"--out is {path}, which exists and is no result of vidode; choose another file")
    require_writable(path)


def _is_report(path: Path) -> bool:
    try:
        values = json.loads(path.read_bytes()) if path.is_file() else None
    except (ValueError, RecursionError):
        return False
    return isinstance(values, dict) and {"command", "commit", "seed", "model", "data", "rows"} <= values.keys()


def describe_model(model: VideoModel) -> dict[str, Any]:
    """Which model it is: its name, configuration, number of parameters and the checksum of its weights."""
    return {
        "name": model_name(model),
        "configuration": configuration(model.config),
        "parameters": parameter_count(model),
        "sha256": weights_checksum(model),
    }


def describe_data(data: VideoDataset) -> dict[str, Any]:
    """Which data it is: name with split, and configuration, less where decoded frames are kept."""
    values = {key: value for key, value in configuration(data.config).items() if key != "cache"}
    return {"name": data_name(data), "clips": len(data), "configuration": values}


def data_name(data: VideoDataset) -> str:
    """The name in the catalog and the split, as in weizmann/test."""
    return f"{type(data).__module__.rpartition('.')[2]}/{data.split}"


@dataclass(frozen=True, eq=False)
class Asked:
    """A question on a clip, which is the data's `index`-th."""

    clip: Clip
    question: Question
    index: int = 0


def predict(model: VideoModel, group: Sequence[Asked], frames_per_call: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Pieces of the answers to a batch of questions: which frames (B, n), and the frames (B, n, C, H, W), in order.

    group: questions that ask for as many frames each. frames_per_call: of each question; a model that is no function of
    time has whole questions, and all that is seen.
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    every = torch.stack([each.question.asked for each in group])
    for asked in torch.split(every, frames_per_call if model.function_of_time else every.shape[1], dim=1):
        needed = [_needed(model, each.question.seen, here) for each, here in zip(group, asked, strict=True)]
        seen = [_remeasured(each.clip[places]) for each, places in zip(group, needed, strict=True)]
        query = torch.stack([each.clip.times[here] for each, here in zip(group, asked, strict=True)])
        yield asked, model(Batch.collate(seen).to(device), query.to(device)).frames


@dataclass(frozen=True, eq=False)
class _Part:
    """Some frames of a measurement; see there."""

    scores: FrameScores
    clip: Tensor
    distance: Tensor


def _scored(model: VideoModel, group: list[Asked], lpips: Lpips | None, pixels_per_call: int) -> list[_Part]:
    """The scores of the answers to a batch of questions."""
    height, width = group[0].clip.size
    pieces = predict(model, group, max(1, pixels_per_call // (height * width * len(group))))
    return [
        part
        for asked, frames in pieces
        for each, here, made in zip(group, asked, frames, strict=True)
        for part in _scores_of(each, here, made, lpips)
    ]


def _scores_of(each: Asked, asked: Tensor, frames: Tensor, lpips: Lpips | None) -> list[_Part]:
    """The scores of some frames (n, C, H, W) of an answer; a frame of which nothing was measured has none."""
    clip, valid = each.clip, None
    if clip.valid is not None:
        known = clip.valid[asked].flatten(1).any(dim=1)
        asked, frames = asked[known], frames[known.to(frames.device)]
        valid = clip.valid[asked].to(frames.device)
    if not len(asked):
        return []
    scores = score_frames(frames, clip.frames[asked].to(frames.device), lpips, valid)
    return [_Part(scores, torch.full((len(asked),), each.index), Question(each.question.seen, asked).distance)]


def _needed(model: VideoModel, seen: Tensor, asked: Tensor) -> Tensor:
    """Those of the seen frames that any of the asked ones, both in order, has among its nearest on each side."""
    if not model.function_of_time:
        return seen
    neighbours = int(model.config.neighbours)
    first = int(torch.searchsorted(seen, asked[0])) - neighbours
    last = int(torch.searchsorted(seen, asked[-1])) + neighbours
    return seen[max(first, 0) : last]


def _remeasured(seen: Clip) -> Clip:
    """A gap declared for the whole clip is not that of the frames that are left; theirs is measured, as in training."""
    if len(seen) < 2:
        return seen
    return replace(seen, meaning=replace(seen.meaning, frame_gap=None))
