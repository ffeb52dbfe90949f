"""A file in, a file out: frames at the asked times, in memory that does not grow with the length."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from vidode.checkpoints import load
from vidode.clip import InvalidInput
from vidode.generation import stream
from vidode.generation.bar import Bar
from vidode.generation.maker import Options
from vidode.models import VideoModel
from vidode.sources import Source, open_sink, open_source
from vidode.timing import Factor, FrameRate, Number, TimeRequest, Times, as_fraction

DEFAULT_MODEL = "anchored_vid_ode"


@dataclass(frozen=True)
class Report:
    """What was written: where, how many frames, and how many seconds it took."""

    path: Path
    frames: int
    seconds: float


def generate_file(
    source: str | Path,
    target: str | Path,
    request: TimeRequest,
    model: VideoModel | str | Path = DEFAULT_MODEL,
    *,
    device: str = "auto",
    options: Options | None = None,
    frame_gap: Number | None = None,
    input_times: object = None,
    input_rate: Number | None = None,
    overwrite: bool = False,
    progress: bool = True,
    **encoding: Any,
) -> Report:
    """Read a video, an image folder or an array, and write it at the times of `request`.

    model: one that is loaded, a folder, or a name. frame_gap: seconds between observed frames, which a single frame
    cannot tell. input_times, input_rate: of images and arrays, as in `open_source`. encoding: as in `open_sink`.
    progress: show a bar where standard error is a terminal.
    Raises `InvalidInput` for whatever cannot be read, made or written; then nothing is written.
    """
    started = monotonic()
    network = on_device(load(model) if isinstance(model, (str, Path)) else model, device)
    rate = None if input_rate is None else as_fraction(input_rate, "input frame rate")
    with open_source(source, times=input_times, rate=rate) as frames:
        meaning = frames.meaning
        if frame_gap is not None:
            meaning = replace(meaning, frame_gap=float(as_fraction(frame_gap, "frame gap")))
        with (
            open_sink(target, like=frames, overwrite=overwrite, **_known_times(request, frames), **encoding) as sink,
            Bar(frames, request, progress, Path(target).name) as bar,
        ):
            count = 0
            for frame in stream(network, frames, request, meaning, options):
                sink.write(frame)
                bar.reached(frame.time)
                count += 1
    return Report(Path(target), count, monotonic() - started)


def on_device(model: VideoModel, device: str) -> VideoModel:
    """The model moved to a device; auto takes a GPU where there is one. Raises `InvalidInput` for one that is not."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise InvalidInput(f"no device is called {device!r}; expected auto, cpu, cuda or cuda:1") from error
    if wanted.type not in ("cpu", "cuda"):
        raise InvalidInput(f"device {device!r} has no 64-bit times or is unknown here; use cpu or cuda")
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise InvalidInput(f"device {device!r} is not there ({torch.cuda.device_count()} found); use cpu")
    return model.to(wanted)


def _known_times(request: TimeRequest, source: Source) -> dict[str, Any]:
    """What a sink can know of the times to come, so that its ticks hold them exactly."""
    if isinstance(request, FrameRate):
        return {"rate": request.rate}
    if isinstance(request, Times):
        return {"times": request.wanted}
    average = getattr(source, "average_rate", None)
    return {"rate": average * request.factor} if isinstance(request, Factor) and average else {}
