"""NumPy arrays of frames: .npy, with times in a text file beside it, and .npz, which holds times, mask and meaning.

An .npz file holds `frames` and may hold `times` (T,) in seconds, `valid` (True where a pixel was measured), `layout`,
`value_range` (2,), `units`, `channels`, `clock` and `frame_gap`, as in `Meaning`. Nothing is ever unpickled.

Layouts: (T, H, W) is one channel. With four dimensions, `layout` says "TCHW" or "THWC"; where it does not, the one of
axes 1 and 3 that has a length of 1 or 3 is the channels. `valid` has the shape of `frames`, or has no channels, or one.

Values stay as they are where a value range is declared. Without one, uint8 and uint16 are mapped to [0, 1]; of other
numbers the range is [0, 1] where they lie in it, else from the least to the largest.
"""

from __future__ import annotations

import math
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidode.clip import Clip, InvalidInput, Meaning, as_times
from vidode.sources import Frame, Sink, Source
from vidode.sources.array_files import as_tchw, beside, each, facts_in, keys, layout_of, mask_layout, stored
from vidode.sources.drafts import Draft, reported
from vidode.sources.images import write_times
from vidode.sources.ticks import given_times

FULL_SCALE = {"uint8": 255.0, "uint16": 65535.0, "bool": 1.0}


class ArraySource(Source):
    """The frames of an array, read one by one. See the module for the layouts and keys.

    times: a file or numbers in place of those in the file; without any, frame n is at n / rate.
    Raises `InvalidInput` for a file that is none, cut short, or holds Python objects; a shape that is no video; NaN
    or infinity that `valid` does not declare; and times as in `given_times`.
    """

    def __init__(self, path: str | Path, *, times: object = None, rate: Fraction | None = None) -> None:
        self.path = Path(path)
        facts = facts_in(self.path)
        with stored(self.path, "frames") as (_, shape, dtype):
            self._layout = layout_of(shape, facts)
        frames, self.channels, *size = as_tchw(shape, self._layout)
        self.size = (size[0], size[1])
        if times is None and rate is None:
            times = facts.get("times", beside(self.path) if beside(self.path).is_file() else None)
        self._stored_times = as_times(times) if isinstance(times, np.ndarray) else None
        self.times = given_times(times, rate, frames, f"frames in {str(path)!r}")
        self._scale = 1.0 if "value_range" in facts else FULL_SCALE.get(dtype.name, 1.0)
        least, largest = self._extent()
        self.meaning = _meaning(facts, (0.0, 1.0) if 0 <= least <= largest <= 1 else (least, largest))

    def __iter__(self) -> Iterator[Frame]:
        with ExitStack() as stack:
            frames, shape, dtype = stack.enter_context(stored(self.path, "frames"))
            masks: Iterator[Tensor | None] = iter(lambda: None, 0)
            if self._masked:
                valid, mask_shape, mask_dtype = stack.enter_context(stored(self.path, "valid"))
                masks = each(valid, mask_shape, mask_dtype, mask_layout(shape, mask_shape, self._layout))
            for time, values, mask in zip(self.times, each(frames, shape, dtype, self._layout), masks, strict=False):
                yield Frame(values.float() / self._scale, time, None if mask is None else mask.bool())

    def read(self) -> Clip:
        """All frames at once, with the times as they are stored, to the last bit."""
        clip = super().read()
        return clip if self._stored_times is None else replace(clip, times=self._stored_times)

    @property
    def _masked(self) -> bool:
        return self.path.suffix.lower() == ".npz" and "valid" in keys(self.path)

    def _extent(self) -> tuple[float, float]:
        """The least and the largest measured value, after one pass that finds what is not finite."""
        least, largest = math.inf, -math.inf
        for index, frame in enumerate(self):
            measured = frame.pixels if frame.valid is None else frame.pixels[frame.valid.expand_as(frame.pixels)]
            if not bool(torch.isfinite(measured).all()):
                raise InvalidInput(
                    f"{str(self.path)!r}: frame {index} holds NaN or infinity; expected finite values:"
                    " declare missing pixels in an array 'valid' of an .npz file"
                )
            if measured.numel():
                least, largest = min(least, float(measured.min())), max(largest, float(measured.max()))
        if least > largest:
            raise InvalidInput(f"{str(self.path)!r}: no pixel is valid; expected at least one that was measured")
        return least, largest if largest > least or 0 <= least <= 1 else least + 1.0


