"""Recorded videos as 8-bit arrays, decoded once, so that nobody waits for a decoder while training."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vidode.clip import Clip, InvalidInput
from vidode.manifest import AGAIN
from vidode.sources import Frame, open_source
from vidode.sources.array_files import known_array, mapped_array, stored

Decode = Callable[[Path], Iterable[Frame]]
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True)
class Preparation:
    """What is done to a frame before it is kept.

    size: the shorter side is resized to it and the middle square taken; None keeps the frame. channels: 3, equal ones
    where the picture is grey, or 1. grey: colour is dropped.
    """

    size: int | None = None
    channels: Literal[1, 3] = 3
    grey: bool = False

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise InvalidInput(
                f"size is {self.size}; expected a positive number of pixels, or none to keep frames as they are"
            )

    def __call__(self, pixels: Tensor) -> Tensor:
        """Pixels (1 or 3, H, W) in [0, 1] as uint8 (channels, h, w)."""
        if len(pixels) not in (1, 3):
            raise InvalidInput(f"a frame has {len(pixels)} channels; expected 1 or 3")
        if len(pixels) == 3 and (self.grey or self.channels == 1):
            pixels = torch.einsum("c,chw->hw", torch.tensor(LUMA), pixels)[None]
        if self.size is not None:
            pixels = fit(pixels[None], self.size)[0]
        levels = (pixels * 255).round().clamp(0, 255).to(torch.uint8)
        return levels.expand(self.channels, -1, -1)


def fit(frames: Tensor, size: int) -> Tensor:
    """Frames (T, C, H, W) with the shorter side resized to `size`, then the middle (T, C, size, size).

    Plain bilinear without antialiasing, as in Vid-ODE's preparation of its data.
    """
    height, width = frames.shape[-2:]
    short = min(height, width)
    if short != size:
        target = (round(height * size / short), round(width * size / short))
        frames = functional.interpolate(frames, target, mode="bilinear", align_corners=False, antialias=False)
    top, left = (frames.shape[-2] - size) // 2, (frames.shape[-1] - size) // 2
    return frames[..., top : top + size, left : left + size]


@dataclass(frozen=True, eq=False)
class Footage:
    """frames: (T, C, H, W) uint8, in memory or mapped from a file. times: (T,) seconds."""

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]


class Reel:
    """One file, decoded when it is first needed and kept: in memory, or as arrays in the folder `cache`.

    What is kept there is named after the file's path, size and date of change and after the preparation, so that a
    changed file is decoded anew.
    """

    def __init__(self, path: Path, preparation: Preparation, cache: Path | None, decode: Decode | None = None) -> None:
        self.path, self.preparation, self.cache = path, preparation, cache
        self._decode = decode or decode_any
        self._footage: Footage | None = None

    def footage(self) -> Footage:
        """All its frames. Raises `InvalidInput`, naming the file, where it cannot be decoded."""
        if self._footage is None:
            try:
                self._footage = self._in_memory() if self.cache is None else self._on_disk(self.cache)
            except InvalidInput as error:
                path = str(self.path)
                raise InvalidInput(str(error) if path in str(error) else f"{path!r}: {error}") from error
        return self._footage

    def forget(self) -> None:
        """Give the memory of decoded frames back; they are decoded anew when they are needed again."""
        self._footage = None

    def _in_memory(self) -> Footage:
        times: list[float] = []
        frames = list(self._prepared(times))
        return Footage(np.stack(frames), np.array(times))

    def _on_disk(self, cache: Path) -> Footage:
        frames, times = (cache / f"{self._key()}.{part}.npy" for part in ("frames", "times"))
        if not frames.exists():
            cache.mkdir(parents=True, exist_ok=True)
            with saying_where(frames), tempfile.TemporaryDirectory(dir=cache, prefix=".decoding-") as place:
                self._store(Path(place))
                # The frames appear last: where they are, all is.
                (Path(place) / "times.npy").replace(times)
                (Path(place) / "frames.npy").replace(frames)
        again = f"remove {str(cache)!r}, and it is decoded again"
        return Footage(mapped_array(frames, again), np.array(mapped_array(times, again)))

    def _store(self, place: Path) -> None:
        """Write frames.npy and times.npy, holding one frame in memory at a time."""
        times: list[float] = []
        shape: tuple[int, ...] = ()
        with (place / "raw").open("wb") as raw:
            for frame in self._prepared(times):
                raw.write(frame.tobytes())
                shape = frame.shape
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(times), *shape)}
        with (place / "frames.npy").open("wb") as whole, (place / "raw").open("rb") as raw_again:
            np.lib.format.write_array_header_1_0(whole, header)
            shutil.copyfileobj(raw_again, whole)
        np.save(place / "times.npy", np.array(times))

    def _prepared(self, times: list[float]) -> Iterator[NDArray[np.uint8]]:
        """Frames (C, H, W) uint8, whose times are appended to `times`."""
        first: tuple[int, ...] | None = None
        for frame in self._decode(self.path):
            pixels = self.preparation(frame.pixels).contiguous().numpy()
            first = first or pixels.shape
            if pixels.shape != first:
                raise InvalidInput(
                    f"{str(self.path)!r} changes its frame shape from {first} to {pixels.shape}; expected one size"
                )
            times.append(float(frame.time))
            yield pixels
        if first is None:
            raise InvalidInput(f"{str(self.path)!r} holds no frames; expected at least one")

    def _key(self) -> str:
        path = self.path.resolve()
        facts = path.stat()
        words = (1, str(path), facts.st_size, facts.st_mtime_ns, self.preparation)
        return f"{self.path.stem}-{hashlib.sha256(repr(words).encode()).hexdigest()[:16]}"


class StoredReel:
    """A clip that a preparation left: its frames are mapped, not read. shape: theirs (T, C, H, W), as it was noted."""

    def __init__(self, path: Path, shape: Sequence[int]) -> None:
        self.path, self.shape, self.preparation = path, shape, Preparation()

    def forget(self) -> None:
        """There is nothing in memory."""

    def footage(self) -> Footage:
        """All its frames. Raises `InvalidInput`, naming the file, for one missing, damaged or another than noted."""
        times = known_array(self.path.with_suffix(".times.npy"), np.float64, self.shape[:1], AGAIN)
        return Footage(known_array(self.path, np.uint8, self.shape, AGAIN), np.array(times))


@dataclass(frozen=True, eq=False)
class Take:
    """Successive frames of a reel, which make one clip: from `first` to before `end`, or to the reel's end."""

    reel: Reel | StoredReel
    first: int = 0
    end: int | None = None

    def __len__(self) -> int:
        return len(self._range())

    def footage(self) -> Footage:
        """All its frames as they are kept."""
        whole, part = self.reel.footage(), self._range()
        chosen = slice(part.start, part.stop)
        return Footage(whole.frames[chosen], whole.times[chosen])

    def clip(self, start: int = 0, length: int | None = None) -> Clip:
        """`length` frames from `start` on, or all; only these are read."""
        footage = self.reel.footage()
        chosen = self._range()[start:][:length]
        part = slice(chosen.start, chosen.stop)
        return Clip(torch.from_numpy(np.array(footage.frames[part])), torch.from_numpy(footage.times[part].copy()))

    def _range(self) -> range:
        """The take's frames by their place in the reel. A take may be said to end after the reel does."""
        count = len(self.reel.footage().times)
        if self.first >= count:
            path = str(self.reel.path)
            raise InvalidInput(f"{path!r} has {count} frames; expected a clip that starts at frame {self.first + 1}")
        return range(count)[self.first : self.end]


