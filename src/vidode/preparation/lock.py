"""One preparation at a time in a folder: two would mix their arrays, and each would say that all is its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from vidode.clip import InvalidInput

LOCK = ".preparing.lock"
"""In the target while it is prepared. A process that is killed may leave the file, which then is locked no more."""


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """The target, a folder that is made if it is not there, for one preparation alone.

    It is removed again where nothing was written. Raises `InvalidInput` for a file, and for a folder that another
    process prepares.
    """
    if target.exists() and not target.is_dir():
        raise InvalidInput(f"{str(target)!r} is a file; expected a folder to write, or a new one")
    new = [folder for folder in (target, *target.parents) if not folder.exists()]
    target.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(target / LOCK, blocking=False), _removed(target / LOCK):
            yield
    except Timeout as error:
        raise InvalidInput(
            f"another process is preparing {str(target)!r} now; wait until it has ended, or choose another folder"
        ) from error
    finally:
        for folder in new:
            with suppress(OSError):  # one that holds something stays
                folder.rmdir()


@contextmanager
def _removed(lock: Path) -> Iterator[None]:
    """The file goes while it is still ours: afterwards it may be another's. Windows refuses, and removes it itself."""
    try:
        yield
    finally:
        with suppress(PermissionError):
            lock.unlink(missing_ok=True)
