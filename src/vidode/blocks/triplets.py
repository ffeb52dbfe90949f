"""Three successive frames of a clip, drawn at random: what models of two frames and one between learn from."""

from __future__ import annotations

import torch
from torch import Tensor

from vidode.clip import InvalidInput


def triplets(seen: Tensor) -> Tensor:
    """(B, 3) indices of three successive seen frames of each clip, in order; every three are equally likely.

    seen: (B, T) bool. Raises `InvalidInput` for a clip with fewer than three.
    """
    count = seen.sum(dim=1)
    if (fewest := int(count.min())) < 3:
        raise InvalidInput(f"a clip has {fewest} frames to learn from; expected at least 3: sample longer windows")
    order = torch.argsort((~seen).int(), dim=1, stable=True)
    start = (torch.rand(len(seen), device=seen.device) * (count - 2)).long()
    return order.gather(1, start[:, None] + torch.arange(3, device=seen.device))
