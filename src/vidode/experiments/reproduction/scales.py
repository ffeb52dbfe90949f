"""How large a reproduction is: smoke for tests, small for a machine without an accelerator, paper for the paper's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vidode.augmentation import Augmentation
from vidode.clip import InvalidInput
from vidode.configuration import closest
from vidode.datasets import Split, VideoDataset, open_dataset
from vidode.models import Task
from vidode.sampling import SamplingConfig

Role = Literal["actions", "ladder", "fast", "balls", "weather"]
"""What a data set stands for: the three sets of Tables 1 to 3, KTH of Table 5, fast motion, bouncing balls, climate."""


@dataclass(frozen=True)
class DataChoice:
    """A data set as an experiment uses it.

    label: in tables. name: in the catalog of data sets. options: of its configuration, beside root and cache, and
    channels of a model on it. videos: for training, which an epoch shows once. sampling, schemes: for each task, the
    windows of training and the way to hide frames that is measured. augmented: as in the paper, or not at all.
    """

    label: str
    name: str
    options: Mapping[str, Any]
    size: tuple[int, int]
    videos: int
    sampling: Mapping[Task, SamplingConfig]
    schemes: Mapping[Task, str]
    channels: int = 3
    augmented: bool = True
    absolute: float | None = None
    """Seconds in one unit of model time, for data with a clock of its own."""

    def configuration(self, root: Path | None, cache: Path | None) -> dict[str, Any]:
        """The options with where the files are, for data that has files."""
        place = {} if root is None or self.generated else {"root": str(root / self.name)}
        place |= {} if cache is None or self.generated else {"cache": str(cache)}
        return {**self.options, **place}

    def open(self, split: Split, root: Path | None, cache: Path | None) -> VideoDataset:
        """The data in a split."""
        return open_dataset(self.name, split, **self.configuration(root, cache))

    @property
    def generated(self) -> bool:
        """Whether nothing has to be downloaded for it."""
        return self.name in ("bouncing_balls", "moving_scenes")


@dataclass(frozen=True)
class Scale:
    """How much of everything.

    width: share of the paper's width of each network. steps: updates of every model, or None for `epochs` epochs.
    seeds: of every row that is trained. clips: measured of each test set; None is all. precision: of training.
    """

    name: str
    width: float
    data: Mapping[Role, tuple[DataChoice, ...]]
    steps: int | None = None
    epochs: int = 500
    batch_size: int = 8
    seeds: tuple[int, ...] = (0, 1)
    clips: int | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    augmentation: Augmentation = field(default_factory=Augmentation)

    def steps_on(self, data: DataChoice) -> int:
        """Updates of a model on a data set."""
        return self.steps or self.epochs * self.epoch_of(data)

    def epoch_of(self, data: DataChoice) -> int:
        """Updates that show every video once, the last batch being smaller where they do not divide."""
        return math.ceil(data.videos / self.batch_size)


REGULAR: Mapping[Task, SamplingConfig] = {
    "interpolation": SamplingConfig(scheme="regular", interpolation=1.0),
    "extrapolation": SamplingConfig(scheme="regular", interpolation=0.0),
}
REGULAR_SCHEMES: Mapping[Task, str] = {
    "interpolation": "regular-interpolation",
    "extrapolation": "regular-extrapolation",
}
LONG: Mapping[Task, SamplingConfig] = {
    "extrapolation": SamplingConfig(scheme="regular", interpolation=0.0, frames_in=10, frames_out=10)
}
LONG_SCHEMES: Mapping[Task, str] = {"extrapolation": "long-extrapolation"}


def video(label: str, name: str, videos: int, size: int, **options: Any) -> DataChoice:
    """A set of videos in the paper's regular windows."""
    return DataChoice(label, name, {**options, "size": size}, (size, size), videos, REGULAR, REGULAR_SCHEMES)


def balls(videos: int, test: int) -> DataChoice:
    """Bouncing balls, ten frames in and ten out. The paper augments what was filmed; here up is not down."""
    options = {"frames": 20, "clips": videos, "held_out": test}
    return DataChoice(
        "Bouncing balls", "bouncing_balls", options, (32, 32), videos, LONG, LONG_SCHEMES, channels=1, augmented=False
    )


def scenes(label: str, **options: Any) -> DataChoice:
    """Generated scenes, which stand for a set of videos where nothing may be downloaded."""
    config = {"size": (32, 32), "frames": 20, "clips": 4, "held_out": 1, **options}
    return DataChoice(label, "moving_scenes", config, (32, 32), 4, REGULAR, REGULAR_SCHEMES)


PAPER = Scale(
    name="paper",
    width=1.0,
    seeds=(0,),
    data={
        "actions": (
            video("KTH Action", "kth", 255, 128),
            video("Moving GIF", "moving_gif", 900, 128),
            video("Penn Action", "penn_action", 1258, 128),
        ),
        "ladder": (video("KTH Action", "kth", 255, 128),),
        "balls": (balls(1000, 50),),
    },
)
SMALL = Scale(
    name="small",
    width=0.25,
    steps=2000,
    precision="bfloat16",
    data={
        "actions": (video("weizmann", "weizmann", 57, 64),),
        "ladder": (video("weizmann", "weizmann", 57, 64),),
        "fast": (video("ucf101", "ucf101", 50, 64),),
        "balls": (balls(1000, 50),),
    },
)
SMOKE = Scale(
    name="smoke",
    width=0.0625,
    steps=2,
    batch_size=2,
    clips=1,
    seeds=(0,),
    data={
        "actions": (scenes("scenes"),),
        "ladder": (scenes("scenes"),),
        "fast": (scenes("fast scenes", style={"slowest": 1.0}),),
        "balls": (balls(4, 1),),
    },
)
SCALES = {scale.name: scale for scale in (SMOKE, SMALL, PAPER)}


def scale_named(name: str) -> Scale:
    """A scale by name. Raises `InvalidInput` naming the closest."""
    if name not in SCALES:
        raise InvalidInput(f"no scale is called {name!r}; {closest(name, list(SCALES))}")
    return SCALES[name]
