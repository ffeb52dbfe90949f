"""Table 2: extrapolation beside the models made for it."""

from __future__ import annotations

from statistics import mean

from vidode.experiments.paper.table1 import printed
from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.experiment import Experiment, columns, labels
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import (
    VIDEO,
    Cell,
    Claim,
    Metric,
    Outcomes,
    ahead,
    both_protocols,
    judged,
    verdict,
)
from vidode.experiments.reproduction.scales import Scale
from vidode.experiments.reproduction.steps import falls, over_steps
from vidode.models import Task

TASK: Task = "extrapolation"
BASELINES = ("conv_gru", "prednet", "deep_voxel_flow", "retrospective_cycle_gan")
MODELS = (*BASELINES, "vid_ode")


class Table2(Experiment):
    """ConvGRU, PredNet, Deep Voxel Flow and Retrospective Cycle GAN beside Vid-ODE."""

    title = "Table 2: extrapolation"
    shows_learning = True

    def jobs(self, scale: Scale) -> list[Job]:
        """Five frames in, five out, on the action and animation sets and on fast motion."""
        made = []
        for role in ("actions", "fast"):
            made += rows.trained(MODELS, TASK, scale, role) + rows.vid_ode_as_released(TASK, scale, role)
            made += rows.ours(TASK, scale, role) + rows.floors(TASK, scale, role)
        return made

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """The table, and the claims."""
        sets = labels(scale, "actions") + labels(scale, "fast")
        cells = columns(scale, "actions", TASK) + columns(scale, "fast", TASK)
        head = both_protocols(outcomes, rows.titles(self.jobs(scale)), cells, printed)
        claims = [Claim("vid_ode", worse, TASK, data, VIDEO) for data in sets for worse in BASELINES]
        own = [claim for data in sets for claim in rows.our_claims(TASK, data, VIDEO)]
        steps = [Cell(title, TASK, data) for data in sets for title in rows.titles(self.jobs(scale))]
        parts = [head, over_steps(outcomes, steps, places, "table2")]
        told = judged(claims, outcomes) + margins(outcomes, labels(scale, "actions"), labels(scale, "fast"))
        told += "".join(falls(outcomes, Cell("vid_ode", TASK, data)) for data in sets)
        return "\n".join([*parts, "What the paper claims of it:\n", told, "Ours:\n", judged(own, outcomes)])


def margins(outcomes: Outcomes, slow: list[str], fast: list[str]) -> str:
    """Whether Vid-ODE is further ahead of the mean of the others where motion is large, metric by metric."""
    told = ""
    for metric in VIDEO:
        found = [_margin(outcomes, data, metric) for data in (*slow, *fast)]
        known = [each for each in found if each is not None]
        holds: list[bool | None] = [None]
        if fast and len(known) == len(found):
            pairs = [(one, other) for one in known[: len(slow)] for other in known[len(slow) :]]
            holds = [ahead(b - a, u + v) for (a, u), (b, v) in pairs]
        margins = ", ".join(
            f"{data} {metric.written(value)} ± {metric.written(spread)}"
            for data, (value, spread) in zip((*slow, *fast), known, strict=False)
        )
        told += f"- the margin over the mean of the others is wider where motion is large: {verdict(holds)}"
        told += f" ({metric.name} {margins or 'not measured'})\n"
    return told


def _margin(outcomes: Outcomes, data: str, metric: Metric) -> tuple[float, float] | None:
    """How far Vid-ODE is ahead, and how far its seeds and those of the others are apart."""
    cells = [Cell(title, TASK, data) for title in MODELS]
    known = [value for cell in cells if (value := outcomes.value(cell, metric)) is not None]
    if len(known) < len(cells):
        return None
    spreads = [outcomes.spread(cell, metric) for cell in cells]
    return metric.better * (known[-1] - mean(known[:-1])), spreads[-1] + mean(spreads[:-1])
