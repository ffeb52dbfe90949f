import csv
import io
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from rich.console import Console
from torch.optim import Adam, Adamax, AdamW

import tiny
from vidode import checkpoints, datasets, models
from vidode.clip import InvalidInput
from vidode.configuration import configure
from vidode.models import OptimiserConfig
from vidode.sampling import anchors, generator_for
from vidode.training import Interrupted, NotFinite, as_yaml, config_from, read_config, train
from vidode.training import examples as examples_room
from vidode.training.examples import Steps, Stream, clip_at, validation_examples
from vidode.training.journal import CsvLog
from vidode.training.learner import schedule
from vidode.training.pictures import write_picture
from vidode.training.progress import Bar

HERE = Path(__file__).parent
QUIET = {"log_every": 0, "checkpoint_every": 0}


@pytest.fixture(autouse=True)
def _catalog():
    with tiny.joined():
        yield


def config(steps=12, run=None, **fields):
    values = {"model": "tiny_net", "data": "drifting", "steps": steps, "batch_size": 4, "run": QUIET | (run or {})}
    return config_from(values | fields)


def state(folder: Path) -> dict:
    """Everything in the last checkpoint of a run that shapes what comes after."""
    path = max((folder / "checkpoints").glob("*.ckpt"))
    kept = torch.load(path, weights_only=True)
    return {"weights": kept["state_dict"], "optimisers": kept["optimizer_states"], "done": kept["done"]}


def same(a, b) -> bool:
    """Bit for bit."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def rows(folder: Path) -> list[dict]:
    """The table without what a clock says."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if "second" not in k} for row in csv.DictReader(file)]


def checkpoint_weight(data: bytes) -> bytes:
    """The bytes of a tensor, as a checkpoint holds them."""
    weights = torch.load(io.BytesIO(data), weights_only=True)["state_dict"]
    return weights["model.leave.weight"].numpy().tobytes()


def program(folder: Path, settings, pause: float) -> subprocess.Popen:
    folder.mkdir()
    path = folder.with_suffix(".yaml")
    path.write_text(as_yaml(settings))
    environment = os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [sys.executable, str(HERE / "tiny" / "run.py"), str(folder), str(path), str(pause)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(found, process: subprocess.Popen) -> None:
    end = time.monotonic() + 300
    while not found():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.005)


def batches(settings, steps, rank=0):
    data = Steps(settings.open_data("train"), settings, rank)
    return [data[step] for step in steps]


def same_example(a, b) -> bool:
    parts = [(a.query, b.query), (a.target, b.target), (a.observed.frames, b.observed.frames)]
    return a.task == b.task and all(torch.equal(x, y) for x, y in parts)


# What is learned


