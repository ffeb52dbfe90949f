"""The frames of one gap, made by one model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain, islice

import torch
from torch import Tensor

from vidode.clip import Batch, Clip, InvalidInput, Meaning
from vidode.cuts import CutDetector
from vidode.generation.gaps import Gap
from vidode.models import Task, VideoModel, model_name, require_task
from vidode.sources import Frame

PIXELS_PER_CALL = 2**21
"""Pixels that a model is asked for at once, by default: 27 frames of 320x240, one of 1920x1080."""

MOST_GAPS = 1000
"""Typical gaps outside of what was observed, from where on a time is taken for a slip, such as of its unit."""

FAR = 2**20
"""Seconds from zero, from where on times are counted from the window: float64 then counts in 1e-10 s and more."""


@dataclass(frozen=True)
class Options:
    """How frames are made.

    keep_observed: a time that was observed gives that frame itself, not the model's idea of it. cuts: across a cut
    nothing is blended, the nearer frame is held; None looks for none. frames_per_call: how many a model is asked for
    at once; None chooses by their size. autocast: let the model work in half precision where torch deems it safe.
    """

    keep_observed: bool = True
    cuts: CutDetector | None = field(default_factory=CutDetector)
    frames_per_call: int | None = None
    autocast: bool = False

    def __post_init__(self) -> None:
        if self.frames_per_call is not None and self.frames_per_call < 1:
            raise InvalidInput(f"frames per call is {self.frames_per_call}; expected at least 1")


class Maker:
    """Makes the frames of one gap with one model."""

    def __init__(self, model: VideoModel, meaning: Meaning, options: Options) -> None:
        self.model, self.meaning, self.options = model, meaning, options
        self.name = model_name(model)
        self.neighbours = int(model.config.neighbours)

    def require(self, task: Task) -> None:
        """Raise `InvalidInput` where the model cannot do a task."""
        require_task(self.model, task)

    def before(self, gap: Gap, times: Iterator[Fraction]) -> Iterator[Frame]:
        """Frames before the first observation, from those of its shot that follow."""
        window = gap.left if gap.cut else [*gap.left, *gap.right]
        yield from self._made(window[: self.neighbours], times, "interpolation", gap.typical)

    def within(self, gap: Gap, times: Iterator[Fraction]) -> Iterator[Frame]:
        """Frames from an observation until the next one, or after the last one."""
        here, n = gap.left[-1], self.neighbours
        first = next(times, None)
        if first == here.time:
            yield from self._at_observation(gap)
        elif first is not None:
            times = chain([first], times)
        if gap.cut:
            yield from (replace(_nearer(here, gap.right[0], time), time=time) for time in times)
        elif gap.right:
            yield from self._made([*gap.left[-n:], *gap.right], times, "interpolation", gap.typical)
        else:
            yield from self._made(gap.left[-n:], times, "extrapolation", gap.typical)

    def _at_observation(self, gap: Gap) -> Iterator[Frame]:
        here, n = gap.left[-1], self.neighbours
        # At the last observation of a shot a query belongs to the gap before it (see `windows`).
        window = [*gap.left[-n:], *gap.right] if gap.right and not gap.cut else gap.left
        if self.options.keep_observed or len(window) == 1:
            yield here
        else:
            yield from self._made(window, iter([here.time]), "interpolation", gap.typical)

    def _made(
        self, window: Sequence[Frame], times: Iterator[Fraction], task: Task, typical: Fraction | None
    ) -> Iterator[Frame]:
        """The model's frames at any number of times, some at a time; all at once where they depend on one another."""
        limit = self.options.frames_per_call or max(1, PIXELS_PER_CALL // window[0].pixels[0].numel())
        while some := list(islice(times, limit if self.model.function_of_time else None)):
            self.require(task)
            _require_near(window, some, typical)
            frames = self._predicted(window, some, typical)
            yield from (Frame(pixels, time) for pixels, time in zip(frames, some, strict=True))

    def _predicted(self, window: Sequence[Frame], times: Sequence[Fraction], typical: Fraction | None) -> Tensor:
        """The model's frames (K, C, H, W) in the clip's value range, from what a query may see and nothing else."""
        start = window[0].time if abs(window[0].time) > FAR else Fraction(0)
        clip = _as_clip(window, start, self._meaning(window, typical))
        channels = int(self.model.config.channels)
        observed = Batch.collate(_as_channels(clip, channels)).to(_device(self.model))
        query = torch.tensor([float(time - start) for time in times], dtype=torch.float64, device=observed.times.device)
        with _evaluating(self.model), self._within_memory(clip.size):
            made = self.model(observed, query.expand(len(observed.frames), -1)).frames.float()  # (B, K, c, H, W)
        if not bool(torch.isfinite(made).all()):
            raise InvalidInput(
                f"{self.name} gave numbers that are not finite between {float(times[0])} and {float(times[-1])};"
                " expected finite pixels: work in full precision, or use other weights"
            )
        # What is darker than black or hotter than declared is no model's to invent, unless it was observed near by.
        low, high = min(0.0, float(observed.frames.min())), max(1.0, float(observed.frames.max()))
        frames = _from_channels(made.clamp(low, high), clip.frames.shape[1]).cpu()
        black, white = self.meaning.value_range
        return frames if (black, white) == (0.0, 1.0) else frames * (white - black) + black

    @contextmanager
    def _within_memory(self, size: tuple[int, int]) -> Iterator[None]:
        """In the wanted precision. Raises `InvalidInput` where the memory does not suffice."""
        try:
            with torch.autocast(_device(self.model).type, enabled=self.options.autocast):
                yield
        except RuntimeError as error:
            # On the CPU torch raises nothing more special.
            if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
                raise
            raise InvalidInput(
                f"memory does not suffice for {self.name} on frames of {size[1]}x{size[0]} pixels;"
                " use smaller frames, or another device (--device cpu)"
            ) from error

    def _meaning(self, window: Sequence[Frame], typical: Fraction | None) -> Meaning:
        """A frame alone in its shot has no gap of its own; those before the cut tell it."""
        if len(window) > 1 or typical is None:
            return self.meaning
        return replace(self.meaning, frame_gap=float(typical))


def _require_near(window: Sequence[Frame], times: Sequence[Fraction], typical: Fraction | None) -> None:
    """Raise `InvalidInput` for a time that no prediction reaches; the work grows with the distance."""
    if typical is None:
        return
    for time in (times[0], times[-1]):
        away = max(window[0].time - time, time - window[-1].time)
        if away > MOST_GAPS * typical:
            raise InvalidInput(
                f"time {float(time):g} lies {float(away / typical):.0f} typical gaps of {float(typical):g} s outside of"
                f" what was observed; expected at most {MOST_GAPS}: times are in seconds (milliseconds: --timecodes)"
            )


def _nearer(left: Frame, right: Frame, time: Fraction) -> Frame:
    return left if time - left.time <= right.time - time else right


def _as_clip(window: Sequence[Frame], start: Fraction, meaning: Meaning) -> Clip:
    valid = [frame.valid for frame in window if frame.valid is not None]
    return Clip(
        frames=torch.stack([frame.pixels for frame in window]),
        times=torch.tensor([float(frame.time - start) for frame in window], dtype=torch.float64),
        valid=torch.stack(valid) if valid else None,
        meaning=meaning,
    )


def _as_channels(clip: Clip, channels: int) -> list[Clip]:
    """The clip as a model of so many channels takes it: as it is, or each channel alone and repeated."""
    count = clip.frames.shape[1]
    if count == channels:
        return [clip]
    alone = []
    for place in range(count):
        valid = clip.valid if clip.valid is None or clip.valid.shape[1] == 1 else clip.valid[:, place : place + 1]
        frames = clip.frames[:, place : place + 1].expand(-1, channels, -1, -1)
        alone.append(replace(clip, frames=frames, valid=valid))
    return alone


def _from_channels(made: Tensor, count: int) -> Tensor:
    """The inverse of `_as_channels`: (B, K, c, H, W) to (K, C, H, W)."""
    return made[0] if made.shape[0] == 1 and made.shape[2] == count else made.mean(dim=2).transpose(0, 1)


def _device(model: VideoModel) -> torch.device:
    return next((tensor.device for tensor in chain(model.parameters(), model.buffers())), torch.device("cpu"))


@contextmanager
def _evaluating(model: VideoModel) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
