"""All frames of a clip as one picture, for networks that read a fixed number of frames at once, without their times."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from vidode.blocks.chain import edge
from vidode.clip import Batch, InvalidInput
from vidode.windows import Windows

Origin = Literal["anchor", "first_query"]


def stacked(observed: Batch, count: int, name: str) -> Tensor:
    """The `count` seen frames of each clip in order of time, side by side as channels (B, count C, H, W).

    Raises `InvalidInput` for a clip with fewer or more of them. name: of the model that reads them.
    """
    seen = observed.seen.sum(dim=1)
    if bool((seen != count).any()):
        have = int(seen[seen != count][0])
        raise InvalidInput(
            f"a clip has {have} observed frames; {name} reads exactly {count} at once: give that many, or use vid_ode"
        )
    order = torch.argsort((~observed.seen).int(), dim=1, stable=True)[:, :count]
    clip = torch.arange(len(seen), device=order.device)[:, None]
    return observed.frames[clip, order].flatten(1, 2)


def origin_of(seen: Windows, origin: Origin) -> Tensor:
    """(G,) the model time of the state that a stack becomes.

    The frames have no times there, so that this is a choice: the last observation in extrapolation and the first in
    interpolation ("anchor"), or the first time that is asked (the released Vid-ODE, which breaks law 1).
    """
    if origin == "anchor":
        return seen.times.gather(1, edge(seen.present, last=~seen.has_right)[:, None])[:, 0]
    first = seen.times.new_full((len(seen.clip),), torch.inf)
    return first.scatter_reduce(0, seen.of_query.flatten(), seen.query.flatten(), "amin")
