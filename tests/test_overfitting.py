"""Every model that is trained can learn: one clip, at the smoke scale, by its own objective, in the harness of all."""

import dataclasses

import numpy as np
import pytest
import torch

from vidode import checkpoints
from vidode.experiments.reproduction.jobs import Job, Places, training_of
from vidode.experiments.reproduction.rows import ours
from vidode.experiments.reproduction.scales import BRIEF, REGULAR, REGULAR_SCHEMES, SMOKE, DataChoice
from vidode.models import TASKS, model_class, names
from vidode.sampling import collate, draw, generator_for
from vidode.training import train

ONE_CLIP = DataChoice(
    "one clip", "moving_gif", {}, (32, 32), videos=1, sampling=REGULAR, schemes=REGULAR_SCHEMES, augmented=False
)
FASTER = {**BRIEF, "learning_rate": 5e-3}
"""The papers' optimisers take thousands of steps."""


QUICK = 150
SLOW = {("interpolation", name): 400 for name in ("latent_ode", "latent_ode_conv", "ode_fc", "vid_ode", "vid_rnn")}
SLOW["extrapolation", "anchored_vid_ode"] = 400
"""Updates of what goes through nine frames rather than on from the last one, and of what adds up five single gaps."""
APART = {"ode2vae": "its two latents take thousands of updates at this width; tests/test_ode2vae.py has a clip for it"}


def waves():
    """Ten frames of a pattern that moves two pixels a frame to the right, as an array of bytes: (10, 32, 32, 3)."""
    rows, columns = np.meshgrid(np.arange(32), np.arange(32), indexing="ij")
    phase = 2 * np.pi * (columns - 2 * np.arange(10)[:, None, None]) / 16
    shades = [np.sin(phase), np.sin(phase + 2 * np.pi * rows / 32), np.cos(phase)]
    return (127.5 + 100 * np.stack(shades, axis=-1)).astype(np.uint8)


def learnable():
    """Every trained model with each of its tasks."""
    kinds = {name: model_class(name) for name in names() if name not in APART}
    return [(name, task) for name, kind in kinds.items() if kind.trainable for task in TASKS if task in kind.tasks]


def row(name, task):
    """As the tables train it; what is tested is asked for in training, too, also of the models that the paper asks for
    what they see. Ours beyond the end learns one gap and is tested on five."""
    if name == "anchored_vid_ode":
        return ours(task, dataclasses.replace(SMOKE, data={"actions": (ONE_CLIP,)}), "actions")[0]
    return Job(name, task, ONE_CLIP, training={"sampling": dataclasses.replace(REGULAR[task], supervised=True)})


@pytest.mark.parametrize(("name", "task"), learnable())
def test_it_overfits_one_clip(name, task, tmp_path):
    (tmp_path / "moving_gif" / "train").mkdir(parents=True)
    np.save(tmp_path / "moving_gif" / "train" / "waves.npy", waves())
    config = training_of(row(name, task), SMOKE, Places(tmp_path, tmp_path, tmp_path))
    steps = SLOW.get((task, name), QUICK)
    config = dataclasses.replace(config, steps=steps, batch_size=1, optimiser=FASTER)
    clip = config.open_data("train").clip(0)
    asked = collate([draw(clip, REGULAR[task], task, generator_for(0), test=True)], task)

    @torch.no_grad()
    def error(model):
        return float((model.eval()(asked.observed, asked.query).frames.clamp(0, 1) - asked.target).abs().mean())

    torch.manual_seed(0)
    untrained = error(config.build_model())
    model = checkpoints.load(train(config, tmp_path / "run"))
    of_mean_frame = float((clip.frames.mean(dim=0) - asked.target).abs().mean())
    assert error(model) < min(untrained / 2, of_mean_frame)
    if model.any_time:  # and what it learned is a function of time
        with torch.no_grad():
            now, later = (model(asked.observed, asked.query + shift * clip.times[1]).frames for shift in (0, 0.3))
        assert (later - now).abs().max() > 1e-3
