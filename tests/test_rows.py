"""A row is of what its title says: what it saw, its seed, its data; and it is made again where that changed."""

import dataclasses
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from filelock import FileLock
from PIL import Image

from vidode.blocks.perceptual import Lpips
from vidode.cli.verbs import values_of
from vidode.configuration import configure
from vidode.datasets import VideoDataset, config_class, dataset_class
from vidode.evaluation import measure
from vidode.experiments.reproduction import jobs as jobs_module
from vidode.experiments.reproduction import rows, sharing
from vidode.experiments.reproduction import run as run_module
from vidode.experiments.reproduction.answers import answer, shown_clip
from vidode.experiments.reproduction.jobs import Job, Places, carry_out, load_trained, training_of
from vidode.experiments.reproduction.scales import PAPER, SMALL, SMOKE
from vidode.manifest import shaping
from vidode.metrics import quantise
from vidode.models import config_class as config_of_model
from vidode.models import model_class
from vidode.sampling import generator_for, select

SCENES = SMOKE.data["actions"][0]
DRAWS = 100
COMMAND = re.compile(r"^vidode datasets prepare (\w+) SRC FOLDER/\1(.*?) *# (small|paper)$", re.MULTILINE)


@pytest.fixture
def places(tmp_path):
    return Places(tmp_path / "results", tmp_path / "runs")


def ours_everywhere():
    """Each of our rows at each scale, once a task and data set."""
    return [
        pytest.param(job, id=f"{scale.name}-{job.run_name}")
        for scale in (SMOKE, SMALL, PAPER)
        for role, choices in scale.data.items()
        if role != "ladder"
        for task in choices[0].sampling
        for job in rows.ours(task, scale, role)
        if job.seed == scale.seeds[0]
    ]


def drawn(sampling, task, seed, test=False):
    """What one draw shows and asks, as two sets of frames."""
    selection = select(sampling, task, generator_for(seed), test=test)
    return set(selection.seen.tolist()), set(selection.asked.tolist())


@pytest.mark.parametrize("job", ours_everywhere())
def test_ours_of_the_inputs_alone_learns_from_no_other_frame_and_the_supervised_one_does(job):
    regular, mine = job.data.sampling[job.task], job.training["sampling"]
    outside = set()
    for seed in range(DRAWS):
        inputs, _ = drawn(regular, job.task, seed, test=regular.scheme == "regular")
        seen, asked = drawn(mine, job.task, seed)
        outside |= (seen | asked) - inputs
    assert bool(outside) == {rows.OURS: True, rows.OURS_UNSUPERVISED: False}[job.title]


def test_seeds_are_of_the_training_and_of_nothing_else(places):
    job = Job("ode_conv", "extrapolation", SMALL.data["actions"][0])
    first, second = (training_of(dataclasses.replace(job, seed=seed), SMALL, places) for seed in (0, 1))
    assert (first.seed, second.seed) == (0, 1)
    assert dataclasses.replace(second, seed=0) == first


def test_fields_keep_their_clock_and_their_orientation_and_are_learned_at_every_rate_that_is_measured(places):
    for data in SMALL.data["weather"]:
        config = training_of(Job("vid_ode", "extrapolation", data), SMALL, places)
        assert config.model.options["time_scale"] == {"kind": "absolute", "per_unit": data.absolute}
        assert config.augmentation is None
        spans = set()
        for seed in range(DRAWS):
            seen = select(config.sampling, "extrapolation", generator_for(seed), test=False).seen
            spans.add(int(seen.max() - seen.min()) + 1)
        window = config.sampling.window - config.sampling.frames_out
        assert max(spans) == window
        assert min(spans) == (5 if data.rates else window)


def test_a_row_is_measured_and_shown_on_the_test_split(places, monkeypatch):
    opened = []
    held = VideoDataset.__init__

    def noted(self, config, split):
        opened.append(split)
        held(self, config, split)

    monkeypatch.setattr(VideoDataset, "__init__", noted)
    job = Job("copy_last", "extrapolation", SCENES)
    carry_out(job, SMOKE, places, None, "vidode reproduce table2")
    shown_clip(job, places)
    assert set(opened) == {"test"}
    values = json.loads((places.results / "rows" / f"{job.name}.json").read_text())
    assert values["data"]["name"] == "moving_scenes/test"


