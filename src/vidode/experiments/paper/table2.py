"""Table 2: extrapolation beside the models made for it."""

from __future__ import annotations

from statistics import mean

from vidode.experiments.paper.table1 import printed
from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.experiment import Experiment, columns, labels
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import PSNR, VIDEO, Cell, Claim, Outcomes, judged, table
from vidode.experiments.reproduction.scales import Scale
from vidode.experiments.reproduction.steps import falls, over_steps
from vidode.models import Task

TASK: Task = "extrapolation"
BASELINES = ("conv_gru", "prednet", "deep_voxel_flow", "retrospective_cycle_gan")
MODELS = (*BASELINES, "vid_ode")


class Table2(Experiment):
    """ConvGRU, PredNet, Deep Voxel Flow and Retrospective Cycle GAN beside Vid-ODE."""

    title = "Table 2: extrapolation"
    shows_learning = True

    def jobs(self, scale: Scale) -> list[Job]:
        """Five frames in, five out, on the action and animation sets and on fast motion."""
        made = []
        for role in ("actions", "fast"):
            made += rows.trained(MODELS, TASK, scale, role) + rows.vid_ode_as_released(TASK, scale, role)
            made += rows.ours(TASK, scale, role) + rows.floors(TASK, scale, role)
        return made

    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """The table, and the claims."""
        sets = labels(scale, "actions") + labels(scale, "fast")
        cells = columns(scale, "actions", TASK) + columns(scale, "fast", TASK)
        head = table(outcomes, rows.titles(self.jobs(scale)), cells, VIDEO, printed)
        claims = [Claim("vid_ode", worse, TASK, data, VIDEO) for data in sets for worse in BASELINES]
        own = [Claim(rows.OURS, "vid_ode", TASK, data, VIDEO) for data in sets]
        steps = [Cell(title, TASK, data) for data in sets for title in rows.titles(self.jobs(scale))]
        parts = [head, over_steps(outcomes, steps, places, "table2")]
        told = judged(claims, outcomes) + margins(outcomes, labels(scale, "actions"), labels(scale, "fast"))
        told += "".join(falls(outcomes, Cell("vid_ode", TASK, data)) for data in sets)
        return "\n".join([*parts, "What the paper claims of it:\n", told, "Ours:\n", judged(own, outcomes)])


def margins(outcomes: Outcomes, slow: list[str], fast: list[str]) -> str:
    """Whether Vid-ODE is further ahead where motion is large."""

    def margin(data: str) -> float | None:
        values = [outcomes.value(Cell(title, TASK, data), PSNR) for title in MODELS]
        known = [value for value in values if value is not None]
        return known[-1] - mean(known[:-1]) if len(known) == len(MODELS) else None

    found = {data: margin(data) for data in (*slow, *fast)}
    if not fast or any(value is None for value in found.values()):
        return "- the margin over the others is wider where motion is large: not decided\n"
    least = min(found[data] or 0.0 for data in fast)
    verdict = "holds" if all(least > (found[data] or 0.0) for data in slow) else "**does not hold**"
    told = ", ".join(f"{data} {value:+.2f} dB" for data, value in found.items())
    return f"- the margin over the mean of the others is wider where motion is large: {verdict} ({told})\n"
