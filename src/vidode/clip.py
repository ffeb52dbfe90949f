"""What was observed: one clip, or several padded together.

Shapes: T frames, C channels, H rows, W columns, B clips. Times are float64 and never narrower, since a day counted
in float32 seconds already loses the milliseconds that a frame rate needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor


class NumericalError(ArithmeticError):
    """What is computed is no longer a number. The message says where it was found and, where it can, what to do."""


class InvalidInput(ValueError):
    """An input that cannot be used. The message is one line: what was got, what was expected, what to do."""


@dataclass(frozen=True)
class Meaning:
    """What the numbers of a clip mean.

    `value_range` is what black and white (or the least and the largest physical value) are; models see it mapped
    to [0, 1]. `frame_gap` declares the typical time between observed frames in the clip's clock; without it the
    gap is measured from the times, which a single frame does not allow.
    """

    value_range: tuple[float, float] = (0.0, 1.0)
    units: str | None = None
    channels: tuple[str, ...] | None = None
    clock: str = "seconds"
    frame_gap: float | None = None

    def __post_init__(self) -> None:
        low, high = self.value_range
        if not (high > low and math.isfinite(high - low)):
            raise InvalidInput(f"value range is {self.value_range}; expected finite numbers, low < high")
        if self.frame_gap is not None and not (self.frame_gap > 0 and math.isfinite(self.frame_gap)):
            raise InvalidInput(f"declared frame gap is {self.frame_gap}; expected a positive time, such as 1/25")


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames observed at known times.

    frames: (T, C, H, W) float32 in `meaning.value_range`; uint8 is accepted and mapped to [0, 1].
    times: (T,) float64, strictly increasing, in the clip's clock (seconds for video).
    valid: (T, 1 or C, H, W) bool, True where a pixel was measured; None where every pixel was. NaN is allowed only
    where `valid` is False.

    Raises `InvalidInput` for a wrong rank, mixed sizes, no frames, times that do not increase, and undeclared NaN.
    """

    frames: Tensor
    times: Tensor
    valid: Tensor | None = None
    meaning: Meaning = field(default_factory=Meaning)

    def __post_init__(self) -> None:
        object.__setattr__(self, "frames", _as_frames(self.frames))
        object.__setattr__(self, "times", as_times(self.times))
        if len(self.times) != len(self.frames):
            raise InvalidInput(
                f"{len(self.frames)} frames but {len(self.times)} times; expected one time for each frame"
            )
        require_increasing(self.times)
        if self.valid is not None:
            object.__setattr__(self, "valid", _as_valid(self.valid, self.frames))
        _require_finite(self.frames, self.valid)

    def __len__(self) -> int:
        return len(self.times)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.frames.shape[-2], self.frames.shape[-1]

    def __getitem__(self, index: slice | Tensor | Sequence[int]) -> Clip:
        """The chosen frames, still in order of time."""
        chosen = index if isinstance(index, slice) else torch.as_tensor(index)
        valid = None if self.valid is None else self.valid[chosen]
        return replace(self, frames=self.frames[chosen], times=self.times[chosen], valid=valid)

    def normalised(self) -> Clip:
        """The same clip with values mapped from `meaning.value_range` to [0, 1]."""
        low, high = self.meaning.value_range
        if (low, high) == (0.0, 1.0):
            return self
        meaning = replace(self.meaning, value_range=(0.0, 1.0))
        return replace(self, frames=(self.frames - low) / (high - low), meaning=meaning)

    def denormalised(self, meaning: Meaning) -> Clip:
        """The inverse of `normalised`: values in [0, 1] mapped to the range of `meaning`."""
        low, high = meaning.value_range
        frames = self.frames if (low, high) == (0.0, 1.0) else self.frames * (high - low) + low
        return replace(self, frames=frames, meaning=meaning)


