"""G of the anchored model: what moved where, which anchor to believe, and what neither shows, at each query.

It works at an eighth, twice at a quarter, and at a half of the size that is worked on; the equations stand in
`models/anchored_vid_ode.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidode.blocks.anchors import HINTS, Anchors, at_query, flows, odds_of_b
from vidode.blocks.frames import pad_to_multiple
from vidode.blocks.matching import Stage, convolution
from vidode.blocks.refinement import Refiner

COARSEST = 8
"""Frames are padded to a multiple of the coarsest scale."""
MOTION = 4
"""Channels of a motion: x and y of v_A, x and y of v_B, in pixels of the frames that are worked on."""
PAINT = 0.1
"""Of the difference: a step of learning then changes a frame by less than it is wrong by."""


class Painter(nn.Module):
    """Which anchor to believe where, and what neither shows: mask and difference from both as brought to the query."""

    def __init__(self, inputs: int, width: int, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(inputs + HINTS, width), convolution(width, width))
        self.head = nn.Conv2d(width, 4 + 4 * channels, 3, padding=1)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, pair: tuple[Tensor, Tensor], state: Tensor, hints: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (Q, C, h, w) and a state (Q, *, h / 2, w / 2) to a logit (Q, 1, h, w) and a picture (Q, C, h, w)."""
        x = torch.cat([*(F.pixel_unshuffle(y, 2) for y in pair), state], dim=1)
        x = torch.cat([x, hints.expand(-1, -1, *x.shape[-2:])], dim=1)
        x = self.head(self.body(x.contiguous(memory_format=torch.channels_last)))
        mask, difference = torch.split(F.pixel_shuffle(x.float(), 2), [1, pair[0].shape[1]], dim=1)
        return mask, PAINT * difference


@dataclass(frozen=True)
class Draft:
    """What G says of each query at the size that is worked on.

    motion: (Q, 4, h, w). mask: (Q, 1, h, w), the logit that is added to the odds of B. difference: (Q, C, h, w).
    coarser: the frames and flows of the coarser scales; only while training.
    """

    motion: Tensor
    mask: Tensor
    difference: Tensor
    coarser: list[tuple[Tensor, Tensor]]

    @staticmethod
    def joined(drafts: list[Draft]) -> Draft:
        """The drafts of several queries as one; without those of the coarser scales."""
        motion, mask, difference = (
            torch.cat([getattr(draft, name) for draft in drafts]) for name in ("motion", "mask", "difference")
        )
        return Draft(motion, mask, difference, [])


