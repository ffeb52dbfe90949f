"""The error of a demo's frames over time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vidode.demo.film import Film
from vidode.metrics import FrameScores, psnr


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