@pytest.mark.parametrize(
    ("average", "name", "optimiser_class"),
    [(None, "adamax", Adamax), (0.5, "adamax", Adamax), (None, "adam", Adam), (None, "adamw", AdamW)],
)
def test_training_is_this_loop(tmp_path, average, name, optimiser_class):
    chosen = {"name": name, "clip_norm": 0.5, "decay": 0.7, "weight_decay": 0.1, "betas": [0.8, 0.99]}
    settings = config(steps=5, average=average, optimiser=chosen, steps_per_epoch=2)
    torch.manual_seed(settings.seed)
    model = models.build("tiny_net")
    objective = model.objective()
    options = {"betas": (0.8, 0.99), "lr": 1e-3, "weight_decay": 0.1}
    model_steps, critic_steps = (optimiser_class(part.parameters(), **options) for part in (model, objective))
    mean = [weight.detach().clone() for weight in model.parameters()]
    for step, example in enumerate(batches(settings, range(5))):
        torch.manual_seed(generator_for(settings.seed, "model", step, 0).initial_seed())
        rate = 1e-3 * max(0.7 ** (step // 2 + 1), 0.1)
        prediction = model(example.observed, example.query)
        for optimiser, part, terms in (
            (critic_steps, objective, objective.critic_terms),
            (model_steps, model, objective.model_terms),
        ):
            optimiser.param_groups[0]["lr"] = rate
            optimiser.zero_grad()
            sum(terms(example, prediction).values()).backward()
            torch.nn.utils.clip_grad_norm_(part.parameters(), 0.5)
            optimiser.step()
        decay = min(average or 0, (1 + step) / (10 + step)) if step else 0
        mean = [decay * m + (1 - decay) * w.detach() for m, w in zip(mean, model.parameters(), strict=True)]
    saved = checkpoints.load(train(settings, tmp_path))
    for got, expected in zip(saved.parameters(), mean, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-7)
    for got, expected in zip(saved.buffers(), model.buffers(), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-7)


def test_training_lowers_the_loss_and_what_it_saves_predicts_better_than_the_start(tmp_path):
    settings = config(steps=120, run={"log_every": 20, "validation_every": 60}, optimiser={"learning_rate": 0.01})
    train(settings, tmp_path)
    losses = [float(row["loss"]) for row in rows(tmp_path) if row["loss"]]
    assert losses[-1] < 0.7 * losses[0]
    scores = [
        float(row["validation_extrapolation_psnr"]) for row in rows(tmp_path) if row["validation_extrapolation_psnr"]
    ]
    assert len(scores) == 2
    assert scores[-1] == pytest.approx(
        checkpoints.describe(tmp_path / "model").card["scores"]["validation_extrapolation_psnr"]
    )


def test_a_model_is_saved_as_float16_where_that_is_asked_for(tmp_path):
    whole, half = (
        checkpoints.load(train(config(steps=2, half=half), tmp_path / str(half))).state_dict() for half in (False, True)
    )
    assert all(
        torch.equal(half[name], value.half().float()) for name, value in whole.items() if value.is_floating_point()
    )
    assert any(not torch.equal(half[name], value) for name, value in whole.items())


def test_on_the_processor_a_step_has_the_same_gradients_however_many_threads_share_it(tmp_path):
    """Frames that many queries share sum their gradients in parallel otherwise, in any order."""
    settings = {
        "model": {
            "name": "vid_ode",
            "options": {"width": 8, "neighbours": 3, "objective": {"image": 0, "sequence": 0}},
        },
        "sampling": {"scheme": "withheld", "interpolation": 1.0, "window": 9, "queries": 4},
        "data": {"name": "moving_scenes", "options": {"size": [64, 64], "frames": 9, "clips": 8}},
    }
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        runs = [
            checkpoints.load(train(config(steps=2, batch_size=4, **settings), tmp_path / str(run))) for run in range(2)
        ]
    finally:
        torch.set_num_threads(before)
    assert not torch.are_deterministic_algorithms_enabled()
    for values in zip(*(run.state_dict().values() for run in runs), strict=True):
        assert all(torch.equal(value, values[0]) for value in values[1:])


def test_a_model_without_critics_trains(tmp_path):
    train(config(steps=3, model={"name": "tiny_net", "options": {"critic": False}}), tmp_path)
    assert len(state(tmp_path)["optimisers"]) == 1


def test_bfloat16_keeps_the_weights_wide_and_changes_them_little(tmp_path):
    wide, mixed = (
        checkpoints.load(train(config(steps=3, precision=precision), tmp_path / precision)).state_dict()
        for precision in ("float32", "bfloat16")
    )
    assert {value.dtype for value in mixed.values()} == {torch.float32, torch.int64}
    assert not same(wide, mixed)
    torch.testing.assert_close(wide, mixed, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # The released Vid-ODE decays before the first epoch and stops falling at a tenth.
        ({}, {0: 0.99, 9: 0.99, 10: 0.99**2, 2280: 0.99**229, 2290: 0.1, 5000: 0.1}),
        (
            {"schedule": "cosine", "warmup": 100, "floor": 0.2},
            {0: 0.01, 49: 0.5, 99: 1.0, 100: 1.0, 5100: 0.6, 10100: 0.2},
        ),
        ({"schedule": "cosine"}, {0: 1.0, 5050: 0.55, 10100: 0.1}),
        ({"decay": 0.5, "every": 100, "floor": 0.2}, {0: 0.5, 99: 0.5, 100: 0.25, 200: 0.2}),
        (
            {"schedule": "steps", "milestones": ((0.5, 0.1), (0.75, 0.01))},
            {0: 1.0, 5049: 1.0, 5050: 0.1, 7575: 0.01, 10099: 0.01},
        ),
        ({"schedule": "linear", "hold": 0.2, "floor": 0.0}, {0: 1.0, 2020: 1.0, 6060: 0.5, 10100: 0.0}),
    ],
)
def test_learning_rates_follow_their_schedule(fields, expected):
    for step, factor in expected.items():
        assert schedule(OptimiserConfig(**fields), step, 10100, 10) == pytest.approx(factor, abs=1e-9)


@pytest.mark.parametrize(
    "fields",
    [
        {"every": 0},
        {"milestones": ((0.5, 0.1), (0.2, 0.01))},
        {"milestones": ((1.5, 0.1),)},
        {"milestones": ((0.5, -0.1),)},
        {"hold": -0.1},
        {"decay": -0.5},
        {"floor": -0.1},
        {"warmup": -1},
        {"learning_rate": float("nan")},
        {"betas": (1.5, 0.9)},
        {"betas": (0.9, 1.0)},
        {"weight_decay": -1.0},
        {"weight_decay": float("nan")},
        {"clip_norm": 0.0},
        {"clip_norm": -1.0},
        {"clip_norm": float("nan")},
    ],
)
def test_steps_that_cannot_be_are_refused(fields):
    (name,) = fields
    with pytest.raises(InvalidInput, match=f"{name} (is|are) .*expected"):
        OptimiserConfig(**fields)


# Which examples


def test_an_example_depends_on_the_seed_its_step_and_its_position_alone():
    settings = config(steps=9, sampling={"scheme": "withheld", "window": 9, "interpolation": 0.5})
    forward, backward = batches(settings, range(9)), batches(settings, reversed(range(9)))[::-1]
    assert all(map(same_example, forward, backward))
    assert {example.task for example in forward} == {"interpolation", "extrapolation"}
    other = batches(config(steps=9, seed=1), [0])[0]
    assert not same_example(other, batches(config(steps=9), [0])[0])


def test_what_is_observed_is_degraded_and_what_is_asked_is_not():
    clean, degraded = (batches(config(degrade=degrade), [0])[0] for degrade in (False, True))
    assert torch.equal(degraded.target, clean.target)
    assert torch.equal(degraded.observed.frames, 1 - clean.observed.frames)


def test_examples_carry_the_true_flow_from_each_query_to_the_frames_around_it():
    fields = {"data": {"name": "moving_scenes", "options": {"size": [16, 24]}}, "flow": True}
    sampling = {"scheme": "withheld", "window": 9, "interpolation": 1.0, "queries": 2}
    settings = config(sampling=sampling, **fields)
    example = batches(settings, [0])[0]
    assert example.flow.shape == (settings.batch_size, 2, 2, 2, 4, 6)
    place = clip_at(settings.seed, 0, len(settings.open_data("train")))
    observed, query = example.observed, example.query[0]
    ends = observed.times[0][observed.seen[0]][anchors(observed.times[0][observed.seen[0]], query)]
    expected = settings.open_data("train").flow(place, float(query[1]), ends[1])
    assert torch.equal(example.flow[0, 1], expected)
    assert batches(config(sampling=sampling, data=fields["data"]), [0])[0].flow is None


def test_a_window_is_augmented_as_a_whole():
    plain, mirrored = (
        batches(config(augmentation=how), [0])[0] for how in (None, {"flip": 1.0, "degrees": 0.0, "crop": [8, 8]})
    )
    # One number is drawn for each change, and then what is sampled, which in regular windows is not drawn.
    assert torch.equal(mirrored.target, plain.target.flip(-1))
    assert torch.equal(mirrored.observed.frames, plain.observed.frames.flip(-1))


def test_processes_share_the_batch_of_one():
    whole = batches(config(), range(4))
    parts = [batches(config(run={"processes": 2}), range(4), rank) for rank in (0, 1)]
    for example, first, second in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat([first.query, second.query]), example.query)
        assert torch.equal(torch.cat([first.target, second.target]), example.target)


