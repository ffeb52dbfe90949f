"""Figure 7: forecast wind as arrows over pressure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from vidode.experiments.paper.table4 import MODELS, TASK
from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.answers import answer, shown_clip
from vidode.experiments.reproduction.experiment import Experiment, picture
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import Outcomes
from vidode.experiments.reproduction.scales import DataChoice, Scale

PRESSURE = ("P", "PSL")
EAST, NORTH = ("U", "U850"), ("V", "V850")
"""What data sets call sea-level pressure, and wind eastward and northward."""
ARROWS = 14
"""Along the longer side, about."""
FASTEST = 6
"""A panel is as wide as so many of the longest arrows."""


class Figure7(Experiment):
    """The truth above, a row for each model, a column for each step."""

    title = "Figure 7: wind"

    def jobs(self, scale: Scale) -> list[Job]:
        """The models of Table 4, ours and the floors on the first fields that have wind."""
        data = _windy(scale)
        theirs = [] if data is None else [Job(name, TASK, data, scale.seeds[0]) for name in MODELS]
        others = rows.ours(TASK, scale, "weather") + rows.floors(TASK, scale, "weather")
        return theirs + rows.first(others, scale, data)

    def keep(self, job: Job, scale: Scale, places: Places) -> None:
        """See `Experiment.keep`."""
        if job.seed == scale.seeds[0]:
            answer(job, scale, places)

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """One picture."""
        jobs = self.jobs(scale)
        if not jobs:
            return "This scale has no fields with wind.\n"
        clip, question = shown_clip(jobs[0], places)
        shown = {"truth": clip.frames[question.asked], **{job.title: answer(job, scale, places) for job in jobs}}
        seen = torch.ones(()) if clip.valid is None else clip.valid[question.asked].all(dim=1, keepdim=True)
        shown = {name: frames.where(seen.bool(), math.nan) for name, frames in shown.items()}
        order = in_order(clip.meaning.channels)
        fields = {name: _physical(jobs[0], places, frames)[:, order] for name, frames in shown.items()}
        draw(picture(places, "figure7.png"), fields)
        return "Colour is pressure, arrows are wind; blank is where nothing was measured.\n\n![figure7](figure7.png)\n"


def in_order(names: Sequence[str] | None) -> list[int]:
    """Where pressure, wind eastward and wind northward are among channels; the first three where names say nothing."""
    known = [[place for place, name in enumerate(names or ()) if name in kinds] for kinds in (PRESSURE, EAST, NORTH)]
    return [places[0] for places in known] if all(known) else [0, 1, 2]


def draw(path: Path, shown: dict[str, Tensor]) -> None:
    """Arrows over fields (K, 3, H, W), pressure and both winds, a line for each name; NaN is blank.

    The first line gives colours and arrows their scale.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    truth = next(iter(shown.values()))
    figure = Figure(figsize=(2.4 * len(truth), 2.3 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    pressure, speed = truth[:, 0].nan_to_num(nan=float(truth[:, 0].nanmean())), truth[:, 1:].norm(dim=1)
    limits = {"vmin": float(pressure.min()), "vmax": float(pressure.max())}
    longest = float(speed.nan_to_num(nan=0.0).max()) or 1.0
    for line, (name, frames) in zip(figure.subplots(len(shown), len(truth), squeeze=False), shown.items(), strict=True):
        for panel, frame in zip(line, frames, strict=True):
            every = max(1, max(frame.shape[-2:]) // ARROWS)
            panel.imshow(frame[0].numpy(), origin="lower", cmap="coolwarm", **limits)
            east, north = frame[1:, ::every, ::every].numpy()
            y, x = (range(0, side, every) for side in frame.shape[-2:])
            panel.quiver(list(x), list(y), east, north, scale=FASTEST * longest)
            panel.set_xticks([])
            panel.set_yticks([])
        line[0].set_ylabel(name, fontsize="small")
    figure.savefig(path, dpi=70, format="png", metadata={"Software": None})


def _physical(job: Job, places: Places, frames: Tensor) -> Tensor:
    """Fields (K, C, H, W) in their units, so that no wind is no arrow; as they are where the data has none."""
    scaling = getattr(job.data.open("test", places.data, places.cache), "scaling", None)
    return frames if scaling is None else torch.from_numpy(scaling.physical(frames.numpy()))


def _windy(scale: Scale) -> DataChoice | None:
    return next((data for data in scale.data.get("weather", ()) if data.channels > 2), None)
