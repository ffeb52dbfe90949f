"""Decoded video pictures to RGB numbers and back, in floating point, so that nothing is lost on the way.

RGB is not cut to [0, 1]: a video may hold colours outside of the RGB cube (headroom, compression noise), and cutting
them would keep a frame from coming back as it was. Chroma is repeated over the pixels that share it and averaged when
written, which are exact inverses of each other; so reading, writing losslessly and reading again gives the same
frame to within the rounding of float32.

Code points are those of ITU-T H.273, as FFmpeg numbers them. Untagged video is read as BT.601, limited range, as
FFmpeg does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import av
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

RGB, BT709, UNSPECIFIED, YCGCO = 0, 1, 2, 8
LIMITED, FULL = 1, 2
CHROMA_STEPS = {"444": (1, 1), "422": (1, 2), "420": (2, 2), "440": (2, 1), "411": (1, 4), "410": (4, 4)}
"""Rows and columns of pixels that share one chroma sample."""
LUMA_WEIGHTS = {BT709: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
"""Weights of red and blue in luma (H.273 table 4); BT.601's where the tag is any other."""
BT601_WEIGHTS = (0.299, 0.114)


@dataclass(frozen=True)
class Tags:
    """What the numbers of a video mean as colours: matrix, range, primaries and transfer characteristic."""

    matrix: int = BT709
    range: int = LIMITED
    primaries: int = BT709
    transfer: int = BT709


@dataclass(frozen=True)
class Layout:
    """How a planar pixel format holds a picture: family "yuv", "gray" or "rgb", bits, chroma steps (rows, columns)."""

    family: str
    bits: int
    steps: tuple[int, int] = (1, 1)
    full: bool = False

    @property
    def name(self) -> str:
        """FFmpeg's name, without alpha; full range is left to the tags."""
        depth = "" if self.bits == 8 else f"{self.bits}le"
        if self.family != "yuv":
            return {"rgb": "gbrp", "gray": "gray"}[self.family] + depth
        sampling = next(name for name, steps in CHROMA_STEPS.items() if steps == self.steps)
        return f"yuv{sampling}p{depth}"

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """The type of one sample."""
        return np.uint8 if self.bits == 8 else np.uint16

    @property
    def planes(self) -> int:
        """How many planes hold colour; alpha comes after them."""
        return 1 if self.family == "gray" else 3


def layout_of(format: av.VideoFormat) -> Layout:
    """The layout of a pixel format; of a packed one, the planar layout that holds all of it (nv12: yuv420p)."""
    return planar_layout(format.name) or _unpacked(format)


def planar_layout(name: str) -> Layout | None:
    """The layout of a planar integer format in little-endian order; None for any other format."""
    if found := re.fullmatch(r"yuva?(j?)(\d{3})p(?:(\d+)le)?", name):
        return Layout("yuv", int(found[3] or 8), CHROMA_STEPS[found[2]], full=bool(found[1]))
    if found := re.fullmatch(r"gray(?:(\d+)le)?", name):
        return Layout("gray", int(found[1] or 8))
    if found := re.fullmatch(r"gbra?p(?:(\d+)le)?", name):
        return Layout("rgb", int(found[1] or 8))
    return None


