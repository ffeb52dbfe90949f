"""The rows that several tables share, so that each is trained once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vidode.experiments.reproduction.experiment import FLOORS
from vidode.experiments.reproduction.jobs import Job
from vidode.experiments.reproduction.outcomes import Claim, Metric
from vidode.experiments.reproduction.scales import DataChoice, Role, Scale
from vidode.models import Task
from vidode.sampling import SamplingConfig

RELEASED = "vid_ode (released)"
VID_ODES = ("vid_ode", RELEASED)
"""The paper's model, made lawful and as it was released: its claims are judged of both."""
OURS = "anchored_vid_ode (supervised)"
OURS_UNSUPERVISED = "anchored_vid_ode (five inputs)"

AS_RELEASED: Mapping[str, Any] = {
    "chain": {"points": "queried", "extra": 0.0, "decode": "per_step"},
    "encoder": {"unused_half": True},
    "statistics": "batch",
    "solver": {"method": "dopri5", "rtol": 1e-3, "atol": 1e-4},
}
"""Vid-ODE as its released code trains and tests it, in both tasks."""
RELEASED_ORIGIN: Mapping[Task, str] = {"interpolation": "anchor", "extrapolation": "first_query"}
"""Where its solve starts: between frames its grid has the first of them, beyond the end it has only what is asked."""


def trained(names: tuple[str, ...], task: Task, scale: Scale, role: Role) -> list[Job]:
    """Models of the paper by name, from every seed, on every data set of a role."""
    return [Job(name, task, data, seed) for data in scale.data.get(role, ()) for name in names for seed in scale.seeds]


def vid_ode_as_released(task: Task, scale: Scale, role: Role) -> list[Job]:
    """The paper's model as its code is. Data with a clock of its own keeps it."""
    return [
        Job("vid_ode", task, data, seed, RELEASED, _as_released(data, task))
        for data in scale.data.get(role, ())
        for seed in scale.seeds
    ]


def _as_released(data: DataChoice, task: Task) -> Mapping[str, Any]:
    options = {**AS_RELEASED, "chain": {**AS_RELEASED["chain"], "origin": RELEASED_ORIGIN[task]}}
    if data.absolute:
        return options
    sampling = data.sampling[task]
    # The whole window is a unit of its time: the gaps between its frames, and between frames the observed ones.
    gaps = sampling.frames_in + (sampling.frames_out if task == "extrapolation" else 0)
    return {**options, "time_scale": {"kind": "relative", "per_unit": float(gaps)}}


def ours(task: Task, scale: Scale, role: Role) -> list[Job]:
    """The anchored model, trained on frames withheld from whole windows and, apart, from the five inputs alone."""
    return [
        Job("anchored_vid_ode", task, data, seed, label, _sparsely(data, task), {"sampling": sampling(data, task)})
        for data in scale.data.get(role, ())
        for label, sampling in ((OURS, _withheld), (OURS_UNSUPERVISED, _among_the_inputs))
        for seed in scale.seeds
    ]


def claims_of_vid_ode(others: Sequence[str], task: Task, data: str, metrics: Sequence[Metric]) -> list[Claim]:
    """That Vid-ODE is above others."""
    return [Claim(title, other, task, data, metrics) for title in VID_ODES for other in others]


def in_the_paper(title: str) -> str:
    """What a row is called there: Vid-ODE is one."""
    return "vid_ode" if title == RELEASED else title


def our_claims(task: Task, data: str, metrics: Sequence[Metric]) -> list[Claim]:
    """That both of our rows are above Vid-ODE."""
    return [Claim(better, "vid_ode", task, data, metrics) for better in (OURS, OURS_UNSUPERVISED)]


def floors(task: Task, scale: Scale, role: Role) -> list[Job]:
    """The floors. Beyond the end the blend is the copy, and has no row."""
    names = FLOORS if task == "interpolation" else tuple(name for name in FLOORS if name != "blend")
    return [Job(name, task, data) for data in scale.data.get(role, ()) for name in names]


def _sparsely(data: DataChoice, task: Task) -> Mapping[str, Any]:
    """Sparse fields at once, as they are trained, and with Vid-ODE's image critic: most of them is painted."""
    sparse = data.sampling[task].scheme == "sparse"
    return {"beyond": "at_once", "objective": {"image": 0.003}} if sparse else {}


def _withheld(data: DataChoice, task: Task) -> SamplingConfig:
    regular = data.sampling[task]
    window = regular.length(task)
    if task == "interpolation":
        return SamplingConfig("withheld", 1.0, window=window - 1, queries=2, max_hidden=1)
    if regular.scheme == "sparse":
        return replace(regular, ask=2)
    # Beyond the end the model goes gap by gap: one gap is what it has to learn.
    return SamplingConfig("withheld", 0.0, window=window, queries=1, max_hidden=1, max_beyond=1)


def _among_the_inputs(data: DataChoice, task: Task) -> SamplingConfig:
    regular = data.sampling[task]
    if regular.scheme == "sparse":
        return replace(regular, within=True)
    if task == "interpolation":
        return SamplingConfig("withheld", 1.0, window=regular.frames_in, queries=1, max_hidden=1, stride=2)
    return SamplingConfig("withheld", 0.0, window=regular.frames_in, queries=1, max_hidden=1, max_beyond=1)


def first(jobs: list[Job], scale: Scale, data: DataChoice | None) -> list[Job]:
    """Those on a data set from the scale's first seed."""
    return [job for job in jobs if job.data == data and job.seed == scale.seeds[0]]


def titles(jobs: list[Job]) -> list[str]:
    """Of rows, in order, once each."""
    return list(dict.fromkeys(job.title for job in jobs))
