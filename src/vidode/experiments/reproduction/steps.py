"""How quality falls with the number of predictions, the limitation that the paper closes with."""

from __future__ import annotations

from itertools import pairwise
from statistics import mean

from vidode.experiments.reproduction.experiment import picture
from vidode.experiments.reproduction.jobs import Outcome, Places
from vidode.experiments.reproduction.outcomes import PROTOCOL, Cell, Outcomes
from vidode.tables import by_distance, plot_by_distance


def over_steps(outcomes: Outcomes, cells: list[Cell], places: Places, name: str) -> str:
    """PSNR at each step beyond the last observed frame, of each cell's first seed, as a picture and a table."""
    rows = [each.rows[PROTOCOL] for cell in cells for each in outcomes.all_of(cell)[:1]]
    plot_by_distance(rows, picture(places, f"{name}-steps.png"), "frames beyond the last observed one")
    return f"{by_distance(rows)}\n![PSNR over the steps]({name}-steps.png)\n"


def falls(outcomes: Outcomes, cell: Cell) -> str:
    """The claim that a row is worse at each step than at the one before, judged on the mean over seeds."""
    found = outcomes.all_of(cell)
    if not found:
        return f"- {cell.title} falls with the number of predictions ({cell.data}): not decided\n"
    values = [mean(_psnr(each, step) for each in found) for step in sorted(found[0].rows[PROTOCOL].by_distance)]
    verdict = "holds" if all(after < before for before, after in pairwise(values)) else "**does not hold**"
    told = ", ".join(f"{value:.2f}" for value in values)
    return f"- {cell.title} falls with the number of predictions ({cell.data}): {verdict} (PSNR {told})\n"


def _psnr(outcome: Outcome, step: int) -> float:
    return outcome.rows[PROTOCOL].by_distance[step].psnr
