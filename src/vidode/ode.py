"""dh/dt = f(t, h), solved from a start to any times, with a time grid of its own for every sample.

Fixed steps: the state at a time is reached by whole steps from the start and one last shorter step, so it depends on
its own time alone, not on what else is asked. All samples advance together up to the farthest; a sample that has
arrived is left as it is. Adaptive steps (dopri5 of torchdiffeq): each sample is solved by itself, in its distance from
the start, and read from the solver's own interpolant, so that neither another sample nor another time moves a step.

States are float32 or wider, under autocast too: an error made in a step stays in every later state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vidode.clip import InvalidInput, NumericalError

Field = Callable[[Tensor, Tensor], Tensor]
"""f(time (S,), state (S, ...)) -> (S, ...). Asked for any of the samples in any number, so it treats all alike."""

TIE = 1e-6
"""A time this close to a whole step, in steps, is at it: float32 times land there."""


@dataclass(frozen=True)
class Solver:
    """How an equation is solved.

    method: "euler", "midpoint" and "rk4" (orders 1, 2 and 4) take steps of `step` model time, or a single one over
    the whole way where `step` is None. "dopri5" (order 5) chooses its steps so that each one's error stays within
    `atol + rtol * |h|`, root mean square over the sample.
    """

    method: Literal["euler", "midpoint", "rk4", "dopri5"] = "rk4"
    step: float | None = 0.1
    rtol: float = 1e-3
    atol: float = 1e-4

    def __post_init__(self) -> None:
        if self.method not in (*_STEPS, "dopri5"):
            raise InvalidInput(f"solver method is {self.method!r}; expected one of {', '.join(_STEPS)}, dopri5")
        for name in ("step", "rtol", "atol"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InvalidInput(f"solver {name} is {value}; expected a positive number")


@dataclass(frozen=True)
class Solution:
    """states (S, K, ...) at the times that were asked for, and how often the field was evaluated."""

    states: Tensor
    evaluations: int


def integrate(field: Field, state: Tensor, start: Tensor, times: Tensor, solver: Solver) -> Solution:
    """Solve h(start) = state, dh/dt = field(t, h), for h at `times`.

    state: (S, ...). start: (S,) model time. times: (S, K), before or after the start, in any order, with repeats.
    Gradients flow to all three. Raises `NumericalError` where a state is not finite.
    """
    counted = _Counted(field)
    state = state.to(torch.promote_types(state.dtype, torch.float32))
    distance = times.double() - start.double()[:, None]  # (S, K)
    solve = _adaptive if solver.method == "dopri5" else _fixed
    with torch.autocast(state.device.type, enabled=False):
        states = solve(counted, state, start.double(), distance, solver)
    _require_finite(states, distance, times)
    return Solution(states, counted.calls)


class _Counted:
    """A field that counts its evaluations and is given the time in the type of the state."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self.calls = 0

    def __call__(self, time: Tensor, state: Tensor) -> Tensor:
        self.calls += 1
        return self.field(time.to(state.dtype), state)


def _euler(field: Field, t: Tensor, h: Tensor, dt: Tensor) -> Tensor:
    return h + _as(dt, h) * field(t, h)


def _midpoint(field: Field, t: Tensor, h: Tensor, dt: Tensor) -> Tensor:
    half = h + _as(dt / 2, h) * field(t, h)
    return h + _as(dt, h) * field(t + dt / 2, half)


def _rk4(field: Field, t: Tensor, h: Tensor, dt: Tensor) -> Tensor:
    half, whole = _as(dt / 2, h), _as(dt, h)
    k1 = field(t, h)
    k2 = field(t + dt / 2, h + half * k1)
    k3 = field(t + dt / 2, h + half * k2)
    k4 = field(t + dt, h + whole * k3)
    return h + whole / 6 * (k1 + 2 * (k2 + k3) + k4)


_STEPS = {"euler": _euler, "midpoint": _midpoint, "rk4": _rk4}


def _fixed(field: Field, state: Tensor, start: Tensor, distance: Tensor, solver: Solver) -> Tensor:
    """Whole steps in lanes, one for each sample and direction that is asked for, then a shorter step per query."""
    take = _STEPS[solver.method]
    step = 0.0 if solver.step is None else solver.step
    whole = (distance.detach().abs() / step + TIE).floor() if step else torch.zeros_like(distance)
    sign = torch.where(distance < 0, -1.0, 1.0).double()
    rest = (distance - sign * whole * step).flatten()
    lanes = _Lanes.of(sign < 0, whole.long())

    h, t = state[lanes.sample], start[lanes.sample]
    dt = step * torch.where(lanes.backward, -1.0, 1.0).double()
    arrived = []
    for index, (active, queries) in enumerate(zip(lanes.active, lanes.arrivals, strict=True)):
        if index:
            h = take(field, t[:active] + (index - 1) * dt[:active], h[:active], dt[:active])
        if len(queries):
            arrived.append(h[queries])
    h = torch.cat(arrived)[lanes.order]  # (S K, ...), each at its last whole step
    t = (start[:, None] + sign * whole * step).flatten()
    return _last_step(take, field, t, h, rest, step).reshape(*distance.shape, *state.shape[1:])


