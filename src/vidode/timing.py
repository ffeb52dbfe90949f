"""Clocks: seconds, frame rates, factors and time codes, and what they are in model time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vidode.clip import InvalidInput


@dataclass(frozen=True)
class TimeScale:
    """How a clip's clock becomes model time. Saved with the weights.

    kind "relative" (video): one unit of model time is `per_unit` typical gaps between the observations that a query
    sees (the lower median of their gaps), whatever the frame rate. A declared `frame_gap` replaces the measured gap.
    kind "absolute" (physics): one unit of model time is `per_unit` seconds.
    """

    kind: Literal["relative", "absolute"] = "relative"
    per_unit: float = 10.0

    def __post_init__(self) -> None:
        if self.kind not in ("relative", "absolute"):
            raise InvalidInput(f"time scale kind is {self.kind!r}; expected 'relative' or 'absolute'")
        if not self.per_unit > 0:
            raise InvalidInput(f"time scale has {self.per_unit} per unit; expected a positive number")

    def unit(self, times: Tensor, present: Tensor, declared: Tensor | None = None) -> Tensor:
        """(G,) clock time in one unit of model time, from times (G, M) where present (G, M).

        declared: (G,) typical gap of each clip, NaN where none is declared.
        Raises `InvalidInput` where a single observation and no declared gap leave the scale unknown.
        """
        if self.kind == "absolute":
            return torch.full_like(times[:, 0], self.per_unit)
        gap = _lower_median(times.diff(dim=1), present[:, 1:] & present[:, :-1])
        if declared is not None:
            gap = torch.where(torch.isnan(declared), gap, declared)
        if bool(torch.isnan(gap).any()):
            raise InvalidInput(
                "one observed frame tells no frame rate; expected two frames or a declared time between frames:"
                " give frame_gap (--frame-gap), such as 1/25"
            )
        return gap * self.per_unit


def _lower_median(values: Tensor, present: Tensor) -> Tensor:
    """(G,) lower median of the present values of each row; NaN in a row that has none."""
    if values.shape[1] == 0:
        return values.new_full((len(values),), math.nan)
    ordered = torch.where(present, values, torch.inf).sort(dim=1).values
    count = present.sum(dim=1)
    median = ordered.gather(1, ((count - 1).clamp(min=0) // 2)[:, None])[:, 0]
    return torch.where(count > 0, median, math.nan)