@contextmanager
def saying_where(path: Path) -> Iterator[None]:
    """A full disk is said with the file that does not fit: neither the system nor NumPy names it."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC or re.search(r"\d+ requested and \d+ written", str(error)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


def at_rate(rate: Fraction) -> Decode:
    """How to decode what has no times of its own, arrays and folders of images: at so many frames a second.

    Raises `InvalidInput` for an array of another type than uint8: what its values stand for is not said.
    """

    def decode(path: Path) -> Iterator[Frame]:
        if path.is_file():
            _require_levels(path)
        with open_source(path, rate=rate) as source:
            yield from source

    return decode


def _require_levels(path: Path) -> None:
    with stored(path, "frames") as (_, _, kind):
        if kind != np.uint8:
            raise InvalidInput(
                f"{str(path)!r} is an array of {kind}; expected levels from 0 to 255 as uint8, (T, H, W, 3) or"
                " (T, H, W): scale it to them and save it as uint8"
            )


def arrays_of(root: Path, split: str) -> list[Path]:
    """The .npy files, one a video, of a split's folder, in order of name: how Vid-ODE's released code keeps data."""
    return sorted((root / split).glob("*.npy"))


def decode_sized(path: Path, size: tuple[int, int]) -> Iterator[Frame]:
    """The frames of what its owners distribute in one size (height, width). Raises `InvalidInput` for another."""
    for frame in decode_any(path):
        height, width = frame.pixels.shape[-2:]
        if (height, width) != size:
            raise InvalidInput(f"{str(path)!r} is {width}x{height} pixels; expected {size[1]}x{size[0]}: copy it again")
        yield frame


def decode_any(path: Path) -> Iterator[Frame]:
    """The frames of anything that `open_source` reads, in [0, 1]."""
    with open_source(path) as source:
        low, high = source.meaning.value_range
        for frame in source:
            yield Frame((frame.pixels - low) / (high - low), frame.time)
