"""Figure 6: the error of forecasts against the share of the fields that are observed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vidode.experiments.paper.table4 import MODELS, TASK, Table4
from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.experiment import Experiment, picture
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import LPIPS, MSE, Cell, Metric, Outcomes
from vidode.experiments.reproduction.scales import Scale
from vidode.hiding import RATES
from vidode.tables import grid


class Figure6(Experiment):
    """Five inputs out of 5 / r successive frames, the five after them asked for; r from 100 % to 20 %."""

    title = "Figure 6: error against the sampling rate"

    def jobs(self, scale: Scale) -> list[Job]:
        """The rows of Table 4, as trained there, measured at every rate."""
        every = [job for job in Table4().jobs(scale) if job.data.rates]
        return [replace(job, scheme=f"sparse-{rate}") for job in every for rate in job.data.rates]

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """A curve for each row with its spread over seeds, the numbers, and the claims."""
        parts, titles = [], rows.titles(self.jobs(scale))
        for choice in (data for data in scale.data.get("weather", ()) if data.rates):
            data = choice.label
            parts.append(f"{data}: trained as in Table 4, at every rate; the same frames are asked for at each.\n")
            for metric in (MSE, LPIPS):
                curves = curves_of(outcomes, titles, data, metric)
                if not all(curve for curve in curves.values()):
                    parts.append(f"{metric.name} on {data}: not measured.\n")
                    continue
                name = f"figure6-{data}-{metric.attribute}.png".replace(" ", "-")
                draw(picture(places, name), curves, metric)
                lines = [
                    [model, *(f"{metric.written(value)} ± {metric.written(spread)}" for _, value, spread in curve)]
                    for model, curve in curves.items()
                ]
                head = [f"{metric.name}, {data}", *(f"{rate} %" for rate, _, _ in curves["vid_ode"])]
                parts += [grid(head, lines), claims(curves, metric), f"![{name}]({name})\n"]
        return "\n".join(parts)


Curve = list[tuple[int, float, float]]
"""Rate, mean over seeds, spread over seeds; from the highest rate down."""


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
    fall = {name: -metric.better * (curves[name][-1][1] - curves[name][0][1]) for name in MODELS}
    worse = all(value > 0 for value in fall.values())
    least = min(fall, key=lambda name: fall[name])
    pairs = zip(curves[rows.OURS], curves["vid_ode"], strict=True)
    ahead = all(metric.better * (ours - theirs) > 0 for (_, ours, _), (_, theirs, _) in pairs)
    told = ", ".join(f"{name} {metric.written(value)}" for name, value in fall.items())
    return (
        f"- every model is worse at the lowest rate than at the highest: {_verdict(worse)} ({told})\n"
        f"- vid_ode loses least: {_verdict(least == 'vid_ode')} (least: {least})\n"
        f"- {rows.OURS} above vid_ode at every rate: {_verdict(ahead)}\n"
    )


def draw(path: Path, curves: dict[str, Curve], metric: Metric) -> None:
    """Mean and spread over the rate."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 3.8), layout="constrained")
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
    panel.legend(fontsize="small")
    figure.savefig(path, dpi=120, format="png", metadata={"Software": None})


def _verdict(holds: bool) -> str:
    return "holds" if holds else "**does not hold**"
