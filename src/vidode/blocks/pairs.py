"""Between which two observed frames each query lies, for models that make a frame from the two around it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vidode.blocks.chain import edge
from vidode.clip import InvalidInput
from vidode.windows import Windows


@dataclass(frozen=True)
class Pairs:
    """The frames that lead up to each of G gaps and end it, and where in their gaps the Q = B K queries lie.

    frames: (G, N, C, H, W) in order of time; the last two are those around the gap. Where a clip has fewer before
    it, its first is repeated. of_query: (Q,) the gap of each query. share: (Q,) of the gap that is over, 0 to 1.
    """

    frames: Tensor
    of_query: Tensor
    share: Tensor


def pairs_of(seen: Windows, frames: Tensor, name: str, count: int = 2) -> Pairs:
    """The pairs, out of the frames (B, T, C, H, W) of each clip. No query may lie beyond the last one.

    name: of the model, for what is said. count: N, at most one more than the neighbours on a side.
    Raises `InvalidInput` for a query before a clip's first frame.
    """
    n = seen.neighbours
    if not bool(seen.has_left.all()):
        early = seen.query[~seen.has_left[seen.of_query]][0]
        raise InvalidInput(
            f"a query lies {-float(early):g} before the first observed frame; {name} makes frames between two:"
            " ask for later times, or use anchored_vid_ode"
        )
    column = first_repeated(seen.present[:, : n + 1])[:, n + 1 - count :]  # (G, N)
    of_query = seen.of_query.flatten()
    # Model time is zero at the frame before the gap.
    share = seen.query.flatten() / seen.times[:, n][of_query]
    return Pairs(frames[seen.clip[:, None], seen.frame.gather(1, column)], of_query, share)


def first_repeated(present: Tensor) -> Tensor:
    """(R, M) which column to read for each, where the first ones of a row of `present` (R, M) may be absent."""
    columns = torch.arange(present.shape[1], device=present.device)
    return torch.maximum(columns, edge(present, last=False)[:, None])
