"""Any folder of videos."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vidode.clip import InvalidInput
from vidode.datasets import RecordedDataset, Split, seed_of
from vidode.footage import Preparation, Take

VIDEOS = frozenset((".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".gif", ".npy", ".npz"))
IMAGES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"))


@dataclass(frozen=True)
class VideoFolderConfig:
    """Where, and what is kept of each frame.

    root: a folder with train/, validation/ and test/; without any of them its videos are split by `seed`, the shares
    `validation` and `test` held out. size: the shorter side is resized to it and the middle square taken; none keeps
    the frames. min_frames: shorter videos are left out, for which all are decoded when the data is
    opened. cache: a folder for what is decoded, which memory otherwise has to hold.
    """

    root: str = ""
    size: int | None = None
    channels: Literal[1, 3] = 3
    grey: bool = False
    min_frames: int = 1
    validation: float = 0.1
    test: float = 0.1
    seed: int = 0
    cache: str | None = None

    def __post_init__(self) -> None:
        if not (self.validation >= 0 and self.test >= 0 and self.validation + self.test < 1):  # nor NaN
            raise InvalidInput(
                f"validation and test are {self.validation} and {self.test}; expected shares of 0 or more that leave"
                " some for training"
            )


class VideoFolder(RecordedDataset):
    """One clip a video file, array or folder of images, in any folders below the root."""

    config: VideoFolderConfig
    splits = ("train", "validation", "test")
    downloads = (
        "put videos (mp4, mkv, mov, webm, avi, gif, npy, folders of images) under root, or into train/ and test/ there"
    )

    def find(self, root: Path) -> list[Take]:
        """The videos of this split, in order of path."""
        folders = [name for name in self.splits if (root / name).is_dir()]
        if folders and self.split not in folders:
            raise InvalidInput(f"{str(root)!r} has {' and '.join(folders)} but no folder {self.split!r}; make one")
        below = videos_below(root / self.split if folders else root)
        # What was decoded is arrays too, and may be kept within the root.
        kept = Path(self.config.cache).resolve() if self.config.cache else None
        paths = [path for path in below if kept is None or kept not in path.resolve().parents]
        paths = paths if folders else self._share(root, paths)
        preparation = Preparation(self.config.size, self.config.channels, self.config.grey)
        return [Take(self.reel(path, preparation)) for path in paths]

    @property
    def least(self) -> int:
        """Frames of a clip."""
        return self.config.min_frames

    @classmethod
    def expected(cls, config: VideoFolderConfig, root: Path) -> tuple[Split, ...]:
        """Those to which some videos are held out."""
        return tuple(split for split in cls.splits if split == "train" or getattr(config, split))

    def _share(self, root: Path, paths: list[Path]) -> list[Path]:
        """The paths of this split. A file's place in the draw hangs on the seed and its own name alone."""
        drawn = sorted(paths, key=lambda path: seed_of(self.config.seed, path.relative_to(root).as_posix()))
        held_out = {"validation": self.config.validation, "test": self.config.test}
        counts = {split: max(round(share * len(drawn)), 1) if share else 0 for split, share in held_out.items()}
        validation, test = counts["validation"], counts["test"]
        parts: dict[Split, list[Path]] = {
            "validation": drawn[:validation],
            "test": drawn[validation : validation + test],
            "train": drawn[validation + test :],
        }
        if drawn and not parts[self.split]:
            raise InvalidInput(
                f"{str(root)!r} holds {len(drawn)} videos, too few to share {validation} and {test} out"
                f" and have some for {self.split}; add videos, or make folders train, validation and test"
            )
        return sorted(parts[self.split])


def videos_below(folder: Path) -> list[Path]:
    """Video files, arrays, and folders that hold at least two images, in order of path; hidden ones are left out."""
    files = [path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path, folder)]
    pictures = Counter(path.parent for path in files if path.suffix.lower() in IMAGES)
    rolls = [place for place, count in pictures.items() if count > 1]
    return sorted([path for path in files if path.suffix.lower() in VIDEOS] + rolls)


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)
