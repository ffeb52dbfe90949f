"""Whether a container file was cut short, told from its outermost boxes before anything is decoded.

FFmpeg reads as far as a file goes and then stops as if that were the end, so a copy that was broken off would pass
for a shorter video.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from vidode.clip import InvalidInput

SEGMENT = b"\x18\x53\x80\x67"
"""The Matroska element that holds everything (RFC 9559, section 5.1)."""
PICTURE, EXTENSION, END = b"\x2c", b"\x21", b"\x3b"
"""How the parts of a GIF begin."""


def require_whole(path: Path) -> None:
    """Raise `InvalidInput` for an empty file, and for MP4, QuickTime, Matroska, AVI and GIF that is cut short.

    So for GIF that is damaged between its pictures, where FFmpeg stops, too.
    """
    size = path.stat().st_size
    if size == 0:
        raise InvalidInput(f"{str(path)!r} is empty; expected a video file")
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            needed = _boxes_end(file, size)
        elif head[:4] == b"\x1a\x45\xdf\xa3":
            needed = _segment_end(file)
        elif head[:4] == b"RIFF" and head[8:] == b"AVI ":
            needed = 8 + int.from_bytes(head[4:8], "little")
        elif head[:6] in (b"GIF87a", b"GIF89a"):
            needed = _gif_end(file, path)
        else:
            return
    if needed > size:
        raise InvalidInput(
            f"{str(path)!r} is cut short: it has {size} bytes and says that it needs {needed}; copy or record it again"
        )


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last box of an ISO base media file ends (ISO/IEC 14496-12, section 4.2)."""
    start = 0
    while size - start >= 8:
        file.seek(start)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length == 0:
            return size
        if length < 8 or not header[4:8].isalnum():
            return start  # What follows the boxes, such as a camera maker's trailer, says nothing about them.
        start += length
    return start


def _segment_end(file: BinaryIO) -> int:
    """Where the segment of a Matroska file ends; zero where its length is not told, as in live recordings."""
    while True:
        name = file.read(_vint_length(file))
        width = _vint_length(file)
        content = int.from_bytes(file.read(width), "big") & ((1 << 7 * width) - 1)
        if content == (1 << 7 * width) - 1 or not name:
            return 0
        if name == SEGMENT:
            return file.tell() + content
        file.seek(content, os.SEEK_CUR)


def _gif_end(file: BinaryIO, path: Path) -> int:
    """Where a GIF ends, or, where it is cut short, the least that it would need to (GIF89a, sections 15 to 27).

    Raises `InvalidInput` where something else stands than a picture, an extension or the end. Zeros before the end,
    which some programs write, are none of these, and lose nothing.
    """
    file.seek(10)
    _skip_colours(file, file.read(1))
    file.seek(2, os.SEEK_CUR)
    while (kind := file.read(1)) not in (b"", END):
        if kind not in (PICTURE, EXTENSION):
            place = file.tell() - 1
            if (kind + file.read()).strip(b"\0") == END:
                break
            raise InvalidInput(f"{str(path)!r} is damaged at byte {place}; copy it again, or make it anew")
        if kind == PICTURE:  # its place and size, its colours, its code size
            file.seek(8, os.SEEK_CUR)
            _skip_colours(file, file.read(1))
        file.seek(1, os.SEEK_CUR)
        while length := file.read(1):
            file.seek(length[0], os.SEEK_CUR)
            if not length[0]:
                break
    return file.tell() + (not kind)


def _skip_colours(file: BinaryIO, flags: bytes) -> None:
    if flags and flags[0] & 0x80:
        file.seek(3 * 2 ** ((flags[0] & 7) + 1), os.SEEK_CUR)


def _vint_length(file: BinaryIO) -> int:
    """Bytes of the variable-length integer that comes next (RFC 8794, section 4)."""
    first = file.read(1)
    file.seek(-len(first), os.SEEK_CUR)
    return 9 - first[0].bit_length() if first and first[0] else 0
