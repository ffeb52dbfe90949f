"""Real media files for tests, made with PyAV alone, so that what vidode reads and writes is judged independently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

TICK = Fraction(1, 16000)
WITH_B_FRAMES = {"crf": "10", "bf": "3", "b_strategy": "0"}
RATE = 44100


@dataclass
class Film:
    """How to make a video file. pts in ticks of `base`."""

    pts: Sequence[int]
    base: Fraction = TICK
    size: tuple[int, int] = (48, 64)
    format: str = "yuv420p"
    codec: str = "libx264"
    tags: tuple[int, int, int, int] = (1, 1, 1, 1)
    turn: tuple[int, bool, bool] | None = None
    audio: str | None = None
    options: dict[str, str] | None = None
    seed: int = 0
    smooth: bool = False

    def write(self, path: Path) -> list[av.VideoFrame]:
        """Encode losslessly (where the codec is one of H.264, VP9 and FFV1) and return the pictures."""
        pictures = [self.picture(index) for index in range(len(self.pts))]
        options = {"movie_timescale": str(self.base.denominator)} if path.suffix in (".mp4", ".mov") else {}
        with av.open(str(path), "w", container_options=options) as output:
            stream = self._stream(output)
            sound = output.add_stream(self.audio, rate=RATE if self.audio == "aac" else 48000) if self.audio else None
            lasting = [*np.diff(self.pts), 500]
            for pts, duration, picture in zip(self.pts, lasting, pictures, strict=True):
                picture.pts, picture.time_base = pts, self.base
                for packet in stream.encode(picture):
                    packet.duration = int(duration)
                    output.mux(packet)
            output.mux(stream.encode(None))
            if sound is not None:
                output.mux(_beeps(sound, float(self.pts[-1] * self.base)))
        return pictures

    def picture(self, index: int) -> av.VideoFrame:
        """Noise (or slopes, where `smooth`) that tells the frames apart."""
        frame = av.VideoFrame(self.size[1], self.size[0], self.format)
        frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = self.tags
        rng = np.random.default_rng((self.seed, index))
        for number, plane in enumerate(frame.planes):
            deep = frame.format.components[0].bits > 8
            values = np.zeros((plane.height, plane.line_size // (2 if deep else 1)), np.uint16 if deep else np.uint8)
            top = 2 ** frame.format.components[0].bits
            if self.smooth:
                rows, columns = np.mgrid[: plane.height, : plane.width] / max(plane.height, plane.width)
                values[:, : plane.width] = top * (0.3 + 0.3 * rows * (number + 1) / 3 + 0.01 * index * columns)
            else:
                values[:, : plane.width] = rng.integers(0, top, (plane.height, plane.width))
            plane.update(values.tobytes())
        return frame

    def _stream(self, output: Any) -> Any:
        stream = output.add_stream(self.codec, rate=30)
        stream.height, stream.width = self.size
        stream.pix_fmt = {"gbrp": "rgb24"}.get(self.format, self.format) if "264" in self.codec else self.format
        stream.time_base = stream.codec_context.time_base = self.base
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = self.tags
        usual = {"libx264": {"qp": "0"}, "libx264rgb": {"qp": "0"}, "libvpx-vp9": {"lossless": "1"}}
        stream.options = usual.get(self.codec, {}) if self.options is None else self.options
        if self.turn is not None:
            stream.set_display_rotation(self.turn[0], hflip=self.turn[1], vflip=self.turn[2])
        return stream


def _beeps(stream: Any, seconds: float) -> list[Any]:
    packets, rate = [], stream.codec_context.sample_rate
    size = 1024 if rate == RATE else 960
    for start in range(0, int(seconds * rate), size):
        wave = np.sin(np.arange(start, start + size) * 0.05)[None].repeat(2, 0).astype(np.float32) / 3
        frame = av.AudioFrame.from_ndarray(
            wave if rate == RATE else wave.T.reshape(1, -1), "fltp" if rate == RATE else "flt"
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]


def irregular(count: int = 37, start: int = 7003, seed: int = 1) -> list[int]:
    """Times in ticks: uneven gaps of 1/160 to 1/10 s and no start at zero."""
    gaps = np.random.default_rng(seed).integers(100, 1600, count - 1)
    return [start, *(start + int(ticks) for ticks in gaps.cumsum())]


def audio_packets(path: Path) -> list[tuple[Fraction, bytes]]:
    """The time and bytes of every packet of sound."""
    with av.open(str(path)) as container:
        streams = container.streams.audio
        packets = container.demux(*streams) if streams else []
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in packets if packet.size]


def stored(path: Path, format: str) -> list[Any]:
    """The pictures as FFmpeg decodes them, in a format of its own making."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=format) for frame in container.decode(video=0)]
