"""KTH human actions: 25 people, six actions, four settings; 160x120, grey, 25 frames a second."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from vidode.clip import InvalidInput
from vidode.datasets import RecordedDataset, Split, Splits, require_actions, videos_by_name
from vidode.footage import Preparation, Take, arrays_of, at_rate, decode_sized
from vidode.sources import Frame

TABLES = ("sequences.txt", "00sequences.txt")
LINE = re.compile(r"\s*(?P<name>person(?P<person>\d+)_(?P<action>[a-z]+)_d\d)\s+frames\s+(?P<ranges>[\d\s,-]+)")
RANGE = re.compile(r"(\d+)\s*-\s*(\d+)")
ENDINGS = (".avi", ".mp4")
VIDEOS = 599
"""25 people, six actions and four settings, less one that is missing from the owners' own set."""
SIZE = (120, 160)
"""Height and width of every video."""
RATE = Fraction(25)
"""Frames a second of arrays, which have no times of their own."""


@dataclass(frozen=True)
class KthConfig:
    """Where, and who is in which split.

    root: the folder with the table of sequences and the videos, in any folders below it; or, without a table, with
    train/ and test/ of one .npy (T, H, W, C) a video, as Vid-ODE's released code keeps them. train, validation, test:
    the people's numbers; by default as the owners split them (16 people to train and tune on, 9 to test). actions:
    empty for all. whole: a clip is a whole video, as the paper counts, and not a sequence of the table. size: side in
    pixels, none to keep 160x120. channels: 3 equal ones, or 1. cache: see `RecordedDataset`.
    """

    root: str = ""
    train: tuple[int, ...] = (11, 12, 13, 14, 15, 16, 17, 18)
    validation: tuple[int, ...] = (19, 20, 21, 23, 24, 25, 1, 4)
    test: tuple[int, ...] = (22, 2, 3, 5, 6, 7, 8, 9, 10)
    actions: tuple[str, ...] = ()
    whole: bool = False
    size: int | None = None
    channels: Literal[1, 3] = 3
    cache: str | None = None

    def __post_init__(self) -> None:
        people = [*self.train, *self.validation, *self.test]
        twice = [person for person in people if people.count(person) > 1]
        if twice:
            raise InvalidInput(f"person {twice[0]} is in more than one split; expected each in one")


@dataclass(frozen=True)
class Sequence:
    """One video's line of the table: who does what, and the ranges of frames, counted from 0, their end excluded."""

    name: str
    person: int
    action: str
    ranges: tuple[tuple[int, int], ...]


