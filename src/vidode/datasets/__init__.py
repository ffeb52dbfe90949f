"""The contract of a data set, and the catalog of data sets.

A data set is one file in this folder, named after it, that defines one concrete `VideoDataset`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, get_type_hints

import numpy as np
import torch
from torch import Tensor

from vidode.clip import Clip, InvalidInput, Meaning
from vidode.configuration import catalog, configure, member, plain, require_at_least
from vidode.footage import Decode, Preparation, Reel, StoredReel, Take
from vidode.gridded import Scaling, Series

Split = Literal["train", "validation", "test"]
MANIFEST = "manifest.json"
"""In a folder that `vidode.preparation` made."""


class VideoDataset(ABC):
    """Clips to learn from or to measure on, in a split.

    A concrete class is built from its frozen configuration dataclass (`config`) and a split. Values are in [0, 1].
    """

    config: Any
    splits: ClassVar[tuple[Split, ...]] = ("train", "test")
    downloads: ClassVar[str] = ""
    """Where the data comes from and what to put where; empty for data that is generated."""

    def __init__(self, config: Any, split: Split) -> None:
        if split not in self.splits:
            raise InvalidInput(f"no split is called {split!r} here; expected one of {', '.join(self.splits)}")
        self.config = config
        self.split = split

    @abstractmethod
    def __len__(self) -> int:
        """How many clips one epoch has."""

    @abstractmethod
    def clip(self, index: int) -> Clip:
        """The whole clip `index`, the same at every call."""

    def window(self, index: int, length: int, generator: torch.Generator) -> Clip:
        """`length` successive frames of clip `index` from a random start, as training reads them.

        Data sets that render or map from disk override this, so that only the window is made.
        """
        clip = self.clip(index)
        if len(clip) < length:
            raise InvalidInput(f"clip {index} has {len(clip)} frames; expected at least {length}")
        start = int(torch.randint(len(clip) - length + 1, (), generator=generator))
        return clip[start : start + length]

    def degrade(self, clip: Clip, generator: torch.Generator) -> Clip:
        """A clean clip as a model in training observes it; what is asked of the model stays clean.

        What was filmed is degraded already, so that only generated data override this.
        """
        return clip

    def flow(self, index: int, start: float, ends: Tensor) -> Tensor:
        """The true flow (E, 2, h, w) of clip `index` from one time to others (E,), in pixels of its frames.

        Its size may be smaller than the frames'. Raises `InvalidInput` for data that does not know it.
        """
        raise InvalidInput(f"{type(self).__name__} knows no flow; set flow to false, or train on moving_scenes")


class RecordedDataset(VideoDataset):
    """Clips of recorded files, each decoded once: in memory, or in the folder that `config.cache` names.

    A concrete class finds the takes of its split; its configuration has a `root`, the folder that holds the files as
    their owners distribute them, or as `vidode.preparation` left them. whole: videos of each split that there are in
    all, where that is known. stated: videos that the Vid-ODE paper counts in some splits together, where its count and
    the owners' differ.
    """

    whole: ClassVar[Mapping[Split, int]] = {}
    stated: ClassVar[Mapping[tuple[Split, ...], int]] = {}

    def __init__(self, config: Any, split: Split, *, unread: bool = False) -> None:
        """unread: all clips that are found, also short ones and none at all, before any is decoded."""
        super().__init__(config, split)
        root = existing_root(config, self.downloads)
        is_prepared = (root / MANIFEST).is_file()
        self.takes = self._prepared(root) if is_prepared else self.find(root)
        if unread:
            return
        if self.least > 1 and not is_prepared:
            self.takes = [take for take in self.takes if len(take) >= self.least]
        if not self.takes:
            raise InvalidInput(f"{config.root!r} holds no clips of the {split} split; {self.downloads}")

    @abstractmethod
    def find(self, root: Path) -> list[Take]:
        """The clips of this split, in an order that never changes; nothing is decoded."""

    @property
    def least(self) -> int:
        """Frames of a clip; those that have fewer are left out."""
        return 1

    def __len__(self) -> int:
        return len(self.takes)

    def clip(self, index: int) -> Clip:
        """The whole clip `index`."""
        return self.takes[index].clip()

    def window(self, index: int, length: int, generator: torch.Generator) -> Clip:
        """`length` successive frames from a random start; only these are read."""
        take = self.takes[index]
        if len(take) < length:
            path = str(take.reel.path)
            raise InvalidInput(f"clip {index} ({path!r}) has {len(take)} frames; expected at least {length}")
        return take.clip(int(torch.randint(len(take) - length + 1, (), generator=generator)), length)

    @classmethod
    def missing(cls, root: Path) -> list[str]:
        """Names of what the source lacks, where the owners list what belongs to it."""
        return []

    @classmethod
    def held(cls, root: Path) -> Mapping[Split, int]:
        """Videos that the source holds, whatever the options leave out, of splits that `whole` counts."""
        return {}

    @classmethod
    def expected(cls, config: Any, root: Path) -> tuple[Split, ...]:
        """The splits that have clips: not those that the configuration empties."""
        return cls.splits

    def _prepared(self, root: Path) -> list[Take]:
        """The clips that a preparation left. Raises `InvalidInput` where it was made with other options."""
        facts = read_manifest(root)
        if facts["dataset"] != (name := type(self).__module__.rpartition(".")[2]):
            raise InvalidInput(f"{str(root)!r} holds {facts['dataset']}, not {name}; give its own root")
        here = {key: value for key, value in plain(self.config).items() if key not in ("root", "cache")}
        made = plain(configure(type(self.config), facts["options"], "manifest"))
        for key, value in here.items():
            if made[key] != value:
                raise InvalidInput(
                    f"{str(root)!r} was prepared with {key} {made[key]!r}; give the same, or prepare it again"
                )
        return [Take(StoredReel(root / each["file"])) for each in facts["clips"] if each["split"] == self.split]

    def reel(self, path: Path, preparation: Preparation, decode: Decode | None = None) -> Reel:
        """A file of this data set."""
        return Reel(path, preparation, Path(self.config.cache) if self.config.cache else None, decode)


class SeriesDataset(VideoDataset):
    """One long record of fields, of which each split is a range of frames in order of time.

    A concrete class reads it; its configuration has a `root`, the `train` frames that come first, and the `frames` of
    a clip, none for the whole split, each of which starts `hop` frames after the one before, by default where that
    one ends. Channels are scaled to [0, 1] by the extremes of the training part, so that a
    test may lie outside. Frames in which a channel is missing altogether are left out: the gaps there are longer.
    """

    def __init__(self, config: Any, split: Split) -> None:
        super().__init__(config, split)
        series = self.read(existing_root(config, self.downloads))
        if not 0 < config.train < len(series):
            raise InvalidInput(f"train is {config.train} of {len(series)} frames; expected some of them, not all")
        training, test = series[: config.train], series[config.train :]
        self.scaling = Scaling.of(training)
        chosen = training if split == "train" else test
        self.series = chosen[chosen.complete]
        if not len(self.series):
            raise InvalidInput(f"{config.root!r} has no frame to {split} with every channel; choose other variables")
        self.meaning = Meaning(channels=self.series.names)
        if config.frames is not None and config.frames > len(self.series):
            raise InvalidInput(f"frames is {config.frames}; the {split} split has {len(self.series)} complete ones")

    @abstractmethod
    def read(self, root: Path) -> Series:
        """The whole record."""

    def __len__(self) -> int:
        if self.config.frames is None:
            return 1
        return int((len(self.series) - self.config.frames) // self._hop + 1)

    def clip(self, index: int) -> Clip:
        """Clip `index`, in order of time."""
        return self._clip(index * self._hop, self.config.frames or len(self.series))

    def window(self, index: int, length: int, generator: torch.Generator) -> Clip:
        """`length` successive frames from anywhere in the split: where clips are cut does not bind training."""
        if length > len(self.series):
            raise InvalidInput(f"the {self.split} split has {len(self.series)} frames; expected at least {length}")
        return self._clip(int(torch.randint(len(self.series) - length + 1, (), generator=generator)), length)

    @property
    def _hop(self) -> int:
        return int(self.config.hop or self.config.frames or 0)

    def _clip(self, start: int, length: int) -> Clip:
        part = self.series[start : start + length]
        valid = np.isfinite(part.values)
        return Clip(
            torch.from_numpy(self.scaling.unit(part.values)),
            torch.from_numpy(part.times.copy()),
            None if valid.all() else torch.from_numpy(valid),
            self.meaning,
        )


def existing_root(config: Any, downloads: str) -> Path:
    """The folder that holds the data. Raises `InvalidInput`, saying what to put where, for none."""
    if not config.root:
        raise InvalidInput(f"no root is given; expected the folder that holds the data: {downloads}")
    root = Path(config.root).expanduser()
    if not root.is_dir():
        raise InvalidInput(f"root {config.root!r} is not a folder; {downloads}")
    return root


def read_manifest(root: Path) -> dict[str, Any]:
    """What a preparation says of the folder that it made. Raises `InvalidInput` for what is damaged or of another."""
    path = root / MANIFEST
    try:
        facts = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        facts = None
    if not _is_manifest(facts):
        raise InvalidInput(
            f"{str(path)!r} is not what 'vidode datasets prepare' writes, or is damaged; remove it or give another root"
        )
    return dict(facts)


def _is_manifest(facts: Any) -> bool:
    if not isinstance(facts, dict) or not isinstance(facts.get("dataset"), str):
        return False
    options, clips = facts.get("options"), facts.get("clips")
    if not isinstance(options, dict) or not isinstance(clips, list):
        return False
    return all(
        isinstance(clip, dict) and all(isinstance(clip.get(k), str) for k in ("file", "split")) for clip in clips
    )


def videos_by_name(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by their name less its ending. Raises `InvalidInput` for a name that stands twice, in different folders."""
    found: dict[str, Path] = {}
    for path in sorted(paths):
        if path.stem in found:
            raise InvalidInput(f"{str(found[path.stem])!r} and {str(path)!r} are the same clip; remove one of them")
        found[path.stem] = path
    return found


