"""ConvGRU and ODE-ConvGRU: what was observed, gathered into one state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from vidode.blocks.fields import ConvField
from vidode.ode import Solver, integrate

BEFORE_FIRST = 0.01
"""Model time between the zero state and the first observation that is visited (the released Vid-ODE)."""


ONE_EULER_STEP = Solver("euler", step=None)

Direction = Literal["forward", "backward"]


@dataclass(frozen=True)
class Visit:
    """The observation in one column, of each row that has it.

    rows: (S,). now: (S,) its model time. before: (S,) that of the row's last visit; at its first one, `BEFORE_FIRST`
    ahead of it.
    """

    column: int
    rows: Tensor
    before: Tensor
    now: Tensor

    def put(self, state: Tensor, jumped: Tensor) -> Tensor:
        """The state (G, ...) of all rows, with that of the visited ones (S, ...) in its place."""
        if len(self.rows) == len(state):
            return jumped
        return state.to(jumped.dtype).index_copy(0, self.rows, jumped)


def visits(times: Tensor, present: Tensor, direction: Direction) -> Iterator[Visit]:
    """The observations in their order, or "backward", the last one first; those that are not present are left out.

    times: (G, M) model time in order. present: (G, M) bool.
    """
    ahead = BEFORE_FIRST if direction == "forward" else -BEFORE_FIRST
    columns = range(times.shape[1])
    since = torch.full_like(times[:, 0], torch.nan)
    for column in columns if direction == "forward" else reversed(columns):
        rows = present[:, column].nonzero()[:, 0]
        if not len(rows):
            continue
        now = times[rows, column]
        yield Visit(column, rows, torch.where(since[rows].isnan(), now - ahead, since[rows]), now)
        since = since.index_copy(0, rows, now)


class ConvGRUCell(nn.Module):
    """r, u = sigmoid(conv [x, h]); c = tanh(conv [x, r * h]); h+ = (1 - u) h + u c, with 3x3 convolutions."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(inputs + hidden, 2 * hidden, 3, padding=1)
        self.candidate = nn.Conv2d(inputs + hidden, hidden, 3, padding=1)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """The state (S, hidden, h, w) after seeing x (S, inputs, h, w)."""
        reset, update = torch.sigmoid(self.gates(torch.cat([x, h], dim=1))).chunk(2, dim=1)
        candidate = torch.tanh(self.candidate(torch.cat([x, reset * h], dim=1)))
        return (1 - update) * h + update * candidate


class OdeConvGRU(nn.Module):
    """The ODE-ConvGRU encoder (Eq. 1 of Vid-ODE): the state flows along f between observations and jumps at each.

        h-  = ODESolve(f, h, from the previous observation to this one)
        h   = ConvGRU(x, h-)

    It starts from zero, `BEFORE_FIRST` ahead of the first observation that it visits. An observation that is not
    present is not visited: the interval then runs from the last one that was. The released code takes one Euler step
    over each interval, which is the default.
    """

    def __init__(
        self, inputs: int, channels: int, hidden: int, layers: int = 2, solver: Solver = ONE_EULER_STEP
    ) -> None:
        super().__init__()
        self.field = ConvField(channels, hidden, layers)
        self.cell = ConvGRUCell(inputs, channels)
        self.channels = channels
        self.solver = solver

    def forward(self, features: Tensor, times: Tensor, present: Tensor, direction: Direction = "forward") -> Tensor:
        """(G, channels, h, w), each belonging to the last observation visited; zero where none is present.

        features: (G, M, inputs, h, w). times: (G, M) model time in order. present: (G, M) bool. "backward" visits
        the last observation first.
        """
        state = features.new_zeros(len(features), self.channels, *features.shape[3:])
        for visit in visits(times, present, direction):
            x = features[visit.rows, visit.column]
            state = visit.put(state, self._visit(x, state[visit.rows], visit.before, visit.now))
        return state

    def _visit(self, x: Tensor, h: Tensor, before: Tensor, now: Tensor) -> Tensor:
        flowed = integrate(lambda _, h: self.field(h), h, before, now[:, None], self.solver).states[:, 0]
        return self.cell(x, flowed)  # type: ignore[no-any-return]
