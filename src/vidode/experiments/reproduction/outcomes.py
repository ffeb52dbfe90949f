"""What all jobs of an experiment gave: means over seeds, tables beside the paper's columns, and its claims, judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

    form: of ours. printed: of the paper's, where it has other digits. scale: of ours, for the paper's unit.
    """

    name: str
    attribute: str
    form: str
    better: int
    scale: float = 1.0
    printed: str = ""

    def written(self, value: float) -> str:
        """In a table."""
        return self.form.format(value * self.scale)


SSIM = Metric("SSIM", "ssim", "{:.3f}", 1)
LPIPS = Metric("LPIPS", "lpips", "{:.4f}", -1, printed="{:.3f}")
PSNR = Metric("PSNR", "psnr", "{:.2f}", 1)
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
    """All outcomes of an experiment, by cell; several seeds of one cell are averaged."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self._all = list(outcomes)
        self._by_cell: dict[Cell, list[Outcome]] = {}
        for each in outcomes:
            cell = Cell(each.job.title, each.job.task, each.job.data.label)
            self._by_cell.setdefault(cell, []).append(each)

    def measured_by(self, scheme: str) -> Outcomes:
        """Those measured by one way to hide frames, where an experiment has several."""
        return Outcomes([each for each in self._all if each.job.measured_by == scheme])

    def all_of(self, cell: Cell) -> list[Outcome]:
        """Every seed's outcome."""
        return self._by_cell.get(cell, [])

    def values(self, cell: Cell, metric: Metric) -> list[float]:
        """Every seed's number; none where it was not measured."""
        found = [getattr(each.scores(PROTOCOL), metric.attribute) for each in self.all_of(cell)]
        return [value for value in found if value is not None]

    def value(self, cell: Cell, metric: Metric) -> float | None:
        """The mean over seeds."""
        values = self.values(cell, metric)
        return mean(values) if values else None

    def spread(self, cell: Cell, metric: Metric) -> float:
        """Half of the distance between the best and the worst seed."""
        values = self.values(cell, metric)
        return (max(values) - min(values)) / 2 if values else 0.0


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


def _column(outcomes: Outcomes, cells: Sequence[Cell], metric: Metric) -> list[str]:
    values = [outcomes.value(cell, metric) for cell in cells]
    known = [value for value in values if value is not None]
    best = metric.written(max(known, key=lambda value: metric.better * value)) if known else ""
    return [_cell(outcomes, cell, value, metric, best) for cell, value in zip(cells, values, strict=True)]


def _cell(outcomes: Outcomes, cell: Cell, value: float | None, metric: Metric, best: str) -> str:
    if not outcomes.all_of(cell):
        return NOT_MEASURED
    if value is None:
        return NO_LPIPS
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
    """The paper's, or ours: that one row is better than another, in some metrics, or nearly the same."""

    better: str
    worse: str
    task: Task
    data: str
    metrics: Sequence[Metric]

    def judged(self, outcomes: Outcomes) -> str:
        """One line: whether it holds here, metric by metric, with the numbers."""
        parts = [self._metric(outcomes, metric) for metric in self.metrics]
        verdict = "not decided" if any(holds is None for holds, _ in parts) else ""
        verdict = verdict or ("holds" if all(holds for holds, _ in parts) else "**does not hold**")
        told = "; ".join(text for _, text in parts)
        return f"- {self.better} above {self.worse} ({self.data}, {self.task}): {verdict} ({told})\n"

    def _metric(self, outcomes: Outcomes, metric: Metric) -> tuple[bool | None, str]:
        cells = [Cell(title, self.task, self.data) for title in (self.better, self.worse)]
        values = [outcomes.value(cell, metric) for cell in cells]
        if values[0] is None or values[1] is None:
            return None, f"{metric.name} not measured"
        ahead = metric.better * (values[0] - values[1])
        unsure = ", within the spread" if abs(ahead) <= sum(outcomes.spread(cell, metric) for cell in cells) else ""
        return ahead > 0, f"{metric.name} {metric.written(values[0])} against {metric.written(values[1])}{unsure}"


def judged(claims: Sequence[Claim], outcomes: Outcomes) -> str:
    """The list of claims under a table."""
    return "".join(claim.judged(outcomes) for claim in claims)
