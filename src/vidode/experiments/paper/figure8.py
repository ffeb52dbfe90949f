"""Figure 8: a discrete and a continuous latent between two frames: Vid-RNN beside Vid-ODE."""

from __future__ import annotations

import torch
from torch import Tensor

from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.answers import answer_at, shown_clip, strips
from vidode.experiments.reproduction.experiment import FLOORS, Experiment, columns, one_of, picture
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import VIDEO, Claim, Outcomes, judged, table
from vidode.experiments.reproduction.scales import Scale
from vidode.models import Task

TASK: Task = "interpolation"
MODELS = ("vid_rnn", "vid_ode")
TIMES = (2.0, 2.25, 2.5, 2.75, 3.0)
"""In observed gaps from the first observed frame, as the paper counts them."""
GREY = 0.5
FRAMES_A_GAP = 2
"""Every second frame is observed."""
SLOTS = [FRAMES_A_GAP * time for time in TIMES]


class Figure8(Experiment):
    """At t = 2.25, 2.5 and 2.75, between the times that were observed.

    Vid-ODE trains some short steps of its chain, Vid-RNN the slots alone.
    """

    title = "Figure 8: Vid-RNN and Vid-ODE between two frames"

    def jobs(self, scale: Scale) -> list[Job]:
        """Both, from every seed, and the floors."""
        shown = [data for _, data in columns(scale, "actions", TASK)[:1]]
        return both(scale) + [Job(name, TASK, data) for data in shown for name in FLOORS]

    def keep(self, job: Job, scale: Scale, places: Places) -> None:
        """See `Experiment.keep`."""
        if job.seed == scale.seeds[0]:
            made(job, scale, places)

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """A strip for each, and their scores at the frames between, which the paper does not give."""
        shown = {"filmed": filmed(both(scale)[0], places)} if both(scale) else {}
        for job in (job for job in self.jobs(scale) if job.seed == scale.seeds[0]):
            shown[job.title] = made(job, scale, places)
        times = ", ".join(f"{time:g}" for time in TIMES)
        scores = table(outcomes, rows.titles(self.jobs(scale)), columns(scale, "actions", TASK)[:1], VIDEO)
        claims = [
            Claim("vid_ode", "vid_rnn", task, data.label, VIDEO) for task, data in columns(scale, "actions", TASK)[:1]
        ]
        strip = strips(picture(places, "figure8.png"), shown)
        told = f"At t = {times}; where nothing was filmed, grey. The scores are those of the frames filmed between.\n"
        return "\n".join([told, strip, scores, "What the paper claims of it:\n", judged(claims, outcomes)])


def filmed(job: Job, places: Places) -> Tensor:
    """The frames (K, C, H, W) of the clip at the times shown; grey where there is none."""
    clip, _ = shown_clip(job, places)
    grey = torch.full_like(clip.frames[0], GREY)
    return torch.stack([clip.frames[int(slot)] if slot.is_integer() else grey for slot in SLOTS])


def made(job: Job, scale: Scale, places: Places) -> Tensor:
    """What a job's model makes at the times shown."""
    return answer_at(job, scale, places, SLOTS, ["frames"], "figure8")["frames"].clamp(0, 1)


def both(scale: Scale) -> list[Job]:
    """Vid-RNN and Vid-ODE in interpolation on the first action set, from every seed."""
    data = one_of(scale, "actions")
    return [] if data is None else [Job(name, TASK, data, seed) for name in MODELS for seed in scale.seeds]
