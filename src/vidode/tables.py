"""Rows as a table to read, and as curves over the distance to what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from vidode.evaluation import Row
from vidode.metrics import Scores

METRICS: dict[str, tuple[Callable[[Scores], float | None], str, float]] = {
    "PSNR": (lambda scores: scores.psnr, "{:.2f}", 1.0),
    "SSIM": (lambda scores: scores.ssim, "{:.4f}", 1.0),
    "LPIPS": (lambda scores: scores.lpips, "{:.4f}", -1.0),
}
"""How to read each metric, how to write it, and whether more (1) or less (-1) is better."""
NO_LPIPS = "n/a (no LPIPS weights)"
NOT_MEASURED = "not measured"


def markdown(rows: Sequence[Row]) -> str:
    """A table of rows of one scheme and protocol: a line for each model, columns for each data set; the best bold."""
    models, sets = _unique(row.model for row in rows), _unique(row.data for row in rows)
    found = {(row.model, row.data): row.scores for row in rows}
    columns = [(data, metric) for data in sets for metric in METRICS]
    cells = {column: _column([found.get((model, column[0])) for model in models], column[1]) for column in columns}
    lines = [[model, *(cells[column][place] for column in columns)] for place, model in enumerate(models)]
    return grid(["model", *(f"{data} {metric}" for data, metric in columns)], lines)


def by_distance(rows: Sequence[Row]) -> str:
    """PSNR of rows of one scheme and protocol by the distance to the nearest seen frame, the best bold."""
    steps = sorted({step for row in rows for step in row.by_distance})
    lines = []
    for data in _unique(row.data for row in rows):
        here = [row for row in rows if row.data == data]
        columns = [_column([row.by_distance.get(step) for row in here], "PSNR") for step in steps]
        lines += [[data, row.model, *(column[place] for column in columns)] for place, row in enumerate(here)]
    return grid(["data", "model", *(f"PSNR at {step}" for step in steps)], lines)


def plot_by_distance(rows: Sequence[Row], path: Path, axis: str) -> None:
    """Draw PSNR over the distance, a panel for each data set and a curve for each model, as PNG. axis: its label."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sets = _unique(row.data for row in rows)
    figure = Figure(figsize=(4.2 * len(sets) + 2.2, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for panel, data in zip(figure.subplots(1, len(sets), squeeze=False)[0], sets, strict=True):
        for row in (row for row in rows if row.data == data):
            steps = sorted(row.by_distance)
            panel.plot(steps, [row.by_distance[step].psnr for step in steps], marker="o", label=row.model)
        panel.set_title(data)
        panel.set_xlabel(axis)
        panel.set_ylabel("PSNR (dB)")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.3)
    figure.legend(*panel.get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, format="png", metadata={"Software": None})


def grid(head: Sequence[str], lines: Sequence[Sequence[str]], rule: str = "---:") -> str:
    """A Markdown table. rule: how all columns but the first are aligned; numbers stand to the right."""
    rules = ["---"] + [rule] * (len(head) - 1)
    return "".join("| " + " | ".join(line) + " |\n" for line in (head, rules, *lines))


def _column(scores: Sequence[Scores | None], metric: str) -> list[str]:
    """The cells of one metric, the best bold, equals as written included."""
    read, form, better = METRICS[metric]
    values = [None if each is None else read(each) for each in scores]
    known = [value for value in values if value is not None]
    best = form.format(max(known, key=lambda value: better * value)) if known else ""
    return [_cell(each, value, form, best) for each, value in zip(scores, values, strict=True)]


def _cell(scores: Scores | None, value: float | None, form: str, best: str) -> str:
    if scores is None:
        return NOT_MEASURED
    if value is None:
        return NO_LPIPS
    text = form.format(value)
    return f"**{text}**" if text == best else text


def _unique(names: Iterable[str]) -> list[str]:
    """Names in the order in which they first come."""
    return list(dict.fromkeys(names))