def test_workers_give_the_examples_in_the_order_of_their_steps():
    settings = config(steps=7, run={"workers": 2})
    got = list(Stream(settings.open_data("train"), settings, start=2).train_dataloader())
    assert len(got) == 5
    assert all(map(same_example, got, batches(settings, range(2, 7))))


def test_every_epoch_shows_every_clip_once_in_an_order_of_its_own():
    epochs = [[examples_room.clip_at(3, number, 12) for number in range(12 * e, 12 * e + 12)] for e in range(3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(12))] * 3
    assert len(set(map(tuple, epochs))) == 3


def test_validation_reads_the_same_hidden_frames_of_both_tasks_every_time():
    settings = config(sampling={"interpolation": 0.5}, run={"validation_clips": 6})
    once, again = (validation_examples(settings.open_data("validation"), settings) for _ in range(2))
    assert [(example.task, len(example.query)) for example in once] == [
        *(("interpolation", n) for n in (4, 2)),
        *(("extrapolation", n) for n in (4, 2)),
    ]
    assert all(map(same_example, once, again))
    assert once[0].query[0].tolist() == pytest.approx([0.1, 0.3, 0.5, 0.7])


# Stopping and going on


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run that was never interrupted."""
    with tiny.joined():
        folder = tmp_path_factory.mktemp("whole") / "run"
        train(interruptible(), folder)
        return folder


def interruptible(**run):
    every = {"log_every": 6, "checkpoint_every": 7, "validation_every": 10, "validation_clips": 4}
    sampling = {"interpolation": 0.5, "scheme": "withheld", "window": 9}
    return config(steps=40, average=0.9, sampling=sampling, run=every | run)


def test_a_run_killed_in_the_middle_goes_on_to_the_same_bits(whole, tmp_path):
    folder = tmp_path / "run"
    process = program(folder, interruptible(), pause=0.03)
    wait_for(lambda: list(folder.glob("checkpoints/step-*14.ckpt")) and len(rows(folder)) > 2, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert state(folder)["done"] < 40
    assert not (folder / "model").exists()
    train(interruptible(), folder)
    assert same(state(folder), state(whole))
    assert (folder / "model" / "model.safetensors").read_bytes() == (whole / "model" / "model.safetensors").read_bytes()
    assert rows(folder) == rows(whole)


def test_ctrl_c_ends_at_a_step_with_a_checkpoint_and_says_how_to_go_on(whole, tmp_path, monkeypatch):
    prepare, handler = Steps.__getitem__, signal.getsignal(signal.SIGINT)

    def press(steps, step):
        if step == 9:  # a terminal sends it to the whole group: here the worker, and the process that trains
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getppid(), signal.SIGINT)
        return prepare(steps, step)

    monkeypatch.setattr(Steps, "__getitem__", press)
    with pytest.raises(KeyboardInterrupt) as caught:
        train(interruptible(workers=1), tmp_path)
    monkeypatch.undo()
    done = state(tmp_path)["done"]
    assert done < 40
    assert isinstance(caught.value, Interrupted)
    assert str(caught.value) == (
        f"stopped at step {done} of 40, saved in {tmp_path}; start it again to go on from there"
    )
    assert signal.getsignal(signal.SIGINT) is handler
    train(interruptible(), tmp_path)
    assert same(state(tmp_path), state(whole))
    assert rows(tmp_path) == rows(whole)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text", "objects"])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(whole, tmp_path, caplog, monkeypatch, damage):
    train(interruptible(keep=9), tmp_path)
    last = sorted((tmp_path / "checkpoints").glob("*.ckpt"))[-2:]
    last[-1].unlink()
    data = last[0].read_bytes()
    weight = checkpoint_weight(data)
    flipped = data.replace(weight, bytes([weight[0] ^ 1]) + weight[1:])
    assert flipped != data
    foreign = io.BytesIO()
    torch.save({"done": 35, "path": Path("anything")}, foreign)
    broken = {"cut": data[: len(data) // 2], "flipped": flipped, "empty": b"", "text": b"not a checkpoint"}
    last[0].write_bytes((broken | {"objects": foreign.getvalue()})[damage])
    (tmp_path / "checkpoints" / "step-00000039.part").write_bytes(b"half")
    seen = []
    prepare = Steps.__getitem__
    monkeypatch.setattr(Steps, "__getitem__", lambda steps, step: seen.append(step) or prepare(steps, step))
    with caplog.at_level(logging.WARNING, "vidode"):
        train(interruptible(keep=9), tmp_path)
    assert f"{last[0]} is damaged" in caplog.text
    assert seen[0] == 28
    assert same(state(tmp_path), state(whole))
    assert rows(tmp_path) == rows(whole)


def test_a_finished_run_is_left_alone_and_a_longer_one_goes_on(tmp_path):
    short, long = config(steps=4), config(steps=9)
    model = train(short, tmp_path / "a")
    stamp = (model / "config.json").stat().st_mtime_ns
    assert train(short, tmp_path / "a") == model
    assert (model / "config.json").stat().st_mtime_ns == stamp
    train(long, tmp_path / "a")
    train(long, tmp_path / "b")
    assert same(state(tmp_path / "a"), state(tmp_path / "b"))


def test_a_run_that_ended_before_its_model_was_written_only_writes_it(whole, tmp_path):
    model = train(config(steps=4), tmp_path)
    before = (model / "model.safetensors").read_bytes()
    for path in model.iterdir():
        path.unlink()
    model.rmdir()
    train(config(steps=4), tmp_path)
    assert (model / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", None])
def test_a_finished_run_whose_model_is_damaged_says_what_to_remove(tmp_path, name, content):
    model = train(config(steps=2), tmp_path)
    before = {path.name: path.read_bytes() for path in model.iterdir() if path.name == "model.safetensors"}
    (model / name).unlink()
    if content is not None:
        (model / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=f"{name}.*; remove the folder {model} and train again$") as caught:
        train(config(steps=2), tmp_path)
    assert "again;" not in str(caught.value)
    shutil.rmtree(model)
    train(config(steps=2), tmp_path)
    assert (model / "model.safetensors").read_bytes() == before["model.safetensors"]


def test_a_run_of_another_configuration_is_not_gone_on_with(tmp_path):
    train(config(steps=2), tmp_path)
    with pytest.raises(InvalidInput, match="holds a run with seed 0, not 1; choose another folder"):
        train(config(steps=3, seed=1), tmp_path)
    train(config(steps=3, run={"log_every": 1}), tmp_path)
    assert state(tmp_path)["done"] == 3


def test_a_run_of_another_option_is_named_by_it(tmp_path):
    train(config(steps=2), tmp_path)
    with pytest.raises(InvalidInput, match=r"holds a run with optimiser\.weight_decay 0\.0, not 0\.5; choose another"):
        train(config(steps=3, optimiser={"weight_decay": 0.5}), tmp_path)


def test_a_run_goes_on_where_its_options_are_written_out(tmp_path):
    short = train(config(steps=4), tmp_path / "short")
    train(config(steps=2), tmp_path / "run")
    (tmp_path / "all.yaml").write_text(as_yaml(config(steps=4).resolved()))
    long = train(read_config(tmp_path / "all.yaml"), tmp_path / "run")
    assert state(tmp_path / "run")["done"] == 4
    assert (long / "model.safetensors").read_bytes() == (short / "model.safetensors").read_bytes()


@pytest.mark.parametrize("content", ["mine", "[", "3: 4", "model: tiny_net\ndata: drifting\nsteps: 12\nseed: 1\n"])
def test_a_configuration_of_someone_else_is_not_replaced(tmp_path, content):
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(InvalidInput, match=f"{tmp_path} holds .*; choose another folder$") as caught:
        train(config(), tmp_path)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
    assert (tmp_path / "config.yaml").read_text() == content


@pytest.mark.parametrize(
    "content", [b"a,b\n1,2\n", b"step,loss\nx,1\n", b"step,loss\n0,1,2\n", b"\xff\xfe\0", b'step\n"0']
)
def test_a_table_that_is_no_log_is_not_replaced(tmp_path, content):
    (tmp_path / "metrics.csv").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"metrics.csv is damaged or not the log of a training; remove it"):
        train(config(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]
    assert (tmp_path / "metrics.csv").read_bytes() == content


def test_a_run_that_was_stopped_before_its_first_checkpoint_starts_again(tmp_path):
    (tmp_path / "config.yaml").write_text(commented := "# mine\n" + as_yaml(config(steps=2)))
    (tmp_path / "metrics.csv").write_text("step,loss\n1,0.5\n")
    train(config(steps=2), tmp_path)
    assert [row["step"] for row in rows(tmp_path)] == ["2"]
    assert (tmp_path / "config.yaml").read_text() == commented


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    train(config(steps=7, run={"checkpoint_every": 2, "keep": 3}), tmp_path)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == [f"step-0000000{n}.ckpt" for n in (4, 6, 7)]


def test_what_is_no_number_stops_the_run_and_is_never_saved(tmp_path):
    model = {"name": "tiny_net", "options": {"critic": False}}
    broken = config(steps=30, model=model, optimiser={"learning_rate": 1e30}, run={"checkpoint_every": 1})
    with pytest.raises(NotFinite, match=r"is (nan|inf) at or shortly before step [123]; lower the learning rate"):
        train(broken, tmp_path)
    assert not (tmp_path / "model").exists()
    for path in (tmp_path / "checkpoints").glob("*"):
        assert all(value.isfinite().all() for value in torch.load(path, weights_only=True)["state_dict"].values())


def test_two_processes_agree_with_each_other_and_with_one(tmp_path):
    still = {"name": "tiny_net", "options": {"noisy": False}}
    one, two = (config(steps=6, model=still, run={"processes": n, "log_every": 2}) for n in (1, 2))
    process = program(tmp_path / "two", two, pause=0.0)
    train(one, tmp_path / "one")
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    first, second = (torch.load(tmp_path / "two" / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert same(first, second)
    alone = checkpoints.load(tmp_path / "one" / "model").state_dict()
    torch.testing.assert_close(checkpoints.load(tmp_path / "two" / "model").state_dict(), first, rtol=0, atol=0)
    torch.testing.assert_close(first, alone, rtol=0, atol=1e-5)
    assert [row["step"] for row in rows(tmp_path / "two")] == ["2", "4", "6"]


# What is left to read


def test_a_run_says_nothing_where_nobody_watches(tmp_path, capfd):
    train(config(steps=2), tmp_path)
    assert capfd.readouterr() == ("", "")


def test_the_bar_shows_steps_and_the_time_to_go_on_a_terminal_only(tmp_path, monkeypatch):
    said = []
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
        monkeypatch.setattr("vidode.training.Bar", lambda console=console: Bar(console))
        train(config(steps=12), tmp_path / str(terminal))
        said.append(console.file.getvalue())
    assert "12/12" in said[0]
    assert "to go" in said[0]
    assert "loss 0." in said[0]
    assert said[1] == ""


def test_rows_are_the_means_of_the_steps_between_them(tmp_path):
    train(config(steps=4, run={"log_every": 1}), tmp_path / "each")
    train(config(steps=4, run={"log_every": 2}), tmp_path / "pairs")
    each, pairs = ([float(row["l1"]) for row in rows(tmp_path / name)] for name in ("each", "pairs"))
    assert pairs == pytest.approx([(each[0] + each[1]) / 2, (each[2] + each[3]) / 2], rel=1e-5)


def test_tensorboard_holds_what_the_table_holds(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(config(steps=4, run={"log_every": 2}), tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    got = [(event.step, event.value) for event in events.Scalars("loss")]
    assert got == [(int(row["step"]), pytest.approx(float(row["loss"]), rel=1e-5)) for row in rows(tmp_path)]


def test_a_table_that_goes_on_keeps_the_rows_before_its_start_and_takes_new_columns(tmp_path):
    path = tmp_path / "metrics.csv"
    table = CsvLog(path, 0)
    for step in (1, 2, 3):
        table.log_metrics({"loss": step / 2}, step)
    table = CsvLog(path, 2)
    table.log_metrics({"psnr": 30.0}, 3)
    assert path.read_text().splitlines() == ["step,loss,psnr", "1,0.5,", "2,1,", "3,,30"]


def test_a_picture_shows_what_was_observed_predicted_and_true(tmp_path):
    from PIL import Image

    settings = config(sampling={"frames_in": 3, "frames_out": 2}, run={"validation_clips": 1})
    (example,) = validation_examples(settings.open_data("validation"), settings)
    write_picture(tmp_path / "a.png", example, example.target)
    picture = torch.frombuffer(bytearray(Image.open(tmp_path / "a.png").tobytes()), dtype=torch.uint8).view(30, 30, 3)
    observed, predicted, truth = picture.split(10)
    assert torch.equal(predicted, truth)
    assert torch.equal(observed[:8, :8, 0], (example.observed.frames[0, 0, 0] * 255).round().to(torch.uint8))
    assert torch.equal(truth[:8, 10:18, 2], (example.target[0, 1, 0] * 255).round().to(torch.uint8))


def test_sample_pictures_are_written_when_they_are_due(tmp_path):
    train(config(steps=5, sampling={"interpolation": 0.5}, run={"sample_every": 2}), tmp_path)
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == [f"{task}polation-0000000{n}.png" for task in ("extra", "inter") for n in (2, 4)]


def test_the_card_says_how_the_weights_came_to_be(tmp_path):
    card = checkpoints.describe(train(config(steps=2), tmp_path, {"command": "vidode train a.yaml"})).card
    assert (card["steps"], card["command"]) == (2, "vidode train a.yaml")
    assert card["versions"]["torch"] == torch.__version__
    assert card["seconds"] > 0
    assert config_from(card["training"]) == config(steps=2) == read_config(tmp_path / "config.yaml")


# Configuration


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: tiny_net\nsteps: 3", "has no data; expected model, data and steps"),
        ("model: tiny_net\ndata: drifting\nsteps: 3\nbatchsize: 2", "no option 'batchsize'; did you mean 'batch_size'"),
        ("model: {options: {}}\ndata: drifting\nsteps: 3", "model is .*; expected a name, or a name and options"),
        ("model: 5\ndata: drifting\nsteps: 3", "model is 5; expected a name"),
        ("model: tiny_net\ndata: drifting\nsteps: ten", "steps is 'ten'; expected int"),
        ("model: tiny_net\ndata: drifting\nsteps: 0", "steps is 0; expected at least 1"),
        ("model: tiny_net\ndata: drifting\nsteps: 3\nsampling: {scheme: odd}", "scheme is 'odd'"),
        ("model: tiny_net\ndata: drifting\nsteps: 3\naverage: 1.0", "average is 1.0; expected a decay between 0 and 1"),
        ("model: tiny_net\ndata: drifting\nsteps: 3\nrun: {workers: -1}", "workers is -1; expected at least 0"),
        ("model: tiny_net\ndata: drifting\nsteps: 3\nrun: {keep: 0}", "keep is 0; expected at least 1"),
        ("model: tiny_net\ndata: drifting\nsteps: 3\nrun: {processes: 0}", "processes is 0; expected at least 1"),
        (
            "model: tiny_net\ndata: drifting\nsteps: 3\nbatch_size: 3\nrun: {processes: 2}",
            "expected a multiple of them",
        ),
        ("model: tiny_net\ndata: drifting\nsteps: 3\n3: 4", "has no option 3; expected one of model"),
        ("model: tiny_net\ndata: drifting\nsteps: 3\non: 3", "has no option True; expected one of model"),
        ("model: tiny_net\ndata: drifting\nsteps: 3\noptimiser: {3: 1}", r"optimiser is {3: 1}; expected dict"),
        ("model: {name: tiny_net, options: {3: 1}}\ndata: drifting\nsteps: 3", r"options is {3: 1}; expected dict"),
        ("model: tiny_net\ndata: drifting\nsteps: 15e-1", "steps is '15e-1'; expected int"),
        ("model: [", "is not YAML"),
        ("model: tiny_net\ndata: drifting\nsteps: &a [*a]", "is not YAML"),
        ("model: tiny_net\ndata: drifting\nsteps: !!int foo", "is not YAML"),
        ("model: tiny_net\ndata: drifting\nsteps: 2024-13-01", "is not YAML"),
        ("model: tiny_net\ndata: drifting\nsteps: 3\nseed: 99999999999999999999", "expected a number of 64 bits"),
        ("just words", "holds str; expected keys with values"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=message) as caught:
        read_config(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "tiny_nte"}, "no model is called 'tiny_nte'; did you mean 'tiny_net'"),
        ({"model": {"name": "tiny_net", "options": {"widht": 3}}}, "did you mean 'width'"),
        ({"model": {"name": "tiny_net", "options": {"channels": 3}}}, "drifting has frames of 1 channel and tiny_net"),
        ({"model": "blend"}, "blend has nothing to learn"),
        ({"data": {"name": "weizmann", "options": {"root": "/nowhere"}}}, "root '/nowhere' is not a folder"),
        ({"data": "driftin"}, "no data set is called 'driftin'; did you mean 'drifting'"),
        ({"optimiser": {"learning_rat": 1.0}}, "did you mean 'learning_rate'"),
        ({"optimiser": {"learning_rate": -1}}, "learning_rate is -1.0; expected a positive number"),
        ({"optimiser": {"betas": [1.5, 0.9]}}, "betas are .*; expected two numbers from 0 to below 1"),
        ({"optimiser": {"clip_norm": -1}}, "clip_norm is -1; expected a positive number"),
        ({"sampling": {"frames_in": 50}}, r"clip \d+ has 14 frames; expected at least 55"),
        ({"sampling": {"frames_in": 8, "interpolation": 1e-9}}, r"clip \d+ has 14 frames; expected at least 16"),
        ({"flow": True, "augmentation": {}}, "flow is true with augmentation; expected one of them"),
        ({"flow": True}, "knows no flow; set flow to false"),
        ({"run": {"validation_every": 1, "validation_split": "test"}}, "no split is called 'test' here"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_trained(tmp_path, fields, message):
    with pytest.raises(InvalidInput, match=message):
        train(config(**fields), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("found", "processes"), [(0, 1), (1, 2)])
def test_devices_that_are_not_there_are_missed_before_anything_is_trained(tmp_path, monkeypatch, found, processes):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: found)
    message = f"device is 'cuda' with processes {processes}; {found} found: use cpu"
    with pytest.raises(InvalidInput, match=message):
        train(config(run={"device": "cuda", "processes": processes}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_refused_change_leaves_the_configuration_of_a_run_as_it_was(tmp_path):
    train(config(steps=2), tmp_path)
    before = (tmp_path / "config.yaml").read_text()
    longer = config(steps=3, run={"validation_every": 1, "validation_split": "test"})
    with pytest.raises(InvalidInput, match="no split is called 'test'"):
        train(longer, tmp_path)
    assert (tmp_path / "config.yaml").read_text() == before


@pytest.mark.parametrize("workers", [0, 1])
def test_a_clip_that_cannot_be_read_half_way_is_said_in_one_line(tmp_path, monkeypatch, workers):
    prepare = Steps.__getitem__

    def missing(steps, step):
        if step == 2:
            raise InvalidInput("clip 7 is missing; prepare the data set again")
        return prepare(steps, step)

    monkeypatch.setattr(Steps, "__getitem__", missing)
    with pytest.raises(InvalidInput, match=r"^clip 7 is missing; prepare the data set again$"):
        train(config(run={"workers": workers}), tmp_path)


def test_a_missing_configuration_is_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"no configuration file .*none.yaml"):
        read_config(tmp_path / "none.yaml")


@pytest.mark.parametrize("path", sorted((HERE.parent / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_configuration_in_the_repository_can_be_trained(path):
    settings = read_config(path)
    assert settings.build_model().config.channels in (1, 3)
    settings.optimiser_of(settings.build_model())
    data = configure(datasets.config_class(settings.data.name), settings.data.options, path.name)
    kind = datasets.dataset_class(settings.data.name)
    assert getattr(data, "frames", 20) >= max(map(settings.sampling.length, settings.sampling.tasks))
    assert settings.run.validation_split in kind.splits
    assert config_from(yaml.safe_load(as_yaml(settings))) == settings
    whole = settings.resolved()
    assert config_from(yaml.safe_load(as_yaml(whole))) == whole == whole.resolved()


@pytest.mark.parametrize("name", [name for name in models.names() if models.model_class(name).trainable])
def test_every_models_configuration_can_be_written_out(name):
    task = models.model_class(name).tasks[0]
    sampling = {"interpolation": float(task == "interpolation")}
    settings = config_from({"model": name, "data": "moving_scenes", "steps": 2, "sampling": sampling})
    whole = config_from(yaml.safe_load(as_yaml(settings.resolved())))
    built = settings.build_model()
    assert whole.build_model().config == built.config
    assert whole.optimiser_of(built) == settings.optimiser_of(built)


def test_a_configuration_that_is_written_out_trains_the_same(tmp_path):
    settings = config(steps=3, optimiser={"learning_rate": "1e-2"}, sampling={"interpolation": 0.5})
    whole = config_from(yaml.safe_load(as_yaml(settings.resolved())))
    saved = [checkpoints.load(train(each, tmp_path / str(place))) for place, each in enumerate((settings, whole))]
    assert same(*(dict(model.state_dict()) for model in saved))


def test_a_model_that_its_paper_supervises_is_supervised_unless_the_configuration_says_otherwise():
    values = {"data": "moving_scenes", "steps": 2, "sampling": {"interpolation": 1.0}}
    assert config_from({**values, "model": "deep_voxel_flow"}).sampling.supervised
    assert not config_from({**values, "model": "vid_ode"}).sampling.supervised
    plainly = {**values, "sampling": {"interpolation": 1.0, "supervised": False}}
    assert not config_from({**plainly, "model": "deep_voxel_flow"}).sampling.supervised
    assert config_from({"model": "deep_voxel_flow", "data": "moving_scenes", "steps": 2}).sampling.supervised
