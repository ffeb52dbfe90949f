"""Files to frames and back, one frame at a time and with exact times.

A kind of file is one module here, with one `Source` and one `Sink`. Everything streams: a source holds a few frames
at most, whatever its length, and a sink writes each frame as it comes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from vidode.clip import Meaning


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame: pixels (C, H, W) float32 in the source's value range, and its exact time in seconds."""

    pixels: Tensor
    time: Fraction


class Source(ABC):
    """Frames of a file in order of time. Iterating again starts again."""

    size: tuple[int, int]
    """Height and width in pixels, as shown (rotation applied)."""
    channels: int
    meaning: Meaning

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Every frame, in order of time, decoded as it is asked for."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""


class Sink(ABC):
    """A file being written. It appears under its name when it is whole, and not at all when it is not.

    As a context manager it finishes at the end of the block and discards on an error, Ctrl-C included.
    """

    @abstractmethod
    def write(self, frame: Frame) -> None:
        """Append one frame. Times must increase."""

    @abstractmethod
    def finish(self) -> None:
        """Complete the file and put it in its place."""

    @abstractmethod
    def discard(self) -> None:
        """Leave nothing behind."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.finish()
        except BaseException:
            self.discard()
            raise
        if error is not None:
            self.discard()


def open_source(path: str | Path, *, times: object = None, rate: Fraction | None = None) -> Source:
    """A file or folder as frames."""
    from vidode.sources.video import VideoSource

    return VideoSource(path)


def open_sink(path: str | Path, *, like: Source | None = None, overwrite: bool = False, **options: Any) -> Sink:
    from vidode.sources.encoding import VideoSink

    return VideoSink(path, like=like, overwrite=overwrite, **options)