def require_series(config: Any) -> None:
    """Raise `InvalidInput` for options of a `SeriesDataset` that name no frames, cells or variables."""
    counts = {name: 1 for name in ("frames", "hop", "side") if getattr(config, name, None) is not None}
    require_at_least(config, train=1, **counts)
    require_variables(getattr(config, "variables", ("the only one",)))


def require_variables(variables: tuple[str, ...]) -> None:
    """Raise `InvalidInput` for none, and for one that is named twice."""
    if not variables:
        raise InvalidInput("variables are empty; expected the name of at least one")
    if len(set(variables)) < len(variables):
        raise InvalidInput(f"variables are {', '.join(variables)}; expected each once")


def names() -> list[str]:
    """Every data set's name, in alphabetical order."""
    return catalog(sys.modules[__name__])


def dataset_class(name: str) -> type[VideoDataset]:
    """The class of a data set. Raises `InvalidInput` naming the closest name."""
    return member(sys.modules[__name__], name, VideoDataset, "data set")  # type: ignore[type-abstract]


def config_class(name: str) -> type[Any]:
    """The configuration dataclass of a data set: the annotation of its `config`."""
    return get_type_hints(dataset_class(name))["config"]  # type: ignore[no-any-return]


def open_dataset(name: str, split: Split, **configuration: Any) -> VideoDataset:
    """A data set by name. Raises `InvalidInput` for an unknown name, option or split, or missing files."""
    return dataset_class(name)(configure(config_class(name), configuration, f"data set {name}"), split)


def seed_of(*words: object) -> int:
    """A seed of 63 bits for what is generated, such as clip `index` of a split: other words, another seed."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
