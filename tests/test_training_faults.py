"""What goes wrong around a training: damaged files, a second run, a full disk. Nothing is lost or taken for another."""

import logging
import os
import resource
import shutil
import signal
from pathlib import Path

import pytest
import torch

import tiny
from test_training import config, program, rows, wait_for
from vidode import checkpoints
from vidode.clip import InvalidInput
from vidode.training import Interrupted, read_config, train
from vidode.training.examples import Steps
from vidode.training.learner import Learner
from vidode.training.resume import newest


@pytest.fixture(autouse=True)
def _catalog():
    with tiny.joined():
        yield


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def interrupt_in_update(monkeypatch, number: int) -> None:
    """Ctrl-C while the update of this number, counted from one, is made."""
    update = Learner.training_step

    def press(learner, example, batch_idx):
        if learner.done == number - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return update(learner, example, batch_idx)

    monkeypatch.setattr(Learner, "training_step", press)


# Damaged checkpoints


def test_a_damaged_checkpoint_of_a_later_step_pushes_no_whole_one_out(tmp_path, monkeypatch):
    whole = train(config(steps=6, run={"keep": 1}), tmp_path)
    before = (whole / "model.safetensors").read_bytes()
    shutil.rmtree(whole)
    cut(tmp_path / "checkpoints" / "step-00000006.ckpt")
    interrupt_in_update(monkeypatch, 3)
    with pytest.raises(Interrupted, match="stopped at step 3 of 6, saved in"):
        train(config(steps=6, run={"keep": 1, "checkpoint_every": 2}), tmp_path)
    monkeypatch.undo()
    assert newest(tmp_path / "checkpoints").step == 3
    assert kept(tmp_path) == ["step-00000003.ckpt", "step-00000006.ckpt"]
    train(config(steps=6, run={"keep": 1}), tmp_path)
    assert kept(tmp_path) == ["step-00000006.ckpt"]
    assert (whole / "model.safetensors").read_bytes() == before


def test_a_damaged_checkpoint_is_not_one_of_those_to_keep(tmp_path):
    train(config(steps=4, run={"keep": 2, "checkpoint_every": 1}), tmp_path)
    cut(tmp_path / "checkpoints" / "step-00000004.ckpt")
    train(config(steps=5, run={"keep": 2}), tmp_path)
    assert kept(tmp_path) == [f"step-0000000{number}.ckpt" for number in (3, 4, 5)]
    train(config(steps=6, run={"keep": 2}), tmp_path)
    assert kept(tmp_path) == [f"step-0000000{number}.ckpt" for number in (5, 6)]


def first(tensors: dict) -> str:
    return next(name for name, value in tensors.items() if value.ndim)


def lose_a_tensor(checkpoint):
    del checkpoint["state_dict"][first(checkpoint["state_dict"])]


def add_a_tensor(checkpoint):
    checkpoint["state_dict"]["model.other"] = torch.zeros(1)


def widen_a_tensor(checkpoint):
    name = first(checkpoint["state_dict"])
    checkpoint["state_dict"][name] = checkpoint["state_dict"][name].repeat(2, *[1] * 3)


def halve_a_tensor(checkpoint):
    name = first(checkpoint["state_dict"])
    checkpoint["state_dict"][name] = checkpoint["state_dict"][name].half()


def have_no_optimisers(checkpoint):
    del checkpoint["optimizer_states"]


def have_one_optimiser_less(checkpoint):
    checkpoint["optimizer_states"].pop()


def forget_what_the_optimiser_knew(checkpoint):
    checkpoint["optimizer_states"][0]["state"] = {}


def lose_a_moment(checkpoint):
    del checkpoint["optimizer_states"][0]["state"][0]["exp_avg"]


def widen_a_moment(checkpoint):
    checkpoint["optimizer_states"][0]["state"][0]["exp_avg"] = torch.zeros(7)


def have_no_weights(checkpoint):
    del checkpoint["state_dict"]


def have_other_weights(checkpoint):
    checkpoint["state_dict"] = [1, 2]


def have_no_schedulers(checkpoint):
    del checkpoint["lr_schedulers"]


def have_no_version(checkpoint):
    del checkpoint["pytorch-lightning_version"]


def have_no_journal(checkpoint):
    checkpoint["callbacks"] = {}


def be_done_beyond_the_end(checkpoint):
    checkpoint["done"] = 99


def be_done_in_words(checkpoint):
    checkpoint["done"] = "6"


