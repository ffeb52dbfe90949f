"""Table 5: the ladder of ablations, from ODE-Conv (A) to Vid-ODE (E)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.experiment import Experiment, columns, labels
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import VIDEO, Claim, Outcomes, Tie, both_protocols, judged
from vidode.experiments.reproduction.published import LADDER, SETS, Printed
from vidode.experiments.reproduction.scales import Scale
from vidode.models import TASKS, Task

STEPS: Mapping[str, Mapping[str, Any]] = {
    "B: + ODE-ConvGRU": {"output": "frame", "objective": {"difference": 0.0, "image": 0.0, "sequence": 0.0}},
    "C: + critics": {"output": "frame", "objective": {"difference": 0.0}},
    "D: + flow": {"output": "flow", "objective": {"difference": 0.0}},
}
"""Between A and E: what differs from Vid-ODE."""
LETTERS = {"ode_conv": "A", "vid_ode": "E", **{title: title[0] for title in STEPS}}
TITLES = ("ode_conv", *STEPS, "vid_ode")
TIED = TITLES[-2:]
"""The steps that nearly tie in the paper: D and E."""
FORWARD = "vid_ode, forward in time"
"""Vid-ODE reads its inputs backwards, which the paper finds slightly better."""


class Table5(Experiment):
    """What each part of Vid-ODE adds."""

    title = "Table 5: ablation"
    shows_learning = True

    def jobs(self, scale: Scale) -> list[Job]:
        """Every step of the ladder in both tasks, and ours; rows that Table 1 has, too, are its rows."""
        made = []
        for task in TASKS:
            made += rows.trained(("ode_conv", "vid_ode"), task, scale, "ladder")
            made += rows.vid_ode_as_released(task, scale, "ladder")
            changed = {**STEPS, FORWARD: {"encoder": {"direction": "forward"}}}
            made += [
                Job("vid_ode", task, data, seed, label=label, options=options)
                for data in scale.data.get("ladder", ())
                for label, options in changed.items()
                for seed in scale.seeds
            ]
            made += rows.ours(task, scale, "ladder") + rows.floors(task, scale, "ladder")
        return made

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """The ladder, and the claims: each step as the paper's own numbers go, metric by metric."""
        parts = []
        for task in TASKS:
            others = rows.titles([job for job in self.jobs(scale) if job.task == task])
            titles = list(dict.fromkeys([*TITLES, *others]))
            parts.append(both_protocols(outcomes, titles, columns(scale, "ladder", task), printed))
        cells = [(task, data) for task in TASKS for data in labels(scale, "ladder")]
        claims = [claim for cell in cells for claim in ladder_claims(*cell)]
        claims += [Claim("vid_ode", FORWARD, *cell, VIDEO) for cell in cells]
        own = [claim for cell in cells for claim in rows.our_claims(*cell, VIDEO)]
        parts += ["What the paper claims of it:\n", judged(claims, outcomes), "Ours:\n", judged(own, outcomes)]
        return "\n".join(parts)


def ladder_claims(task: Task, data: str) -> list[Claim | Tie]:
    """That each step is up or down as the paper prints it, one metric a claim; but the last, which nearly ties."""
    made: list[Claim | Tie] = []
    for lower, upper in pairwise(TITLES):
        for metric in VIDEO:
            before, after = (getattr(LADDER[LETTERS[title]][task], metric.attribute) for title in (lower, upper))
            if (lower, upper) == TIED and abs(after - before) <= metric.near * before:
                made.append(Tie(lower, upper, task, data, metric))
                continue
            up = metric.better * (after - before) > 0
            made.append(Claim(*((upper, lower) if up else (lower, upper)), task, data, (metric,)))
    return made


def printed(title: str, task: Task, data: str) -> Printed | None:
    """The paper's scores on KTH."""
    letter = LETTERS.get(rows.in_the_paper(title))
    return LADDER[letter][task] if letter and data == SETS[0] else None