@dataclass(frozen=True, eq=False)
class Batch:
    """Clips padded together, with values in [0, 1].

    frames: (B, T, C, H, W) float32, zero where padded, unseen or invalid.
    times: (B, T) float64; a padded entry repeats the clip's last time.
    seen: (B, T) bool, False where padded or withheld.
    valid: (B, T, 1 or C, H, W) bool or None.
    frame_gap: (B,) float64, NaN where the clip declares none.
    """

    frames: Tensor
    times: Tensor
    seen: Tensor
    valid: Tensor | None = None
    frame_gap: Tensor | None = None

    def __post_init__(self) -> None:
        if self.frames.dim() != 5:
            raise InvalidInput(f"batch frames have shape {tuple(self.frames.shape)}; expected (B, T, C, H, W)")
        expected = tuple(self.frames.shape[:2])
        for name in ("times", "seen"):
            got = tuple(getattr(self, name).shape)
            if got != expected:
                raise InvalidInput(f"batch {name} has shape {got}; expected (B, T) = {expected}")
        if not bool(self.seen.any(dim=1).all()):
            raise InvalidInput("a clip of the batch has no seen frame; expected at least one")
        if self.valid is not None:  # what was not measured must not reach any model
            object.__setattr__(self, "frames", torch.where(self.valid, self.frames, torch.zeros(())))

    @staticmethod
    def collate(clips: Sequence[Clip], length: int | None = None) -> Batch:
        """Pad clips of one frame size to the longest (or to `length`) and stack them."""
        if not clips:
            raise InvalidInput("got no clips; expected at least one")
        shapes = {tuple(clip.frames.shape[1:]) for clip in clips}
        if len(shapes) > 1:
            raise InvalidInput(
                f"clips of different frame shapes {sorted(shapes)}; expected one (C, H, W): resize first"
            )
        steps = max(max(len(clip) for clip in clips), length or 0)
        parts = [_padded(clip.normalised(), steps) for clip in clips]
        frames, times, seen, valid = (torch.stack(part) for part in zip(*parts, strict=True))
        gaps = [clip.meaning.frame_gap for clip in clips]
        return Batch(
            frames=frames,
            times=times,
            seen=seen,
            valid=valid if any(clip.valid is not None for clip in clips) else None,
            frame_gap=torch.tensor([float("nan") if gap is None else gap for gap in gaps], dtype=torch.float64),
        )

    def __getitem__(self, clips: Tensor) -> Batch:
        """The chosen clips alone."""
        chosen: dict[str, Any] = {name: None if part is None else part[clips] for name, part in vars(self).items()}
        return Batch(**chosen)

    def to(self, *args: Any, **kwargs: Any) -> Batch:
        """Move to a device. Times stay float64."""
        moved: dict[str, Any] = {name: None if v is None else v.to(*args, **kwargs) for name, v in vars(self).items()}
        return Batch(**moved)


def as_times(times: object) -> Tensor:
    """A one-dimensional float64 tensor of finite times, or `InvalidInput`."""
    try:
        tensor = torch.as_tensor(times, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInput(f"times are {_shortly(times)}; expected numbers, one for each frame") from error
    if tensor.dim() != 1:
        raise InvalidInput(f"times have shape {tuple(tensor.shape)}; expected one dimension (T,)")
    if not bool(torch.isfinite(tensor).all()):
        where = int((~torch.isfinite(tensor)).nonzero()[0, 0])
        raise InvalidInput(f"time {where} is {float(tensor[where])}; expected a finite number")
    return tensor


def require_increasing(times: Tensor) -> None:
    """Raise `InvalidInput` naming the first pair of times that does not increase."""
    late = (times[1:] <= times[:-1]).nonzero()
    if len(late):
        i = int(late[0, 0])
        raise InvalidInput(
            f"times[{i}] = {float(times[i])} is followed by times[{i + 1}] = {float(times[i + 1])}; "
            "expected strictly increasing times: sort the frames and drop repeated ones"
        )


def _as_frames(frames: object) -> Tensor:
    if isinstance(frames, (list, tuple)) and frames and isinstance(frames[0], Tensor):
        sizes = {tuple(frame.shape) for frame in frames}
        if len(sizes) > 1:
            raise InvalidInput(f"frames of different sizes {sorted(sizes)}; expected one size: resize them first")
        frames = torch.stack(list(frames))
    try:
        tensor = torch.as_tensor(frames)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInput(f"frames are {_shortly(frames)}; expected an array (T, C, H, W)") from error
    if tensor.dim() != 4:
        raise InvalidInput(f"frames have shape {tuple(tensor.shape)}; expected four dimensions (T, C, H, W)")
    if 0 in tensor.shape:
        raise InvalidInput(f"frames have shape {tuple(tensor.shape)}, which holds nothing; expected at least one frame")
    if tensor.dtype == torch.uint8:
        return tensor.float() / 255
    if tensor.is_complex():
        raise InvalidInput(f"frames have type {tensor.dtype}; expected real numbers")
    return tensor.to(torch.float32)


def _as_valid(valid: object, frames: Tensor) -> Tensor:
    tensor = torch.as_tensor(valid)
    steps, channels, height, width = frames.shape
    if tensor.shape not in {(steps, 1, height, width), (steps, channels, height, width)}:
        raise InvalidInput(
            f"mask of valid pixels has shape {tuple(tensor.shape)}; expected {(steps, 1, height, width)}"
            f" or {tuple(frames.shape)}"
        )
    return tensor.bool()


def _require_finite(frames: Tensor, valid: Tensor | None) -> None:
    bad = ~torch.isfinite(frames)
    if valid is not None:
        bad &= valid
    if bool(bad.any()):
        step, channel, row, column = (int(i) for i in bad.nonzero()[0])
        value = float(frames[step, channel, row, column])
        raise InvalidInput(
            f"frame {step}, channel {channel}, pixel ({row}, {column}) is {value}; expected finite values:"
            " declare missing pixels in `valid`"
        )


def _padded(clip: Clip, steps: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    missing = steps - len(clip)
    frames = clip.frames
    valid = torch.ones(()).bool().expand(frames.shape) if clip.valid is None else clip.valid.expand(frames.shape)
    empty = frames.new_zeros(missing, *frames.shape[1:])
    return (
        torch.cat([frames, empty]),
        torch.cat([clip.times, clip.times[-1:].expand(missing)]),
        torch.arange(steps) < len(clip),
        torch.cat([valid, empty.bool()]),
    )


def _shortly(value: object) -> str:
    text = repr(value).replace("\n", " ")
    return text if len(text) < 60 else text[:57] + "..."