class ArraySink(Sink):
    """An .npy or .npz file of frames (T, C, H, W) float32, in the value range of `meaning`.

    Beside NAME.npy the times go to NAME.times.txt; .npz holds times, meaning and the mask of valid pixels too. Frames
    go to the disk as they come.
    """

    def __init__(self, path: str | Path, *, meaning: Meaning, overwrite: bool = False) -> None:
        self._draft = Draft(path, overwrite)
        self._times_draft = (
            Draft(beside(self._draft.target), overwrite) if self._draft.target.suffix.lower() == ".npy" else None
        )
        self._raw = self._draft.path.with_suffix(".frames")
        self._raw_valid = self._draft.path.with_suffix(".valid")
        self._meaning = meaning
        self._times: list[Fraction] = []
        self._shape: tuple[int, ...] = ()
        self._mask_shape: tuple[int, ...] | None = None
        with reported(self._draft.target):
            self._frames = self._raw.open("wb")
            self._masks = self._raw_valid.open("wb")

    def write(self, frame: Frame) -> None:
        """Append one frame (C, H, W)."""
        mask_shape = None if frame.valid is None else tuple(frame.valid.shape)
        if not self._times:
            self._shape, self._mask_shape = tuple(frame.pixels.shape), mask_shape
        if tuple(frame.pixels.shape) != self._shape or mask_shape != self._mask_shape:
            raise InvalidInput(
                f"frame of shape {tuple(frame.pixels.shape)} with mask {mask_shape} after {self._shape} with mask"
                f" {self._mask_shape}; expected one shape"
            )
        if self._times and frame.time <= self._times[-1]:
            raise InvalidInput(f"time {frame.time} after {self._times[-1]}; expected increasing times")
        with reported(self._draft.target):
            self._frames.write(frame.pixels.detach().float().cpu().contiguous().numpy().astype("<f4").tobytes())
            if frame.valid is not None:
                self._masks.write(frame.valid.cpu().contiguous().numpy().tobytes())
        self._times.append(frame.time)

    def finish(self) -> None:
        """Put the arrays together and the file in its place."""
        if not self._times:
            raise InvalidInput(f"no frame was written to {str(self._draft.target)!r}; expected at least one")
        with reported(self._draft.target):
            self._frames.close()
            self._masks.close()
            if self._times_draft is None:
                self._write_npz()
            else:
                with self._draft.path.open("wb") as file:
                    self._copy(file, self._raw, self._shape, "<f4")
                write_times(self._times_draft.path, self._times)
        if self._times_draft is not None:
            self._times_draft.commit()
        self._draft.commit()
        self._remove_raw()

    def discard(self) -> None:
        """Leave nothing behind."""
        self._remove_raw()
        self._draft.discard()
        if self._times_draft is not None:
            self._times_draft.discard()

    def _write_npz(self) -> None:
        with zipfile.ZipFile(self._draft.path, "w", zipfile.ZIP_STORED) as archive:
            for name, value in _described(self._times, self._meaning).items():
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, np.asarray(value), allow_pickle=False)
            with archive.open("frames.npy", "w", force_zip64=True) as file:
                self._copy(file, self._raw, self._shape, "<f4")
            if self._mask_shape is not None:
                with archive.open("valid.npy", "w", force_zip64=True) as file:
                    self._copy(file, self._raw_valid, self._mask_shape, "|b1")

    def _copy(self, file: IO[bytes], raw: Path, shape: tuple[int, ...], kind: str) -> None:
        header = {"descr": kind, "fortran_order": False, "shape": (len(self._times), *shape)}
        np.lib.format.write_array_header_1_0(file, header)
        with raw.open("rb") as values:
            shutil.copyfileobj(values, file)

    def _remove_raw(self) -> None:
        for file in (self._frames, self._masks):
            file.close()
        for path in (self._raw, self._raw_valid):
            path.unlink(missing_ok=True)


def _described(times: list[Fraction], meaning: Meaning) -> dict[str, object]:
    known = {
        "times": [float(time) for time in times],
        "layout": "TCHW",
        "value_range": meaning.value_range,
        "units": meaning.units,
        "channels": meaning.channels,
        "clock": meaning.clock,
        "frame_gap": meaning.frame_gap,
    }
    return {name: value for name, value in known.items() if value is not None}


def _meaning(facts: dict[str, NDArray[Any]], measured: tuple[float, float]) -> Meaning:
    value_range = _numbers(facts, "value_range", 2) or measured
    gap = _numbers(facts, "frame_gap", 1)
    return Meaning(
        value_range=(value_range[0], value_range[1]),
        units=str(facts["units"]) if "units" in facts else None,
        channels=tuple(map(str, np.atleast_1d(facts["channels"]).tolist())) if "channels" in facts else None,
        clock=str(facts["clock"]) if "clock" in facts else "seconds",
        frame_gap=gap[0] if gap else None,
    )


def _numbers(facts: dict[str, NDArray[Any]], name: str, count: int) -> tuple[float, ...] | None:
    """So many numbers of an array, or None where it is not there. Raises `InvalidInput` for anything else."""
    if name not in facts:
        return None
    value = facts[name]
    if value.size != count or value.dtype.kind not in "iuf":
        raise InvalidInput(f"{name} is {value.tolist()!r}; expected {count} number{'s' if count > 1 else ''}")
    return tuple(map(float, value.flatten()))
