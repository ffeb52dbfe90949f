"""More updates for the rows on which claims fail: how far that is a matter of training time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vidode.experiments.paper import table1
from vidode.experiments.paper.figure4 import Figure4
from vidode.experiments.paper.table1 import Table1
from vidode.experiments.paper.table2 import Table2
from vidode.experiments.paper.table3 import Table3
from vidode.experiments.paper.table5 import TIED, Table5
from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.experiment import Experiment, columns, labels
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import VIDEO, Claim, Outcomes, judged, table
from vidode.experiments.reproduction.scales import Role, Scale
from vidode.models import Task

TIMES = 4
FLOW = TIED[0]
CONCERNED: Mapping[tuple[Task, Role], tuple[str, ...]] = {
    ("interpolation", "actions"): ("ode_fc", "ode_conv", "unsupervised_interpolation", FLOW, "vid_ode", rows.OURS),
    ("extrapolation", "actions"): ("ode_fc", "ode_conv", "deep_voxel_flow", FLOW, "vid_ode", rows.OURS),
    ("extrapolation", "fast"): (
        "prednet",
        "deep_voxel_flow",
        "vid_ode",
        rows.OURS,
        rows.OURS_UNSUPERVISED,
    ),
    ("extrapolation", "balls"): (
        "ode_conv",
        "vid_rnn",
        "prednet",
        "deep_voxel_flow",
        "retrospective_cycle_gan",
        "vid_ode",
        rows.OURS,
    ),
}
"""Rows of Tables 1, 2, 3 and 5 and Figure 4 whose order is not the claimed one after the updates that all rows have.

And ours, since Vid-ODE goes on learning.
"""
CLOSE: tuple[Task, Role] = ("extrapolation", "actions")
"""Where ours and others are so close after the longer training that one seed does not tell."""
PAIRS = (
    ("ode_conv", "ode_fc"),
    ("vid_ode", "unsupervised_interpolation"),
    ("vid_ode", "deep_voxel_flow"),
    ("vid_ode", FLOW),
    ("vid_ode", "prednet"),
    ("vid_ode", "vid_rnn"),
    ("vid_ode", "retrospective_cycle_gan"),
    ("vid_ode", "ode_conv"),
    (rows.OURS, "vid_ode"),
    (rows.OURS_UNSUPERVISED, "vid_ode"),
)
"""What the paper, or we, have above what."""


class Longer(Experiment):
    """One seed but where rows are close, at scales that count updates and not epochs: the paper's has its epochs."""

    title = "Longer trainings"
    shows_learning = True

    def jobs(self, scale: Scale) -> list[Job]:
        """Each row as the tables have it, and with more updates."""
        if not scale.steps:
            return []
        made = []
        shown = _in_the_tables(scale)
        for (task, role), titles in CONCERNED.items():
            for data in scale.data.get(role, ()):
                for title in titles:
                    equal = [job for job in shown if (job.title, job.task, job.data) == (title, task, data)]
                    training = {**equal[0].training, "steps": TIMES * scale.steps}
                    again = equal if (task, role) == CLOSE else equal[:1]
                    made += [*equal, *(replace(job, label=longer(title), training=training) for job in again)]
            made += rows.floors(task, scale, role)
        return made

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """The tables, and the paper's claims with the longer trainings in place of the equal ones."""
        if not scale.steps:
            return "This scale trains for epochs; there is nothing longer.\n"
        task, role = CLOSE
        often = " and ".join(labels(scale, role))
        parts = [f"Rows that say so have {TIMES} times the updates, and one seed, but for {often}, {task}.\n"]
        for task, role in CONCERNED:
            here = columns(scale, role, task)
            titles = rows.titles([job for job in self.jobs(scale) if (job.task, job.data) in here])
            parts.append(table(outcomes, titles, here, VIDEO, table1.printed))
        parts += ["What the paper claims, and we, of the longer trainings:\n", judged(claims(scale), outcomes)]
        return "\n".join(parts)


def _in_the_tables(scale: Scale) -> list[Job]:
    """Every row that they have, once, from every seed."""
    every = [job for shown in (Table1, Table2, Table3, Table5, Figure4) for job in shown().jobs(scale)]
    return list({job.name: job for job in every}.values())


def longer(title: str) -> str:
    """What a row with more updates is called."""
    return f"{title}, {TIMES} times the updates"


def claims(scale: Scale) -> list[Claim]:
    """The paper's, between rows that were both trained longer."""
    return [
        Claim(longer(better), longer(worse), task, data, VIDEO)
        for (task, role), titles in CONCERNED.items()
        for data in labels(scale, role)
        for better, worse in PAIRS
        if {better, worse} <= set(titles)
    ]
