"""Frames to video files: exact times, the source's colours and sound, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import torch
from av.container import OutputContainer
from av.video.stream import VideoStream
from torch import Tensor

from vidode.clip import InvalidInput, Meaning
from vidode.sources import Frame, Sink, Source
from vidode.sources.audio import AudioCopy
from vidode.sources.colour import FULL, RGB, Layout, Tags, planar_layout, write_pixels
from vidode.sources.drafts import Draft, reported
from vidode.sources.ticks import time_base
from vidode.sources.video import VideoSource

CONTAINERS = {
    ".mp4": ("mp4", "libx264"),
    ".mov": ("mov", "libx264"),
    ".mkv": ("matroska", "libx264"),
    ".webm": ("webm", "libvpx-vp9"),
}
"""FFmpeg's name of each container, and the codec written into it by default."""
MILLISECONDS = Fraction(1, 1000)
"""The ticks of Matroska and WebM (FFmpeg writes no others)."""
MOST_TICKS = 2**62
"""Times are signed 64-bit numbers, and encoders add to them."""
SLOWEST, FASTEST = Fraction(1, 10_000), Fraction(100_000)
"""Frames a second that are declared at least and at most."""
QUALITY = {"libx264": 18, "libx264rgb": 18, "libx265": 20, "libvpx-vp9": 24, "libsvtav1": 24}
"""Constant rate factors at which the codecs' own guides call the loss invisible, or nearly."""
QUIET = {"libx265": {"x265-params": "log-level=error"}}
"""Some encoders write their settings to the terminal otherwise."""
LOSSLESS = {
    "libx264": {"qp": "0"},
    "libx264rgb": {"qp": "0"},
    "libx265": {"x265-params": "lossless=1:log-level=error"},
    "libvpx-vp9": {"lossless": "1"},
    "ffv1": {},
}


@dataclass(frozen=True)
class Encoding:
    """How pictures are encoded.

    codec: an FFmpeg encoder (by default H.264, VP9 for webm). quality: its constant rate factor, lower is better.
    lossless: bit-exact in the pixel format. audio: copy the source's sound.
    """

    codec: str | None = None
    quality: int | None = None
    lossless: bool = False
    audio: bool = True


UNIT = Meaning()
AS_USUAL = Encoding()


