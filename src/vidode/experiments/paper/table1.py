"""Table 1: models with neural ODEs, in interpolation and extrapolation."""

from __future__ import annotations

from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.experiment import Experiment, columns, labels
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import VIDEO, Claim, Outcomes, both_protocols, judged
from vidode.experiments.reproduction.published import EXTRAPOLATION, INTERPOLATION, Printed
from vidode.experiments.reproduction.scales import Scale
from vidode.models import TASKS, Task

BASELINES = ("latent_ode", "ode2vae", "ode_fc", "ode_conv")
MODELS = (*BASELINES, "latent_ode_conv", "vid_ode")
"""Latent ODE stands twice: the paper does not say whether its latent is a vector or, of many more numbers, a map."""


class Table1(Experiment):
    """Latent ODE, ODE2VAE, ODE-FC and ODE-Conv beside Vid-ODE."""

    title = "Table 1: models with neural ODEs"
    shows_learning = True

    def jobs(self, scale: Scale) -> list[Job]:
        """Every model in both tasks on the action and animation sets."""
        made = []
        for task in TASKS:
            made += rows.trained(MODELS, task, scale, "actions") + rows.vid_ode_as_released(task, scale, "actions")
            made += rows.ours(task, scale, "actions") + rows.floors(task, scale, "actions")
        return made

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """A table for each task, and the claims."""
        parts, sets = [], labels(scale, "actions")
        for task in TASKS:
            titles = rows.titles([job for job in self.jobs(scale) if job.task == task])
            parts.append(both_protocols(outcomes, titles, columns(scale, "actions", task), printed))
        cells = [(task, data) for task in TASKS for data in sets]
        claims = [claim for cell in cells for claim in rows.claims_of_vid_ode(BASELINES, *cell, VIDEO)]
        claims += [Claim("ode_conv", "ode_fc", *cell, VIDEO) for cell in cells]
        own = [claim for cell in cells for claim in rows.our_claims(*cell, VIDEO)]
        parts += ["What the paper claims of it:\n", judged(claims, outcomes), "Ours:\n", judged(own, outcomes)]
        return "\n".join(parts)


def printed(title: str, task: Task, data: str) -> Printed | None:
    """The paper's scores."""
    of_task = INTERPOLATION if task == "interpolation" else EXTRAPOLATION
    return of_task.get(rows.in_the_paper(title), {}).get(data)
