"""What a file really contains: its times, gaps, repetitions and cuts, beside what it declares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from torch import Tensor

from vidode.cuts import CutDetector, label_shots
from vidode.sources import Frame, open_source
from vidode.sources.colour import Tags
from vidode.sources.video import VideoSource
from vidode.timing import typical_gap

SAME = 2 / 255
"""Pictures are the same where no pixel differs by more: encoding a picture twice changes it by about as much."""
MISSING = Fraction(3, 2)
"""A gap of more than so many typical ones has room for a frame that is not there."""


@dataclass(frozen=True)
class Gaps:
    """Seconds between successive frames."""

    least: Fraction
    median: Fraction
    largest: Fraction


@dataclass(frozen=True)
class Missing:
    """How many frames of the typical gap would fit between frame `after` and the next."""

    after: int
    frames: int


@dataclass(frozen=True)
class VideoFacts:
    """What only video files have. degrees: the clockwise turn in which the stored pictures are shown."""

    time_base: Fraction
    declared_rate: Fraction | None
    pixel_format: str
    tags: Tags
    degrees: int
    mirrored: bool
    sample_aspect: Fraction
    audio: tuple[str, ...]


@dataclass(frozen=True)
class Inspection:
    """What was found in one pass over all frames. Frames are counted from zero.

    size: height and width as shown. times: exact, as the file has them. repeated_times: frames whose time does not
    come after that of the frame before. repeated_pictures: frames that show the same picture as the frame before.
    missing: gaps with room for more frames. cuts: first frames of new shots. true_rate: frames a second over the
    whole duration, None for a single frame. video: None for images and arrays.
    """

    path: Path
    size: tuple[int, int]
    channels: int
    value_range: tuple[float, float]
    times: tuple[Fraction, ...]
    gaps: Gaps | None
    repeated_times: tuple[int, ...]
    repeated_pictures: tuple[int, ...]
    missing: tuple[Missing, ...]
    cuts: tuple[int, ...]
    true_rate: Fraction | None
    video: VideoFacts | None

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return len(self.times)


def inspect_file(path: str | Path, *, times: object = None, detector: CutDetector | None = None) -> Inspection:
    """Read a file or folder once, holding a few frames at a time. Arguments and errors are those of `open_source`.

    Times that repeat or run backwards are reported, not refused.
    """
    with open_source(path, times=times) as source:
        frames = source.as_stored() if isinstance(source, VideoSource) else iter(source)
        seen = list(_seen(frames, source.meaning.value_range, detector or CutDetector()))
    found = [one.time for one in seen]
    gaps = [late - early for early, late in pairwise(found)]
    typical = typical_gap(sorted(set(found)))
    duration = max(found) - min(found)
    return Inspection(
        path=Path(path),
        size=source.size,
        channels=source.channels,
        value_range=source.meaning.value_range,
        times=tuple(found),
        gaps=Gaps(min(gaps), sorted(gaps)[(len(gaps) - 1) // 2], max(gaps)) if gaps else None,
        repeated_times=tuple(index for index, gap in enumerate(gaps, start=1) if gap <= 0),
        repeated_pictures=tuple(index for index, one in enumerate(seen) if one.repeated),
        missing=tuple(_missing(gaps, typical)),
        cuts=tuple(index for index, (early, late) in enumerate(pairwise(seen), start=1) if late.shot > early.shot),
        true_rate=len(gaps) / duration if duration else None,
        video=_facts(source) if isinstance(source, VideoSource) else None,
    )


@dataclass(frozen=True)
class _Seen:
    """What is kept of a frame: its time, whether it repeats the picture before, and the number of its shot."""

    time: Fraction
    repeated: bool
    shot: int


def _seen(frames: Iterator[Frame], values: tuple[float, float], detector: CutDetector) -> Iterator[_Seen]:
    before: Tensor | None = None
    units = ((_unit(frame.pixels, values), frame.time) for frame in frames)
    for (unit, _, time), shot in label_shots(_with_clock(units), lambda item: (item[0], item[1]), detector):
        repeated = before is not None and float((unit - before).nan_to_num().abs().max()) <= SAME
        before = unit
        yield _Seen(time, repeated, shot)


def _with_clock(frames: Iterator[tuple[Tensor, Fraction]]) -> Iterator[tuple[Tensor, Fraction, Fraction]]:
    """Pixels, a clock that always runs, and the time.

    A gap that does not last has no rate of change, so it counts as long as the one before.
    """
    clock, gap, last = Fraction(0), Fraction(1), None
    for pixels, time in frames:
        gap = time - last if last is not None and time > last else gap
        clock, last = clock + gap, time
        yield pixels, clock, time


def _unit(pixels: Tensor, values: tuple[float, float]) -> Tensor:
    low, high = values
    return (pixels - low) / (high - low)


def _missing(gaps: list[Fraction], typical: Fraction | None) -> list[Missing]:
    if not typical:
        return []
    return [
        Missing(index, max(1, round(gap / typical) - 1)) for index, gap in enumerate(gaps) if gap > MISSING * typical
    ]


def _facts(source: VideoSource) -> VideoFacts:
    return VideoFacts(
        time_base=source.time_base,
        declared_rate=source.average_rate,
        pixel_format=source.pixel_format,
        tags=source.tags,
        degrees=source.orientation.degrees,
        mirrored=source.orientation.mirrored,
        sample_aspect=source.sample_aspect,
        audio=source.audio,
    )
