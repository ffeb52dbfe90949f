"""The paper's scale is the paper's, number by number, and every configuration of it takes a real step."""

import csv
import dataclasses
from pathlib import Path

import pytest
import torch

from vidode import checkpoints
from vidode.configuration import configure, plain
from vidode.experiments import paper
from vidode.experiments.reproduction.jobs import Places, training_of
from vidode.experiments.reproduction.scales import PAPER
from vidode.models import config_class, model_class
from vidode.training import Choice, RunConfig, train
from vidode.training.learner import Learner

PLACES = Places(Path("results"), Path("runs"))
ACTIONS = ("kth", "moving_gif", "penn_action")
VIDEOS = {"kth": 383, "moving_gif": 900, "penn_action": 1258, "bouncing_balls": 1000, "hurricane": 280}
"""To train on. KTH's are those of 16 people."""
SIZES = {**dict.fromkeys(ACTIONS, (128, 128)), "bouncing_balls": (32, 32), "hurricane": (242, 640)}
WIDTHS = {"width", "state", "latent", "units", "hidden", "vector", "refine"}
"""Options that a scale makes smaller."""


def every_job():
    """One job for each row of a table and each task and data set."""
    found = {}
    for name in paper.names():
        for job in paper.experiment(name).jobs(PAPER):
            if model_class(job.model).trainable:
                found.setdefault((job.title, job.task, job.data.label), job)
    return list(found.values())


def one_of_each_kind():
    """Those whose networks and windows differ: the three sets of videos have the same."""
    return [job for job in every_job() if job.data.name not in ACTIONS[1:]]


@pytest.mark.parametrize("job", every_job(), ids=lambda job: job.run_name)
def test_it_is_the_papers(job):
    config, name = training_of(job, PAPER, PLACES), job.data.name
    assert (config.batch_size, config.precision, config.optimiser) == (8, "float32", {})
    assert config.steps == 500 * -(-VIDEOS[name] // 8)
    assert config.steps_per_epoch == -(-VIDEOS[name] // 8)
    assert job.data.size == SIZES[name]
    assert (config.augmentation is not None) == (name in ACTIONS)
    usual = config_class(job.model)()
    made = plain(configure(type(usual), config.model.options, job.model))
    whole = {**plain(usual), "refine": made.get("refine")} if job.model == "anchored_vid_ode" else plain(usual)
    assert {name: made[name] for name in WIDTHS & set(made)} == {name: whole[name] for name in WIDTHS & set(made)}


def test_its_data_is_the_papers():
    data = {choice.name: choice for choices in PAPER.data.values() for choice in choices}
    assert set(data) == set(VIDEOS)
    assert data["kth"].options["train"] == list(range(1, 17))
    assert data["kth"].options["test"] == list(range(17, 26))
    assert data["bouncing_balls"].options == {"frames": 20, "clips": 1000, "held_out": 50}
    windows = data["bouncing_balls"].sampling["extrapolation"]
    assert (windows.frames_in, windows.frames_out) == (10, 10)
    for name in ACTIONS:
        assert set(data[name].sampling) == {"interpolation", "extrapolation"}
        assert all((each.frames_in, each.frames_out) == (5, 5) for each in data[name].sampling.values())
    climate = data["hurricane"]
    assert climate.schemes == {"extrapolation": "sparse-20"}
    assert climate.rates == (20, 40, 60, 80, 100)
    assert climate.absolute == 10 * 3 * 3600
    assert climate.sampling["extrapolation"].max_gap * 3 == 48
    assert climate.sampling["extrapolation"].window == 30
    assert PAPER.width == 1.0
    assert PAPER.clips is None


@pytest.mark.parametrize("job", one_of_each_kind(), ids=lambda job: job.run_name)
def test_it_takes_a_real_step(job, tmp_path):
    """Of the whole network, on one clip of the paper's size, CAM5's halved: its critics and itself, then saved."""
    config = training_of(job, PAPER, PLACES)
    halved = 2 if job.data.name == "hurricane" else 1
    scenes = {
        "size": [side // halved for side in job.data.size],
        "channels": job.data.channels,
        "frames": config.sampling.length(job.task),
        "clips": 1,
    }
    first = dataclasses.replace(
        config, steps=1, batch_size=1, data=Choice("moving_scenes", scenes), run=RunConfig(log_every=1)
    )
    saved = train(first, tmp_path / "run")
    before, after = Learner(first, 1), dict(checkpoints.load(saved).named_parameters())
    moved = [not torch.equal(after[name], weight) for name, weight in before.model.named_parameters()]
    assert all(bool(weight.isfinite().all()) for weight in after.values())
    assert sum(moved) > 0.9 * len(moved)
    (row,) = csv.DictReader((tmp_path / "run" / "metrics.csv").open())
    assert any(name.startswith("critic_") for name in row) == any(True for _ in before._critics())
