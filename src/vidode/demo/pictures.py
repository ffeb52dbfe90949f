"""What a demo shows: pictures side by side, slowed down, and the error over time."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from vidode.demo.film import Film
from vidode.metrics import FrameScores, psnr
from vidode.sources import Frame, open_sink

SHOWN_RATE = 20
"""GIF viewers keep up with 20 frames a second, at which 60 are three times slower than life."""
CAPTION = 14
"""Height of the captions in pixels."""


def write_side_by_side(path: Path, panels: Mapping[str, Tensor]) -> None:
    """A GIF of frames (K, 3, H, W) in [0, 1], with their names above."""
    head = torch.cat([_caption(name, frames.shape[-1]) for name, frames in panels.items()], dim=-1)
    with open_sink(path, rate=Fraction(SHOWN_RATE)) as sink:
        for place, row in enumerate(zip(*panels.values(), strict=True)):
            pixels = torch.cat([head, torch.cat(row, dim=-1)], dim=-2)
            sink.write(Frame(pixels, Fraction(place, SHOWN_RATE)))


def plot_errors(path: Path, film: Film, scores: Mapping[str, FrameScores]) -> None:
    """PSNR of every made frame over time, one curve a model, with the observed times and the end of the video."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    times = np.array([float(time) for time in film.asked])[film.made.numpy()]
    for name, score in scores.items():
        axes.plot(times, psnr(score.mse[film.made], data_range=1.0).numpy(), marker=".", label=name)
    end = float(film.observed[-1])
    axes.axvspan(end, float(film.asked[-1]), color="0.9", label="after the last frame")
    observed = [float(time) for time in film.observed]
    axes.plot(observed, np.zeros(len(observed)), "k|", transform=axes.get_xaxis_transform(), label="observed frames")
    axes.set_xlabel("time (s)")
    axes.set_ylabel("PSNR (dB); higher is better")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", ncols=3)
    figure.savefig(path, dpi=120, format="png", metadata={"Software": None})


def _caption(text: str, width: int) -> Tensor:
    image = Image.new("RGB", (width, CAPTION))
    ImageDraw.Draw(image).text((3, 1), text, fill="white")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