def _last_step(take: Callable[..., Tensor], field: Field, t: Tensor, h: Tensor, rest: Tensor, step: float) -> Tensor:
    """The step from the grid to each query; none where a query is on the grid, unless its time wants a gradient."""
    if rest.requires_grad:
        return take(field, t, h, rest)
    short = (rest.abs() > TIE * step).nonzero()[:, 0]
    if not len(short):
        return h
    if len(short) == len(rest):
        return take(field, t, h, rest)
    return h.index_copy(0, short, take(field, t[short], h[short], rest[short]))


@dataclass(frozen=True)
class _Lanes:
    """Samples and directions, the farthest first, so that those still on their way are always the leading ones.

    sample, backward: (L,). active: for each whole step, how many lanes take it. arrivals: for each whole step, the
    lanes of the queries that leave the grid there. order: (S K,) where each query stands in all arrivals.
    """

    sample: Tensor
    backward: Tensor
    active: list[int]
    arrivals: list[Tensor]
    order: Tensor

    @staticmethod
    def of(backward: Tensor, whole: Tensor) -> _Lanes:
        """From the direction (S, K) and the number of whole steps (S, K) of each query."""
        key = 2 * torch.arange(len(whole), device=whole.device)[:, None] + backward
        lanes, lane = torch.unique(key, return_inverse=True)
        steps, lane = whole.flatten(), lane.flatten()
        far = torch.zeros_like(lanes).scatter_reduce(0, lane, steps, "amax")
        far, farthest_first = far.sort(descending=True)
        place = torch.empty_like(farthest_first)
        place[farthest_first] = torch.arange(len(lanes), device=lanes.device)
        by_steps = steps.argsort(stable=True)
        counts = steps.bincount().tolist()
        reached = torch.arange(len(counts), device=far.device)
        return _Lanes(
            sample=lanes[farthest_first] // 2,
            backward=lanes[farthest_first] % 2 == 1,
            active=(far >= reached[:, None]).sum(dim=1).tolist(),
            arrivals=list(torch.split(place[lane[by_steps]], counts)),
            order=by_steps.argsort(),
        )


def _adaptive(field: Field, state: Tensor, start: Tensor, distance: Tensor, solver: Solver) -> Tensor:
    samples = zip(state, start, distance, strict=True)
    return torch.stack([_one_adaptive(field, h, t, way, solver) for h, t, way in samples])


def _one_adaptive(field: Field, state: Tensor, start: Tensor, distance: Tensor, solver: Solver) -> Tensor:
    """(K, ...) states of one sample; both directions are solved as ways that grow from zero."""
    states = state.expand(len(distance), *state.shape)
    for sign in (1.0, -1.0):
        there = (sign * distance > 0).nonzero()[:, 0]
        if len(there):
            solved = _one_way(field, state, start, sign * distance[there].detach(), sign, solver)
            states = states.index_copy(0, there, solved)
    if not distance.requires_grad:
        return states
    # dh/dt = f, also where a time is repeated or is the start: adds nothing to the states but their derivative.
    rate = field(start + distance, states)
    return states + _as(distance - distance.detach(), states) * rate


def _one_way(field: Field, state: Tensor, start: Tensor, way: Tensor, sign: float, solver: Solver) -> Tensor:
    from torchdiffeq import odeint

    def along(s: Tensor, h: Tensor) -> Tensor:
        return sign * field((start + sign * s)[None], h[None])[0]

    grid, place = torch.unique(way, return_inverse=True)
    grid = torch.cat([grid.new_zeros(1), grid])
    try:
        states: Tensor = odeint(along, state, grid, rtol=solver.rtol, atol=solver.atol, method="dopri5")
    except AssertionError as error:  # how torchdiffeq says that a step underflows or a state is not finite
        end = float(start + sign * grid[-1])
        raise NumericalError(f"dopri5 cannot step on between model times {float(start):g} and {end:g}") from error
    return states[1 + place]


def _as(dt: Tensor, state: Tensor) -> Tensor:
    """A step (S,) that multiplies a state (S, ...)."""
    return dt.to(state.dtype).reshape(-1, *[1] * (state.dim() - 1))


def _require_finite(states: Tensor, distance: Tensor, times: Tensor) -> None:
    finite = torch.isfinite(states.detach()).flatten(2).all(dim=2)  # (S, K)
    if not bool(finite.all()):
        nearest = torch.where(finite, torch.inf, distance.detach().abs()).argmin()
        sample, time = int(nearest) // times.shape[1], float(times.flatten()[nearest])
        raise NumericalError(f"the solution is not finite at model time {time:g} of sample {sample}")
