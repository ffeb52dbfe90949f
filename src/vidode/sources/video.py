"""Video files as they really are: every frame at its own presentation time, exact, upright, in full precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.stream import Disposition
from av.video.stream import VideoStream
from torch import Tensor

from vidode.clip import InvalidInput, Meaning
from vidode.sources import Frame, Source
from vidode.sources.colour import FULL, LIMITED, RGB, UNSPECIFIED, Tags, is_full_range, layout_of, read_pixels
from vidode.sources.integrity import require_whole


@dataclass(frozen=True)
class Orientation:
    """How the stored picture is turned to be shown: transposed first, then flipped along rows and columns."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @staticmethod
    def of(frame: av.VideoFrame) -> Orientation:
        """Read from the display matrix (a b u, c d v, x y w): x' = a x + c y, y' = b x + d y, in quarter turns."""
        data = frame.side_data.get("DISPLAYMATRIX")
        if data is None:
            return Orientation()
        a, b, _, c, d, *_ = (int(value) for value in np.frombuffer(bytes(cast(SideData, data)), np.int32))
        if abs(b) > abs(a):
            return Orientation(True, flip_rows=b < 0, flip_columns=c < 0)
        return Orientation(False, flip_rows=d < 0, flip_columns=a < 0)

    def apply(self, pixels: Tensor) -> Tensor:
        """Turn pixels (C, H, W)."""
        turned = pixels.transpose(-2, -1) if self.transpose else pixels
        dims = [dim for dim, flip in ((-2, self.flip_rows), (-1, self.flip_columns)) if flip]
        return turned.flip(dims).contiguous() if dims else turned.contiguous()

    @property
    def degrees(self) -> int:
        """Clockwise turn in degrees, before mirroring left to right where the picture is `mirrored` too."""
        if self.transpose:
            return 90 if self.flip_columns != self.mirrored else 270
        return 180 if self.flip_rows else 0

    @property
    def mirrored(self) -> bool:
        """Whether no turn alone shows the picture as it is to be shown."""
        return self.transpose ^ self.flip_rows ^ self.flip_columns


class VideoSource(Source):
    """Frames of a video file as RGB, 0 to 1 from black to white, at pts x time base, the file's own start kept.

    Colours outside of the RGB cube are kept (see `colour`), so values may lie somewhat outside of [0, 1].
    The display matrix is applied: a phone's upright video comes out upright.

    Attributes beside those of `Source`, as the file stores them: `path`, `time_base`, `average_rate` (declared, None
    where it is not), `pixel_format`, `layout` (its planes), `tags` (colours), `orientation`, `sample_aspect` (of a
    pixel, as shown), `audio` (codec names).

    Raises `InvalidInput` for a file that is missing, empty, cut short, damaged, no video, or without pictures; while
    iterating, for damaged frames, sizes that change and times that do not increase.
    """

    channels = 3

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise InvalidInput(f"no file {str(path)!r}; expected a video file")
        require_whole(self.path)
        self.meaning = Meaning(channels=("red", "green", "blue"))
        with opened(self.path) as container, _readable(self.path):
            stream = _pictures(container, self.path)
            self.audio = tuple(audio.codec_context.name for audio in container.streams.audio)
            self.time_base = Fraction(stream.time_base or 0)
            self.average_rate = Fraction(stream.average_rate) if stream.average_rate else None
            aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
            first = next(_decoded(container, stream), None)
        if first is None:
            raise InvalidInput(f"{str(path)!r} holds no frame that can be decoded; expected at least one")
        self._stored_size = (first.height, first.width)
        self.orientation = Orientation.of(first)
        self.size = self._stored_size[::-1] if self.orientation.transpose else self._stored_size
        self.sample_aspect = 1 / aspect if self.orientation.transpose else aspect
        self.pixel_format = first.format.name
        self.layout = layout_of(first.format)
        self.tags = _tags(first)

    def __iter__(self) -> Iterator[Frame]:
        last: Fraction | None = None
        for index, frame in enumerate(self.as_stored()):
            if last is not None and frame.time <= last:
                raise InvalidInput(
                    f"{str(self.path)!r}: frame {index} is at {frame.time} s and the one before it at {last} s;"
                    " expected increasing times: look at it with 'vidode inspect'"
                )
            last = frame.time
            yield frame

    def as_stored(self) -> Iterator[Frame]:
        """The frames with whatever times the file gives them, which may repeat."""
        with opened(self.path) as container, _readable(self.path):
            stream = _pictures(container, self.path)
            stream.thread_type = "AUTO"
            pictures = _decoded(container, stream)
            if container.format.name == "avi":
                pictures = _counted(pictures)
            for index, picture in enumerate(pictures):
                time = self._time(picture, index)
                yield Frame(self.orientation.apply(read_pixels(picture)), time)

    def _time(self, picture: av.VideoFrame, index: int) -> Fraction:
        """The presentation time of a picture that is fit to be shown."""
        if picture.is_corrupt:
            raise InvalidInput(f"{str(self.path)!r}: frame {index} is damaged; copy or record the file again")
        if picture.pts is None or picture.time_base is None:
            raise InvalidInput(f"{str(self.path)!r}: frame {index} has no time; remux it, for example to .mkv")
        if (picture.height, picture.width) != self._stored_size:
            raise InvalidInput(
                f"{str(self.path)!r}: frame {index} has size {picture.width}x{picture.height} after"
                f" {self._stored_size[1]}x{self._stored_size[0]}; expected one size: cut the file there"
            )
        return picture.pts * Fraction(picture.time_base)


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """A media file, open for the time of a block. Raises `InvalidInput` for what is none."""
    with _readable(path):
        container = av.open(str(path.resolve()))
    with container:
        yield container


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise InvalidInput(
            f"{str(path)!r} cannot be read as video ({error.strerror}); expected a whole video file such as mp4 or mkv"
        ) from error


def _pictures(container: InputContainer, path: Path) -> VideoStream:
    """The first stream of moving pictures; the cover of an album is none."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    kinds = sorted({str(stream.type) for stream in container.streams}) or ["nothing"]
    raise InvalidInput(f"{str(path)!r} holds {', '.join(kinds)} and no moving pictures; expected a video file")


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Every frame in order of presentation. The demuxer's last packet is empty, which flushes the decoder."""
    for packet in container.demux(stream):
        yield from packet.decode()


def _counted(pictures: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Frames of an AVI file at the places where they are stored, since it holds no other times.

    FFmpeg guesses presentation times from the order of decoding, wrongly where two pictures are packed into one
    place, as Xvid and DivX do it. What comes out last when the file ends has no place of its own.
    """
    last = -1
    for picture in pictures:
        last = last + 1 if picture.dts is None else max(picture.dts, last + 1)
        picture.pts = last
        yield picture


def _tags(frame: av.VideoFrame) -> Tags:
    layout = layout_of(frame.format)
    if layout.family == "rgb":
        return Tags(RGB, FULL, frame.color_primaries, frame.color_trc)
    full = is_full_range(layout, frame.color_range)
    matrix = UNSPECIFIED if frame.colorspace == RGB else frame.colorspace
    return Tags(matrix, FULL if full else LIMITED, frame.color_primaries, frame.color_trc)
