"""ConvGRUs that read frames and go on from what they made: E, a cell and G, which models step in their own way."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vidode.blocks.chain import Chains
from vidode.blocks.frames import FrameDecoder, FrameEncoder, pad_to_multiple

DOWNS = 2
"""Halvings between a frame and its latent."""

Step = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Features (S, D, h, w), state (S, ...) and model time since the last step (S,) to the next state (S, ...)."""


class FrameCoder(nn.Module):
    """E and G around a latent of 4 `width` channels."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.latent = width * 2**DOWNS
        self.frame_encoder = FrameEncoder(channels, width, DOWNS)
        self.frame_decoder = FrameDecoder(self.latent, width // 2, channels, DOWNS)

    def encode(self, frames: Tensor) -> Tensor:
        """Features (N, D, h, w) of frames (N, C, H, W)."""
        return self.frame_encoder(pad_to_multiple(frames, 2**DOWNS))  # type: ignore[no-any-return]

    def encode_present(self, frames: Tensor, present: Tensor) -> Tensor:
        """Features (G, N, D, h, w) of the frames (G, N, C, H, W) that are present (G, N); zero elsewhere."""
        flat = self.encode(frames[present])
        return flat.new_zeros(*present.shape, *flat.shape[1:]).index_put((present,), flat)

    def decode(self, state: Tensor, size: tuple[int, int]) -> Tensor:
        """Frames (N, C, *size) of states (N, D, h, w)."""
        return self.frame_decoder(state).float()[..., : size[0], : size[1]]  # type: ignore[no-any-return]


def gaps_before(times: Tensor, present: Tensor) -> Tensor:
    """(G, N) model time from the observation before to each; 0 at the first that is present (G, N), and before it."""
    gaps = torch.cat([torch.zeros_like(times[:, :1]), times.diff(dim=1)], dim=1)
    follows = torch.cat([torch.zeros_like(present[:, :1]), present[:, :-1] & present[:, 1:]], dim=1)
    return torch.where(follows, gaps, 0.0)


def observe(step: Step, features: Tensor, gaps: Tensor, present: Tensor, state: Tensor) -> Tensor:
    """The state (G, ...) after those of the features (G, N, D, h, w) that are present (G, N), with gaps (G, N)."""
    for column in range(features.shape[1]):
        rows = present[:, column].nonzero()[:, 0]
        if len(rows):
            seen = step(features[rows, column], state[rows], gaps[rows, column])
            state = state.to(seen.dtype).index_copy(0, rows, seen)
    return state


def roll_out(step: Step, coder: FrameCoder, chain: Chains, start: Tensor, last: Tensor, state: Tensor) -> Tensor:
    """The frames (P, C, H, W) at all steps of the chains, each made from the one before it.

    start: (G,) model time of the last frames (G, C, H, W) that were observed, and `state` (G, ...) after them.
    """
    size, frame, time, made = (last.shape[-2], last.shape[-1]), last, start.double(), []
    for level in chain.levels:
        gap = (level.time - time[level.parent]).float()
        state = step(coder.encode(frame[level.parent]), state[level.parent], gap)
        frame, time = coder.decode(state, size), level.time
        made.append(frame)
    return torch.cat(made)