def _unpacked(format: av.VideoFormat) -> Layout:
    depth = max((component.bits for component in format.components), default=8)
    bits = next((bits for bits in (8, 10, 12) if bits >= depth), 16)
    if format.has_palette or format.is_rgb:
        return Layout("rgb", 8 if bits == 8 else 16)
    if len(format.components) < 3:
        return Layout("gray", bits)
    # A luma size of 16 tells the chroma size of every known format without rounding.
    wide = av.VideoFormat(format.name, 16, 16)
    return Layout("yuv", bits, (16 // wide.chroma_height(), 16 // wide.chroma_width()))


def is_full_range(layout: Layout, tag: int) -> bool:
    """Whether black is 0 and white the largest number. Where no tag tells, grey is full, as FFmpeg has it."""
    return layout.full or tag == FULL or layout.family == "rgb" or (layout.family == "gray" and tag != LIMITED)


def read_pixels(frame: av.VideoFrame) -> Tensor:
    """A decoded picture as RGB (3, H, W) float32; 0 is black and 1 is white."""
    layout = layout_of(frame.format)
    if planar_layout(frame.format.name) is None:
        frame = frame.reformat(format=layout.name)
    planes = [torch.from_numpy(_samples(plane, layout).astype(np.float32)) for plane in frame.planes[: layout.planes]]
    low, luma_span, middle, chroma_span = _quantisation(layout.bits, is_full_range(layout, frame.color_range))
    if layout.family == "rgb":
        green, blue, red = planes
        return torch.stack([red, green, blue]) / luma_span
    luma = (planes[0] - low) / luma_span  # (H, W)
    if layout.family == "gray":
        return luma.expand(3, -1, -1).clone()
    chroma = [(_repeated(plane, layout.steps, luma) - middle) / chroma_span for plane in planes[1:]]
    return _mixed(torch.linalg.inv(_matrix(frame.colorspace)), torch.stack([luma, *chroma]))


def write_pixels(pixels: Tensor, name: str, tags: Tags) -> av.VideoFrame:
    """RGB (3, H, W) as a picture of the pixel format `name`: the inverse of `read_pixels`, rounded once.

    Packed 8-bit RGB (rgb24, bgr24, bgr0) is written through its planar equal.
    """
    layout = planar_layout(name) or Layout("rgb", 8)
    frame = av.VideoFrame(pixels.shape[-1], pixels.shape[-2], name if planar_layout(name) else layout.name)
    full = is_full_range(layout, tags.range)
    for plane, values in zip(frame.planes, _planes(pixels, layout, full, tags.matrix), strict=False):
        limit = 2**layout.bits - 1
        _fill(plane, values.round().clamp(0, limit).numpy().astype(layout.dtype))
    frame.colorspace = RGB if layout.family == "rgb" else tags.matrix
    frame.color_range = FULL if full else tags.range
    frame.color_primaries, frame.color_trc = tags.primaries, tags.transfer
    return frame if frame.format.name == name else frame.reformat(format=name)


def _planes(pixels: Tensor, layout: Layout, full: bool, matrix: int) -> list[Tensor]:
    low, luma_span, middle, chroma_span = _quantisation(layout.bits, full)
    if layout.family == "rgb":
        red, green, blue = pixels * luma_span
        return [green, blue, red]
    luma, *chroma = _mixed(_matrix(matrix), pixels)
    planes = [luma * luma_span + low]
    if layout.family == "yuv":
        planes += [_averaged(plane, layout.steps) * chroma_span + middle for plane in chroma]
    return planes


def _quantisation(bits: int, full: bool) -> tuple[float, float, float, float]:
    """Black and span of luma, middle and span of chroma (H.273 equations 2 to 9)."""
    scale = 2.0 ** (bits - 8)
    if full:
        return 0.0, 256 * scale - 1, 128 * scale, 256 * scale - 1
    return 16 * scale, 219 * scale, 128 * scale, 224 * scale


def _matrix(code: int) -> Tensor:
    """(3, 3) RGB to luma and two colour differences in [-1/2, 1/2]."""
    if code == YCGCO:
        return torch.tensor([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0.0, -0.5]], dtype=torch.float64)
    red, blue = LUMA_WEIGHTS.get(code, BT601_WEIGHTS)
    luma = torch.tensor([red, 1 - red - blue, blue], dtype=torch.float64)
    to_blue = (torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64) - luma) / (2 * (1 - blue))
    to_red = (torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64) - luma) / (2 * (1 - red))
    return torch.stack([luma, to_blue, to_red])


def _mixed(matrix: Tensor, planes: Tensor) -> Tensor:
    return torch.einsum("ij,jhw->ihw", matrix.float(), planes)


def _repeated(chroma: Tensor, steps: tuple[int, int], luma: Tensor) -> Tensor:
    rows, columns = steps
    grown = chroma.repeat_interleave(rows, 0).repeat_interleave(columns, 1)
    return grown[: luma.shape[0], : luma.shape[1]]


def _averaged(chroma: Tensor, steps: tuple[int, int]) -> Tensor:
    if steps == (1, 1):
        return chroma
    # Where the size is no multiple of the steps, the last samples average the pixels that there are.
    return functional.avg_pool2d(chroma[None, None], steps, ceil_mode=True, count_include_pad=False)[0, 0]


def _samples(plane: av.video.plane.VideoPlane, layout: Layout) -> np.ndarray[tuple[int, int], np.dtype[np.generic]]:
    flat = np.frombuffer(plane, layout.dtype)  # type: ignore[call-overload]
    return flat.reshape(plane.height, -1)[:, : plane.width]  # type: ignore[no-any-return]


def _fill(plane: av.video.plane.VideoPlane, values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    item = values.dtype.itemsize
    rows = np.zeros((plane.height, plane.line_size // item), values.dtype)
    rows[:, : plane.width] = values
    plane.update(rows.tobytes())
