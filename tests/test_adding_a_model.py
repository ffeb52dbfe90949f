"""The example of docs/models.md is a whole model, and one file is all that adding it takes."""

import importlib
import re
import sys
from pathlib import Path

import pytest
import torch

import vidode.models
from vidode.checkpoints import load
from vidode.cli import main
from vidode.clip import Batch, Clip
from vidode.models import build, names
from vidode.training import config_from, train

DOCS = Path(__file__).parents[1] / "docs" / "models.md"


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The page's code as a file in the models' folder."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (tmp_path / "mean_frame.py").write_text(code)
    monkeypatch.setattr(vidode.models, "__path__", [*vidode.models.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    yield "mean_frame"
    sys.modules.pop("vidode.models.mean_frame", None)


def test_its_file_is_its_name_everywhere(example, capsys):
    assert example in names()
    assert main(["models"]) == 0
    assert "mean_frame" in capsys.readouterr().out
    assert main(["inspect", "mean_frame"]) == 0


def test_it_answers_learns_and_is_loaded_again(example, tmp_path):
    frames = torch.rand(4, 3, 8, 8)
    observed = Batch.collate([Clip(frames, torch.arange(4, dtype=torch.float64))])
    query = torch.tensor([[1.5, 3.5]], dtype=torch.float64)
    made = build(example)(observed, query).frames
    torch.testing.assert_close(made[0], torch.stack([frames.mean(dim=0), frames[2:].mean(dim=0)]))
    data = {"name": "moving_scenes", "options": {"size": [16, 16], "frames": 10, "clips": 4}}
    saved = train(config_from({"model": example, "data": data, "steps": 3}), tmp_path / "run")
    assert not torch.equal(load(saved).gain, torch.ones(3, 1, 1))
