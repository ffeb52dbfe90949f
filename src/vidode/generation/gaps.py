"""The clock cut into gaps between observations, each with all that a query in it may see."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from vidode.clip import InvalidInput, Meaning
from vidode.cuts import CutDetector, label_shots, neighbourhoods
from vidode.sources import Frame
from vidode.timing import TYPICAL_OVER, Reached, as_fraction, typical_gap


@dataclass(frozen=True, eq=False)
class Gap:
    """A stretch of the clock that begins at an observation.

    left: the frames up to and with that observation, the nearest last; right: those after it, the nearest first;
    each of one shot and at most N of them (on the left one more, for a query at the last observation of a shot). cut:
    the two sides are of different shots. typical: the time between frames hereabouts, None where only one is known.
    """

    at: Reached
    left: list[Frame]
    right: list[Frame]
    cut: bool
    typical: Fraction | None


def gaps(frames: Iterable[Frame], neighbours: int, meaning: Meaning, detector: CutDetector | None) -> Iterator[Gap]:
    """One gap for each observation, the last of which has nothing on its right."""
    low, high = meaning.value_range
    labelled = label_shots(_in_order(frames), lambda item: ((item.pixels - low) / (high - low), item.time), detector)
    declared = None if meaning.frame_gap is None else as_fraction(meaning.frame_gap, "frame gap")
    recent: deque[Fraction] = deque(maxlen=TYPICAL_OVER)
    first: Fraction | None = None
    for index, (before, (here, shot), after) in enumerate(neighbourhoods(labelled, neighbours, neighbours)):
        first = here.time if first is None else first
        recent.append(here.time)
        yield Gap(
            at=Reached(index, here.time, first),
            left=[*(frame for frame, of in before if of == shot), here],
            right=[frame for frame, of in after if of == after[0][1]],
            cut=bool(after) and after[0][1] != shot,
            typical=declared or typical_gap([*recent, *(frame.time for frame, _ in after[:1])]),
        )


def _in_order(frames: Iterable[Frame]) -> Iterator[Frame]:
    last: Frame | None = None
    for frame in frames:
        if last is not None and frame.time <= last.time:
            raise InvalidInput(
                f"a frame at {float(last.time)} is followed by one at {float(frame.time)}; expected later"
            )
        if last is not None and frame.pixels.shape != last.pixels.shape:
            raise InvalidInput(
                f"a frame of shape {tuple(last.pixels.shape)} is followed by {tuple(frame.pixels.shape)};"
                " expected one shape: resize them first"
            )
        yield frame
        last = frame
