"""The ODE-RNN of Latent ODE (Rubanova et al., NeurIPS 2019): vectors seen at any times, gathered into one state.

The state is a pair (y, s): y flows along f between observations, and both jump at each; s >= 0 is y's spread.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidode.blocks.fields import DenseField
from vidode.blocks.recurrent import visits

FINEST = 50
"""The least step is the time between the first and the last observation divided by this (the released code)."""
TIE = 1e-3
"""Least steps by which a gap may miss a whole number of them: float32 times do, and would drop a step by chance."""


class PairGRU(nn.Module):
    """u, r = sigmoid(net [y, s, x]); y~, s~ = net [r y, r s, x]; y+ = (1 - u) y~ + u y; s+ = (1 - u) |s~| + u s.

    Nets of two layers with tanh between. The gates are shared by y and s; u keeps the state, contrary to the one of
    `ConvGRUCell`, which replaces it.
    """

    def __init__(self, inputs: int, size: int, units: int) -> None:
        super().__init__()
        self.update, self.reset, self.candidate = (
            nn.Sequential(nn.Linear(2 * size + inputs, units), nn.Tanh(), nn.Linear(units, outputs))
            for outputs in (size, size, 2 * size)
        )

    def forward(self, x: Tensor, y: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """The pair, (S, size) each, after seeing x (S, inputs)."""
        seen = torch.cat([y, s, x], dim=1)
        keep, reset = torch.sigmoid(self.update(seen)), torch.sigmoid(self.reset(seen))
        mean, spread = self.candidate(torch.cat([reset * y, reset * s, x], dim=1)).chunk(2, dim=1)
        return (1 - keep) * mean + keep * y, (1 - keep) * spread.abs() + keep * s


class OdeRNN(nn.Module):
    """The recognition network: from the last observation back to the first, each visited once.

    y-    = y + f(y) dt, in the Euler steps of `euler_steps`
    y, s  = GRU(x, y-, s)

    It starts from zero, as far behind the last observation as `visits` says. What is not present is not visited.
    """

    def __init__(self, inputs: int, size: int, units: int, layers: int = 2) -> None:
        super().__init__()
        self.field = DenseField(size, units, layers)
        self.cell = PairGRU(inputs, size, units)
        self.size = size

    def forward(self, features: Tensor, times: Tensor, present: Tensor) -> Tensor:
        """[y, s] (G, 2 size), belonging to the first observation of each row.

        features: (G, M, inputs). times: (G, M) model time in order. present: (G, M) bool, one at least in a row.
        """
        span = times.where(present, -torch.inf).amax(dim=1) - times.where(present, torch.inf).amin(dim=1)
        kind = torch.promote_types(features.dtype, torch.float32)
        state = features.new_zeros(len(features), 2 * self.size, dtype=kind)
        for visit in visits(times, present, "backward"):
            y, s = state[visit.rows].chunk(2, dim=1)
            y = self.flow(y, visit.before.double() - visit.now.double(), span[visit.rows].double())
            state = visit.put(state, torch.cat(self.cell(features[visit.rows, visit.column], y, s), dim=1))
        return state

    def flow(self, y: Tensor, gap: Tensor, span: Tensor) -> Tensor:
        """State y (S, size) a time `gap` (S,) earlier; in float32 or wider, as an error made in a step stays in it."""
        steps = euler_steps(gap, span)
        dt = (-gap / steps)[:, None].to(y.dtype)
        with torch.autocast(y.device.type, enabled=False):
            for step in range(int(steps.max())):
                y = torch.where((step < steps)[:, None], y + dt * self.field(y), y)
        return y


def euler_steps(gap: Tensor, span: Tensor) -> Tensor:
    """(S,) in how many equal steps a gap is crossed, in observations that lie within a time of `span`, float64.

    With the least step d = span / `FINEST`: on max(2, floor(gap / d)) points, which is one step less; a gap below d,
    and that of a single observation, where d is zero, in one.
    """
    points = torch.where(span > 0, FINEST * gap / span.where(span > 0, 1.0) + TIE, 0.0).floor()
    return points.clamp(min=2) - 1
