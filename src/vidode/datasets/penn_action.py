"""Penn Action: 2,326 clips of 15 sports, as folders of JPEG frames, split by their owners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Literal

from vidode.clip import InvalidInput
from vidode.datasets import RecordedDataset, Split, require_actions
from vidode.footage import Preparation, Take, arrays_of, at_rate
from vidode.sources.array_files import DAMAGE

RATE = Fraction(25)
"""Frames a second. The owners give none; only gaps count in model time."""

CLIPS = 2326
PICTURES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class PennActionConfig:
    """Where and which.

    root: the folder with frames/ and labels/, or with train/ and test/ of one .npy (T, H, W, 3) a video. actions:
    empty for all. size: the shorter side is resized to it and the middle square taken; none keeps the frames.
    cache: see `RecordedDataset`.
    """

    root: str = ""
    actions: tuple[str, ...] = ()
    size: int | None = 128
    channels: Literal[1, 3] = 3
    cache: str | None = None


@dataclass(frozen=True)
class Label:
    """A clip's action, whether it is to train on, and how many frames it has, where the label says so."""

    action: str
    train: bool
    frames: int | None


class PennAction(RecordedDataset):
    """One clip a folder of frames; its label file says which split it is in (1,258 to train, 1,068 to test)."""

    config: PennActionConfig
    splits = ("train", "test")
    whole: ClassVar[Mapping[Split, int]] = {"train": 1258, "test": 1068}
    downloads = (
        "get Penn_Action.tar.gz (Zhang, Zhu and Derpanis, ICCV 2013; 3 GB, 2,326 clips) and unpack it, so that root has"
        " frames/0001/000001.jpg and labels/0001.mat; or put one .npy a video into train/ and test/ under root"
    )

    def find(self, root: Path) -> list[Take]:
        """In order of name. Raises `InvalidInput` for frames without a label, and for an unknown action."""
        preparation, decode = Preparation(self.config.size, self.config.channels), at_rate(RATE)
        if (root / "frames").is_dir():
            labels = {path: read_label(_label_of(root, path)) for path in _folders(root)}
            require_actions(self.config.actions, (label.action for label in labels.values()), root)
            ours = [path for path, label in labels.items() if self._is_ours(label)]
            return [Take(self.reel(path, preparation, decode)) for path in ours]
        if self.config.actions:
            raise InvalidInput(f"actions are {self.config.actions}; arrays say nothing of actions: leave it empty")
        return [Take(self.reel(path, preparation, decode)) for path in arrays_of(root, self.split)]

    @classmethod
    def missing(cls, root: Path) -> list[str]:
        """Folders of frames, of the 2,326, that are not there, and frames that a label counts."""
        if not (root / "frames").is_dir():
            return []
        numbered = [root / f"frames/{number:04d}" for number in range(1, CLIPS + 1)]
        lacking = [f"frames/{path.name}" for path in numbered if not path.is_dir()]
        for path in _folders(root):
            stated = read_label(_label_of(root, path)).frames
            here = sum(file.suffix.lower() in PICTURES for file in path.iterdir())
            if stated is not None and here < stated:
                lacking.append(f"{stated - here} of the {stated} frames of frames/{path.name}")
        return lacking

    @classmethod
    def held(cls, root: Path) -> Mapping[Split, int]:
        """Arrays of each split, which say nothing of their number in all; folders of frames are numbered."""
        return {} if (root / "frames").is_dir() else {split: len(arrays_of(root, split)) for split in cls.whole}

    def _is_ours(self, label: Label) -> bool:
        wanted = not self.config.actions or label.action in self.config.actions
        return wanted and label.train == (self.split == "train")


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in (root / "frames").iterdir() if path.is_dir())


def _label_of(root: Path, frames: Path) -> Path:
    return root / "labels" / f"{frames.name}.mat"


def read_label(path: Path) -> Label:
    """What the owners say of a clip.

    Raises `InvalidInput` for a missing file, one that is not MATLAB's, and one without these facts.
    """
    if not path.is_file():
        raise InvalidInput(f"there is no label {str(path)!r}; {PennAction.downloads}")
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise InvalidInput("labels of Penn Action need SciPy; type: pip install 'vidode[grids]'") from error
    try:
        values = loadmat(path, variable_names=["action", "train", "nframes"])
        frames = int(values["nframes"].item()) if "nframes" in values else None
        return Label(str(values["action"].item()), int(values["train"].item()) == 1, frames)
    # SciPy raises a RuntimeError for a file of MATLAB 7.3, which is HDF5 and not what the owners give.
    except (*DAMAGE, MatReadError, LookupError, ArithmeticError, AttributeError, NameError, MemoryError) as error:
        raise InvalidInput(f"{str(path)!r} cannot be read as a label of Penn Action; unpack it again") from error
