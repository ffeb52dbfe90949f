"""The image and the sequence critic of Vid-ODE: one trunk, and the sequences that the second is shown."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from vidode.clip import Batch, InvalidInput


class PatchCritic(nn.Module):
    """A map of scores, high where a patch looks real: (N, inputs, H, W) -> (N, scores, h, w), no activation.

    4x4 convolutions of stride 2, 2, 2, 1, 1 with instance normalisation and leaky ReLU. The defaults are the released
    Vid-ODE's: `width` scores and not one, a margin of 2 around the convolutions of stride 1 (18x18 scores of 128x128
    pixels; a margin of 1 gives 14x14), no bias in the first and the last convolution. Sides of at least 16 pixels, 24
    with a margin of 1: below, the normalisation meets single values.
    """

    def __init__(
        self, inputs: int, width: int = 64, scores: int | None = None, margin: int = 2, bias: bool = False
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(inputs, width, 4, stride=2, padding=1, bias=bias), nn.LeakyReLU(0.2)]
        channels = width
        for stride, padding in ((2, 1), (2, 1), (1, margin)):
            layers += [
                nn.Conv2d(channels, 2 * channels, 4, stride=stride, padding=padding),
                nn.InstanceNorm2d(2 * channels),
                nn.LeakyReLU(0.2),
            ]
            channels *= 2
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, scores or width, 4, padding=margin, bias=bias))

    def forward(self, frames: Tensor) -> Tensor:
        """Scores of frames, or of sequences with their frames side by side as channels."""
        return self.layers(frames)  # type: ignore[no-any-return]


def sequences_beyond(
    observed: Batch, query: Tensor, true: Tensor, made: Tensor, count: int, generated: Literal["all", "last"] = "all"
) -> tuple[Tensor, Tensor]:
    """Real and fake sequences (B K, (count + 1) C, H, W) in extrapolation: those that end at each query.

    They are successive frames out of the last `count` seen ones and those at the queries (B, K) in order of time,
    which are `true` or `made` (B, K, C, H, W). A fake sequence holds "all" that was generated so far (the released
    code), or generated frames in the "last" place alone (the paper's Eq. 4).
    Raises `InvalidInput` for a clip with fewer than `count` seen frames.
    """
    clip, order, seen = _in_order(observed, count)
    place = seen[:, None] - count + torch.arange(count, device=order.device)
    before = observed.frames[clip, order.gather(1, place)]  # (B, count, C, H, W)
    later = query.argsort(dim=1)
    true, made = true[clip, later], made[clip, later]
    real = torch.cat([before, true], dim=1).unfold(1, count + 1, 1).movedim(-1, 2)  # (B, K, count + 1, C, H, W)
    if generated == "last":
        fake = torch.cat([real[:, :, :-1], made[:, :, None]], dim=2)
    else:
        fake = torch.cat([before, made], dim=1).unfold(1, count + 1, 1).movedim(-1, 2)
    return _as_channels(real), _as_channels(fake)


def sequences_between(observed: Batch, query: Tensor, true: Tensor, made: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Real and fake sequences (B K, count C, H, W) in interpolation: `count` seen frames, one of them replaced.

    The one nearest to each query (B, K) gives way to the frame at the query, `true` or `made` (B, K, C, H, W). In
    the paper's training the query is that frame's own time, so that the real sequence is the observed one.
    Raises `InvalidInput` for a clip with fewer than `count` seen frames.
    """
    clip, order, seen = _in_order(observed, count)
    away = (observed.times.gather(1, order)[:, None] - query.double()[:, :, None]).abs()  # (B, K, T)
    exists = torch.arange(order.shape[1], device=order.device) < seen[:, None, None]
    nearest = torch.where(exists, away, torch.inf).argmin(dim=2)  # (B, K)
    first = torch.minimum((nearest - count // 2).clamp(min=0), seen[:, None] - count)
    place = first[..., None] + torch.arange(count, device=order.device)  # (B, K, count)
    around = observed.frames[clip[..., None], order[clip[..., None], place]]  # (B, K, count, C, H, W)
    here = (place == nearest[..., None])[..., None, None, None]
    real, fake = (torch.where(here, frames[:, :, None], around) for frames in (true, made))
    return _as_channels(real), _as_channels(fake)


def _in_order(observed: Batch, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Clip indices (B, 1), the seen frames of each clip first (B, T), and how many there are (B,)."""
    seen = observed.seen.sum(dim=1)
    if int(seen.min()) < count:
        raise InvalidInput(
            f"a clip has {int(seen.min())} seen frames; the sequence critic reads {count}: set objective.observed to"
            " fewer, or objective.sequence to 0"
        )
    clip = torch.arange(len(seen), device=seen.device)[:, None]
    return clip, torch.argsort((~observed.seen).int(), dim=1, stable=True), seen


def _as_channels(sequences: Tensor) -> Tensor:
    return sequences.flatten(0, 1).flatten(1, 2)
