"""MSE, PSNR, SSIM and LPIPS, each under two stated protocols.

Both score what would be looked at: predictions clamped to [0, 1] and rounded to 8 bits, against truth likewise.

protocol      PSNR                                     SSIM                                   MSE, LPIPS
vidode2021    of the mean error over all frames        of the 8-bit luma (ITU-601) image      mean over frames
per-frame     of each frame, averaged, at most 100 dB  of each colour channel, averaged       mean over frames

`vidode2021` is what the released code of Vid-ODE measures (AAAI 2021); `per-frame` is the field's usual. SSIM (Wang et
al., 2004) has an 11x11 Gaussian window of sigma 1.5, population covariance, K1 = .01, K2 = .03, and is averaged over
the windows that lie wholly inside the image. MSE is of values in [0, 1]. LPIPS is AlexNet's, version 0.1.

Where parts of a frame were not measured, MSE and so PSNR are of what was; SSIM and LPIPS, which look at whole windows,
take the rest for right.

Where frames have neither one nor three channels there is no luma: every channel counts as a grey image, in SSIM and
in LPIPS alike, and their scores are averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from vidode.blocks.perceptual import Lpips
from vidode.clip import InvalidInput

Protocol = Literal["vidode2021", "per-frame"]
PROTOCOLS: tuple[Protocol, ...] = ("vidode2021", "per-frame")

LEVELS = 255.0
"""The data range of an 8-bit image."""
CEILING = 100.0
"""dB. The PSNR of identical images, which has no finite value, and the most that any image is given."""
WINDOW = 11
"""Side of SSIM's window in pixels."""


@dataclass(frozen=True)
class Scores:
    """A number of frames under one protocol. psnr is in dB; lpips is None where its weights are missing."""

    frames: int
    mse: float
    psnr: float
    ssim: float
    lpips: float | None


@dataclass(frozen=True, eq=False)
class FrameScores:
    """What both protocols are averaged from: one number a frame, each (N,) float64. lpips may be None."""

    mse: Tensor
    ssim_luma: Tensor
    ssim_colour: Tensor
    lpips: Tensor | None

    def __len__(self) -> int:
        return len(self.mse)

    def __getitem__(self, chosen: Tensor) -> FrameScores:
        """The chosen frames, by index or mask."""
        lpips = None if self.lpips is None else self.lpips[chosen]
        return FrameScores(self.mse[chosen], self.ssim_luma[chosen], self.ssim_colour[chosen], lpips)

    @staticmethod
    def join(parts: Sequence[FrameScores]) -> FrameScores:
        """All frames of all parts, in order."""
        if not parts:
            raise InvalidInput("no frames were scored; expected at least one")
        lpips = [part.lpips for part in parts if part.lpips is not None]
        return FrameScores(
            torch.cat([part.mse for part in parts]),
            torch.cat([part.ssim_luma for part in parts]),
            torch.cat([part.ssim_colour for part in parts]),
            torch.cat(lpips) if len(lpips) == len(parts) else None,
        )


class Metrics:
    """Scores of frames that come a few at a time; the same, to rounding, as of all at once."""

    def __init__(self, protocol: Protocol, lpips: Lpips | None = None) -> None:
        self.protocol, self.lpips = protocol, lpips
        self._parts: list[FrameScores] = []

    def update(self, predicted: Tensor, target: Tensor) -> None:
        """Add frames (N, C, H, W) in [0, 1]."""
        self._parts.append(score_frames(predicted, target, self.lpips))

    def compute(self) -> Scores:
        """The scores of all frames so far. Raises `InvalidInput` where there are none."""
        return summarise(FrameScores.join(self._parts), self.protocol)


@torch.no_grad()
def score_frames(
    predicted: Tensor, target: Tensor, lpips: Lpips | None = None, valid: Tensor | None = None
) -> FrameScores:
    """Each frame of `predicted` against `target`, both (N, C, H, W) in [0, 1].

    valid: (N, 1 or C, H, W) what was measured of the target, a part of every frame; None is all.
    Raises `InvalidInput` for shapes that differ, for values that are not finite and for frames too small for SSIM.
    """
    target = target if valid is None else torch.where(valid, target, predicted)
    _require_comparable(predicted, target)
    predicted, target = quantise(predicted), quantise(target)
    share = 1 if valid is None else valid.expand_as(target).double().mean(dim=(1, 2, 3))
    return FrameScores(
        mse=(mean_squared_error(predicted, target, data_range=LEVELS) / share).cpu(),
        ssim_luma=ssim(luma(predicted), luma(target), data_range=LEVELS).double().cpu(),
        ssim_colour=ssim(predicted, target, data_range=LEVELS).double().cpu(),
        lpips=None if lpips is None else _distance(lpips, predicted, target).double().cpu(),
    )