class MotionDecoder(nn.Module):
    """G: motion, mask and difference at the query, from coarse to fine.

    channels: of the frames. width: of the finest features. reach: of the local correlation, in cells. refine: channels
    of the finest map of the encoder-decoder, or 0. latents: channels of the states of both sides together. deep: they
    lie at a quarter of the frame size, and join the encoder-decoder and the painter; else at an eighth, and the first
    stage alone is told of them.
    """

    def __init__(self, channels: int, width: int, reach: int, refine: int, latents: int, deep: bool) -> None:
        super().__init__()
        state = 2 * width
        self.deep = latents if deep else 0
        self.coarse = Stage(4 * width, latents, 4 * width, reach, state)
        self.middle = Stage(4 * width, MOTION + state, 4 * width, reach, state)
        self.again = Stage(4 * width, MOTION + state, 4 * width, reach, state)
        self.fine = Stage(2 * width, 8 * channels + MOTION + state, 3 * width, max(1, reach // 2), state)
        known = 2 * channels + MOTION + state + HINTS
        self.refiner = Refiner(known, self.deep, MOTION, 1 + channels, refine) if refine else None
        self.painter = Painter(8 * channels + state + self.deep, 2 * width, channels)

    def forward(self, frames: Tensor, features: list[Tensor], latents: list[Tensor], anchors: Anchors) -> Draft:
        """Frames (B, T, C, h, w), their features, and the latents of both sides at each query."""
        half, quarter, eighth = (anchors.pick(level) for level in features)
        pictures = anchors.pick(frames)
        coarser = []

        # Each stage answers in its own cells, and sees the motion so far in them.
        deep = torch.cat(latents, dim=1) if self.deep else None
        at_eighth = latents if deep is None else [F.avg_pool2d(deep, 2)]
        moved, state = self.coarse(eighth, at_eighth, anchors)
        motion, state = _double(8 * moved), _double(state)
        for stage in (self.middle, self.again):
            if self.training:
                coarser.append(_blend(pictures, motion, anchors, 4))
            moved, state = stage(at_query(quarter, motion, anchors, 4), [motion / 4, state], anchors)
            motion = motion + 4 * moved

        motion, state = _double(motion), _double(state)
        if self.training:
            coarser.append(_blend(pictures, motion, anchors, 2))
        there = [F.pixel_unshuffle(y, 2) for y in at_query(pictures, _double(motion), anchors, 1)]
        moved, state = self.fine(at_query(half, motion, anchors, 2), [*there, motion / 2, state], anchors)
        motion, paint = _double(motion + 2 * moved), None
        if self.refiner is not None:
            if self.training:
                coarser.append(_blend(pictures, motion, anchors, 1))
            known = [*at_query(pictures, motion, anchors, 1), motion, _double(state)]
            hints = anchors.hints.expand(-1, -1, *motion.shape[-2:])
            more, paint = self.refiner(torch.cat([*known, hints], dim=1), deep)
            motion = motion + more
        state = state if deep is None else torch.cat([state, _double(deep)], dim=1)
        mask, difference = self.painter(at_query(pictures, motion, anchors, 1), state, anchors.hints)
        if paint is not None:
            mask, difference = mask + paint[:, :1], difference + PAINT * paint[:, 1:]
        return Draft(motion, mask, difference, coarser)


def _blend(pictures: tuple[Tensor, Tensor], motion: Tensor, anchors: Anchors, scale: int) -> tuple[Tensor, Tensor]:
    """What the motion so far gives at one `scale`th of the size, weighted by time alone; flow stays in full pixels."""
    small = tuple(F.avg_pool2d(picture, scale) for picture in pictures)
    a, b = at_query((small[0], small[1]), motion, anchors, scale)
    return torch.lerp(a, b, odds_of_b(anchors)), torch.stack(flows(motion, anchors), dim=1)


def work_size(size: tuple[int, int], work_side: int) -> tuple[int, int]:
    """The size that is worked on: `size`, or reduced so that its longer side is `work_side`."""
    longer = max(size)
    if not work_side or longer <= work_side:
        return size
    height, width = (max(1, round(side * work_side / longer)) for side in size)
    return height, width


def work_frames(frames: Tensor, work_side: int) -> Tensor:
    """Frames (B, T, C, H, W) at the size that is worked on, padded to what the scales need."""
    flat, size = frames.flatten(0, 1), (frames.shape[-2], frames.shape[-1])
    reduced = work_size(size, work_side)
    if reduced != size:
        flat = F.interpolate(flat, size=reduced, mode="bilinear", align_corners=False, antialias=True)
    padded = pad_to_multiple(flat, COARSEST)
    return padded.view(*frames.shape[:2], *padded.shape[1:])


def full_size(draft: Draft, size: tuple[int, int], work_side: int) -> Draft:
    """The draft without its padding, and enlarged to the frame `size`, its motion with it."""
    height, width = reduced = work_size(size, work_side)
    maps = torch.cat([draft.motion, draft.mask, draft.difference], dim=1)[..., :height, :width].float()
    if reduced != size:
        maps = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
    motion, mask, difference = torch.split(maps, [MOTION, 1, maps.shape[1] - MOTION - 1], dim=1)
    ratio = motion.new_tensor([size[1] / width, size[0] / height] * 2)[:, None, None]
    return Draft(motion * ratio, mask, difference, draft.coarser)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
