"""What a file really contains: its times, gaps, repetitions and cuts, beside what it declares."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from torch import Tensor

from vidode.cuts import Change, CutDetector, Look
from vidode.sources import Frame, Source, open_source
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
    """Read a file or folder once, holding two frames at a time. Arguments and errors are those of `open_source`.

    Times that repeat or run backwards are reported, not refused.
    """
    with open_source(path, times=times) as source:
        found = _Pass(source)
        for frame in source.as_stored() if isinstance(source, VideoSource) else source:
            found.see(frame)
    gaps = [late - early for early, late in pairwise(found.times)]
    typical = typical_gap(sorted(set(found.times)))
    duration = max(found.times) - min(found.times)
    return Inspection(
        path=Path(path),
        size=source.size,
        channels=source.channels,
        value_range=source.meaning.value_range,
        times=tuple(found.times),
        gaps=Gaps(min(gaps), sorted(gaps)[(len(gaps) - 1) // 2], max(gaps)) if gaps else None,
        repeated_times=tuple(index for index, gap in enumerate(gaps, start=1) if gap <= 0),
        repeated_pictures=tuple(found.repeated),
        missing=tuple(_missing(gaps, typical)),
        cuts=tuple(_cuts(found.changes, gaps, typical, detector or CutDetector())),
        true_rate=len(gaps) / duration if duration else None,
        video=_facts(source) if isinstance(source, VideoSource) else None,
    )


class _Pass:
    """Compares each frame with the one before."""

    def __init__(self, source: Source) -> None:
        self._low, self._high = source.meaning.value_range
        self._before: Tensor | None = None
        self._look: Look | None = None
        self.times: list[Fraction] = []
        self.repeated: list[int] = []
        self.changes: list[tuple[float, float]] = []

    def see(self, frame: Frame) -> None:
        unit = (frame.pixels - self._low) / (self._high - self._low)
        look = Look.at(unit)
        if self._before is not None and self._look is not None:
            if float((unit - self._before).nan_to_num().abs().max()) <= SAME:
                self.repeated.append(len(self.times))
            change = self._look.change_to(look, Fraction(1))
            self.changes.append((change.difference, change.histogram))
        self._before, self._look = unit, look
        self.times.append(frame.time)


def _missing(gaps: list[Fraction], typical: Fraction | None) -> list[Missing]:
    if not typical:
        return []
    return [
        Missing(index, max(1, round(gap / typical) - 1)) for index, gap in enumerate(gaps) if gap > MISSING * typical
    ]


def _cuts(
    seen: list[tuple[float, float]], gaps: list[Fraction], typical: Fraction | None, detector: CutDetector
) -> list[int]:
    # A gap that does not last has no rate of change; it counts as a typical one.
    lasting = [gap if gap > 0 else typical or Fraction(1) for gap in gaps]
    changes = [Change(*values, gap) for values, gap in zip(seen, lasting, strict=True)]
    cuts = []
    for index, change in enumerate(changes):
        around = changes[max(0, index - detector.reach) : index] + changes[index + 1 : index + 1 + detector.reach]
        if detector.is_cut(change, around):
            cuts.append(index + 1)
    return cuts


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
