"""Vid-ODE given more updates than the others: how far its distance to them is one of training time."""

from __future__ import annotations

from vidode.experiments.paper import table1, table2, table3
from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.experiment import Experiment, columns, labels
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import VIDEO, Claim, Outcomes, judged, table
from vidode.experiments.reproduction.scales import Scale
from vidode.models import TASKS, Task

TIMES = 8
LONGER = f"vid_ode, {TIMES} times the updates"
BESIDE: dict[Task, tuple[str, ...]] = {"interpolation": table3.MODELS, "extrapolation": table2.MODELS}


class Longer(Experiment):
    """One seed, at scales that count updates and not epochs: the paper's scale has its epochs."""

    title = "A longer training of Vid-ODE"
    shows_learning = True

    def jobs(self, scale: Scale) -> list[Job]:
        """Beside the rows of Tables 2 and 3."""
        if not scale.steps:
            return []
        longer, made = {"steps": TIMES * scale.steps}, []
        for task in TASKS:
            made += rows.trained(BESIDE[task], task, scale, "actions")
            for data in scale.data.get("actions", ()):
                made.append(Job("vid_ode", task, data, scale.seeds[0], label=LONGER, training=longer))
            made += rows.floors(task, scale, "actions")
        return made

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """The tables, and the paper's claims with the longer training in place of the equal one."""
        if not scale.steps:
            return "This scale trains for epochs; there is nothing longer.\n"
        parts, sets = [], labels(scale, "actions")
        for task in TASKS:
            titles = rows.titles([job for job in self.jobs(scale) if job.task == task])
            parts.append(table(outcomes, titles, columns(scale, "actions", task), VIDEO, table1.printed))
            others = [title for title in BESIDE[task] if title != "vid_ode"]
            claims = [Claim(LONGER, worse, task, data, VIDEO) for data in sets for worse in ("vid_ode", *others)]
            parts.append(judged(claims, outcomes))
        return "\n".join(parts)
