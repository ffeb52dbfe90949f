"""How large a reproduction is: smoke for tests, small for a machine without an accelerator, paper for the paper's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from vidode.augmentation import Augmentation
from vidode.clip import InvalidInput
from vidode.configuration import closest
from vidode.datasets import Split, VideoDataset, config_class, open_dataset
from vidode.experiments.reproduction.published import CAM5, SETS
from vidode.hiding import RATES, every_rate, sparse
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
    stands_for: the paper's sets whose printed numbers stand beside what is measured here.
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
    rates: tuple[int, ...] = ()
    """Of Figure 6, in percent, for which the test clips are long enough."""
    stands_for: tuple[str, ...] = ()

    def configuration(self, root: Path | None, cache: Path | None) -> dict[str, Any]:
        """The options with where the files are, for data that has files."""
        known = {option.name for option in fields(config_class(self.name))}
        places = {"root": None if root is None else root / self.name, "cache": cache}
        return {
            **self.options,
            **{name: str(path) for name, path in places.items() if path is not None and name in known},
        }

    def open(self, split: Split, root: Path | None, cache: Path | None) -> VideoDataset:
        """The data in a split."""
        return open_dataset(self.name, split, **self.configuration(root, cache))


@dataclass(frozen=True)
class Scale:
    """How much of everything.

    width: share of the paper's width of each network. steps: updates of every model, or None for `epochs` epochs.
    seeds: of every row that is trained. clips: measured of each test set; None is all. precision: of training.
    optimiser: fields of `OptimiserConfig` that replace each model's own. note: what else its pages say of it.
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
    optimiser: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def generated(self) -> bool:
        """Whether all of its data is generated, so that no folder of data is needed."""
        every = (config_class(data.name) for choices in self.data.values() for data in choices)
        return not any(option.name == "root" for config in every for option in fields(config))

    def steps_on(self, data: DataChoice) -> int:
        """Updates of a model on a data set."""
        return self.steps or self.epochs * self.epoch_of(data)

    def epoch_of(self, data: DataChoice) -> int:
        """Updates that show every video once, the last batch being smaller where they do not divide."""
        return math.ceil(data.videos / self.batch_size)


HOUR = 3600.0
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


def video(
    label: str, name: str, videos: int, size: int, stands_for: tuple[str, ...] = (), **options: Any
) -> DataChoice:
    """A set of videos in the paper's regular windows."""
    options = {**options, "size": size}
    return DataChoice(label, name, options, (size, size), videos, REGULAR, REGULAR_SCHEMES, stands_for=stands_for)


SCENES: Mapping[str, Any] = {"size": (32, 32), "clips": 4, "held_out": 1}


def weather(
    label: str,
    name: str,
    cells: tuple[int, int],
    slot: float,
    rate: int,
    rates: tuple[int, ...],
    channels: int = 3,
    videos: int = 8,
    stands_for: tuple[str, ...] = (),
    **options: Any,
) -> DataChoice:
    """Fields of the atmosphere, or video, `slot` seconds apart: `rate` percent are observed before five are asked for.

    Model time is absolute, a slot being a tenth of its unit. Where several rates are measured, training meets all rates
    from the lowest of them up: trained at one, a model is measured at the others on what it never saw.
    """
    sampling: Mapping[Task, SamplingConfig] = {"extrapolation": every_rate(min(rates)) if rates else sparse(rate)}
    schemes: Mapping[Task, str] = {"extrapolation": f"sparse-{rate}"}
    return DataChoice(
        label,
        name,
        options,
        cells,
        videos,
        sampling,
        schemes,
        channels=channels,
        augmented=False,
        absolute=10 * slot,
        rates=rates,
        stands_for=stands_for,
    )


def balls(videos: int, test: int) -> DataChoice:
    """Bouncing balls, ten frames in and ten out. The paper augments what was filmed; here up is not down."""
    options = {"frames": 20, "clips": videos, "held_out": test}
    return DataChoice(
        "Bouncing balls", "bouncing_balls", options, (32, 32), videos, LONG, LONG_SCHEMES, channels=1, augmented=False
    )


