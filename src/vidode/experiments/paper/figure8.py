"""Figure 8: a discrete and a continuous latent between two frames: Vid-RNN beside Vid-ODE."""

from __future__ import annotations

from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.answers import answer_at, strips
from vidode.experiments.reproduction.experiment import FLOORS, Experiment, columns, one_of, picture
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import VIDEO, Outcomes, table
from vidode.experiments.reproduction.scales import Scale
from vidode.models import Task

TASK: Task = "interpolation"
MODELS = ("vid_rnn", "vid_ode")
TIMES = (2.0, 2.25, 2.5, 2.75, 3.0)
"""In observed gaps from the first observed frame, as the paper counts them."""
FRAMES_A_GAP = 2
"""Every second frame is observed."""


class Figure8(Experiment):
    """At t = 2.25, 2.5 and 2.75, between the times that were observed.

    Vid-ODE trains some short steps of its chain, Vid-RNN the slots alone.
    """

    title = "Figure 8: Vid-RNN and Vid-ODE between two frames"

    def jobs(self, scale: Scale) -> list[Job]:
        """Both, from every seed, and the floors."""
        shown = [data for _, data in columns(scale, "actions", TASK)[:1]]
        return both(scale) + [Job(name, TASK, data) for data in shown for name in FLOORS]

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """A strip for each, and their scores at the frames between, which the paper does not give."""
        shown = {}
        for job in (job for job in self.jobs(scale) if job.seed == scale.seeds[0]):
            slots = [FRAMES_A_GAP * time for time in TIMES]
            made = answer_at(job, scale, places, slots, ["frames"], "figure8")
            shown[job.title] = made["frames"].clamp(0, 1)
        times = ", ".join(f"{time:g}" for time in TIMES)
        scores = table(outcomes, rows.titles(self.jobs(scale)), columns(scale, "actions", TASK)[:1], VIDEO)
        return "\n".join([f"At t = {times}.\n", strips(picture(places, "figure8.png"), shown), scores])


def both(scale: Scale) -> list[Job]:
    """Vid-RNN and Vid-ODE in interpolation on the first action set, from every seed."""
    data = one_of(scale, "actions")
    return [] if data is None else [Job(name, TASK, data, seed) for name in MODELS for seed in scale.seeds]
