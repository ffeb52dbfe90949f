"""The folder of a run: whose it is, and one process in it at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from lightning.pytorch.utilities import rank_zero_only

from vidode.clip import InvalidInput
from vidode.training.config import TrainingConfig, as_yaml, other_than, read_config

CONFIG = "config.yaml"
CHECKPOINTS = "checkpoints"
MODEL = "model"
LOCK = "lock"


def require_ours(folder: Path, config: TrainingConfig) -> None:
    """Raise `InvalidInput` where the folder holds a run of another or an unknown configuration, or no run of ours."""
    path = folder / CONFIG
    if not path.exists():
        _require_no_run(folder)
        return
    try:
        old = read_config(path)
    except InvalidInput as error:
        raise InvalidInput(f"{folder} holds no run of vidode ({error}); choose another folder") from error
    other = other_than(old, config)
    if other is not None:
        raise InvalidInput(f"{folder} holds a run with {other}; choose another folder")


def _require_no_run(folder: Path) -> None:
    """What a run of an unknown configuration left would be taken for what this one learned."""
    for name in (CHECKPOINTS, MODEL):
        if (folder / name).exists():
            raise InvalidInput(
                f"{folder} holds {name}/ but no {CONFIG} that says of which run; put that file back, or choose another"
                " folder"
            )


def claim(folder: Path, config: TrainingConfig) -> None:
    """Make the folder this run's. A file that says the same is left as it is, with its comments."""
    path = folder / CONFIG
    said = path.is_file() and read_config(path) == config
    if _first_process() and not said:
        draft = path.with_suffix(".part")
        draft.write_text(as_yaml(config))
        draft.replace(path)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """The folder, made where it is missing, with no other run in it. A run that dies leaves no lock.

    The processes that a run starts are part of it. A folder in which nothing was written is gone afterwards.
    Raises `InvalidInput` where another run is at it.
    """
    if not _first_process():
        yield
        return
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise InvalidInput(
            f"{folder} is in use by another training; wait until that has ended, or choose another folder"
        ) from error
    try:
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)  # while it is held: nobody else's
        lock.release()
        with suppress(OSError):  # not empty
            for place in made:
                place.rmdir()


def _first_process() -> bool:
    return bool(rank_zero_only.rank == 0)  # type: ignore[attr-defined]
