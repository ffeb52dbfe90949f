"""The whole story on one made-up scene: filmed badly, restored, and compared with the exact truth.

A scene of the test split of `moving_scenes`, which no shipped model was trained on, is filmed as phones film: at 25
frames a second more or less, and a third of the frames is missing. The file is read back and rendered at 60 frames a
second and somewhat beyond its end. Every frame that is not an observed one is scored against the scene itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import torch
from torch import Tensor

from vidode.checkpoints import load, shipped
from vidode.clip import InvalidInput
from vidode.demo.film import REQUEST, Film, shoot
from vidode.demo.plots import plot_errors
from vidode.generation import stream
from vidode.generation.bar import Bar
from vidode.generation.files import DEFAULT_MODEL, on_device
from vidode.metrics import FrameScores, Scores, score_frames, summarise
from vidode.models import VideoModel
from vidode.pictures import write_side_by_side
from vidode.sources import Frame, Source, open_sink, open_source
from vidode.sources.drafts import Draft

FLOORS = ("blend", "copy_last")
FILES = ("observed.mp4", "restored.mp4", "side_by_side.gif", "error_over_time.png")


@dataclass(frozen=True)
class Line:
    """One line of the table: a model's scores between observations, and after the last."""

    model: str
    between: Scores
    beyond: Scores


@dataclass(frozen=True)
class Demonstration:
    """What the demo found, and the files that it wrote. frames: how many the video had and has."""

    folder: Path
    frames: tuple[int, int]
    lines: list[Line]
    seconds: float


def run_demo(
    target: str | Path,
    model: str = DEFAULT_MODEL,
    *,
    scene: int = 6,
    device: str = "auto",
    overwrite: bool = False,
    progress: bool = True,
) -> Demonstration:
    """Write the demo into a folder, whole or not at all, and return its table.

    scene: which of the test split; 6 moves a lot, camera and all. Raises `InvalidInput` for an unknown model, and for
    a folder that exists and may not be overwritten or holds anything but a demo.
    """
    started = monotonic()
    names = [model, *(name for name in (*_rivals(), *FLOORS) if name != model)]
    networks = {name: on_device(load(name), device) for name in names}
    draft = Draft(target, overwrite, folder=True)
    _require_only_demo(draft.target)
    try:
        draft.path.mkdir()
        film = shoot(draft.path / FILES[0], scene)
        with open_source(draft.path / FILES[0]) as source:
            answers = {name: _answer(name, network, source, progress) for name, network in networks.items()}
            with open_sink(draft.path / FILES[1], like=source, rate=REQUEST.rate) as sink:
                for time, pixels in zip(film.asked, answers[model], strict=True):
                    sink.write(Frame(pixels, time))
        scores = {name: score_frames(frames, film.truth) for name, frames in answers.items()}
        shown = {name: answers[name] for name in dict.fromkeys(("copy_last", "blend", model))}
        write_side_by_side(draft.path / FILES[2], {"truth": film.truth, **shown})
        plot_errors(draft.path / FILES[3], film, scores)
        draft.commit()
    finally:
        draft.discard()
    lines = [_line(name, scores[name], film) for name in names]
    return Demonstration(draft.target, (len(film.observed), len(film.asked)), lines, monotonic() - started)


def _rivals() -> list[str]:
    """Shipped weights that the chosen model is compared with."""
    return [name for name in ("vid_ode",) if name in shipped()]


def _require_only_demo(folder: Path) -> None:
    """Overwriting a folder removes it, so it may hold nothing but a demo."""
    others = [path.name for path in folder.iterdir() if path.name not in FILES] if folder.is_dir() else []
    if others:
        raise InvalidInput(
            f"folder {str(folder)!r} holds {others[0]!r}, which is no part of a demo, and will not be overwritten;"
            " give another name"
        )


def _answer(name: str, network: VideoModel, source: Source, progress: bool) -> Tensor:
    """The model's frames (K, C, H, W) at the asked times."""
    frames = []
    with Bar(source, REQUEST, progress, name) as bar:
        for frame in stream(network, source, REQUEST, source.meaning):
            frames.append(frame.pixels)
            bar.reached(frame.time)
    return torch.stack(frames)


def _line(name: str, scores: FrameScores, film: Film) -> Line:
    between, beyond = film.made & ~film.beyond, film.beyond
    return Line(name, summarise(scores[between], "per-frame"), summarise(scores[beyond], "per-frame"))
