"""Folders of images: one picture a frame, in the natural order of their names, and times in a file beside them."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

from vidode.clip import InvalidInput, Meaning
from vidode.sources import Frame, Sink, Source
from vidode.sources.drafts import Draft, reported
from vidode.sources.ticks import given_times

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
TIMES_FILES = ("times.txt", "timecodes.txt", "times.csv", "times.json")
"""One time for each image, in order: seconds, or milliseconds under the line '# timecode format v2'."""
WIDE_MODES = {"I;16", "I;16L", "I;16B", "I"}
UPRIGHT, LYING = 1, range(5, 9)
"""EXIF orientations of pictures that are stored as they are seen, and on their side."""
GREY_MODES = {"1", "L", "LA"} | WIDE_MODES
DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, OverflowError, struct.error, zlib.error),
    Image.DecompressionBombError,  # a header that says a size of gigabytes
)
"""What Pillow raises for a damaged picture, when it opens or when it decodes it."""


class ImageSource(Source):
    """The images of a folder, 0 to 1 from black to white; three channels, or one where all are grey.

    times: a file or numbers in place of the folder's own times file. Without either, frame n is at n / rate.
    Frames are sorted by name, numbers in names by their value. Alpha is left out; pictures are turned upright as their
    EXIF orientation says.

    Raises `InvalidInput` for a folder without images, images of different sizes, a picture that cannot be read, more
    than one times file, and times that are no numbers, do not increase or are not one for each image.
    """

    def __init__(self, path: str | Path, *, times: object = None, rate: Fraction | None = None) -> None:
        self.path = Path(path)
        self.files = sorted((file for file in self.path.iterdir() if _is_image(file)), key=_natural)
        if not self.files:
            raise InvalidInput(f"folder {str(path)!r} holds no images; expected files such as 000001.png")
        if times is None and rate is None:
            times = _own_times(self.path)
        self.times = given_times(times, rate, len(self.files), f"images in {str(path)!r}")
        heads = [_head(file) for file in self.files]
        self.size = heads[0][0]
        for file, (size, _) in zip(self.files, heads, strict=True):
            if size != self.size:
                raise InvalidInput(
                    f"image {file.name!r} is {size[1]}x{size[0]} and {self.files[0].name!r} is"
                    f" {self.size[1]}x{self.size[0]}; expected one size: resize them first"
                )
        self.channels = 1 if all(grey for _, grey in heads) else 3
        self.meaning = Meaning()

    def __iter__(self) -> Iterator[Frame]:
        for file, time in zip(self.files, self.times, strict=True):
            yield Frame(_pixels(file, self.channels), time)


class ImageSink(Sink):
    """A folder of numbered 8-bit PNG files and their exact times in times.txt.

    Raises `InvalidInput` for more than three channels, and where the folder to overwrite holds other files too.
    """

    def __init__(self, path: str | Path, *, meaning: Meaning, overwrite: bool = False) -> None:
        self._draft = Draft(path, overwrite, folder=True)
        _require_only_frames(self._draft.target)
        self._low, self._high = meaning.value_range
        self._times: list[Fraction] = []
        with reported(self._draft.target):
            self._draft.path.mkdir()

    def write(self, frame: Frame) -> None:
        """Append one frame (1 or 3, H, W)."""
        if self._times and frame.time <= self._times[-1]:
            raise InvalidInput(f"time {frame.time} after {self._times[-1]}; expected increasing times")
        picture = as_image((frame.pixels - self._low) / (self._high - self._low))
        with reported(self._draft.target):
            picture.save(self._draft.path / f"{len(self._times):06d}.png")
        self._times.append(frame.time)

    def finish(self) -> None:
        """Write the times and put the folder in its place."""
        if not self._times:
            raise InvalidInput(f"no frame was written to {str(self._draft.target)!r}; expected at least one")
        with reported(self._draft.target):
            write_times(self._draft.path / TIMES_FILES[0], self._times)
        self._draft.commit()

    def discard(self) -> None:
        """Leave nothing behind."""
        self._draft.discard()


def as_image(pixels: Tensor) -> Image.Image:
    """Pixels (1 or 3, H, W) in [0, 1] as an 8-bit picture; what lies outside is cut, what is missing is black."""
    if len(pixels) not in (1, 3):
        raise InvalidInput(f"frames have {len(pixels)} channels; expected 1 or 3 in an image: write .npz")
    levels = (torch.nan_to_num(pixels.detach().float().cpu()) * 255).round().clamp(0, 255).byte()
    return Image.fromarray(levels[0].numpy() if len(levels) == 1 else levels.permute(1, 2, 0).contiguous().numpy())


def write_times(path: Path, times: list[Fraction]) -> None:
    """One exact time a line, in seconds, such as 1001/30000."""
    path.write_text("".join(f"{time}\n" for time in ["# seconds", *times]), encoding="utf-8")


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()


def _natural(file: Path) -> list[tuple[int, int, str]]:
    """A key that puts 2 before 10: each run of digits counts as a number."""
    parts = re.findall(r"(\d+)|(\D+)", file.name)
    return [(0, int(digits), "") if digits else (1, 0, text) for digits, text in parts]


def _own_times(folder: Path) -> Path | None:
    found = [folder / name for name in TIMES_FILES if (folder / name).is_file()]
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise InvalidInput(f"folder {str(folder)!r} holds several times files ({names}); expected at most one")
    return found[0] if found else None


def _head(file: Path) -> tuple[tuple[int, int], bool]:
    """Height and width of the upright picture, and whether it is grey, without decoding it."""
    with _opened(file) as image:
        try:
            lies = _orientation(image) in LYING
        except DAMAGE as error:
            raise _damaged(file, error) from error
        size = (image.width, image.height) if lies else (image.height, image.width)
        return size, image.mode in GREY_MODES


def _pixels(file: Path, channels: int) -> Tensor:
    with _opened(file) as stored:
        try:
            image = stored if _orientation(stored) == UPRIGHT else ImageOps.exif_transpose(stored)
            if image.mode in WIDE_MODES:
                grey = torch.from_numpy(np.asarray(image).astype(np.float32) / 65535)[None]
                return grey.expand(channels, -1, -1).contiguous()
            levels = np.array(image.convert("L" if channels == 1 else "RGB"))
        except DAMAGE as error:
            raise _damaged(file, error) from error
    return torch.from_numpy(levels.reshape(*levels.shape[:2], channels)).permute(2, 0, 1).float() / 255


def _damaged(file: Path, error: Exception) -> InvalidInput:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InvalidInput(f"image {str(file)!r} is damaged ({reason}); copy or write it again")


def _orientation(image: Image.Image) -> int:
    # What a PNG says after its pixels is left out, since those would have to be decoded first.
    if image.format == "PNG" and "exif" not in image.info:
        return UPRIGHT
    return int(image.getexif().get(ExifTags.Base.Orientation, UPRIGHT))


def _opened(file: Path) -> Image.Image:
    try:
        return Image.open(file)
    except DAMAGE as error:
        raise InvalidInput(f"{str(file)!r} cannot be read as an image; expected PNG, JPEG, TIFF or the like") from error


def _require_only_frames(folder: Path) -> None:
    """Overwriting a folder removes it, so it may hold nothing but frames."""
    if not folder.is_dir():
        return
    others = [file.name for file in folder.iterdir() if not _is_image(file) and file.name not in TIMES_FILES]
    if others:
        raise InvalidInput(
            f"folder {str(folder)!r} holds {others[0]!r} beside images and will not be overwritten; give another name"
        )