class VideoSink(Sink):
    """A video file being written: mp4, mov, mkv or webm.

    like: the source that the frames come from. From a video its pixel format, colour tags, pixel aspect and sound
    are taken; frames are written upright, as they are given. meaning: of the frames' values.
    times: the times that will be written, where they are known; rate: the frame rate, where there is one. From them
    and the source's time base a time base is chosen that holds the times exactly (see `ticks`); Matroska and WebM
    round to milliseconds. Each frame lasts until the next one, and the last one 1 / rate or as long as the one before.

    Even sizes keep the source's pixel format where the codec has it, and are yuv420p otherwise; odd sizes have full
    chroma. RGB sources and arrays stay RGB when lossless.

    Raises `InvalidInput` for an output that cannot be made, and in `write` for sizes and times that do not fit.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        like: Source | None = None,
        meaning: Meaning = UNIT,
        overwrite: bool = False,
        rate: Fraction | None = None,
        times: Sequence[Fraction] | None = None,
        encoding: Encoding = AS_USUAL,
    ) -> None:
        self._draft = Draft(path, overwrite)
        self._like = like if isinstance(like, VideoSource) else None
        self._range = meaning.value_range
        container, default = CONTAINERS[self._draft.target.suffix.lower()]
        if default == "libx264" and encoding.lossless and _is_rgb(self._like):
            default = "libx264rgb"
        self._lossless, self._rate = encoding.lossless, rate
        known = None if self._like is None else self._like.time_base
        self._exact = container in ("mp4", "mov")
        self._base = time_base(times, rate, known) if self._exact else MILLISECONDS
        self._pending: tuple[Frame, int] | None = None
        self._durations: dict[int, int] = {}
        self._duration = 0
        self._start: int | None = None
        self._first_decoded: int | None = None
        self._audio: AudioCopy | None = None
        options = _movie_ticks(self._base) if self._exact else {"avoid_negative_ts": "disabled"}
        self._output: OutputContainer = av.open(str(self._draft.path), "w", container, container_options=options)
        try:
            self._stream = _video_stream(self._output, encoding.codec or default, encoding)
            if encoding.audio and self._like is not None:
                self._audio = AudioCopy(self._like, self._output)
        except BaseException:
            self.discard()
            raise

    def write(self, frame: Frame) -> None:
        """Append one frame (1 or 3, H, W). It is encoded when the next one tells how long it lasts."""
        tick = round(frame.time / self._base)
        if tick < 0:  # Players and readers leave out what lies before zero, or shift the rest.
            raise InvalidInput(
                f"a frame is at {float(frame.time)} s; expected none before 0 in a video file: write .npz or a folder"
            )
        if tick > MOST_TICKS:
            raise InvalidInput(f"time {float(frame.time)} s is beyond what a video file can count; expected seconds")
        if self._pending is None:
            self._check_first(frame)
        else:
            before, last = self._pending
            if frame.pixels.shape != before.pixels.shape:
                raise InvalidInput(
                    f"frame of shape {tuple(frame.pixels.shape)} after {tuple(before.pixels.shape)}; expected one shape"
                )
            if tick <= last:
                raise InvalidInput(
                    f"time {float(frame.time)} after {float(before.time)} in ticks of {self._base} s;"
                    " expected increasing times, a tick apart: write .mp4 or .mov for finer ones"
                )
            self._encode(before, last, tick - last)
        self._pending = frame, tick

    def finish(self) -> None:
        """Encode what is left and put the file in its place."""
        if self._pending is None:
            raise InvalidInput(f"no frame was written to {str(self._draft.target)!r}; expected at least one")
        frame, tick = self._pending
        ticks = round(1 / self._rate / self._base) if self._rate else self._duration
        self._encode(frame, tick, ticks or round(Fraction(1, 25) / self._base))
        with self._writing():
            packets = self._stream.encode(None)
            self._mux(packets[:-1])
            self._mux(packets[-1:], length=tick + self._duration - (self._start or 0))
            if self._audio is not None:
                self._audio.until(None)
                self._audio.close()
            self._output.close()
        self._draft.commit()

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._audio is not None:
            self._audio.close()
        with suppress(OSError, av.FFmpegError):  # The trailer of a broken file is of no use to anyone.
            self._output.close()
        self._draft.discard()

    def _check_first(self, frame: Frame) -> None:
        channels, height, width = frame.pixels.shape
        if channels not in (1, 3):
            raise InvalidInput(f"frames have {channels} channels; expected 1 or 3 in a video: write .npz")
        context = self._stream.codec_context
        context.height, context.width = height, width
        context.pix_fmt = pixel_format(context.codec, self._like, (height, width), self._lossless)
        self._tags = _tags_for(context.pix_fmt, self._like)
        context.colorspace, context.color_range = self._tags.matrix, self._tags.range
        context.color_primaries, context.color_trc = self._tags.primaries, self._tags.transfer
        context.time_base = self._stream.time_base = self._base
        if self._like is not None:
            context.sample_aspect_ratio = self._like.sample_aspect

    def _encode(self, frame: Frame, tick: int, duration: int) -> None:
        if not self._duration:
            declared = self._rate or (self._like and self._like.average_rate) or 1 / (duration * self._base)
            # A declaration of two 32-bit numbers, for those who ask; times do not depend on it.
            self._stream.codec_context.framerate = max(min(declared, FASTEST), SLOWEST).limit_denominator(10_000)
            with self._writing():
                self._output.start_encoding()  # before the work, since this is where most of what cannot be shows
        self._duration = self._durations[tick] = duration
        self._start = tick if self._start is None else self._start
        picture = write_pixels(self._as_rgb(frame.pixels), self._stream.codec_context.pix_fmt or "", self._tags)
        picture.pts, picture.time_base, picture.duration = tick, self._base, duration
        with self._writing():
            self._mux(self._stream.encode(picture))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Failures in one line: of the disk, of the encoder, and of a container that refuses the sound it was given."""
        with reported(self._draft.target), nullcontext() if self._audio is None else self._audio.refused():
            yield

    def _mux(self, packets: list[av.Packet[Any]], length: int | None = None) -> None:
        """length: ticks of the whole video, with the packet that is the last to be decoded."""
        for packet in packets:
            if packet.pts is not None:
                # Not every encoder hands durations on, and the container needs the last one.
                packet.duration = self._durations.pop(packet.pts)
            if self._first_decoded is None:
                self._first_decoded = packet.dts
            if length is not None and self._exact and packet.dts is not None and self._first_decoded is not None:
                # MP4 and MOV count from one decoding to the next, and the last to be decoded need not be the last seen.
                packet.duration = length - (packet.dts - self._first_decoded)
            if self._audio is not None and packet.dts is not None:
                self._audio.until(packet.dts * self._base)
            self._output.mux(packet)

    def _as_rgb(self, pixels: Tensor) -> Tensor:
        low, high = self._range
        unit = (pixels.detach().float().cpu() - low) / (high - low)
        return torch.nan_to_num(unit).expand(3, -1, -1)


