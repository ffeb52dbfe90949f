"""How quality falls with the number of predictions, the limitation that the paper closes with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import mean

from vidode.experiments.reproduction.experiment import picture
from vidode.experiments.reproduction.jobs import Outcome, Places
from vidode.experiments.reproduction.outcomes import PROTOCOL, VIDEO, Cell, Metric, Outcomes, verdict
from vidode.tables import by_distance, plot_by_distance


def over_steps(outcomes: Outcomes, cells: list[Cell], places: Places, name: str) -> str:
    """PSNR at each step beyond the last observed frame, of each cell's first seed, as a picture and a table."""
    rows = [each.rows[PROTOCOL] for cell in cells for each in outcomes.all_of(cell)[:1]]
    plot_by_distance(rows, picture(places, f"{name}-steps.png"), "frames beyond the last observed one")
    return f"{by_distance(rows)}\n![PSNR over the steps]({name}-steps.png)\n"


def falls(outcomes: Outcomes, cell: Cell) -> str:
    """The claim that a row is worse at each step than at the one before, judged on the mean over seeds."""
    return "".join(_falls(outcomes.all_of(cell), cell, metric) for metric in VIDEO)


def _falls(found: Sequence[Outcome], cell: Cell, metric: Metric) -> str:
    head = f"- {cell.title} falls with the number of predictions ({cell.data}): "
    steps = sorted(found[0].rows[PROTOCOL].by_distance) if found else []
    seeds = [[getattr(each.rows[PROTOCOL].by_distance[step], metric.attribute) for step in steps] for each in found]
    if not steps or any(value is None for values in seeds for value in values):
        return f"{head}not decided ({metric.name} not measured)\n"
    values = [mean(at_step) for at_step in zip(*seeds, strict=True)]
    holds = all(metric.better * (before - after) > 0 for before, after in pairwise(values))
    return f"{head}{verdict([holds])} ({metric.name} {', '.join(metric.written(value) for value in values)})\n"
