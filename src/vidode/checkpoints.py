"""A model on disk: a folder with config.json and model.safetensors.

config.json says what the model is (format, model name, configuration), how its tensors are stored (type, SHA-256) and
how they came to be (the card). Nothing is ever unpickled. Weights that come with the package lie under `weights/`, in a
folder named after the checkpoint, and are found by that name.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from vidode.clip import InvalidInput
from vidode.configuration import closest, plain
from vidode.models import VideoModel, build, model_class, names

T = TypeVar("T")

FORMAT = 1
"""The version of the folder's layout. A newer one is refused, not guessed at."""
CONFIG = "config.json"
TENSORS = "model.safetensors"


@dataclass(frozen=True)
class Description:
    """What config.json says. card: how the weights came to be (command, steps, seed, scores), whatever was recorded."""

    folder: Path
    model: str
    configuration: dict[str, Any]
    sha256: str
    stored: str
    card: dict[str, Any]


def shipped() -> list[str]:
    """The names of the weights that come with the package, in alphabetical order."""
    root = _weights()
    return sorted(path.name for path in root.iterdir() if (path / CONFIG).is_file()) if root.is_dir() else []


def floors() -> list[str]:
    """The names of the models that learn nothing and so need no weights."""
    return [name for name in names() if not model_class(name).trainable]


def save(
    model: VideoModel, folder: str | Path, name: str, card: Mapping[str, Any] | None = None, half: bool = False
) -> Path:
    """Write a model, whole or not at all. An older checkpoint in the same place is replaced.

    name: of the model in the catalog. half: store float32 tensors as float16, which halves the size.
    Raises `InvalidInput` for a folder that holds something else, a missing parent folder, and values that are not
    finite or do not fit float16.
    """
    folder = Path(folder)
    if not folder.parent.is_dir():
        raise InvalidInput(f"folder {folder.parent} does not exist; create it first")
    if not isinstance(model, model_class(name)):
        raise InvalidInput(f"the model is a {type(model).__name__}, which is not {name}; give its name in the catalog")
    if folder.exists() and not _is_ours(folder):
        raise InvalidInput(f"{folder} exists and is no checkpoint; choose another folder")
    data = safetensors.torch.save(_stored(model.state_dict(), half))
    config = {
        "format": FORMAT,
        "model": name,
        "configuration": plain(model.config),
        "tensors": {"sha256": hashlib.sha256(data).hexdigest(), "stored": "float16" if half else "float32"},
        "card": dict(card or {}),
    }
    text = json.dumps(config, indent=2) + "\n"
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as work:
        new = Path(work, "new")
        new.mkdir()
        (new / TENSORS).write_bytes(data)
        (new / CONFIG).write_text(text)
        if folder.exists():
            folder.replace(Path(work, "old"))
        new.replace(folder)
    return folder


def load(name_or_folder: str | Path) -> VideoModel:
    """A saved model in evaluation mode, from a folder, by the name of shipped weights, or a floor by its name.

    Raises `InvalidInput` for an unknown name, with the closest one, for a model without weights here, and for whatever
    is wrong with the files.
    """
    if _is_floor(name_or_folder):
        return build(str(name_or_folder)).eval()
    found = describe(name_or_folder)
    model = build(found.model, **found.configuration)
    _fill(model, _tensors(found), found.folder)
    return model.eval()


def describe(name_or_folder: str | Path) -> Description:
    """What a checkpoint is, without its tensors. Raises as `load`."""
    folder = _find(name_or_folder)
    path = folder / CONFIG
    if not path.is_file():
        raise InvalidInput(f"{folder} has no {CONFIG}; expected a folder that vidode saved")
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON; expected a file that vidode saved") from error
    version = _entry(values, "format", int, path)
    if version > FORMAT:
        raise InvalidInput(f"{path} has format {version}, newer than {FORMAT}; upgrade vidode to read it")
    tensors = _entry(values, "tensors", dict, path)
    return Description(
        folder=folder,
        model=_entry(values, "model", str, path),
        configuration=_entry(values, "configuration", dict, path),
        sha256=_entry(tensors, "sha256", str, path),
        stored=_entry(tensors, "stored", str, path),
        card=_entry(values, "card", dict, path),
    )


def _entry(values: Any, key: str, kind: type[T], path: Path) -> T:
    if not isinstance(values, dict) or not isinstance(values.get(key), kind):
        raise InvalidInput(f"{path} has no entry {key!r} of type {kind.__name__}; expected a file that vidode saved")
    return values[key]  # type: ignore[no-any-return]


def _weights() -> Path:
    return Path(str(resources.files("vidode"))) / "weights"


def _find(name_or_folder: str | Path) -> Path:
    folder = Path(name_or_folder)
    if folder.is_dir():
        return folder
    if str(name_or_folder) in shipped():
        return _weights() / name_or_folder
    if _is_floor(name_or_folder):
        raise InvalidInput(f"{name_or_folder} is a floor, which has no checkpoint; give a folder or other weights")
    if str(name_or_folder) in names():
        raise InvalidInput(
            f"{name_or_folder} has no weights here; train it first ('vidode train') and give the folder, or use one of"
            f" {', '.join([*shipped(), *floors()])}"
        )
    hint = closest(str(name_or_folder), [*shipped(), *floors()])
    raise InvalidInput(f"no checkpoint called {str(name_or_folder)!r}, and no such folder; {hint}")


def _is_floor(name_or_folder: str | Path) -> bool:
    return not Path(name_or_folder).is_dir() and str(name_or_folder) in {*floors()} - {*shipped()}


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= {CONFIG, TENSORS}


def _stored(state: dict[str, Tensor], half: bool) -> dict[str, Tensor]:
    stored = {}
    for key, value in state.items():
        tensor = value.detach().cpu()
        if half and tensor.dtype == torch.float32:
            tensor = tensor.half()
        if not bool(torch.isfinite(tensor).all()):
            raise InvalidInput(f"tensor {key} is not finite as {tensor.dtype}; nothing was saved")
        stored[key] = tensor.clone(memory_format=torch.contiguous_format)  # safetensors refuses shared memory
    return stored


def _tensors(found: Description) -> dict[str, Tensor]:
    path = found.folder / TENSORS
    if not path.is_file():
        raise InvalidInput(f"{found.folder} has no {TENSORS}; copy the whole folder again")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != found.sha256:
        raise InvalidInput(f"{path} is damaged: its checksum is not the one in {CONFIG}; copy or download it again")
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError) as error:
        raise InvalidInput(
            f"{path} is not in the safetensors format; only that is read, nothing is unpickled"
        ) from error


def _fill(model: VideoModel, tensors: dict[str, Tensor], folder: Path) -> None:
    """Copy the tensors into the model, each into its own type. Raises `InvalidInput` where they do not fit."""
    state = model.state_dict()
    for what, keys in (("lacks", state.keys() - tensors.keys()), ("has unknown", tensors.keys() - state.keys())):
        if keys:
            raise InvalidInput(
                f"{folder / TENSORS} {what} tensor {min(keys)!r} ({len(keys)} in all); expected those of the model"
                f" in {CONFIG}"
            )
    for key, value in state.items():
        if tensors[key].shape != value.shape:
            raise InvalidInput(
                f"tensor {key!r} of {folder / TENSORS} has shape {tuple(tensors[key].shape)};"
                f" the model in {CONFIG} expects {tuple(value.shape)}"
            )
    model.load_state_dict(tensors)
