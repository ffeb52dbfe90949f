"""Latents at the time of each query, for models whose state belongs to the first observation that a query sees."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from vidode.blocks.chain import edge, places
from vidode.ode import Solver, integrate
from vidode.windows import Windows


def at_queries(
    field: Callable[[Tensor], Tensor], first: Tensor, seen: Windows, solver: Solver, start: Tensor | None = None
) -> Tensor:
    """(S, B, K, ...) latents, solved along dh/dt = field(h) from `first`, those of S draws, at `start`.

    first: (S, G, ...), one for each window of `seen`. start: (G,) model time; without it, the first observations. The
    solve starts there and not at the first time that is asked for, so that each latent depends on its own time alone.
    """
    draws, window = len(first), seen.of_query.flatten()
    if start is None:
        start = seen.times.gather(1, edge(seen.present, last=False)[:, None])[:, 0]
    place = places(window)
    # A window with fewer queries than others asks for its start, which costs nothing.
    times = start[:, None].repeat(1, int(place.max()) + 1).index_put((window, place), seen.query.flatten())  # (G, P)
    start, times = start.repeat(draws), times.repeat(draws, 1)
    states = integrate(lambda _, state: field(state), first.flatten(0, 1), start, times, solver).states
    states = states.view(draws, -1, *states.shape[1:])[:, window, place]  # (S, B K, ...)
    return states.view(draws, *seen.of_query.shape, *states.shape[2:])
