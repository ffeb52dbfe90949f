"""Where a result comes from: the command, the commit, the versions, and checksums of data and weights."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import secrets
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidode.clip import Clip, InvalidInput
from vidode.configuration import plain

PACKAGES = ("vidode", "torch", "numpy", "torchmetrics", "av", "opencv-python-headless")


def provenance(command: str | None = None) -> dict[str, Any]:
    """What every result file carries: command, commit (None outside a checkout), versions and machine kind.

    command: what to type to get the result again; None takes it from the running process.
    """
    return {
        "command": command or command_line(sys.argv),
        "commit": commit(),
        "versions": {name: version for name in PACKAGES if (version := _version(name)) is not None},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
    }


def command_line(arguments: Sequence[str]) -> str:
    """The command as it was typed, with every absolute path cut to its last part."""
    return shlex.join(_portable(argument) for argument in arguments)


def configuration(config: Any) -> dict[str, Any]:
    """A configuration as plain values, with every absolute path cut to its last part."""
    return {key: _portable(value) for key, value in plain(config).items()}


def commit() -> str | None:
    """The commit of the checkout that this package runs from, with "+changes" where its files differ from it.

    None for an installed copy, also where that lies in a checkout of something else.
    """
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        head, changed = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--", ".")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+changes" if changed else "")


def weights_checksum(model: nn.Module) -> str:
    """SHA-256 of every tensor of a model, by name."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(_bytes(value))
    return digest.hexdigest()


class DataChecksum:
    """SHA-256 of clips as they were read: times and 8-bit frames, whatever file they came from."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def update(self, clip: Clip) -> None:
        """Add a clip whose values are in [0, 1]."""
        self._digest.update(repr(tuple(clip.frames.shape)).encode())
        self._digest.update(_bytes(clip.times))
        self._digest.update(_bytes((clip.frames.nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8)))

    def hexdigest(self) -> str:
        """The checksum of all clips so far, in order."""
        return self._digest.hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all, making its folder. NaN is refused, which JSON does not have."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all, making its folder."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file whole or not at all, making its folder. Raises `OSError` that names the file, and not its draft."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        draft.unlink(missing_ok=True)


def require_writable(path: Path) -> None:
    """Raise `InvalidInput` where a file could not be written: one is made, and removed, in the nearest folder there is.

    So that it is known before hours of work; nothing stays behind.
    """
    if path.is_dir():
        raise InvalidInput(f"cannot write {path}: it is a folder; move it, or choose another place")
    nearest = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {nearest}: {error.strerror}; choose another place") from error


def _git(*words: str) -> str:
    here = Path(__file__).parent
    return subprocess.run(["git", *words], cwd=here, check=True, capture_output=True, text=True).stdout.strip()


def _portable(value: Any) -> Any:
    """Folders of one machine say nothing on another."""
    if isinstance(value, Path) or (isinstance(value, str) and Path(value).is_absolute()):
        return Path(value).name
    return value


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _bytes(value: Tensor) -> bytes:
    return value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes() if value.numel() else b""
