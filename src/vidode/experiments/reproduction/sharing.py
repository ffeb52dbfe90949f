"""Work that several processes share: what one of them is at, the others leave to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

T = TypeVar("T")

PAUSE = 5.0
"""Seconds between two looks at what other processes are at."""


def in_turn(work: Mapping[str, Callable[[], T]], lock_of: Callable[[str], Path]) -> Iterator[tuple[str, T]]:
    """Each piece's name and what it gives, in order, but for those that another process is at: they come once they can.

    lock_of: the file that stands for a piece, whose folder is made. A process that dies leaves no lock.
    """
    left = dict(work)
    while left:
        for name, do in left.items():
            lock = lock_of(name)
            lock.parent.mkdir(parents=True, exist_ok=True)
            try:
                with FileLock(lock, blocking=False):
                    given = do()
            except Timeout:
                continue
            del left[name]
            yield name, given
            break  # the next is the first that is free by now
        else:
            time.sleep(PAUSE)