@pytest.mark.parametrize(
    "change",
    [
        *(lose_a_tensor, add_a_tensor, widen_a_tensor, halve_a_tensor, have_no_weights, have_other_weights),
        *(have_no_optimisers, have_one_optimiser_less, forget_what_the_optimiser_knew, lose_a_moment, widen_a_moment),
        *(have_no_schedulers, have_no_version, have_no_journal, be_done_beyond_the_end, be_done_in_words),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_passed_over_with_a_warning(tmp_path, caplog, change):
    settings = config(steps=6, run={"log_every": 2, "checkpoint_every": 4})
    model = train(settings, tmp_path)
    expected, table = (model / "model.safetensors").read_bytes(), rows(tmp_path)
    shutil.rmtree(model)
    path = tmp_path / "checkpoints" / "step-00000006.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, path)
    with caplog.at_level(logging.WARNING, "vidode"):
        train(settings, tmp_path)
    assert f"{path} is damaged or not one of this run; passing over it to an older one" in caplog.text
    assert (model / "model.safetensors").read_bytes() == expected
    assert rows(tmp_path) == table


@pytest.mark.parametrize("content", [torch.zeros(2), [1, 2], {"done": 6}], ids=["tensor", "list", "place alone"])
def test_a_file_of_something_else_is_passed_over(tmp_path, content):
    train(config(steps=3), tmp_path)
    torch.save(content, tmp_path / "checkpoints" / "step-00000006.ckpt")
    torch.save(content, tmp_path / "checkpoints" / "step-last.ckpt")
    train(config(steps=7), tmp_path)
    assert newest(tmp_path / "checkpoints").step == 7


# The folder of a run


def test_a_second_run_of_a_folder_is_refused_and_a_killed_one_leaves_no_lock(tmp_path):
    folder, settings = tmp_path / "run", config(steps=40, run={"log_every": 1, "checkpoint_every": 5})
    process = program(folder, settings, pause=0.1)
    try:
        wait_for(lambda: list(folder.glob("checkpoints/*.ckpt")), process)
        with pytest.raises(InvalidInput, match=f"^{folder} is in use by another training; wait until") as caught:
            train(settings, folder)
        assert "\n" not in str(caught.value)
    finally:
        process.kill()
        process.communicate()
    train(settings, folder)
    assert [row["step"] for row in rows(folder)] == [str(step) for step in range(1, 41)]
    assert not (folder / "lock").exists()


def test_a_run_that_starts_while_another_prepares_itself_is_refused(tmp_path, monkeypatch):
    prepare, tried = Steps.example, []

    def meanwhile(steps, step, task):
        if not tried:
            tried.append(step)
            with pytest.raises(InvalidInput, match="is in use by another training"):
                train(config(steps=2, seed=1), tmp_path)
        return prepare(steps, step, task)

    monkeypatch.setattr(Steps, "example", meanwhile)
    model = train(config(steps=2), tmp_path)
    assert tried
    assert read_config(tmp_path / "config.yaml").seed == 0
    assert checkpoints.describe(model).card["training"]["seed"] == 0


def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path):
    with pytest.raises(InvalidInput, match="did you mean 'width'"):
        train(config(model={"name": "tiny_net", "options": {"widht": 3}}), tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("gone", [[], ["model"], ["checkpoints"]])
def test_what_a_run_of_an_unknown_configuration_left_is_not_taken_for_this_ones(tmp_path, gone):
    train(config(steps=2), tmp_path)
    (tmp_path / "config.yaml").unlink()
    for name in gone:
        shutil.rmtree(tmp_path / name)
    before = files(tmp_path)
    with pytest.raises(InvalidInput, match=f"^{tmp_path} holds .*/ but no config.yaml .* choose another folder$"):
        train(config(steps=2, seed=1), tmp_path)
    assert files(tmp_path) == before


# The end


def test_ctrl_c_in_the_last_update_is_heeded_once_the_model_is_saved(tmp_path, monkeypatch):
    expected = (train(config(steps=3), tmp_path / "whole") / "model.safetensors").read_bytes()
    interrupt_in_update(monkeypatch, 3)
    model = tmp_path / "run" / "model"
    with pytest.raises(
        Interrupted, match=f"stopped at the last of 3 steps; the training is done, its model is {model}"
    ):
        train(config(steps=3), tmp_path / "run")
    assert (model / "model.safetensors").read_bytes() == expected
    assert train(config(steps=3), tmp_path / "run") == model


def test_a_checkpoint_that_has_no_room_is_named_and_leaves_no_draft(tmp_path):
    train(config(steps=2), tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))  # no file may grow beyond that
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            train(config(steps=4), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(tmp_path / "checkpoints" / "step-00000004.ckpt")
    assert kept(tmp_path) == ["step-00000002.ckpt"]
    train(config(steps=4), tmp_path)
    assert kept(tmp_path) == ["step-00000002.ckpt", "step-00000004.ckpt"]
