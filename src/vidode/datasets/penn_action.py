"""Penn Action: 2,326 clips of 15 sports, as folders of JPEG frames, split by their owners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Literal

from vidode.clip import InvalidInput
from vidode.datasets import RecordedDataset, Split
from vidode.footage import Preparation, Take, arrays_of, at_rate

RATE = Fraction(25)
"""Frames a second. The owners give none; only gaps count in model time."""

CLIPS = 2326


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


class PennAction(RecordedDataset):
    """One clip a folder of frames; its label file says which split it is in (1,258 to train, 1,068 to test)."""

    config: PennActionConfig
    splits = ("train", "test")
    whole: ClassVar[Mapping[Split, int]] = {"train": 1258, "test": 1068}
    downloads = (
        "get Penn_Action.tar.gz (Zhang, Zhu and Derpanis, ICCV 2013) and unpack it, so that root has"
        " frames/0001/000001.jpg and labels/0001.mat; or put one .npy a video into train/ and test/ under root"
    )

    def find(self, root: Path) -> list[Take]:
        """In order of name. Raises `InvalidInput` for frames without a label, and for an unknown action."""
        preparation, decode = Preparation(self.config.size, self.config.channels), at_rate(RATE)
        if (root / "frames").is_dir():
            folders = sorted(path for path in (root / "frames").iterdir() if path.is_dir())
            return [Take(self.reel(path, preparation, decode)) for path in folders if self._is_ours(root, path)]
        if self.config.actions:
            raise InvalidInput(f"actions are {self.config.actions}; arrays say nothing of actions: leave it empty")
        return [Take(self.reel(path, preparation, decode)) for path in arrays_of(root, self.split)]

    @classmethod
    def missing(cls, root: Path) -> list[str]:
        """Folders of frames, of the 2,326, that are not there."""
        if not (root / "frames").is_dir():
            return []
        return [
            f"frames/{number:04d}" for number in range(1, CLIPS + 1) if not (root / f"frames/{number:04d}").is_dir()
        ]

    def _is_ours(self, root: Path, frames: Path) -> bool:
        label = read_label(root / "labels" / f"{frames.name}.mat")
        wanted = not self.config.actions or label["action"] in self.config.actions
        return wanted and label["train"] == (self.split == "train")


def read_label(path: Path) -> dict[str, Any]:
    """The `action` of a clip, and whether it is to `train` on.

    Raises `InvalidInput` for a missing file, one that is not MATLAB's, and one without these facts.
    """
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise InvalidInput("labels of Penn Action need SciPy; type: pip install 'vidode[grids]'") from error
    try:
        values = loadmat(path, variable_names=["action", "train"])
        return {"action": str(values["action"].item()), "train": int(values["train"].item()) == 1}
    except FileNotFoundError as error:
        raise InvalidInput(f"no label {str(path)!r}; {PennAction.downloads}") from error
    except (MatReadError, ValueError, KeyError, TypeError, OSError, NotImplementedError) as error:
        raise InvalidInput(f"{str(path)!r} cannot be read as a label of Penn Action; unpack it again") from error
