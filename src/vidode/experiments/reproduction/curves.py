"""How the rows of a page were learned: what each minimised over its updates, and the divergences of those that draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, pstdev

from vidode.experiments.reproduction.jobs import Outcome
from vidode.experiments.reproduction.outcomes import verdict

LEARNED = ("reconstruction", "likelihood", "pixel", "loss")
"""What a picture shows of a row: the first of these that it has."""
DIVERGENCES = ("divergence_unweighted", "path")
"""Of the latent from its prior: Latent ODE's in nats, ODE2VAE's summed along its path."""

STILL = 0.05
STEADY = 0.1
"""Shares by which a divergence that has converged still moves, and varies, in its last quarter."""

COLOURS = 10
"""That are told apart easily; more lines have them in pairs of light and dark."""
FALLEN = 0.1
"""The share of its highest below which a learning rate has fallen away."""

Panel = tuple[str, str]
"""Task and data set."""
Lines = dict[str, list[tuple[list[float], list[float]]]]
"""The updates and the values there, of each seed, by the title of a row."""


def learning(outcomes: Sequence[Outcome], folder: Path, name: str) -> str:
    """Pictures of every trained row's first seed, and the Markdown that shows them; empty where nothing is trained."""
    parts = []
    for kind, columns, told in (
        (
            "learning",
            LEARNED,
            "What each row minimises (its reconstruction, where that stands apart), relative to its start",
        ),
        ("divergence", DIVERGENCES, "Divergence of the drawn latent from its prior"),
    ):
        curves = curves_of(outcomes, columns)
        if curves:
            picture = f"{name}-{kind}.png"
            _draw(folder / picture, curves, relative=kind == "learning")
            parts.append(f"{told}, over the updates:\n\n![{kind}]({picture})\n")
            parts += [settled(curves, curves_of(outcomes, ("learning_rate",)))] if kind == "divergence" else []
    return "\n".join(parts)


def settled(curves: dict[Panel, Lines], rates: dict[Panel, Lines]) -> str:
    """The paper's claim that the divergence of so large a latent does not converge, judged on each line's last quarter.

    It has converged where the mean of its last tenth and that of the tenth before the last quarter differ by less than
    `STILL` of the larger, and the deviation within the last quarter is less than `STEADY` of its mean. Where seeds do
    not agree, it is not decided; nor where it has converged while the learning rate fell away, as anything does then.

    rates: learning rates of the same lines.
    """
    lines = []
    for panel, found in curves.items():
        for title, seeds in found.items():
            tenths = [_last_tenths(values) for _, values in seeds]
            told = "; ".join(
                f"{before:.3g} at three quarters of the updates, {after:.3g} at the end" for before, after in tenths
            )
            moves = {_moves(values) for _, values in seeds}
            holds = moves.pop() if len(moves) == 1 else None
            fell = any(rate[-1] < FALLEN * max(rate) for _, rate in rates.get(panel, {}).get(title, []))
            if holds is False and fell:
                holds, told = None, f"{told}; it settles, but as the learning rate falls away"
            task, data = panel
            lines.append(
                f"- the divergence of {title} does not converge ({data}, {task}): {verdict([holds])} ({told})\n"
            )
    return "".join(lines)


def _moves(values: Sequence[float]) -> bool:
    before, after = _last_tenths(values)
    last = values[-(len(values) // 4 or 1) :]
    drift = abs(after - before) > STILL * max(abs(before), abs(after))
    return drift or pstdev(last) > STEADY * abs(mean(last))


def _last_tenths(values: Sequence[float]) -> tuple[float, float]:
    """The means of the tenth before the last quarter and of the last tenth."""
    tenth = max(1, len(values) // 10)
    place = len(values) - len(values) // 4
    return mean(values[max(0, place - tenth) : max(1, place)]), mean(values[-tenth:])


def curves_of(outcomes: Sequence[Outcome], columns: Sequence[str]) -> dict[Panel, Lines]:
    """The first of the columns that each row has, of all its seeds."""
    found: dict[Panel, Lines] = {}
    for each in outcomes:
        column = next((column for column in columns if column in each.curve), None)
        if column is not None:
            panel = found.setdefault((each.job.task, each.job.data.label), {})
            panel.setdefault(each.job.title, []).append((each.curve["step"], each.curve[column]))
    return found


def _draw(path: Path, curves: dict[Panel, Lines], relative: bool) -> None:
    from matplotlib import color_sequences
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    most = max(map(len, curves.values()))
    figure = Figure(figsize=(5.2 * len(curves), 3.6 + 0.07 * most), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(curves), squeeze=False)[0]
    for axis, ((task, data), lines) in zip(axes, curves.items(), strict=True):
        axis.set_prop_cycle(color=color_sequences["tab10" if len(lines) <= COLOURS else "tab20"])
        for title, ((steps, values), *_) in lines.items():
            axis.plot(steps, [value / values[0] for value in values] if relative else values, label=title, linewidth=1)
        axis.set_title(f"{data}, {task}")
        axis.set_xlabel("updates")
        axis.legend(fontsize=6, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.17))  # below: lines fill the rest
        axis.set_yscale("symlog", linthresh=0.01)  # what is minimised may be below zero, and a divergence near it
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
