"""The examples of docs/models.md are a whole model and a whole data set: one file is all that adding either takes."""

import importlib
import re
import sys
from pathlib import Path

import pytest
import torch

import made_media
import vidode.datasets
import vidode.models
from vidode.checkpoints import load
from vidode.cli import main
from vidode.clip import Batch, Clip
from vidode.datasets import open_dataset
from vidode.models import build, names
from vidode.training import config_from, train

DOCS = Path(__file__).parents[1] / "docs" / "models.md"
MODEL, DATASET = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)


def added(package, name, code, folder, monkeypatch):
    """The page's code as a file in a package's folder."""
    (folder / f"{name}.py").write_text(code)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    importlib.invalidate_caches()
    yield name
    sys.modules.pop(f"{package.__name__}.{name}", None)


@pytest.fixture
def model(tmp_path, monkeypatch):
    yield from added(vidode.models, "mean_frame", MODEL, tmp_path, monkeypatch)


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    yield from added(vidode.datasets, "microscope", DATASET, tmp_path, monkeypatch)


def test_its_file_is_a_models_name_everywhere(model, capsys):
    assert model in names()
    assert main(["models"]) == 0
    assert "mean_frame" in capsys.readouterr().out
    assert main(["inspect", "mean_frame"]) == 0


def test_a_model_answers_learns_and_is_loaded_again(model, tmp_path):
    frames = torch.rand(4, 3, 8, 8)
    observed = Batch.collate([Clip(frames, torch.arange(4, dtype=torch.float64))])
    query = torch.tensor([[1.5, 3.5]], dtype=torch.float64)
    made = build(model)(observed, query).frames
    torch.testing.assert_close(made[0], torch.stack([frames.mean(dim=0), frames[2:].mean(dim=0)]))
    data = {"name": "moving_scenes", "options": {"size": [16, 16], "frames": 10, "clips": 4}}
    saved = train(config_from({"model": model, "data": data, "steps": 3}), tmp_path / "run")
    assert not torch.equal(load(saved).gain, torch.ones(3, 1, 1))


def test_a_data_set_is_listed_read_and_prepared(dataset, tmp_path, capsys):
    (tmp_path / "films").mkdir()
    for day in ("2026-05-02", "2026-05-01", "2026-05-03"):
        made_media.Film(range(0, 12 * 640, 640)).write(tmp_path / "films" / f"{day}.mkv")
    root = str(tmp_path / "films")
    assert main(["datasets"]) == 0
    assert "Films of a microscope" in capsys.readouterr().out
    training = open_dataset(dataset, "train", root=root, size=16)
    assert [take.reel.path.stem for take in training.takes] == ["2026-05-01", "2026-05-02"]
    assert training.clip(0).frames.shape == (12, 3, 16, 16)
    assert main(["datasets", "prepare", dataset, root, str(tmp_path / "ready"), "--option", "size=16"]) == 0
    ready = open_dataset(dataset, "test", root=str(tmp_path / "ready"), size=16)
    assert torch.equal(ready.clip(0).frames, open_dataset(dataset, "test", root=root, size=16).clip(0).frames)


def test_the_page_lists_the_models_as_they_are(capsys):
    assert main(["models", "--markdown"]) == 0
    told = re.search(r"<!-- models -->\n(.*?)<!-- /models -->", DOCS.read_text(), re.DOTALL)
    assert told[1] == capsys.readouterr().out
