"""The bytes of NumPy files, read in order and never unpickled; `arrays` says what they mean."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidode.clip import InvalidInput

LAYOUTS = ("TCHW", "THWC")
DAMAGE = (
    *(ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile, zlib.error, RuntimeError),
    *(tokenize.TokenError, SyntaxError, TypeError, OverflowError),  # NumPy reads a header as Python
)
"""What reading a damaged file raises."""
SMALL_KEYS = ("times", "layout", "value_range", "units", "channels", "clock", "frame_gap")


def beside(path: Path) -> Path:
    """The text file of times that goes with an .npy file."""
    return path.with_suffix(".times.txt")


@contextmanager
def readable(path: Path, instead: str = "expected .npy or .npz") -> Iterator[None]:
    """Turn whatever goes wrong with a file into one line about it, which ends with what to do."""
    try:
        yield
    except DAMAGE as error:
        if isinstance(error, InvalidInput):
            raise
        said = (error.strerror if isinstance(error, OSError) else None) or str(error)
        reason = said.splitlines()[0] if said else type(error).__name__
        raise InvalidInput(f"{str(path)!r} cannot be read as an array ({reason}); {instead}") from error


def mapped_array(path: Path, instead: str) -> NDArray[Any]:
    """The numbers of an .npy file, mapped and not read.

    Raises `InvalidInput`, naming the file and ending with what to do, for one that is missing, damaged or no .npy file.
    """
    with readable(path, instead), path.open("rb") as file:
        shape, fortran, dtype = _header(file)
        if dtype.kind not in "buif":
            raise ValueError(f"type {dtype}, not real numbers")
        return np.memmap(file, dtype, "r", file.tell(), shape, "F" if fortran else "C")


def keys(path: Path) -> list[str]:
    """The names of the arrays in an .npz file."""
    with readable(path), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def facts_in(path: Path) -> dict[str, NDArray[Any]]:
    """The small arrays of an .npz file; none of an .npy file."""
    if path.suffix.lower() != ".npz":
        return {}
    if "frames" not in keys(path):
        raise InvalidInput(f"{str(path)!r} holds {keys(path)}; expected an array called 'frames'")
    with readable(path), np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in SMALL_KEYS if name in archive}


@contextmanager
def stored(path: Path, name: str) -> Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype[Any]]]:
    """One array of the file: its bytes from the first value on, in C order, its shape and type."""
    with ExitStack() as stack, readable(path):
        if path.suffix.lower() == ".npz":
            file: IO[bytes] = stack.enter_context(stack.enter_context(zipfile.ZipFile(path)).open(f"{name}.npy"))
        else:
            file = stack.enter_context(path.open("rb"))
        shape, fortran, dtype = _header(file)
        if dtype.hasobject or dtype.kind not in "buif":
            raise InvalidInput(f"{str(path)!r}: {name} is of type {dtype}; expected real numbers")
        if fortran and len(shape) > 1:
            raise InvalidInput(f"{str(path)!r}: {name} is in Fortran order; save numpy.ascontiguousarray of it")
        yield file, shape, dtype


def known_array(path: Path, kind: type[np.generic], shape: Sequence[int], instead: str) -> NDArray[Any]:
    """The same of an array whose type and shape are known. Raises `InvalidInput` for another, too."""
    values = mapped_array(path, instead)
    if values.dtype != kind or values.shape != tuple(shape):
        raise InvalidInput(
            f"{str(path)!r} is {values.dtype} of shape {values.shape}; expected {np.dtype(kind)} of {tuple(shape)}:"
            f" {instead}"
        )
    return values


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is in Fortran order, and type of an .npy file, which is then read up to its first value."""
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read_header(file)


def each(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], layout: str) -> Iterator[Tensor]:
    """Every frame as (C, H, W) float64 (bool as such)."""
    size = math.prod(shape[1:]) * dtype.itemsize
    for index in range(shape[0]):
        data = file.read(size)
        if len(data) < size:
            raise InvalidInput(f"the array is cut short: frame {index} of {shape[0]} is missing; copy the file again")
        values = torch.from_numpy(np.frombuffer(data, dtype).reshape(shape[1:]).astype(np.float64))
        if layout == "THW":
            values = values[None]
        yield values.permute(2, 0, 1).contiguous() if layout == "THWC" else values


def layout_of(shape: tuple[int, ...], facts: dict[str, NDArray[Any]]) -> str:
    """Which axes frames have, "THW", "TCHW" or "THWC". Raises `InvalidInput` where that cannot be told."""
    if len(shape) not in (3, 4) or 0 in shape:
        raise InvalidInput(f"array of shape {shape}; expected (T, H, W), (T, H, W, C) or (T, C, H, W), not empty")
    if len(shape) == 3:
        return "THW"
    if "layout" in facts:
        if str(facts["layout"]) not in LAYOUTS:
            raise InvalidInput(f"layout is {str(facts['layout'])!r}; expected one of {', '.join(LAYOUTS)}")
        return str(facts["layout"])
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    if first == last:
        raise InvalidInput(
            f"array of shape {shape} does not tell which axis is the channels; save an .npz file with"
            " layout='TCHW' or 'THWC'"
        )
    return "TCHW" if first else "THWC"


def mask_layout(shape: tuple[int, ...], mask: tuple[int, ...], layout: str) -> str:
    """The same for the mask that goes with frames of a shape and layout."""
    if len(mask) == 3 and mask == tuple(as_tchw(shape, layout)[i] for i in (0, 2, 3)):
        return "THW"
    steps, channels, *size = as_tchw(shape, layout)
    if len(mask) == len(shape) == 4 and as_tchw(mask, layout) in ((steps, channels, *size), (steps, 1, *size)):
        return layout
    raise InvalidInput(f"valid has shape {mask} for frames {shape}; expected the same shape, or without channels")


def as_tchw(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
    """A shape in the order of `Clip`."""
    if layout == "THW":
        return (shape[0], 1, *shape[1:])
    return shape if layout == "TCHW" else (shape[0], shape[3], shape[1], shape[2])
