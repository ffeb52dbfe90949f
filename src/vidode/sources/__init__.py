"""Files to frames and back, one frame at a time and with exact times.

A kind of file is one module here, with one `Source` and one `Sink`. Everything streams: a source holds a few frames
at most, whatever its length, and a sink writes each frame as it comes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from vidode.clip import Clip, InvalidInput, Meaning
from vidode.timing import as_fraction


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame: pixels (C, H, W) float32 in the source's value range, and its exact time in seconds.

    valid: (1 or C, H, W) bool, True where a pixel was measured; None where every pixel was.
    """

    pixels: Tensor
    time: Fraction
    valid: Tensor | None = None


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

    def close(self) -> None:  # noqa: B027 - most sources hold nothing open between iterations
        """Release the file."""

    def read(self) -> Clip:
        """All frames at once, in memory."""
        frames = list(self)
        masks = [frame.valid for frame in frames if frame.valid is not None]
        return Clip(
            frames=torch.stack([frame.pixels for frame in frames]),
            times=torch.tensor([float(frame.time) for frame in frames], dtype=torch.float64),
            valid=torch.stack(masks) if masks else None,
            meaning=self.meaning,
        )


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


VIDEO_OUTPUTS = (".mp4", ".mov", ".mkv", ".webm")
ARRAYS = (".npy", ".npz")


def open_source(path: str | Path, *, times: object = None, rate: Fraction | None = None) -> Source:
    """A file or folder as frames: a folder of images, an .npy or .npz array, or anything that FFmpeg decodes.

    times: for images and arrays, numbers or a file in place of their own times; rate: frames a second instead.
    Raises `InvalidInput` for what cannot be read (see the sources).
    """
    path = Path(path)
    if not path.exists():
        raise InvalidInput(f"no file or folder {str(path)!r}; expected a video, a folder of images, .npy or .npz")
    if path.is_dir():
        from vidode.sources.images import ImageSource

        return ImageSource(path, times=times, rate=rate)
    if path.suffix.lower() in ARRAYS:
        from vidode.sources.arrays import ArraySource

        return ArraySource(path, times=times, rate=rate)
    from vidode.sources.video import VideoSource

    if times is not None or rate is not None:
        raise InvalidInput(f"times are given for {str(path)!r}; expected none: a video holds its own")
    return VideoSource(path)


def open_sink(
    path: str | Path,
    *,
    like: Source | None = None,
    meaning: Meaning | None = None,
    overwrite: bool = False,
    rate: Fraction | None = None,
    times: Sequence[Fraction] | None = None,
    codec: str | None = None,
    quality: int | None = None,
    lossless: bool = False,
    audio: bool = True,
) -> Sink:
    """A file to be written, by its suffix: .mp4 .mov .mkv .webm .gif .npy .npz. Without one, a folder of PNG files.

    like: the source whose meaning, colours and sound are taken over. meaning: of the frames' values, where it is not
    that of `like`. rate, times: what is known of the times to come. codec, quality, lossless, audio: see `VideoSink`.
    Raises `InvalidInput` for another suffix, a missing folder, and an output that exists and is not to be overwritten.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    meaning = meaning or (like.meaning if like is not None else Meaning())
    if suffix in VIDEO_OUTPUTS:
        from vidode.sources.encoding import Encoding, VideoSink

        encoding = Encoding(codec=codec, quality=quality, lossless=lossless, audio=audio)
        return VideoSink(
            path, like=like, meaning=meaning, overwrite=overwrite, rate=rate, times=times, encoding=encoding
        )
    if codec is not None or quality is not None:
        raise InvalidInput(f"codec and quality are for video files; got {str(path)!r}: leave them out")
    if suffix == ".gif":
        from vidode.sources.gif import GifSink

        if lossless:
            raise InvalidInput("a GIF has 256 colours and cannot be lossless; write .mp4, .npz or a folder of images")
        return GifSink(path, meaning=meaning, overwrite=overwrite, rate=rate)
    if suffix in ARRAYS:
        from vidode.sources.arrays import ArraySink

        return ArraySink(path, meaning=meaning, overwrite=overwrite)
    if suffix and not path.is_dir():
        known = " ".join((*VIDEO_OUTPUTS, ".gif", *ARRAYS))
        raise InvalidInput(f"output {str(path)!r} has the suffix {suffix!r}; expected one of {known}, or a folder")
    from vidode.sources.images import ImageSink

    return ImageSink(path, meaning=meaning, overwrite=overwrite)


def read(path: str | Path, *, times: object = None, rate: Fraction | None = None) -> Clip:
    """A whole file or folder in memory. The arguments and errors are those of `open_source`."""
    with open_source(path, times=times, rate=rate) as source:
        return source.read()


def write(
    path: str | Path,
    clip: Clip,
    *,
    like: Source | None = None,
    overwrite: bool = False,
    codec: str | None = None,
    quality: int | None = None,
    lossless: bool = False,
    audio: bool = True,
) -> None:
    """A whole clip to a file or folder. The arguments and errors are those of `open_sink`."""
    times = [as_fraction(time, "time") for time in clip.times.tolist()]
    masks = [None] * len(clip) if clip.valid is None else list(clip.valid)
    with open_sink(
        path,
        like=like,
        meaning=clip.meaning,
        overwrite=overwrite,
        times=times,
        codec=codec,
        quality=quality,
        lossless=lossless,
        audio=audio,
    ) as sink:
        for pixels, time, simple, valid in zip(clip.frames, clip.times.tolist(), times, masks, strict=True):
            # Arrays keep the last bit; where there is none to keep, the simple fraction is the same float.
            sink.write(Frame(pixels, simple if float(simple) == time else Fraction(time), valid))
