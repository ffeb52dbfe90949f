"""Figure 1: frames at times that nobody filmed, between the observed ones and beyond the last."""

from __future__ import annotations

import torch
from torch import Tensor

from vidode.experiments.reproduction.answers import answer_at, shown_clip, strips
from vidode.experiments.reproduction.experiment import Experiment, one_of, picture
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import Outcomes
from vidode.experiments.reproduction.scales import Scale
from vidode.models import TASKS, Task

PER_FRAME = 4
"""Frames asked for in each gap of the film."""
SPAN: dict[Task, tuple[float, float]] = {"interpolation": (0.0, 4.0), "extrapolation": (4.0, 8.0)}
"""In frames of the film, from the first observed one."""


class Figure1(Experiment):
    """Vid-ODE at four times the rate of the film."""

    title = "Figure 1: frames at any time"

    def jobs(self, scale: Scale) -> list[Job]:
        """Vid-ODE in both tasks, as in Table 1."""
        data = one_of(scale, "actions")
        return [] if data is None else [Job("vid_ode", task, data, scale.seeds[0]) for task in TASKS]

    def keep(self, job: Job, scale: Scale, places: Places) -> None:
        """See `Experiment.keep`."""
        made(job, scale, places)

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """Two strips for each task: what was filmed, and what is made."""
        parts = []
        for job in self.jobs(scale):
            clip, _ = shown_clip(job, places)
            filmed = clip.frames[[int(time) for time in times(job.task)]]
            rows = {"filmed": filmed, "made, at every quarter of a frame": made(job, scale, places)}
            parts += [f"## {job.task.capitalize()}\n", strips(picture(places, f"figure1-{job.task}.png"), rows)]
        return "\n".join(parts)


def times(task: Task) -> list[float]:
    """In frames of the film, from the first observed one."""
    first, last = SPAN[task]
    return torch.arange(first, last, 1 / PER_FRAME).tolist()


def made(job: Job, scale: Scale, places: Places) -> Tensor:
    """What a job's model makes at these times."""
    return answer_at(job, scale, places, times(job.task), ["frames"], "figure1")["frames"].clamp(0, 1)