def summarise(scores: FrameScores, protocol: Protocol) -> Scores:
    """The scores of some frames under a protocol. Raises `InvalidInput` for an unknown one."""
    if protocol not in _SUMMARIES:
        raise InvalidInput(f"no protocol is called {protocol!r}; expected one of {', '.join(PROTOCOLS)}")
    return Scores(
        frames=len(scores),
        mse=float(scores.mse.mean()),
        psnr=_SUMMARIES[protocol][0](scores),
        ssim=_SUMMARIES[protocol][1](scores),
        lpips=None if scores.lpips is None else float(scores.lpips.mean()),
    )


_SUMMARIES: dict[str, tuple[Callable[[FrameScores], float], Callable[[FrameScores], float]]] = {
    "vidode2021": (
        lambda scores: float(psnr(scores.mse.mean(), data_range=1.0)),
        lambda scores: float(scores.ssim_luma.mean()),
    ),
    "per-frame": (
        lambda scores: float(psnr(scores.mse, data_range=1.0).mean()),
        lambda scores: float(scores.ssim_colour.mean()),
    ),
}


def quantise(frames: Tensor) -> Tensor:
    """Frames in [0, 1], clamped, as 8-bit levels 0 ... 255 in float32; halves round up, as image writers do."""
    return (frames.clamp(0, 1).to(torch.float32) * LEVELS + 0.5).floor()


def luma(levels: Tensor) -> Tensor:
    """The 8-bit ITU-601 luma (N, 1, H, W) of RGB levels (N, 3, H, W), in the integers of Pillow's mode L.

    Frames of another number of channels have no luma and come back as they are.
    """
    if levels.shape[1] != 3:
        return levels
    red, green, blue = levels.to(torch.int32).unbind(dim=1)
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).to(levels.dtype)[:, None]


def mean_squared_error(predicted: Tensor, target: Tensor, *, data_range: float) -> Tensor:
    """(N,) mean squared difference of images (N, C, H, W), in units of the data range."""
    return (predicted - target).div(data_range).double().square().mean(dim=(1, 2, 3))


def psnr(error: Tensor, *, data_range: float) -> Tensor:
    """Peak signal to noise ratio, 10 log10(data_range^2 / error), in dB, of mean squared errors; at most 100 dB."""
    return (10 * torch.log10(data_range**2 / error)).clamp(max=CEILING)


def ssim(predicted: Tensor, target: Tensor, *, data_range: float) -> Tensor:
    """(N,) structural similarity of images (N, C, H, W), averaged over channels and whole windows."""
    # One image at a time stays in the processor's cache, which is twice as fast as all at once.
    pairs = zip(predicted[:, None], target[:, None], strict=True)
    return torch.stack([_similarity(a, b, data_range) for a, b in pairs])


def _similarity(a: Tensor, b: Tensor, data_range: float) -> Tensor:
    """SSIM of two images (1, C, H, W)."""
    _, everywhere = structural_similarity_index_measure(
        a,
        b,
        gaussian_kernel=True,
        sigma=1.5,
        kernel_size=WINDOW,
        reduction="none",
        data_range=data_range,
        k1=0.01,
        k2=0.03,
        return_full_image=True,
    )
    # torchmetrics mirrors the border into its windows and averages those too; the published definition does not.
    edge = WINDOW // 2
    inside: Tensor = everywhere[..., edge:-edge, edge:-edge]
    return inside.mean()


def _distance(lpips: Lpips, predicted: Tensor, target: Tensor) -> Tensor:
    """LPIPS of 8-bit levels, on the network's own device."""
    device = lpips.shift.device
    return lpips(predicted.to(device) / LEVELS, target.to(device) / LEVELS)  # type: ignore[no-any-return]


def _require_comparable(predicted: Tensor, target: Tensor) -> None:
    if predicted.dim() != 4 or predicted.shape != target.shape or not len(predicted):
        raise InvalidInput(
            f"frames have shapes {tuple(predicted.shape)} and {tuple(target.shape)}; expected one (N, C, H, W), N >= 1"
        )
    if min(predicted.shape[-2:]) < WINDOW:
        raise InvalidInput(f"frames have size {tuple(predicted.shape[-2:])}; SSIM needs at least {WINDOW}x{WINDOW}")
    for name, frames in (("predicted", predicted), ("true", target)):
        if not bool(torch.isfinite(frames).all()):
            raise InvalidInput(f"the {name} frames hold values that are not finite; expected numbers in [0, 1]")
