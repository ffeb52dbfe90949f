"""Frames at any time from any model, on input of any length and any size.

The observations pass by one at a time. For each gap between two of them a model is given only the N frames nearest on
each side and asked for all wanted times in it, which is what a query may see at all (law 6 of the design): so a
stream of any length takes the memory of 2N frames, and gives the same frames as one pass over the whole clip.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from vidode.clip import Clip, Meaning
from vidode.generation.gaps import gaps
from vidode.generation.maker import Maker, Options
from vidode.models import VideoModel
from vidode.sources import Frame
from vidode.timing import Number, TimeRequest, Times, as_fraction


def generate(
    model: VideoModel,
    clip: Clip,
    times: TimeRequest | Iterable[Number] | Tensor,
    keep_observed: bool = True,
    options: Options | None = None,
) -> Clip:
    """The clip at the given times, in its own value range.

    times: increasing, in the clip's clock, or a request such as `FrameRate(60)`. Pixels of a kept frame that were not
    measured stay so in `valid`; the model's pixels are all valid.
    Raises `InvalidInput` for times that cannot be, and for those that the model cannot do.
    """
    options = replace(options or Options(), keep_observed=keep_observed)
    request, given = _as_request(times)
    masks = [None] * len(clip) if clip.valid is None else list(clip.valid)
    observed = (
        Frame(pixels, as_fraction(time, "time"), valid)
        for pixels, time, valid in zip(clip.frames, clip.times.tolist(), masks, strict=True)
    )
    made = list(stream(model, observed, request, clip.meaning, options))
    return Clip(
        frames=torch.stack([frame.pixels for frame in made]),
        times=torch.tensor(given or [float(frame.time) for frame in made], dtype=torch.float64),
        valid=None if clip.valid is None else torch.stack([_mask(frame, clip.valid.shape[1]) for frame in made]),
        meaning=clip.meaning,
    )


def stream(
    model: VideoModel,
    frames: Iterable[Frame],
    request: TimeRequest,
    meaning: Meaning | None = None,
    options: Options | None = None,
) -> Iterator[Frame]:
    """The same for frames that come one by one, holding only those near the present.

    meaning: of the frames' values and clock, as a `Source` has it. Raises as `generate`, when the time comes.
    """
    maker = Maker(model, meaning or Meaning(), options or Options())
    if request.beyond:
        maker.require("extrapolation")
    for gap in gaps(frames, maker.neighbours, maker.meaning, maker.options.cuts):
        if gap.at.index == 0:
            yield from maker.before(gap, request.before(gap.at.time))
        times = request.within(gap.at, gap.right[0].time) if gap.right else request.after(gap.at, gap.typical)
        yield from maker.within(gap, times)


def _as_request(times: TimeRequest | Iterable[Number] | Tensor) -> tuple[TimeRequest, list[float]]:
    """The request, and explicit times as they were given, to the last bit, which a fraction need not keep."""
    if isinstance(times, TimeRequest):
        return times, []
    listed = [*(times.tolist() if isinstance(times, Tensor) else times)]
    exact = tuple(as_fraction(time, "time") for time in listed)
    return Times(exact), [t if isinstance(t, float) else float(e) for t, e in zip(listed, exact, strict=True)]


def _mask(frame: Frame, channels: int) -> Tensor:
    shape = (channels, *frame.pixels.shape[-2:])
    return torch.ones(shape, dtype=torch.bool) if frame.valid is None else frame.valid
