"""The contract of a data set, and the catalog of data sets.

A data set is one file in this folder, named after it, that defines one concrete `VideoDataset`.
"""

from __future__ import annotations

import hashlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_type_hints

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidode.clip import Clip, InvalidInput, Meaning
from vidode.configuration import catalog, closest, configure, member, require_at_least
from vidode.footage import Decode, Preparation, Reel, StoredReel, Take
from vidode.gridded import Array, Scaling, Series
from vidode.manifest import is_prepared, read_manifest, require_finished, require_same_options, shape_of, shaping
from vidode.records import Record, require_times, stored_record

Split = Literal["train", "validation", "test"]
Splits = tuple[Split | Literal["all"], ...]
"""Some of them together, or all of what has none."""


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


class FileDataset(VideoDataset):
    """A data set in files, as their owners distribute them, or as `vidode.preparation` left them.

    Its configuration has a `root`, the folder of either. free: the other options that may differ from those of the
    preparation, since they do not shape what it stores. stated: videos that the Vid-ODE paper counts in some splits
    together, or in all of what has no splits, where its count and the owners' may differ.
    """

    free: ClassVar[tuple[str, ...]] = ()
    stated: ClassVar[Mapping[Splits, int]] = {}

    def prepared(self, root: Path) -> list[dict[str, Any]]:
        """What a preparation left, an entry a clip or record.

        Raises `InvalidInput` for what is of another data set or was made with other options.
        """
        facts = read_manifest(root)
        if facts["dataset"] != (name := type(self).__module__.rpartition(".")[2]):
            raise InvalidInput(f"{str(root)!r} holds {facts['dataset']}, not {name}; give its own root")
        made = shaping(configure(type(self.config), facts["options"], "manifest"), self.free)
        require_same_options(root, made, shaping(self.config, self.free), "prepare it again")
        return list(facts["clips"])


class RecordedDataset(FileDataset):
    """Clips of recorded files, each decoded once: in memory, or in the folder that `config.cache` names.

    A concrete class finds the takes of its split. whole: videos of each split that there are in all, where that is
    known.
    """

    free = ("cache",)
    whole: ClassVar[Mapping[Split, int]] = {}

    def __init__(self, config: Any, split: Split, *, unread: bool = False) -> None:
        """unread: all clips that are found, also short ones and none at all, before any is decoded."""
        super().__init__(config, split)
        root = existing_root(config, self.downloads)
        self.takes = self._stored(root) if is_prepared(root) else self.find(root)
        if unread:
            return
        if self.least > 1 and not is_prepared(root):
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

    def _stored(self, root: Path) -> list[Take]:
        """The clips that a preparation left."""
        ours = [entry for entry in self.prepared(root) if entry["split"] == self.split]
        return [Take(StoredReel(root / entry["file"], shape_of(root, entry))) for entry in ours]

    def reel(self, path: Path, preparation: Preparation, decode: Decode | None = None) -> Reel:
        """A file of this data set."""
        return Reel(path, preparation, Path(self.config.cache) if self.config.cache else None, decode)


class FieldDataset(FileDataset):
    """Records of fields on a grid; a concrete class makes clips of them. Once prepared, they are mapped, not read."""

    @classmethod
    @abstractmethod
    def records(cls, config: Any, root: Path) -> list[Record]:
        """Every record, also one that is not whole, in an order that never changes; no values are read."""

    def opened(self, root: Path) -> list[Record]:
        """The records in the files, or those that a preparation left. Raises `InvalidInput` for none."""
        if is_prepared(root):
            records = [stored_record(root, entry) for entry in self.prepared(root)]
        else:
            records = self.records(self.config, root)
        if not records:
            raise InvalidInput(f"{str(root)!r} holds no fields; {self.downloads}")
        return records


