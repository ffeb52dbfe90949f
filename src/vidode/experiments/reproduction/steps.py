"""How quality falls with the number of predictions, the limitation that the paper closes with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import mean

from vidode.evaluation import Row
from vidode.experiments.reproduction.experiment import picture
from vidode.experiments.reproduction.jobs import Outcome, Places
from vidode.experiments.reproduction.outcomes import (
    PROTOCOL,
    VIDEO,
    Cell,
    Metric,
    Outcomes,
    half_range,
    verdict,
    worsens,
)
from vidode.tables import by_distance, plot_by_distance


def over_steps(outcomes: Outcomes, cells: list[Cell], places: Places, name: str) -> str:
    """PSNR at each step beyond the last observed frame, the mean over seeds, as a picture and a table."""
    found = [[each.rows[PROTOCOL] for each in outcomes.all_of(cell)] for cell in cells]
    rows = [_mean(seeds) for seeds in found if seeds]
    plot_by_distance(rows, picture(places, f"{name}-steps.png"), "frames beyond the last observed one")
    return f"{by_distance(rows)}\n![PSNR over the steps]({name}-steps.png)\n"


def _mean(seeds: Sequence[Row]) -> Row:
    """A row whose PSNR at each step is the mean over those of several seeds."""
    first = seeds[0].by_distance
    psnr = {step: mean(row.by_distance[step].psnr for row in seeds) for step in first}
    return replace(seeds[0], by_distance={step: replace(scores, psnr=psnr[step]) for step, scores in first.items()})


def falls(outcomes: Outcomes, cell: Cell) -> str:
    """The claim that a row gets worse from step to step, judged on the mean over seeds and beyond their spread."""
    return "".join(_falls(outcomes.all_of(cell), cell, metric) for metric in VIDEO)


def _falls(found: Sequence[Outcome], cell: Cell, metric: Metric) -> str:
    head = f"- {cell.title} falls with the number of predictions ({cell.data}): "
    steps = sorted(found[0].rows[PROTOCOL].by_distance) if found else []
    seeds = [[getattr(each.rows[PROTOCOL].by_distance[step], metric.attribute) for step in steps] for each in found]
    if not steps or any(value is None for values in seeds for value in values):
        return f"{head}not decided ({metric.name} not measured)\n"
    values = [(mean(at_step), half_range(at_step)) for at_step in zip(*seeds, strict=True)]
    told = ", ".join(metric.written(value) for value, _ in values)
    return f"{head}{verdict([worsens(values, metric)])} ({metric.name} {told})\n"
