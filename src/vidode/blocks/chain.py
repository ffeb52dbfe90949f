"""The warp chain: from which frame, through which times, a query is reached.

Vid-ODE makes a frame by warping the one before. Each window's chain starts at an observed frame and goes through
`points`; a query that is not one of them is reached by a step of its own from the last point before it. All chains
of a batch are walked together, one level (one step of each) after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vidode.clip import Batch, InvalidInput
from vidode.timing import TimeScale
from vidode.windows import Windows, windows

TIE = 1e-4
"""A query this close to a chain point, in chain steps, is at it: times are float32, and a step more is a warp more."""


@dataclass(frozen=True)
class ChainConfig:
    """Through which times a query is reached from an observed frame.

    points: "grid", at every `step` of model time from that frame; "queried", through the times that are asked and
    with the whole clip seen, as in the paper, which breaks laws 1 and 6. step: the trained spacing of the queries.
    extra: in training, the probability of an extra point in each interval of the grid, so that short steps are learned;
    none, as the paper trains.
    """

    points: Literal["grid", "queried"] = "grid"
    step: float = 0.1
    extra: float = 0.0

    def __post_init__(self) -> None:
        if not self.step > 0:
            raise InvalidInput(f"chain step is {self.step}; expected a positive model time")
        if not 0 <= self.extra <= 1:
            raise InvalidInput(f"chain extra is {self.extra}; expected a probability between 0 and 1")

    @property
    def function_of_time(self) -> bool:
        """Whether a frame is the same whatever else is asked."""
        return self.points != "queried"

    def windows(self, observed: Batch, query: Tensor, neighbours: int, scale: TimeScale) -> Windows:
        """What each query sees."""
        if self.points == "queried":
            return whole_clips(observed, query, scale)
        return windows(observed, query, neighbours, scale)

    def chains(self, seen: Windows, start: Tensor, training: bool) -> Chains:
        """The steps from the model times `start` (G,) of each window's frame to its queries, none of them earlier."""
        if self.points == "queried":
            return chains(queried_points(seen), seen, tie=0.0)
        points = grid_points(seen, start, self.step, self.extra if training else 0.0)
        return chains(points, seen, tie=TIE * self.step)


@dataclass(frozen=True)
class Level:
    """One step of every chain that is this long, (P,) each.

    window: whose chain it is. time: model time where the step ends. parent: the step it goes on from, in the level
    before; in the first level, the window.
    """

    window: Tensor
    time: Tensor
    parent: Tensor


@dataclass(frozen=True)
class Chains:
    """All steps, level after level, and the one that each query ends with: of_query (B, K), counted over all levels."""

    levels: list[Level]
    of_query: Tensor

    @property
    def window(self) -> Tensor:
        """(P,) of all levels."""
        return torch.cat([level.window for level in self.levels])

    @property
    def time(self) -> Tensor:
        """(P,) of all levels."""
        return torch.cat([level.time for level in self.levels])


def grid_points(seen: Windows, source: Tensor, step: float, extra: float = 0.0) -> Tensor:
    """(G, L) source + step, source + 2 step, ... as far as each window's queries need; infinite where not needed.

    With a probability of `extra` a point more is put, at a uniformly random place, into each interval of the chain:
    a chain that is trained so has seen steps of every length, as the last step to a query can be.
    """
    source = source.double()
    whole = ((seen.query.double() - source[seen.of_query]) / step + TIE).floor()  # (B, K)
    needed = _largest(whole, seen)
    count = torch.arange(1, int(needed.max()) + 1, device=source.device)
    points = torch.where(count <= needed[:, None], source[:, None] + step * count, torch.inf)
    if not extra:
        return points
    interval = torch.arange(points.shape[1] + 1, device=source.device)
    more = source[:, None] + step * (interval + torch.rand(len(source), len(interval), device=source.device))
    wanted = torch.rand(more.shape, device=source.device) < extra
    short_of_last = more < _largest(seen.query.double(), seen)[:, None] - TIE * step
    return torch.cat([points, torch.where(wanted & short_of_last, more, torch.inf)], dim=1).sort(dim=1).values


