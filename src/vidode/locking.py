"""One process at a time in a folder that a long work fills: two would mix their files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from vidode.clip import InvalidInput


@contextmanager
def alone(folder: Path, name: str, at_work: str) -> Iterator[None]:
    """The folder, made where it is missing, with no other work of its kind in it.

    name: of the lock's file there. A process that is killed may leave the file, which then is locked no more. Folders
    that were made, and in which nothing was written, are gone afterwards. at_work: what to say where another process
    holds the lock, for which it raises `InvalidInput`.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / name, blocking=False), _removed(folder / name):
            yield
    except Timeout as error:
        raise InvalidInput(f"{at_work}; wait until it has ended, or choose another folder") from error
    finally:
        with suppress(OSError):  # one that holds something stays
            for place in made:
                place.rmdir()


@contextmanager
def _removed(lock: Path) -> Iterator[None]:
    """The file goes while it is still ours: afterwards it may be another's. Windows refuses, and removes it itself."""
    try:
        yield
    finally:
        with suppress(PermissionError):
            lock.unlink(missing_ok=True)
