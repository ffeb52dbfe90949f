"""Figure 6: the error of forecasts against the share of the fields that are observed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from vidode.experiments.paper.table4 import BASELINES, TASK, Table4
from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.experiment import Experiment, picture
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import LPIPS, MSE, Cell, Metric, Outcomes, ahead, verdict, worsens
from vidode.experiments.reproduction.scales import Scale
from vidode.hiding import RATES
from vidode.tables import grid

MODELS = (*BASELINES, *rows.VID_ODES)
SHORT = "Only on data whose test clips are long enough for the lowest rate, 25 frames and the five asked for.\n"


class Figure6(Experiment):
    """Five inputs out of 5 / r successive frames, the five after them asked for; r from 100 % to 20 %."""

    title = "Figure 6: error against the sampling rate"

    def jobs(self, scale: Scale) -> list[Job]:
        """The rows of Table 4, as trained there, measured at every rate."""
        every = [job for job in Table4().jobs(scale) if job.data.rates]
        return [replace(job, scheme=f"sparse-{rate}") for job in every for rate in job.data.rates]

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """A curve for each row with its spread over seeds, the numbers, and the claims."""
        parts, titles = [SHORT], rows.titles(self.jobs(scale))
        for choice in (data for data in scale.data.get("weather", ()) if data.rates):
            data = choice.label
            parts.append(f"{data}: trained as in Table 4, at every rate; the same frames are asked for at each.\n")
            for metric in (MSE, LPIPS):
                curves = curves_of(outcomes, titles, data, metric)
                if not all(curve for curve in curves.values()):
                    parts.append(f"{metric.name} on {data}: not measured.\n")
                    continue
                name = re.sub(r"[^\w.]+", "-", f"figure6-{data}-{metric.attribute}.png")
                draw(picture(places, name), curves, metric)
                parts += [numbers(curves, data, metric), f"![{name}]({name})\n", claims(curves, metric)]
        return "\n".join(parts)


def numbers(curves: dict[str, Curve], data: str, metric: Metric) -> str:
    """A line for each row, a column for each rate, the best bold."""
    columns = list(zip(*curves.values(), strict=True))
    best = [metric.written(max(column, key=lambda point: metric.better * point[1])[1]) for column in columns]
    lines = []
    for model, curve in curves.items():
        cells = [(metric.written(value), metric.written(spread)) for _, value, spread in curve]
        marked = [
            (f"**{text}**" if text == top else text, spread) for (text, spread), top in zip(cells, best, strict=True)
        ]
        lines.append([model, *(f"{text} ± {spread}" for text, spread in marked)])
    return grid([f"{metric.name}, {data}", *(f"{rate} %" for rate, _, _ in curves["vid_ode"])], lines)


Point = tuple[int, float, float]
"""Rate, mean over seeds, spread over seeds."""
Curve = list[Point]
"""From the highest rate down."""


def curves_of(outcomes: Outcomes, titles: list[str], data: str, metric: Metric) -> dict[str, Curve]:
    """Each row's; empty where the metric was not measured."""
    found: dict[str, Curve] = {}
    for name in titles:
        cell, curve = Cell(name, TASK, data), []
        for rate in sorted(RATES, reverse=True):
            here = outcomes.measured_by(f"sparse-{rate}")
            value = here.value(cell, metric)
            if value is not None:
                curve.append((rate, value, here.spread(cell, metric)))
        found[name] = curve
    return found


def claims(curves: dict[str, Curve], metric: Metric) -> str:
    """The paper's of its models, that each gets worse as the rate falls, and Vid-ODE least; and of ours."""
    lost = {name: worse_by(curves[name][0], curves[name][-1], metric) for name in MODELS}
    told = []
    for name in MODELS:
        found = verdict([worsens([(value, spread) for _, value, spread in curves[name]], metric)])
        in_all = metric.written(lost[name][0])
        told.append(f"- {name} gets worse as the rate falls: {found} ({metric.name} {in_all} in all)")
    for title in rows.VID_ODES:
        least = [_more(lost[name], lost[title]) for name in BASELINES]
        first = min((*BASELINES, title), key=lambda name: lost[name][0])
        told.append(f"- {title} loses least: {verdict(least)} (least: {first})")
    ours = []
    for title in (rows.OURS, rows.OURS_UNSUPERVISED):
        pairs = zip(curves[title], curves["vid_ode"], strict=True)
        better = [ahead(*worse_by(here, there, metric)) for here, there in pairs]
        ours.append(f"- {title} above vid_ode at every rate: {verdict(better)}")
    return "\n".join(["What the paper claims of it:\n", *told, "\nOurs:\n", *ours]) + "\n"


Apart = tuple[float, float]
"""A difference of two means, and the sum of both spreads, within which it says nothing."""


def worse_by(one: Point, other: Point, metric: Metric) -> Apart:
    """How much worse the other point is."""
    return metric.better * (one[1] - other[1]), one[2] + other[2]


def _more(one: Apart, other: Apart) -> bool | None:
    """Whether a difference is greater than another; None within the spread."""
    apart = one[0] - other[0]
    return ahead(apart, one[1] + other[1])


def draw(path: Path, curves: dict[str, Curve], metric: Metric) -> None:
    """Mean and spread over the rate."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.8, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    for name, curve in curves.items():
        rates, values, spreads = zip(*curve, strict=True)
        scaled = [[metric.scale * value for value in column] for column in (values, spreads)]
        line = "-" if name in MODELS else "--"
        panel.errorbar(rates, scaled[0], yerr=scaled[1], marker="o", capsize=3, label=name, linestyle=line)
    panel.invert_xaxis()
    panel.set_xlabel("frames observed (%)")
    panel.set_ylabel(metric.name)
    panel.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small")  # beside: the lines are everywhere
    figure.savefig(path, dpi=120, format="png", metadata={"Software": None})
