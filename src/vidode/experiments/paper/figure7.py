"""Figure 7: forecast wind as arrows over pressure."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from vidode.experiments.paper.table4 import MODELS, TASK
from vidode.experiments.reproduction.answers import answer, shown_clip
from vidode.experiments.reproduction.experiment import Experiment, picture
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import Outcomes
from vidode.experiments.reproduction.scales import DataChoice, Scale

WIND = (1, 2)
"""Channels eastward and northward of the fields; the first is pressure."""
ARROWS = 14
"""Along the longer side, about."""


class Figure7(Experiment):
    """The truth above, a row for each model, a column for each step."""

    title = "Figure 7: wind"

    def jobs(self, scale: Scale) -> list[Job]:
        """The models of Table 4 on the first fields that have wind."""
        data = _windy(scale)
        return [] if data is None else [Job(name, TASK, data, scale.seeds[0]) for name in MODELS]

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """One picture."""
        jobs = self.jobs(scale)
        if not jobs:
            return "This scale has no fields with wind.\n"
        clip, question = shown_clip(jobs[0], places)
        rows = {"truth": clip.frames[question.asked], **{job.title: answer(job, scale, places) for job in jobs}}
        draw(picture(places, "figure7.png"), rows)
        return "Colour is pressure, scaled to its range in training.\n\n![figure7](figure7.png)\n"


def draw(path: Path, rows: dict[str, Tensor]) -> None:
    """Arrows of fields (K, C, H, W) for each row. Winds are scaled to [0, 1], so that still air is at their mean."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    steps = len(next(iter(rows.values())))
    figure = Figure(figsize=(2.4 * steps, 2.3 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    still = next(iter(rows.values()))[:, list(WIND)].mean(dim=(0, 2, 3))
    for line, (name, frames) in zip(figure.subplots(len(rows), steps, squeeze=False), rows.items(), strict=True):
        for panel, frame in zip(line, frames, strict=True):
            every = max(1, max(frame.shape[-2:]) // ARROWS)
            panel.imshow(frame[0].numpy(), origin="lower", cmap="coolwarm", vmin=0, vmax=1)
            east, north = (frame[list(WIND)] - still[:, None, None])[:, ::every, ::every].numpy()
            y, x = (range(0, side, every) for side in frame.shape[-2:])
            panel.quiver(list(x), list(y), east, north, scale=4)
            panel.set_xticks([])
            panel.set_yticks([])
        line[0].set_ylabel(name, fontsize="small")
    figure.savefig(path, dpi=90, format="png", metadata={"Software": None})


def _windy(scale: Scale) -> DataChoice | None:
    return next((data for data in scale.data.get("weather", ()) if data.channels > max(WIND)), None)