def pixel_format(codec: av.Codec, like: VideoSource | None, size: tuple[int, int], lossless: bool) -> str:
    """The format in which a codec is to hold frames of a size that come from `like` (see `VideoSink`)."""
    known = [format.name for format in codec.video_formats or ()]
    if lossless and _is_rgb(like):
        wanted = [Layout("rgb", 8 if like is None else like.layout.bits).name, "rgb24", "bgr0"]
    elif like is None or _is_rgb(like):
        wanted = ["yuv420p"]
    else:
        wanted = [like.layout.name]
        if like.orientation.transpose and like.layout.steps[0] != like.layout.steps[1]:
            # Turned on its side, 4:2:2 has its chroma steps the other way.
            wanted = [Layout("yuv", like.layout.bits).name]
    if size[0] % 2 or size[1] % 2:
        full = [Layout(layout.family, layout.bits).name for name in wanted if (layout := planar_layout(name))]
        wanted = [*full, *(name for name in wanted if planar_layout(name) is None), "yuv444p"]
    else:
        wanted = [*wanted, "yuv420p", "yuv444p"]
    layout = Layout("rgb", 8) if like is None else like.layout
    if lossless:
        wanted = [name for name in wanted if _holds(planar_layout(name) or Layout("rgb", 8), layout)]
    for name in wanted:
        if name in known:
            return name
    if lossless:
        raise InvalidInput(f"codec {codec.name} cannot hold {layout.name} without loss; use --codec ffv1 and .mkv")
    raise InvalidInput(
        f"codec {codec.name} cannot hold frames of {size[1]}x{size[0]} without loss of chroma; use libx264, or .mkv"
    )


def _holds(target: Layout, source: Layout) -> bool:
    """Whether all of a layout comes back from another one."""
    fine = target.bits >= source.bits and all(a <= b for a, b in zip(target.steps, source.steps, strict=True))
    return fine and (target.family == source.family or source.family == "gray" != target.family == "yuv")


def _is_rgb(like: VideoSource | None) -> bool:
    return like is None or like.layout.family == "rgb"


def _tags_for(name: str, like: VideoSource | None) -> Tags:
    layout = planar_layout(name)
    given = like.tags if like is not None else Tags()
    if layout is None or layout.family == "rgb":
        return Tags(RGB, FULL, given.primaries, given.transfer)
    if given.matrix == RGB:
        return Tags(primaries=given.primaries, transfer=given.transfer)
    return given


def _movie_ticks(base: Fraction) -> dict[str, str]:
    # The start of a stream is counted in the movie's ticks, which are milliseconds if not told otherwise.
    return {"movie_timescale": str(base.denominator), "video_track_timescale": str(base.denominator)}


def _video_stream(output: OutputContainer, codec: str, encoding: Encoding) -> VideoStream:
    quality, lossless = encoding.quality, encoding.lossless
    if lossless and codec not in LOSSLESS:
        raise InvalidInput(f"codec {codec} has no lossless mode here; expected one of {', '.join(LOSSLESS)}")
    if quality is not None and (lossless or codec not in QUALITY):
        raise InvalidInput(f"quality {quality} does not go with codec {codec} or lossless; leave it out")
    try:
        stream = output.add_stream(codec)
    except (ValueError, av.FFmpegError) as error:
        raise InvalidInput(
            f"{output.format.name} with codec {codec!r} cannot be written; expected an encoder for video,"
            f" such as {' or '.join(LOSSLESS)}"
        ) from error
    if not isinstance(stream, VideoStream):
        raise InvalidInput(f"codec {codec!r} is for {stream.type}; expected one for video, such as libx264")
    stream.options = dict(LOSSLESS[codec]) if lossless else dict(QUIET.get(codec, {}))
    if codec in QUALITY and not lossless:
        stream.options |= {"crf": str(QUALITY[codec] if quality is None else quality), "b:v": "0"}
    return stream