def test_a_picture_shows_the_frames_that_were_measured_where_they_depend_on_the_batch(places):
    data = dataclasses.replace(SCENES, options={**SCENES.options, "held_out": 2})
    scale = dataclasses.replace(SMOKE, clips=None, data={"actions": (data,)})
    (job,) = rows.vid_ode_as_released("extrapolation", scale, "actions")
    shown = answer(job, scale, places)
    model, opened = load_trained(job, scale, places), data.open("test", None, None)
    measured = {count: measure(model, opened, job.measured_by, together=count) for count in (1, 2)}
    clip, question = shown_clip(job, places)
    error = (quantise(shown) / 255 - quantise(clip.frames[question.asked]) / 255).square().flatten(1).mean(dim=1)
    first = {count: found.scores.mse[: len(error)].float() for count, found in measured.items()}
    torch.testing.assert_close(error, first[2], rtol=1e-3, atol=1e-5)  # kept in half precision
    assert not torch.allclose(error, first[1], rtol=1e-3, atol=1e-5)


def changed_data(job, monkeypatch):
    return dataclasses.replace(job, data=dataclasses.replace(job.data, options={**job.data.options, "frames": 25}))


def changed_scheme(job, monkeypatch):
    schemes = {**job.data.schemes, job.task: "sparse-100"}
    return dataclasses.replace(job, data=dataclasses.replace(job.data, schemes=schemes))


def changed_default(job, monkeypatch):
    def with_another(kind, *given):
        made = configure(kind, *given)
        return dataclasses.replace(made, width=4) if kind is config_of_model(job.model) else made

    monkeypatch.setattr(jobs_module, "configure", with_another)
    return job


def changed_optimiser(job, monkeypatch):
    kind = model_class(job.model)
    monkeypatch.setattr(kind, "optimiser", dataclasses.replace(kind.optimiser, learning_rate=1e-5))
    return job


CHANGES = [
    ("copy_last", changed_data),
    ("copy_last", changed_scheme),
    ("ode_conv", changed_data),
    ("ode_conv", changed_scheme),
    ("ode_conv", changed_optimiser),
    ("ode_conv", changed_default),
]


@pytest.mark.parametrize(("model", "change"), CHANGES)
def test_a_row_is_made_again_where_what_it_is_made_from_changed(model, change, places, monkeypatch):
    job = Job(model, "extrapolation", SCENES)
    carry_out(job, SMOKE, places, None, "first")
    carry_out(change(job, monkeypatch), SMOKE, places, None, "second")
    (path,) = (places.results / "rows").iterdir()
    assert json.loads(path.read_text())["command"] == "second"


def test_a_change_of_the_optimiser_alone_is_another_training(places, monkeypatch):
    job = Job("ode_conv", "extrapolation", SCENES)
    carry_out(job, SMOKE, places, None, "first")
    (path,) = (places.results / "rows").iterdir()
    first = json.loads(path.read_text())
    carry_out(changed_optimiser(job, monkeypatch), SMOKE, places, None, "second")
    second = json.loads(path.read_text())
    assert first["model"]["sha256"] != second["model"]["sha256"]
    assert second["key"]["training"]["optimiser"]["learning_rate"] == 1e-5


