"""Render video frames at any time.

    import vidode

    model = vidode.load("anchored_vid_ode")
    clip = vidode.read("in.mp4")
    vidode.write("out.mp4", vidode.generate(model, clip, vidode.FrameRate(60)))

`vidode.generate_file("in.mp4", "out.mp4", vidode.FrameRate(60))` does the same for files of any length.
Names are imported when they are first used, so that the command line answers at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidode import datasets, metrics, models
    from vidode.checkpoints import load, save
    from vidode.clip import Batch, Clip, InvalidInput, Meaning
    from vidode.cuts import CutDetector
    from vidode.evaluation import evaluate
    from vidode.generation import generate, stream
    from vidode.generation.files import generate_file
    from vidode.generation.maker import Options
    from vidode.models import build
    from vidode.released import load_released
    from vidode.sources import open_sink, open_source, read, write
    from vidode.sources.inspection import inspect_file
    from vidode.timing import Factor, FrameRate, Times, TimeScale
    from vidode.training import train

_HOMES = {
    "vidode.checkpoints": ("load", "save"),
    "vidode.clip": ("Batch", "Clip", "InvalidInput", "Meaning"),
    "vidode.cuts": ("CutDetector",),
    "vidode.evaluation": ("evaluate",),
    "vidode.generation": ("generate", "stream"),
    "vidode.generation.files": ("generate_file",),
    "vidode.generation.maker": ("Options",),
    "vidode.models": ("build",),
    "vidode.released": ("load_released",),
    "vidode.sources": ("open_sink", "open_source", "read", "write"),
    "vidode.sources.inspection": ("inspect_file",),
    "vidode.timing": ("Factor", "FrameRate", "TimeScale", "Times"),
    "vidode.training": ("train",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_ROOMS = ("datasets", "metrics", "models")

__all__ = [
    "Batch",
    "Clip",
    "CutDetector",
    "Factor",
    "FrameRate",
    "InvalidInput",
    "Meaning",
    "Options",
    "TimeScale",
    "Times",
    "build",
    "datasets",
    "evaluate",
    "generate",
    "generate_file",
    "inspect_file",
    "load",
    "load_released",
    "metrics",
    "models",
    "open_sink",
    "open_source",
    "read",
    "save",
    "stream",
    "train",
    "write",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"vidode.{name}")
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module 'vidode' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
