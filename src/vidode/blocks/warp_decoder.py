"""G and the warp chain of Vid-ODE: states become flow, difference and mask, and each frame warps the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from vidode.blocks.chain import ChainConfig, Chains
from vidode.blocks.frames import FrameDecoder
from vidode.blocks.warp import compose, warp
from vidode.clip import InvalidInput

Output = Literal["full", "flow", "frame"]
"""Flow, difference and mask; flow alone; or colours (the steps E, D and B or C of the paper's ablation)."""


@dataclass(frozen=True)
class WarpChainConfig(ChainConfig):
    """How a query is reached from an observed frame, by warps.

    extra: as in `ChainConfig`, but a quarter.
    origin: where the solve starts; "first_query" (released) takes the encoder's state for that of the first time asked,
    and goes with points that are "queried".
    source: what a step warps; the paper's Eq. 2 writes the "composed" frame, the released code warps what was "warped".
    first_state: what G takes for the state before the first step; the paper has the encoder's "state", the released
    code the "features" of the start frame. decode: in training G reads all steps "together", or "per_step" (released)
    with batch statistics of its own for each, of which the running ones, that a test uses, are only the mean. given:
    what G has of a step, the "pair" of its state and the one before, or its "state" alone; the paper leaves it open for
    the steps B and C of its ablation.
    """

    extra: float = 0.25
    origin: Literal["anchor", "first_query"] = "anchor"
    source: Literal["warped", "composed"] = "warped"
    first_state: Literal["features", "state"] = "features"
    decode: Literal["together", "per_step"] = "together"
    given: Literal["pair", "state"] = "pair"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.origin == "first_query" and self.points != "queried":
            raise InvalidInput(
                f"chain origin is first_query with points {self.points!r}; expected points 'queried': a chain on a grid"
                " starts at the anchor"
            )

    def starts(self, anchor: Tensor, chain: Chains) -> Tensor:
        """(G,) the time that the encoder's state is taken to belong to, which is `anchor` (G,) or the first asked."""
        if self.origin == "anchor":
            return anchor
        return torch.full_like(anchor, torch.inf).scatter_reduce(0, chain.window, chain.time, "amin")


class WarpDecoder(nn.Module):
    """G on states of `latent` channels, and the frames that its answers make along a chain."""

    def __init__(
        self, latent: int, width: int, channels: int, downs: int, output: Output, chain: WarpChainConfig
    ) -> None:
        super().__init__()
        self.output, self.chain = output, chain
        self.parts = {"full": [2, channels, 1], "flow": [2], "frame": [channels]}[output]
        states = 2 if chain.given == "pair" else 1
        self.layers = FrameDecoder(states * latent, width, sum(self.parts), downs).layers
        self._carried = {"warped": "warped", "composed": "frames"}[chain.source]

    def forward(self, states: Tensor) -> Tensor:
        """Raw maps (P, ..., H, W) of what is given of each step, as channels (P, 2 D or D, h, w)."""
        return self.layers(states)  # type: ignore[no-any-return]

    def decode(self, h: Tensor, before: Tensor, size: tuple[int, int]) -> list[Tensor]:
        """G of states (P, D, h, w) and those before them, at a frame's size: flow, difference, mask as configured."""
        maps: Tensor = self(torch.cat([h, before], dim=1) if self.chain.given == "pair" else h)
        parts = list(torch.split(maps[..., : size[0], : size[1]].float(), self.parts, dim=1))
        return [*parts[:2], torch.sigmoid(parts[2])] if self.output == "full" else parts

    def step(self, source: Tensor, parts: list[Tensor]) -> dict[str, Tensor]:
        """Eq. 2: the next frames (P, C, H, W), with their named parts, from the frames that are warped."""
        if self.output == "frame":
            return {"frames": parts[0]}
        warped = warp(source, parts[0])
        if self.output == "flow":
            return {"frames": warped, "warped": warped, "flow": parts[0]}
        flow, difference, mask = parts
        frames = compose(warped, difference, mask)
        return {"frames": frames, "warped": warped, "flow": flow, "difference": difference, "mask": mask}

    def carried(self, step: dict[str, Tensor]) -> Tensor:
        """Of the parts of a step, the frames (P, C, H, W) that the next step warps."""
        return step.get(self._carried, step["frames"])

    def walk(self, skip: Tensor, h: Tensor, h_start: Tensor, chain: Chains) -> dict[str, Tensor]:
        """The named parts of every step, (P, ...), from the frames (G, C, H, W) and states where the chains start."""
        source, steps = skip, []
        for level, parts in zip(chain.levels, self._decoded(h, h_start, chain, skip), strict=True):
            step = self.step(source[level.parent], parts)
            source = self.carried(step)
            steps.append(step)
        return {"latent": h, **{name: torch.cat([step[name] for step in steps]) for name in steps[0]}}

    def _decoded(self, h: Tensor, h_start: Tensor, chain: Chains, skip: Tensor) -> list[list[Tensor]]:
        """G of each level of the chains."""
        size, counts = (skip.shape[-2], skip.shape[-1]), [len(level.window) for level in chain.levels]
        states = torch.split(h, counts)
        before = [last[level.parent] for last, level in zip((h_start, *states), chain.levels, strict=False)]
        if self.training and self.chain.decode == "together":
            parts = [torch.split(part, counts) for part in self.decode(h, torch.cat(before), size)]
            return [list(level) for level in zip(*parts, strict=True)]
        return [self.decode(now, last, size) for now, last in zip(states, before, strict=True)]
