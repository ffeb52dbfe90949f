"""What all jobs of an experiment gave: means over seeds, tables beside the paper's columns, and its claims, judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean

from vidode.experiments.reproduction.jobs import Outcome
from vidode.experiments.reproduction.published import Printed
from vidode.experiments.reproduction.scales import DataChoice
from vidode.metrics import Protocol
from vidode.models import Task
from vidode.tables import NO_LPIPS, NOT_MEASURED, grid

PROTOCOL: Protocol = "vidode2021"
"""Of the tables: the paper's."""


@dataclass(frozen=True)
class Metric:
    """attribute: its name in scores, and in what the paper prints. better: 1 where more is, -1 where less is.

    form: of ours. printed: of the paper's, where it has other digits. scale: of ours, for the paper's unit. near: rows
    that nearly tie differ by at most this share.
    """

    name: str
    attribute: str
    form: str
    better: int
    scale: float = 1.0
    printed: str = ""
    near: float = 0.0

    def written(self, value: float) -> str:
        """In a table."""
        return self.form.format(value * self.scale)

    def signed(self, change: float) -> str:
        """A change in a table; one that rounds to nothing is +0."""
        return self.form.replace(":", ":+z").format(change * self.scale)


SSIM = Metric("SSIM", "ssim", "{:.3f}", 1, near=0.01)
LPIPS = Metric("LPIPS", "lpips", "{:.4f}", -1, printed="{:.3f}", near=0.1)
PSNR = Metric("PSNR", "psnr", "{:.2f}", 1, near=0.02)
MSE = Metric("MSE (1e-3)", "mse", "{:.3f}", -1, 1e3)
VIDEO = (SSIM, LPIPS, PSNR)
FIELD = (LPIPS, MSE)


@dataclass(frozen=True)
class Cell:
    """Where a number stands: of a row (its title), for a task, on a data set."""

    title: str
    task: Task
    data: str


class Outcomes:
    """All outcomes of an experiment, by cell; several seeds of one cell are averaged. protocol: of their numbers."""

    def __init__(self, outcomes: Sequence[Outcome], protocol: Protocol = PROTOCOL) -> None:
        self._all, self.protocol = list(outcomes), protocol
        self._by_cell: dict[Cell, list[Outcome]] = {}
        for each in outcomes:
            cell = Cell(each.job.title, each.job.task, each.job.data.label)
            self._by_cell.setdefault(cell, []).append(each)

    def under(self, protocol: Protocol) -> Outcomes:
        """The same under another protocol."""
        return Outcomes(self._all, protocol)

    def measured_by(self, scheme: str) -> Outcomes:
        """Those measured by one way to hide frames, where an experiment has several."""
        return Outcomes([each for each in self._all if each.job.measured_by == scheme], self.protocol)

    def all_of(self, cell: Cell) -> list[Outcome]:
        """Every seed's outcome."""
        return self._by_cell.get(cell, [])

    def values(self, cell: Cell, metric: Metric) -> list[float]:
        """Every seed's number; none where it was not measured."""
        found = [getattr(each.scores(self.protocol), metric.attribute) for each in self.all_of(cell)]
        return [value for value in found if value is not None]

    def value(self, cell: Cell, metric: Metric) -> float | None:
        """The mean over seeds."""
        values = self.values(cell, metric)
        return mean(values) if values else None

    def lack(self, *cells: Cell) -> str:
        """What stands in place of a number that cells do not give: only LPIPS is left out of what was measured."""
        return NO_LPIPS if all(map(self.all_of, cells)) else NOT_MEASURED

    def spread(self, cell: Cell, metric: Metric) -> float:
        """Half of the distance between the best and the worst seed."""
        return half_range(self.values(cell, metric))

    def of_one_seed(self, *cells: Cell) -> str:
        """What to say of a verdict on these cells, where one that was trained has one seed, and so no spread."""
        return (
            ", of one seed" if any(len(found) == 1 and found[0].training for found in map(self.all_of, cells)) else ""
        )


def table(
    outcomes: Outcomes,
    titles: Sequence[str],
    columns: Sequence[tuple[Task, DataChoice]],
    metrics: Sequence[Metric],
    printed: Callable[[str, Task, str], Printed | None] = lambda *_: None,
) -> str:
    """A line for each row, ours and the paper's number for each column; best of ours bold; spread over seeds after it.

    titles: of rows. columns: task and data set. printed: what the paper has for a title, a task and one of its sets;
    the sets that ours stands for share a column.
    """
    added = []
    for task, data in columns:
        theirs = {name: [printed(title, task, name) for title in titles] for name in data.stands_for}
        theirs = {name: column for name, column in theirs.items() if any(column)}
        for metric in metrics:
            cells = [Cell(title, task, data.label) for title in titles]
            added.append([f"{data.label}, {task}, {metric.name}", *_column(outcomes, cells, metric)])
            if theirs:
                lines = zip(*theirs.values(), strict=True)
                added.append([f"paper: {' / '.join(theirs)}", *(_printed(line, metric) for line in lines)])
    head, *body = zip(["model", *titles], *added, strict=True)
    return grid(list(head), [list(line) for line in body])


def both_protocols(
    outcomes: Outcomes,
    titles: Sequence[str],
    columns: Sequence[tuple[Task, DataChoice]],
    printed: Callable[[str, Task, str], Printed | None] = lambda *_: None,
) -> str:
    """The table of a video experiment, and what it would be under the field's usual protocol."""
    theirs = table(outcomes, titles, columns, VIDEO, printed)
    usual = table(outcomes.under("per-frame"), titles, columns, (SSIM, PSNR))
    return f"{theirs}\nThe same under the protocol per-frame, the field's usual one:\n\n{usual}"


