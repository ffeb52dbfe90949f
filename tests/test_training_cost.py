"""What an update costs: of every trained model, in a process of its own."""

import json

import pytest

from vidode.clip import InvalidInput
from vidode.experiments import training_cost
from vidode.experiments.reproduction.scales import PAPER
from vidode.experiments.training_cost import main, page, subjects
from vidode.models import model_class, names


def test_every_trained_model_is_measured():
    assert [name for name, _ in subjects()] == [name for name in names() if model_class(name).trainable]
    assert all(task in model_class(name).tasks for name, task in subjects())


def test_seconds_and_memory_of_a_process_of_its_own(tmp_path, monkeypatch):
    both = [("ode_conv", "extrapolation"), ("vid_ode", "extrapolation")]
    monkeypatch.setattr(training_cost, "subjects", lambda: both)
    main(scale="smoke", out=tmp_path)
    lines = [json.loads((tmp_path / "smoke" / f"{name}.json").read_text()) for name, _ in both]
    assert [line["model"] for line in lines] == [name for name, _ in both]
    assert all(line["seconds"] > 0 and 50 < line["memory"] < 20_000 for line in lines)
    page_made = (tmp_path / "smoke.md").read_text()
    assert "| vid_ode |" in page_made
    monkeypatch.setattr(training_cost, "measured", lambda *_: pytest.fail("measured a second time"))
    main(scale="smoke", out=tmp_path)
    assert (tmp_path / "smoke.md").read_text() == page_made


def test_what_cannot_be_trained_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(training_cost, "subjects", lambda: [("prednet", "interpolation")])
    with pytest.raises(InvalidInput, match="prednet could not be trained"):
        main(scale="smoke", out=tmp_path)
    assert not list(tmp_path.rglob("*.json"))


def test_hours_are_those_of_the_scales_updates():
    line = {"model": "vid_ode", "parameters": 1, "seconds": 0.25, "memory": 1024.0}
    assert "| vid_ode | 1 | 0.25 | 1.00 | 1.7 | 1,024 |" in page([line], "x", PAPER)