def scenes(label: str, stands_for: tuple[str, ...] = (), **options: Any) -> DataChoice:
    """Generated scenes, which stand for a set of videos where nothing may be downloaded."""
    config = {**SCENES, "frames": 20, **options}
    return DataChoice(label, "moving_scenes", config, (32, 32), 4, REGULAR, REGULAR_SCHEMES, stands_for=stands_for)


KTH: Mapping[str, Any] = {"train": list(range(1, 17)), "validation": [], "test": list(range(17, 26)), "whole": True}
"""The paper trains on 16 people; which, it does not say, and these are the usual ones. It counts whole videos."""
KTH_VIDEOS = 16 * 6 * 4 - 1
"""To train on: 16 people, six actions, four scenes, less the one that does not exist. The paper's 255 are of four."""

PAPER = Scale(
    name="paper",
    width=1.0,
    seeds=(0,),
    data={
        "actions": (
            video("KTH Action", "kth", KTH_VIDEOS, 128, stands_for=SETS[:1], **KTH),
            video("Moving GIF", "moving_gif", 900, 128, stands_for=SETS[1:2]),
            video("Penn Action", "penn_action", 1258, 128, stands_for=SETS[2:]),
        ),
        "ladder": (video("KTH Action", "kth", KTH_VIDEOS, 128, stands_for=SETS[:1], **KTH),),
        "balls": (balls(1000, 50),),
        "weather": (
            weather(
                "CAM5", "hurricane", (242, 640), 3 * HOUR, 20, RATES, videos=280, stands_for=(CAM5,), min_frames=30
            ),
        ),
    },
)
BRIEF: Mapping[str, Any] = {
    "name": "adam",
    "betas": [0.9, 0.99],
    "schedule": "cosine",
    "learning_rate": 2e-3,
    "floor": 0.02,
    "warmup": 50,
    "clip_norm": 1.0,
}
"""For few updates. Adamax divides by the largest gradient it remembers, and with the paper's memory of 0.999 the first
gradients, which are large, hold the network back for thousands of updates (docs/reproducing.md)."""

SMALL = Scale(
    name="small",
    width=0.25,
    steps=2000,
    precision="bfloat16",
    optimiser=BRIEF,
    note="Of ucf101 it has a sample, 50 clips to train on and 15 to measure, of 5 of its 101 actions (ucf101.txt).",
    data={
        "actions": (video("weizmann", "weizmann", 57, 32, stands_for=SETS),),
        "ladder": (video("weizmann", "weizmann", 57, 32, stands_for=SETS),),
        "fast": (video("ucf101", "ucf101", 50, 32),),
        "balls": (balls(1000, 50),),
        "weather": (
            # The record is short: its test part is measured in every window there is, which overlap.
            weather("storm", "storm", (33, 36), 6 * HOUR, 60, (), stands_for=(CAM5,), train=40, frames=14, hop=1),
            weather("era5", "era5", (33, 49), HOUR, 20, RATES, channels=1, train=600, frames=30, hop=6),
            weather("weizmann, thinned", "weizmann", (32, 32), 1 / 25, 40, RATES, videos=57, size=32),
        ),
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
        "actions": (scenes("scenes", stands_for=SETS),),
        "ladder": (scenes("scenes", stands_for=SETS),),
        "fast": (scenes("fast scenes", style={"slowest": 1.0}),),
        "balls": (balls(4, 1),),
        "weather": (
            weather(
                "fields", "moving_scenes", (32, 32), 1 / 25, 20, (20, 100), stands_for=(CAM5,), **SCENES, frames=30
            ),
        ),
    },
)
SCALES = {scale.name: scale for scale in (SMOKE, SMALL, PAPER)}


def scale_named(name: str) -> Scale:
    """A scale by name. Raises `InvalidInput` naming the closest."""
    if name not in SCALES:
        raise InvalidInput(f"no scale is called {name!r}; {closest(name, list(SCALES))}")
    return SCALES[name]
