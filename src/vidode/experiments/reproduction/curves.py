"""How the rows of a page were learned: what each minimised over its updates, and the divergences of those that draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vidode.experiments.reproduction.jobs import Outcome

LEARNED = ("reconstruction", "likelihood", "pixel", "loss")
"""What a picture shows of a row: the first of these that it has."""
DIVERGENCES = ("divergence_unweighted", "path")
"""Of the latent from its prior: Latent ODE's in nats, ODE2VAE's summed along its path."""

Panel = tuple[str, str]
"""Task and data set."""
Lines = dict[str, tuple[list[float], list[float]]]
"""The updates and the values there, by the title of a row."""


def learning(outcomes: Sequence[Outcome], folder: Path, name: str) -> str:
    """Pictures of every trained row's first seed, and the Markdown that shows them; empty where nothing is trained."""
    first = {(each.job.task, each.job.data.label, each.job.title): each for each in reversed(outcomes) if each.curve}
    parts = []
    for kind, columns, told in (
        (
            "learning",
            LEARNED,
            "What each row minimises (its reconstruction, where that stands apart), relative to its start",
        ),
        ("divergence", DIVERGENCES, "Divergence of the drawn latent from its prior"),
    ):
        curves = _curves(list(reversed(first.values())), columns)
        if curves:
            picture = f"{name}-{kind}.png"
            _draw(folder / picture, curves, relative=kind == "learning")
            parts.append(f"{told}, over the updates:\n\n![{kind}]({picture})\n")
    return "\n".join(parts)


def _curves(outcomes: Sequence[Outcome], columns: Sequence[str]) -> dict[Panel, Lines]:
    found: dict[Panel, Lines] = {}
    for each in outcomes:
        column = next((column for column in columns if column in each.curve), None)
        if column is not None:
            panel = found.setdefault((each.job.task, each.job.data.label), {})
            panel[each.job.title] = (each.curve["step"], each.curve[column])
    return found


def _draw(path: Path, curves: dict[Panel, Lines], relative: bool) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(curves), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(curves), squeeze=False)[0]
    for axis, ((task, data), lines) in zip(axes, curves.items(), strict=True):
        for title, (steps, values) in lines.items():
            axis.plot(steps, [value / values[0] for value in values] if relative else values, label=title, linewidth=1)
        axis.set_title(f"{data}, {task}")
        axis.set_xlabel("updates")
        axis.legend(fontsize=6)
        if relative:
            axis.set_yscale("symlog", linthresh=0.01)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
