"""Where the paper, its released code and this package differ: what each choice changes, beyond the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vidode.experiments.paper.table5 import FORWARD
from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.experiment import Experiment, columns, labels
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import VIDEO, Cell, Metric, Outcomes, ahead, pair_of, table
from vidode.experiments.reproduction.scales import Scale
from vidode.models import Task
from vidode.tables import grid

TASK: Task = "extrapolation"
USUAL = "vid_ode"
"""The model as it is here, that each choice is held beside."""


@dataclass(frozen=True)
class Change:
    """One choice made otherwise: options of Vid-ODE, or fields of the training."""

    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


CHANGES: Mapping[str, Change] = {
    "warps what was composed (Eq. 2)": Change({"chain": {"source": "composed"}}),
    "first step from the state (Eq. 2)": Change({"chain": {"first_state": "state"}}),
    FORWARD: Change({"encoder": {"direction": "forward"}}),
    "encoder solved in Runge-Kutta steps": Change({"encoder": {"solver": {"method": "rk4", "step": 0.1}}}),
    "critic sees one generated frame (Eq. 4)": Change({"objective": {"generated": "last"}}),
    "no short steps in training": Change({"chain": {"extra": 0.0}}),
    "each step decoded by itself in training": Change({"chain": {"decode": "per_step"}}),
}
OWN_OPTIMISER = {"Adamax and the paper's schedule": Change(training={"optimiser": {}})}
"""Where the scale has one of its own."""


class Differences(Experiment):
    """Vid-ODE as it is here, with each choice made otherwise, and as released, which makes several otherwise."""

    title = "Differences from the paper and from its code"
    shows_learning = True

    def jobs(self, scale: Scale) -> list[Job]:
        """Each choice on the ladder's data, from every seed."""
        made = rows.trained((USUAL,), TASK, scale, "ladder") + rows.vid_ode_as_released(TASK, scale, "ladder")
        made += [
            Job("vid_ode", TASK, data, seed, label=label, options=change.options, training=change.training)
            for data in scale.data.get("ladder", ())
            for label, change in changes(scale).items()
            for seed in scale.seeds
        ]
        return made + rows.floors(TASK, scale, "ladder")

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """The rows, and what each choice changes."""
        titles, sets = rows.titles(self.jobs(scale)), labels(scale, "ladder")
        head = table(outcomes, titles, columns(scale, "ladder", TASK), VIDEO)
        lines = [
            [title, data, *(_apart(outcomes, title, data, metric) for metric in VIDEO)]
            for data in sets
            for title in (rows.RELEASED, *changes(scale))
        ]
        told = f"What each choice changes against {USUAL}, PSNR in dB; in LPIPS less is better.\n"
        return "\n".join([head, told, grid(["choice", "data", *(metric.name for metric in VIDEO)], lines)])


def changes(scale: Scale) -> Mapping[str, Change]:
    """Every choice that is made otherwise, by the title of its row."""
    return {**CHANGES, **(OWN_OPTIMISER if scale.optimiser else {})}


def _apart(outcomes: Outcomes, title: str, data: str, metric: Metric) -> str:
    cells = Cell(title, TASK, data), Cell(USUAL, TASK, data)
    pair = pair_of(outcomes, *cells, metric)
    if pair is None:
        return outcomes.lack(*cells)
    unsure = " (within the spread)" if ahead(pair.apart, pair.spread) is None else ""
    return f"{metric.signed(pair.apart)}{unsure}"