def _column(outcomes: Outcomes, cells: Sequence[Cell], metric: Metric) -> list[str]:
    values = [outcomes.value(cell, metric) for cell in cells]
    known = [value for value in values if value is not None]
    best = metric.written(max(known, key=lambda value: metric.better * value)) if known else ""
    return [_cell(outcomes, cell, value, metric, best) for cell, value in zip(cells, values, strict=True)]


def _cell(outcomes: Outcomes, cell: Cell, value: float | None, metric: Metric, best: str) -> str:
    if value is None:
        return outcomes.lack(cell)
    text = metric.written(value)
    several = len(outcomes.values(cell, metric)) > 1
    spread = f" ± {metric.written(outcomes.spread(cell, metric))}" if several else ""
    return (f"**{text}**" if text == best else text) + spread


def _printed(scores: Sequence[Printed | None], metric: Metric) -> str:
    """Of one row, a number for each of the paper's sets."""
    values = [getattr(each, metric.attribute) for each in scores if each is not None]
    # The paper's MSE is printed in 1e-3 already.
    return " / ".join((metric.printed or metric.form).format(value) for value in values)


@dataclass(frozen=True)
class Claim:
    """The paper's, or ours: that one row is better than another, in each of some metrics."""

    better: str
    worse: str
    task: Task
    data: str
    metrics: Sequence[Metric]

    def judged(self, outcomes: Outcomes) -> str:
        """One line: whether it holds here, metric by metric, with the numbers."""
        cells = [Cell(title, self.task, self.data) for title in (self.better, self.worse)]
        parts = [self._metric(pair_of(outcomes, cells[0], cells[1], metric), metric) for metric in self.metrics]
        told = "; ".join(text for _, text in parts)
        found = verdict(holds for holds, _ in parts) + outcomes.of_one_seed(*cells)
        return f"- {self.better} above {self.worse} ({self.data}, {self.task}): {found} ({told})\n"

    def _metric(self, pair: Pair | None, metric: Metric) -> tuple[bool | None, str]:
        if pair is None:
            return None, f"{metric.name} not measured"
        holds = ahead(metric.better * pair.apart, pair.spread)
        return holds, pair.told if holds is not None else f"{pair.told}, within the spread"


@dataclass(frozen=True)
class Tie:
    """The paper's: that two rows nearly tie in a metric: they differ by no more than the share `near` of the second."""

    first: str
    second: str
    task: Task
    data: str
    metric: Metric

    def judged(self, outcomes: Outcomes) -> str:
        """One line, as a claim's."""
        cells = [Cell(title, self.task, self.data) for title in (self.first, self.second)]
        pair = pair_of(outcomes, cells[0], cells[1], self.metric)
        head = f"- {self.first} and {self.second} nearly tie ({self.data}, {self.task}): "
        if pair is None:
            return f"{head}not decided ({self.metric.name} not measured)\n"
        found = verdict([within(abs(pair.apart), pair.spread, self.metric.near * abs(pair.second))])
        told = f"{pair.told}; near is {100 * self.metric.near:g} %"
        return f"{head}{found}{outcomes.of_one_seed(*cells)} ({told})\n"


@dataclass(frozen=True)
class Pair:
    """How far a cell's mean lies above that of the second, the sum of both spreads, and both means in words."""

    apart: float
    second: float
    spread: float
    told: str


def pair_of(outcomes: Outcomes, first: Cell, second: Cell, metric: Metric) -> Pair | None:
    """Two cells; None where one of them was not measured."""
    cells = (first, second)
    one, other = (outcomes.value(cell, metric) for cell in cells)
    if one is None or other is None:
        return None
    told = f"{metric.name} {metric.written(one)} against {metric.written(other)}"
    return Pair(one - other, other, sum(outcomes.spread(cell, metric) for cell in cells), told)


def half_range(values: Sequence[float]) -> float:
    """Half of the distance between the largest and the least; 0 for none."""
    return (max(values) - min(values)) / 2 if values else 0.0


def ahead(apart: float, spread: float) -> bool | None:
    """Whether a difference is positive; None within the spread, where it says nothing."""
    return None if abs(apart) <= spread else apart > 0


def within(apart: float, spread: float, near: float) -> bool | None:
    """Whether a distance is at most `near`; None where the spread reaches beyond it, and does not make it certain."""
    return True if apart + spread <= near else False if apart - spread > near else None


def worsens(values: Sequence[tuple[float, float]], metric: Metric) -> bool | None:
    """Whether no value is better than the one before and the last is worse than the first; None within the spread.

    values: means over seeds, each with its spread.
    """
    lost = [(metric.better * (one[0] - other[0]), one[1] + other[1]) for one, other in pairwise(values)]
    if any(apart < -spread for apart, spread in lost):
        return False
    (first, spread), (last, other) = values[0], values[-1]
    return ahead(metric.better * (first - last), spread + other)


def every(parts: Iterable[bool | None]) -> bool | None:
    """Whether all parts hold; None where that is not decided, as where there are none."""
    found = list(parts)
    if any(part is False for part in found):
        return False
    return True if found and all(found) else None


def verdict(parts: Iterable[bool | None]) -> str:
    """Of a claim whose parts hold, do not, or are not decided (None)."""
    return {True: "holds", False: "**does not hold**", None: "not decided"}[every(parts)]


def judged(claims: Sequence[Claim | Tie], outcomes: Outcomes) -> str:
    """The list of claims under a table."""
    return "".join(claim.judged(outcomes) for claim in claims)