class SeriesDataset(FieldDataset):
    """One long record of fields, of which each split is a range of frames in order of time.

    A concrete class says what its files are and reads them; its configuration has a `root`, the `train` frames that
    come first, and the `frames` of a clip, none for the whole split, each of which starts `hop` frames after the one
    before, by default where that one ends. Channels are scaled to [0, 1] by the extremes of the training part, so that
    a test may lie outside. Frames in which a channel is missing altogether are left out: the gaps there are longer.
    """

    free = ("train", "frames", "hop")

    def __init__(self, config: Any, split: Split) -> None:
        super().__init__(config, split)
        record = self.opened(existing_root(config, self.downloads))[0]
        self.series = record.read()
        require_times(record, self.series)
        count, extremes = len(self.series), self.series.extremes
        if not 0 < config.train < count:
            raise InvalidInput(f"train is {config.train} of {count} frames; expected some of them, not all")
        self.scaling = Scaling.of(extremes[: config.train])
        part = np.arange(config.train) if split == "train" else np.arange(config.train, count)
        self._places = part[np.isfinite(extremes[part]).all(axis=(1, 2))]
        """Of the complete frames of the split: the record itself, which may be mapped, is never copied."""
        if not len(self._places):
            raise InvalidInput(f"{config.root!r} has no frame to {split} with every channel; choose other variables")
        if config.frames is not None and config.frames > len(self._places):
            raise InvalidInput(f"frames is {config.frames}; the {split} split has {len(self._places)} complete ones")

    @classmethod
    @abstractmethod
    def files(cls, config: Any, root: Path) -> list[Path]:
        """What the record is read from, in an order that never changes. Raises `InvalidInput` for what is missing."""

    @classmethod
    @abstractmethod
    def read(cls, config: Any, files: Sequence[Path]) -> Series:
        """The whole record."""

    @classmethod
    def records(cls, config: Any, root: Path) -> list[Record]:
        """The only one."""
        files = tuple(cls.files(config, root))
        return [Record(cls.__module__.rpartition(".")[2], lambda: cls.read(config, files), files=files)]

    def __len__(self) -> int:
        if self.config.frames is None:
            return 1
        return int((len(self._places) - self.config.frames) // self._hop + 1)

    def clip(self, index: int) -> Clip:
        """Clip `index`, in order of time."""
        return self._clip(index * self._hop, self.config.frames or len(self._places))

    def window(self, index: int, length: int, generator: torch.Generator) -> Clip:
        """`length` successive frames from anywhere in the split: where clips are cut does not bind training."""
        if length > len(self._places):
            raise InvalidInput(f"the {self.split} split has {len(self._places)} frames; expected at least {length}")
        return self._clip(int(torch.randint(len(self._places) - length + 1, (), generator=generator)), length)

    @property
    def _hop(self) -> int:
        return int(self.config.hop or self.config.frames or 0)

    def _clip(self, start: int, length: int) -> Clip:
        places = self._places[start : start + length]
        values = np.asarray(self.series.values[places])
        return clip_of(self.scaling.unit(values), values, self.series.times[places], self.series.names)


def clip_of(frames: Array, values: Array, times: NDArray[np.float64], names: tuple[str, ...]) -> Clip:
    """Fields (T, C, H, W) as a clip that declares what was not measured, which `values` (T, C, H, W) tell.

    frames: the values scaled to [0, 1]. times: (T,) seconds. names: of the channels.
    """
    valid = np.isfinite(values)
    return Clip(
        torch.from_numpy(frames),
        torch.from_numpy(times.copy()),
        None if valid.all() else torch.from_numpy(valid),
        Meaning(channels=names),
    )


def existing_root(config: Any, downloads: str) -> Path:
    """The folder that holds the data.

    Raises `InvalidInput`, saying what to put where, for none, and for one that a preparation has not finished.
    """
    if not config.root:
        raise InvalidInput(f"no root is given; expected the folder that holds the data: {downloads}")
    try:
        root = Path(config.root).expanduser()
    except RuntimeError as error:  # the home of nobody
        raise InvalidInput(f"root {config.root!r} is not a folder: {error}") from error
    if not root.is_dir():
        raise InvalidInput(f"root {config.root!r} is not a folder; {downloads}")
    require_finished(root)
    return root


def videos_by_name(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by their name less its ending. Raises `InvalidInput` for a name that stands twice, in different folders."""
    found: dict[str, Path] = {}
    for path in sorted(paths):
        if path.stem in found:
            raise InvalidInput(f"{str(found[path.stem])!r} and {str(path)!r} are the same clip; remove one of them")
        found[path.stem] = path
    return found


def require_actions(wanted: Iterable[str], known: Iterable[str], where: Path) -> None:
    """Raise `InvalidInput`, naming the closest, for an action that no clip below `where` shows."""
    present = sorted(set(known))
    unknown = [action for action in wanted if action not in present]
    if present and unknown:
        raise InvalidInput(f"{str(where)!r} has no clip of the action {unknown[0]!r}; {closest(unknown[0], present)}")


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


def open_dataset(name: str, split: Split, /, **configuration: Any) -> VideoDataset:
    """A data set by name. Raises `InvalidInput` for an unknown name, option or split, or missing files."""
    return dataset_class(name)(configure(config_class(name), configuration, f"data set {name}"), split)


def seed_of(*words: object) -> int:
    """A seed of 63 bits for what is generated, such as clip `index` of a split: other words, another seed."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
