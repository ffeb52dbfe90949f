"""Free-running roll-out: a recurrent state makes a frame, reads it, and makes the next.

    h_i = cell(E(X_i), h_i-1, gap_i)             over the observed frames, from a zero state
    h   = cell(E(X^ before), h, s - s before)    from one point of the chain to the next, first from E(X_last)
    X^  = G(h)

What the gap does to the state is the cell's own; all of the network is trained through its own predictions (no teacher
forcing). The chain goes from the last observation through a grid of the trained spacing, with one last shorter step to
each query (`vidode.blocks.chain`), so that a frame depends on its own time alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from vidode.blocks.chain import ChainConfig, Chains
from vidode.blocks.frames import FrameDecoder, FrameEncoder, encode_seen
from vidode.clip import Batch
from vidode.configuration import require_at_least
from vidode.timing import TimeScale
from vidode.windows import Windows

DOWNS = 2
"""Halvings between a frame and its latent."""

Cell = Callable[..., Tensor]
"""The next state (P, S, h, w) from features (P, D, h, w), the state before and, where it takes times, the gap (P,)."""


class FrameCoder(nn.Module):
    """E, and the G that makes a whole frame of a state; both take and give frames of any size.

    channels: of the frames. width: of the first map; features and states have 4 times as many channels.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.latent = width * 2**DOWNS
        self.frame_encoder = FrameEncoder(channels, width, DOWNS)
        self.frame_decoder = FrameDecoder(self.latent, width // 2, channels, DOWNS)

    def decode(self, states: Tensor, size: tuple[int, int]) -> Tensor:
        """G of states (P, D, h, w) at a frame's size: (P, C, H, W) float32."""
        frames: Tensor = self.frame_decoder(states)
        return frames[..., : size[0], : size[1]].float()


def observe(cell: Cell, channels: int, features: Tensor, present: Tensor, *gaps: Tensor) -> list[Tensor]:
    """The state (G, channels, h, w) after each of N observations, from zero; what is not present does not change it.

    features: (G, N, D, h, w). present: (G, N). gaps: none, or one (G, N) for a cell that takes it.
    """
    # An error made in a step stays in every later state: float32 or wider, under autocast too.
    wide = torch.promote_types(features.dtype, torch.float32)
    states = [features.new_zeros(len(features), channels, *features.shape[3:], dtype=wide)]
    for i in range(features.shape[1]):
        seen = cell(features[:, i], states[-1], *(gap[:, i] for gap in gaps))
        states.append(torch.where(present[:, i, None, None, None], seen, states[-1]))
    return states[1:]


@dataclass(frozen=True)
class TimedRolloutConfig:
    """What a network is made of that rolls out through irregular times.

    width: channels of the first map; the state has 4 times as many. neighbours: the last observations that are read.
    """

    channels: int = 3
    width: int = 32
    neighbours: int = 5
    time_scale: TimeScale = field(default_factory=TimeScale)
    chain: ChainConfig = field(default_factory=ChainConfig)

    def __post_init__(self) -> None:
        require_at_least(self, channels=1, width=2, neighbours=1)


class TimedRollout(nn.Module):
    """The network of the module's docstring around a cell that takes (features, state, gap).

    Every query lies beyond the last observation of its window.
    """

    def __init__(self, channels: int, width: int, cell: nn.Module) -> None:
        super().__init__()
        self.coder = FrameCoder(channels, width)
        self.cell = cell

    def forward(self, observed: Batch, seen: Windows, gaps: Tensor, chain: Chains) -> tuple[Tensor, Tensor]:
        """Frames (B, K, C, H, W) and the states (B, K, D, h, w) that they are made of.

        gaps: (G, N) that the cell is told at each observation on the left.
        """
        n = seen.neighbours
        present = seen.present[:, :n]
        x = encode_seen(self.coder.frame_encoder, seen.gather(observed.frames)[:, :n], present)
        h = observe(self.cell, self.coder.latent, x, present, gaps)[-1]
        size = observed.frames.shape[-2], observed.frames.shape[-1]
        frames, states = self._roll_out(x[:, -1], h, last_times(seen).double(), chain, size)
        return frames[chain.of_query], states[chain.of_query]

    def _roll_out(
        self, x: Tensor, h: Tensor, time: Tensor, chain: Chains, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Frames (P, C, H, W) and states (P, D, h, w) of all steps, from features, states and times (G, ...)."""
        frames: list[Tensor] = []
        states: list[Tensor] = []
        for level in chain.levels:
            x = self._read(frames[-1], level.parent) if frames else x[level.parent]
            h = self.cell(x, h[level.parent], level.time - time[level.parent])
            time = level.time
            frames.append(self.coder.decode(h, size))
            states.append(h)
        return torch.cat(frames), torch.cat(states)

    def _read(self, made: Tensor, parent: Tensor) -> Tensor:
        """E of each step's parent among the frames made. Each is read once, and none that nothing goes on from."""
        used, place = torch.unique(parent, return_inverse=True)
        features: Tensor = self.coder.frame_encoder(made[used])
        return features[place]


def last_times(seen: Windows) -> Tensor:
    """(G,) model time of the last observation of windows whose queries all lie beyond it."""
    return seen.times[:, seen.neighbours - 1]


def observed_gaps(seen: Windows) -> Tensor:
    """(G, N - 1) model time between successive observations on the left; zero where one of them is missing."""
    n = seen.neighbours
    both = seen.present[:, : n - 1] & seen.present[:, 1:n]
    return torch.where(both, seen.times[:, :n].diff(dim=1), 0.0)