def strips(root, shade):
    """A Weizmann of one clip of twelve frames in each split, of one shade."""
    for name in ("train/00000000.png", "test/00000001.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12 * 32, 32), (shade, shade, shade)).save(root / name)


@pytest.mark.parametrize("model", ["copy_last", "ode_conv"])
def test_a_row_is_made_again_where_other_data_stands_under_the_same_names(model, places, tmp_path):
    job = Job(model, "extrapolation", SMALL.data["actions"][0])
    told = []
    for shade in (50, 200, 200):
        strips(tmp_path / "weizmann", shade)
        here = dataclasses.replace(places, data=tmp_path, checksums={})
        carry_out(job, SMOKE, here, None, f"{len(told)} of {shade}")
        row = json.loads((places.results / "rows" / f"{job.name}.json").read_text())
        assert row["key"]["data"]["sha256"] == row["data"]["sha256"]
        told.append((row["command"], row["key"]["learned_from"]))
    trained = model_class(model).trainable
    assert [command for command, _ in told] == ["0 of 50", "1 of 200", "1 of 200"]
    assert len({checksum for _, checksum in told}) == (2 if trained else 1)
    assert len(list(places.runs.glob("smoke/ode_conv-*"))) == (2 if trained else 0)


def test_a_row_names_the_seed_of_its_training_and_that_of_what_was_hidden(places):
    carry_out(Job("ode_conv", "extrapolation", SCENES, seed=1), SMOKE, places, None, "vidode reproduce table2")
    (path,) = (places.results / "rows").iterdir()
    row = json.loads(path.read_text())
    assert (row["seed"], row["hiding_seed"], row["key"]["training"]["seed"]) == (1, 0, 1)


def test_a_row_has_the_distances_of_the_weights_that_were_given(places):
    torch.manual_seed(0)
    lpips, job = Lpips().eval(), Job("copy_last", "extrapolation", SCENES)
    row = carry_out(job, SMOKE, places, lpips, "vidode reproduce table2").rows["vidode2021"]
    clip, question = shown_clip(job, places)
    last = clip.frames[question.seen[-1]].expand(len(question.asked), -1, -1, -1)
    pair = (quantise(last) / 255, quantise(clip.frames[question.asked]) / 255)
    with torch.no_grad():
        assert row.scores.lpips == pytest.approx(lpips(*pair).mean().item(), rel=1e-5)
    assert row.scores.lpips != 0


def test_rows_of_one_training_wait_for_it_and_the_others_do_not(places, monkeypatch):
    """As in Figure 6, whose rows are the same training measured at several rates."""
    held, made = None, []

    def noted(job, *_):
        made.append(job.name)
        if len(made) == 3:
            held.release()
        return None

    jobs = [Job(name, "extrapolation", SCENES, scheme=f"sparse-{rate}") for name in ("a", "b") for rate in (20, 100)]
    only = SimpleNamespace(jobs=lambda _: [*jobs, Job("c", "extrapolation", SCENES)], keep=lambda *_: None)
    monkeypatch.setattr(run_module.paper, "experiment", lambda _: only)
    monkeypatch.setattr(run_module, "require_data", lambda *_: None)
    monkeypatch.setattr(run_module, "_page", lambda name, *_: places.results / name)
    monkeypatch.setattr(run_module, "carry_out", noted)
    monkeypatch.setattr(sharing, "PAUSE", 0.0)
    lock = places.runs / "smoke" / f"{jobs[0].run_name}.lock"
    lock.parent.mkdir(parents=True)
    held = FileLock(lock)
    held.acquire()
    run_module.reproduce(["x"], SMOKE, places)
    others = [jobs[2].name, jobs[3].name, "c-extrapolation-scenes-seed0"]
    assert made == [*others, jobs[0].name, jobs[1].name]


def test_the_documented_preparations_are_those_that_the_scales_open():
    page = (Path(__file__).parents[1] / "docs" / "reproducing.md").read_text()
    told = {(scale, name): words.split()[1::2] for name, words, scale in COMMAND.findall(page)}
    wanted = {
        (scale.name, data.name): data
        for scale in (SMALL, PAPER)
        for choices in scale.data.values()
        for data in choices
        if data.name != "bouncing_balls"
    }
    assert set(told) == set(wanted)
    for key, data in wanted.items():
        kind, free = config_class(data.name), dataset_class(data.name).free
        prepared, opened = (configure(kind, given, data.name) for given in (values_of(told[key]), dict(data.options)))
        assert shaping(prepared, free) == shaping(opened, free)
