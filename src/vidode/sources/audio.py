"""Sound that goes along: the packets of a video's audio streams, copied byte for byte in step with new pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import av
from av.container import OutputContainer
from av.stream import Stream

from vidode.clip import InvalidInput
from vidode.sources.video import VideoSource, opened


class AudioCopy:
    """Copies the audio of `source` into `output`, with its own times, as far as the pictures have come.

    Only one packet is held at a time. Raises `InvalidInput` where the container cannot hold the sound.
    """

    def __init__(self, source: VideoSource, output: OutputContainer) -> None:
        self._output = output
        self._opened = opened(source.path)
        container = self._opened.__enter__()
        streams = container.streams.audio
        self.names = [stream.codec_context.name for stream in streams]
        self._copies = {stream.index: _added(output, stream) for stream in streams}
        self._packets: Iterator[av.Packet[Any]] = iter(container.demux(*streams)) if streams else iter(())
        self._next: av.Packet[Any] | None = next(self._packets, None)

    def until(self, time: Fraction | None) -> None:
        """Write every packet up to this time in seconds; all that are left where it is None."""
        while self._next is not None:
            packet = self._next
            if time is not None and packet.dts is not None and packet.dts * packet.time_base > time:
                return
            if packet.size:  # The demuxer's last, empty packet is for decoders.
                packet.stream = self._copies[packet.stream_index]
                self._output.mux(packet)
            self._next = next(self._packets, None)

    @contextmanager
    def refused(self) -> Iterator[None]:
        """Turn what the container says of an argument into one line about the sound, which it was given as it is."""
        try:
            yield
        except av.ArgumentError as error:
            if not self.names:
                raise
            raise InvalidInput(_advice(self._output, " and ".join(self.names))) from error

    def close(self) -> None:
        """Release the source."""
        self._packets, self._next = iter(()), None
        self._opened.__exit__(None, None, None)


def _added(output: OutputContainer, stream: Stream) -> Stream:
    try:
        copy = output.add_stream_from_template(stream)
    except ValueError as error:
        name = stream.codec_context.name if stream.codec_context else "unknown"
        raise InvalidInput(_advice(output, name)) from error
    copy.codec_context.codec_tag = "\0" * 4  # the source container's name of the codec; this one has its own
    copy.metadata.update(stream.metadata)
    return copy


def _advice(output: OutputContainer, sound: str) -> str:
    return f"{output.format.name} cannot hold the source's {sound} sound; write .mkv, or leave it out (--no-audio)"