def queried_points(seen: Windows) -> Tensor:
    """(G, L) the times asked of each window, in order and once each; infinite where there are no more."""
    row, query = seen.of_query.flatten(), seen.query.flatten().double()
    asked = torch.unique(torch.stack([row.double(), query], dim=1), dim=0)
    row = asked[:, 0].long()
    place = places(row)
    points = query.new_full((len(seen.clip), int(place.max()) + 1), torch.inf)
    return points.index_put((row, place), asked[:, 1])


def chains(points: Tensor, seen: Windows, tie: float) -> Chains:
    """The steps through `points` (G, L), in order, infinite where there are no more, and on to each query.

    tie: model time within which a query is at a point.
    """
    row, query = seen.of_query.flatten(), seen.query.flatten().double()
    before = (points[row] < query[:, None] - tie).sum(dim=1)  # points that a query lies behind
    ends = torch.cat([points, points.new_full((len(points), 1), torch.inf)], dim=1)
    own = ends[row, before] > query + tie
    at_row, at_place = torch.isfinite(points).nonzero(as_tuple=True)

    window = torch.cat([at_row, row[own]])
    time = torch.cat([points[at_row, at_place], query[own]])
    depth = torch.cat([at_place, before[own]])
    by_depth = depth.argsort(stable=True)
    number = by_depth.argsort()
    of_point = torch.zeros_like(points, dtype=torch.long).index_put((at_row, at_place), number[: len(at_row)])
    sizes = depth.bincount()
    first = sizes.cumsum(0) - sizes
    above = (depth - 1).clamp(min=0)
    behind = of_point[window, above] - first[above] if points.shape[1] else window
    parent = torch.where(depth > 0, behind, window)

    of_query = torch.empty_like(row)
    of_query[own] = number[len(at_row) :]
    of_query[~own] = of_point[row[~own], before[~own]]
    parts = [torch.split(values[by_depth], sizes.tolist()) for values in (window, time, parent)]
    return Chains([Level(*level) for level in zip(*parts, strict=True)], of_query.view_as(seen.of_query))


def whole_clips(observed: Batch, query: Tensor, scale: TimeScale) -> Windows:
    """One window for each clip and task that is asked of it, with all of the clip's observations.

    What the published code does with a clip; it has no limit on how far a query sees, and time counts from the first
    observation.
    """
    seen = windows(observed, query, observed.times.shape[1], scale)
    origin = seen.times.gather(1, edge(seen.present, last=False)[:, None])
    beyond = ~seen.has_right[seen.of_query]
    clip = torch.arange(len(query), device=query.device)[:, None]
    _, of_query = torch.unique(2 * clip + beyond, return_inverse=True)
    # Every window of a clip holds all of its frames, so that any one that a query saw will do.
    chosen = seen.of_query.new_zeros(int(of_query.max()) + 1)
    chosen[of_query.flatten()] = seen.of_query.flatten()
    return Windows(
        clip=seen.clip[chosen],
        frame=seen.frame[chosen],
        present=seen.present[chosen],
        times=torch.where(seen.present, seen.times - origin, 0.0)[chosen],
        of_query=of_query,
        query=seen.query - origin[:, 0][seen.of_query],
    )


def edge(present: Tensor, last: bool | Tensor) -> Tensor:
    """(G,) the column of the last observation present in each row of (G, M), or of the first, as `last` (G,) says."""
    columns = torch.arange(present.shape[1], device=present.device)
    first_column = torch.where(present, columns, len(columns)).amin(dim=1)
    last_column = torch.where(present, columns, -1).amax(dim=1)
    return torch.where(torch.as_tensor(last, device=present.device), last_column, first_column)


def places(row: Tensor) -> Tensor:
    """(P,) how many entries of the same row stand before each entry."""
    order = row.argsort(stable=True)
    counts = row.bincount()
    first = counts.cumsum(0) - counts
    place = torch.empty_like(row)
    place[order] = torch.arange(len(row), device=row.device) - first[row[order]]
    return place


def _largest(values: Tensor, seen: Windows) -> Tensor:
    """(G,) the largest of the values (B, K) of each window's queries."""
    smallest = values.new_full((len(seen.clip),), -torch.inf)
    return smallest.scatter_reduce(0, seen.of_query.flatten(), values.flatten(), "amax")
