"""UCF-101: 13,320 clips of 101 actions from the web, 320x240."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from vidode.datasets import RecordedDataset, require_actions, videos_by_name
from vidode.footage import Preparation, Take, decode_sized

NAME = re.compile(r"v_(?P<action>\w+)_g(?P<group>\d\d)_c\d\d\.(avi|mp4)", re.IGNORECASE)
GROUPS_A_FOLD = 7
CLIPS = 13320
SIZE = (240, 320)
"""Height and width of every clip."""


@dataclass(frozen=True)
class Ucf101Config:
    """Where and which.

    root: the folder with the files, in any folders below it. fold: 1, 2 or 3, the owners' three ways to split: groups
    1 to 7, 8 to 14 or 15 to 21 are the test. actions: empty for all. size: side in pixels, none to keep 320x240.
    cache: see `RecordedDataset`.
    """

    root: str = ""
    fold: Literal[1, 2, 3] = 1
    actions: tuple[str, ...] = ()
    size: int | None = None
    channels: Literal[1, 3] = 3
    cache: str | None = None


class Ucf101(RecordedDataset):
    """Clips of a fold. Whole groups, each filmed at one place, are held out, as the owners ask for."""

    config: Ucf101Config
    splits = ("train", "test")
    downloads = (
        "get UCF101.rar (6.5 GB, 13,320 clips) from the Center for Research in Computer Vision, University of Central"
        " Florida, and unpack its files v_<Action>_g<group>_c<clip>.avi anywhere under root"
    )

    def find(self, root: Path) -> list[Take]:
        """In order of name. Raises `InvalidInput` for an action of which there is no file."""
        named = {path: match for path in _clips_below(root) if (match := NAME.fullmatch(path.name))}
        wanted = self.config.actions
        require_actions(wanted, (match["action"] for match in named.values()), root)
        preparation = Preparation(self.config.size, self.config.channels)
        return [
            Take(self.reel(path, preparation, partial(decode_sized, size=SIZE)))
            for path, match in sorted(named.items(), key=lambda item: item[0].name)
            if self._is_ours(int(match["group"])) and (not wanted or match["action"] in wanted)
        ]

    @classmethod
    def missing(cls, root: Path) -> list[str]:
        """How many of the owners' clips are not there."""
        lacking = CLIPS - len(_clips_below(root))
        return [f"{lacking} of the {CLIPS} clips"] if lacking > 0 else []

    def _is_ours(self, group: int) -> bool:
        tested = (group - 1) // GROUPS_A_FOLD == self.config.fold - 1
        return tested == (self.split == "test")


def _clips_below(root: Path) -> list[Path]:
    return list(videos_by_name(path for path in root.rglob("v_*") if NAME.fullmatch(path.name)).values())
