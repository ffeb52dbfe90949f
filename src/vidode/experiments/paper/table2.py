"""Table 2: extrapolation beside the models made for it."""

from __future__ import annotations

from vidode.experiments.paper.table1 import printed
from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.experiment import Experiment, columns, labels
from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import (
    VIDEO,
    Cell,
    Metric,
    Outcomes,
    ahead,
    both_protocols,
    every,
    judged,
    pair_of,
    verdict,
)
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
        head = both_protocols(outcomes, rows.titles(self.jobs(scale)), cells, printed)
        claims = [claim for data in sets for claim in rows.claims_of_vid_ode(BASELINES, TASK, data, VIDEO)]
        own = [claim for data in sets for claim in rows.our_claims(TASK, data, VIDEO)]
        steps = [Cell(title, TASK, data) for data in sets for title in rows.titles(self.jobs(scale))]
        parts = [head, over_steps(outcomes, steps, places, "table2")]
        told = judged(claims, outcomes) + margins(outcomes, labels(scale, "actions"), labels(scale, "fast"))
        told += "".join(falls(outcomes, Cell("vid_ode", TASK, data)) for data in sets)
        return "\n".join([*parts, "What the paper claims of it:\n", told, "Ours:\n", judged(own, outcomes)])


def margins(outcomes: Outcomes, slow: list[str], fast: list[str]) -> str:
    """Whether Vid-ODE is ahead of each of the others where motion is large, and further than elsewhere, everywhere."""
    return "".join(_margin(outcomes, other, slow, fast) for other in BASELINES)


def _margin(outcomes: Outcomes, other: str, slow: list[str], fast: list[str]) -> str:
    found = [_wider(outcomes, other, slow, fast, metric) for metric in VIDEO]
    judged_so, told = verdict(wider for wider, _ in found), "; ".join(text for _, text in found)
    return f"- vid_ode is further ahead of {other} where motion is large: {judged_so} ({told})\n"


def _wider(outcomes: Outcomes, other: str, slow: list[str], fast: list[str], metric: Metric) -> tuple[bool | None, str]:
    """In one metric, of every slow set beside every fast one; and how far ahead it is on each."""
    pairs = {
        data: pair_of(outcomes, Cell("vid_ode", TASK, data), Cell(other, TASK, data), metric) for data in (*slow, *fast)
    }
    known = {data: (metric.better * pair.apart, pair.spread) for data, pair in pairs.items() if pair is not None}
    if not slow or not fast or len(known) < len(pairs):
        return None, f"{metric.name} not measured"
    wider = [ahead(known[b][0] - known[a][0], known[a][1] + known[b][1]) for a in slow for b in fast]
    wider += [ahead(*known[b]) for b in fast]
    margins = ", ".join(
        f"{data} {metric.written(apart)} ± {metric.written(spread)}" for data, (apart, spread) in known.items()
    )
    return every(wider), f"{metric.name} {margins}"
