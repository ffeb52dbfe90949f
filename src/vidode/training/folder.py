"""The folder of a run: whose it is, and one process in it at a time."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from vidode.clip import InvalidInput
from vidode.locking import alone
from vidode.provenance import write_text
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
        write_text(path, as_yaml(config))


def claimed(folder: Path) -> AbstractContextManager[None]:
    """The folder with no other run in it; see `alone`. The processes that a run starts are part of it."""
    return alone(folder, LOCK, f"{folder} is in use by another training") if _first_process() else nullcontext()


def _first_process() -> bool:
    return bool(rank_zero_only.rank == 0)  # type: ignore[attr-defined]