class Kth(RecordedDataset):
    """One clip a sequence of the owners' table, so that an empty scene between two of them is left out.

    The paper trains on 16 people, tests on 9 and counts whole videos. As the owners divide the people, in one line:

        vidode datasets prepare kth SRC DST --option size=128 --option whole=true --option validation=[]
            --option train=[1,4,11,12,13,14,15,16,17,18,19,20,21,23,24,25]
    """

    config: KthConfig
    splits = ("train", "validation", "test")
    stated: ClassVar[Mapping[Splits, int]] = {
        ("train", "validation"): 255,
        ("test",): 144,
        ("train", "validation", "test"): 399,
    }
    downloads = (
        "get the six zip files (1.1 GB together, 599 videos) and 00sequences.txt of the KTH action database (Schuldt,"
        " Laptev and Caputo, 2004), and unpack the videos person<NN>_<action>_d<N>_uncomp.avi anywhere under root; or"
        " put one .npy (T, H, W, 3) a video into train/ and test/ under root"
    )

    def find(self, root: Path) -> list[Take]:
        """In the table's order. A video that is not there is left out, as one is missing from the owners' own set.

        Raises `InvalidInput` for a root with neither a table nor arrays, and for an action that the table lacks.
        """
        table = _table_of(root)
        preparation = Preparation(self.config.size, self.config.channels, grey=True)
        if table is None and _is_arrays(root):
            if self.config.actions:
                raise InvalidInput(f"actions are {self.config.actions}; arrays say nothing of actions: leave it empty")
            return [Take(self.reel(path, preparation, at_rate(RATE))) for path in arrays_of(root, self.split)]
        if table is None:
            raise InvalidInput(f"{str(root)!r} has no {' or '.join(TABLES)}; {self.downloads}")
        files, listed = _videos_below(root), read_table(table)
        require_actions(self.config.actions, (sequence.action for sequence in listed), table)
        takes = []
        for sequence in listed:
            path = _file_of(sequence, files)
            if path is not None and self._is_ours(sequence):
                reel = self.reel(path, preparation, partial(_decode_listed, sequence=sequence))
                parts = [Take(reel, first, end) for first, end in sequence.ranges]
                takes += [Take(reel)] if self.config.whole else parts
        return takes

    @classmethod
    def expected(cls, config: KthConfig, root: Path) -> tuple[Split, ...]:
        """Those that have people; of arrays, which have no people, all but a validation that is not there."""
        if _table_of(root) is None and _is_arrays(root):
            return cls.splits if arrays_of(root, "validation") else ("train", "test")
        return tuple(split for split in cls.splits if getattr(config, split))

    @classmethod
    def missing(cls, root: Path) -> list[str]:
        """Videos that the owners' table names and that are not there, and lines that the table lacks itself."""
        table = _table_of(root)
        if table is None:
            return []
        listed, files = read_table(table), _videos_below(root)
        lacking = [sequence.name for sequence in listed if _file_of(sequence, files) is None]
        return lacking + ([f"{VIDEOS - len(listed)} lines of {table.name}"] if len(listed) < VIDEOS else [])

    def _is_ours(self, sequence: Sequence) -> bool:
        people = getattr(self.config, self.split)
        return sequence.person in people and (not self.config.actions or sequence.action in self.config.actions)


def _decode_listed(path: Path, sequence: Sequence) -> Iterator[Frame]:
    """The frames of a video. Raises `InvalidInput` for one that ends before its last range, which is cut short.

    Inside of that it may end: the owners' table counts some frames more than there are.
    """
    count, needed = 0, max(first for first, _ in sequence.ranges) + 1
    for frame in decode_sized(path, SIZE):
        count += 1
        yield frame
    if count < needed:
        raise InvalidInput(
            f"{str(path)!r} has {count} frames; its last range in the owners' table starts at frame {needed}: copy it"
            " again"
        )


def read_table(path: Path) -> list[Sequence]:
    """The lines `person01_boxing_d1  frames  1-95, 96-185` of the owners' table, which counts from 1 and inclusively.

    Raises `InvalidInput` where there is no such line, or a range ends before it starts.
    """
    sequences = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        match = LINE.match(line)
        if match is None:  # the table opens with a few lines of prose
            continue
        ranges = tuple((int(first) - 1, int(last)) for first, last in RANGE.findall(match["ranges"]))
        if not ranges or any(not 0 <= first < end for first, end in ranges):
            raise InvalidInput(
                f"{str(path)!r} has the line {line.strip()!r}; expected ranges of frames such as 1-95, 96-185"
            )
        sequences.append(Sequence(match["name"], int(match["person"]), match["action"], ranges))
    if not sequences:
        raise InvalidInput(
            f"{str(path)!r} lists no sequences; expected lines such as 'person01_boxing_d1 frames 1-95, 96-185'"
        )
    return sequences


def _table_of(root: Path) -> Path | None:
    return next((root / name for name in TABLES if (root / name).is_file()), None)


def _is_arrays(root: Path) -> bool:
    """Whether the root is what the released code keeps, whatever one split of it lacks."""
    return any(arrays_of(root, split) for split in Kth.splits)


def _videos_below(root: Path) -> dict[str, Path]:
    return videos_by_name(path for path in root.rglob("person*") if path.suffix.lower() in ENDINGS)


def _file_of(sequence: Sequence, files: dict[str, Path]) -> Path | None:
    """The video of a line. Copies outside the owners' archive drop '_uncomp', and the setting where it is the first."""
    stems = [f"{sequence.name}_uncomp", sequence.name]
    if sequence.name.endswith("_d1"):
        stems.append(sequence.name.removesuffix("_d1"))
    return next((files[stem] for stem in stems if stem in files), None)
