"""Outputs that appear whole or not at all: prepared under a hidden name beside their place, then moved there."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from vidode.clip import InvalidInput


class Draft:
    """A file, or where `folder` says so a folder, being prepared: written at `path`, and moved to `target` by `commit`.

    Raises `InvalidInput` where the target's folder is missing, where the target exists and may not be overwritten, and
    where a file would replace a folder.
    """

    def __init__(self, target: str | Path, overwrite: bool = False, *, folder: bool = False) -> None:
        self.target = Path(target)
        self.overwrite = overwrite
        self._is_folder = folder
        parent = self.target.parent
        if not parent.is_dir():
            raise InvalidInput(f"output folder {str(parent)!r} does not exist; expected a folder: create it first")
        self._require_free()
        name = f".{self.target.stem[:100]}.{secrets.token_hex(4)}.part{self.target.suffix}"
        self.path = parent / name

    def commit(self) -> None:
        """Put what was written in its place, at once."""
        with reported(self.target):
            self._require_free()
            if self.target.is_dir():
                self._replace_folder()
            else:
                self.path.replace(self.target)

    def discard(self) -> None:
        """Remove what was written so far."""
        if self.path.is_dir():
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self.path.unlink(missing_ok=True)

    def _require_free(self) -> None:
        if self.target.is_dir() and not self._is_folder:
            raise InvalidInput(
                f"output {str(self.target)!r} is a folder; expected the name of a file: give another one"
            )
        if not self.overwrite and os.path.lexists(self.target):
            raise InvalidInput(f"output {str(self.target)!r} exists; give another name, or overwrite (--overwrite)")

    def _replace_folder(self) -> None:
        # A folder cannot be replaced in one step: the old one steps aside first, and comes back if the move fails.
        aside = self.path.with_name(self.path.name + ".old")
        self.target.rename(aside)
        try:
            self.path.rename(self.target)
        except BaseException:
            aside.rename(self.target)
            raise
        shutil.rmtree(aside)


@contextmanager
def reported(target: Path) -> Iterator[None]:
    """Turn a failure of the disk or of the encoder into one line about the output."""
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        reason = error.strerror or type(error).__name__
        advice = "free some space or write elsewhere" if error.errno == errno.ENOSPC else "nothing was left behind"
        raise InvalidInput(f"cannot write {str(target)!r}: {reason}; {advice}") from error
