"""Every verb, and every bad input: one line, the right status, nothing left behind."""

import errno
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from dataclasses import fields
from fractions import Fraction as F

import av
import numpy as np
import pytest
import torch

import vidode
from made_media import Film, audio_packets
from vidode import checkpoints, evaluation
from vidode.cli import main
from vidode.cli.verbs import DEFAULT_MODEL, app, request_of
from vidode.generation import files
from vidode.timing import Factor, FrameRate, Times

START = F(7, 5)


def clip_of(frames=6, size=(24, 32), channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(frames, channels, 4, 4, generator=generator)
    pixels = torch.nn.functional.interpolate(small, size=size, mode="bilinear", align_corners=False)
    return vidode.Clip(pixels, torch.tensor([float(START + F(n, 25)) for n in range(frames)], dtype=torch.float64))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "in.mp4"
    vidode.write(path, clip_of(), lossless=True)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small model that can be loaded, saved as training saves one."""
    folder = tmp_path_factory.mktemp("model") / "small"
    return checkpoints.save(vidode.build("anchored_vid_ode", width=4, latent=4), folder, "anchored_vid_ode")


def refused(capsys, *arguments, status=2):
    """The one line on standard error of a verb that must fail."""
    assert main([str(argument) for argument in arguments]) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith("\n")
    assert said.err.count("\n") == 1, said.err
    assert "Traceback" not in said.err
    return said.err


def said(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def generate(video, target, *more):
    return ("generate", video, target, "--model", "blend", *more)


# What the verbs do


def test_frames_are_at_exactly_the_asked_times_and_the_observed_ones_stay_themselves(capsys, video, tmp_path):
    target = tmp_path / "out.mp4"
    assert "out.mp4: 13 frames" in said(capsys, *generate(video, target, "--fps", "60", "--lossless"))
    with vidode.open_source(target) as source:
        made = list(source)
    assert [frame.time for frame in made] == [START + F(n, 60) for n in range(13)]
    with vidode.open_source(video) as source:
        observed = {frame.time: frame.pixels for frame in source}
    for frame in made:
        if frame.time in observed:
            assert (frame.pixels - observed[frame.time]).abs().max() <= 1.01 / 255


@pytest.mark.parametrize(
    ("options", "times"),
    [
        (("--factor", "5/2"), [START + F(n, 25) * F(2, 5) for n in range(13)]),
        (("--times", "1.41,1.55"), [F(141, 100), F(155, 100)]),
        (("--beyond", "0.1"), [START + F(n, 25) for n in range(8)]),
        (("--fps", "50", "--beyond", "1/25"), [START + F(n, 50) for n in range(13)]),
    ],
)
def test_every_way_to_ask_for_times(capsys, video, tmp_path, options, times):
    said(capsys, *generate(video, tmp_path / "out.npz", *options))
    with vidode.open_source(tmp_path / "out.npz") as source:
        assert [float(frame.time) for frame in source] == pytest.approx([float(time) for time in times], abs=1e-12)


def test_times_and_time_codes_from_files(capsys, video, tmp_path):
    (tmp_path / "times.json").write_text(json.dumps([1.41, 1.5]))
    (tmp_path / "codes.txt").write_text("# timecode format v2\n1410\n1500\n")
    said(capsys, *generate(video, tmp_path / "a.npz", "--times", tmp_path / "times.json"))
    said(capsys, *generate(video, tmp_path / "b.npz", "--timecodes", tmp_path / "codes.txt"))
    first, second = vidode.read(tmp_path / "a.npz"), vidode.read(tmp_path / "b.npz")
    assert first.times.tolist() == second.times.tolist() == [1.41, 1.5]
    assert torch.equal(first.frames, second.frames)


def test_a_verb_is_one_call_in_python(capsys, video, tmp_path):
    said(capsys, *generate(video, tmp_path / "verb.npz", "--fps", "60", "--no-keep-observed", "--no-cuts"))
    options = vidode.Options(keep_observed=False, cuts=None)
    vidode.generate_file(video, tmp_path / "call.npz", FrameRate(F(60)), "blend", options=options)
    in_memory = vidode.generate(
        vidode.load("blend"), vidode.read(video), FrameRate(F(60)), keep_observed=False, options=options
    )
    verb, call = vidode.read(tmp_path / "verb.npz"), vidode.read(tmp_path / "call.npz")
    assert torch.equal(verb.frames, call.frames)
    torch.testing.assert_close(verb.frames, in_memory.frames, atol=1e-6, rtol=0)
    assert verb.times.tolist() == in_memory.times.tolist()


def test_images_without_times_take_a_rate(capsys, tmp_path):
    vidode.write(tmp_path / "frames", clip_of(3))
    (tmp_path / "frames" / "times.txt").unlink()
    said(capsys, *generate(tmp_path / "frames", tmp_path / "out", "--factor", "2", "--input-fps", "10"))
    assert vidode.read(tmp_path / "out").times.tolist() == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])


def test_one_frame_goes_on_where_its_gap_is_declared(capsys, tmp_path, checkpoint):
    vidode.write(tmp_path / "one.npz", clip_of(1))
    options = ("--model", checkpoint, "--fps", "50", "--beyond", "0.1", "--frame-gap", "1/25")
    said(capsys, "generate", tmp_path / "one.npz", tmp_path / "out.npz", *options)
    assert len(vidode.read(tmp_path / "out.npz")) == 6


def test_overwriting_replaces_and_only_when_asked(capsys, video, tmp_path):
    target = tmp_path / "out.npz"
    said(capsys, *generate(video, target, "--fps", "50"))
    before = target.read_bytes()
    assert "--overwrite" in refused(capsys, *generate(video, target, "--fps", "60"))
    assert target.read_bytes() == before
    said(capsys, *generate(video, target, "--fps", "60", "--overwrite"))
    assert len(vidode.read(target)) == 13


def test_the_options_are_one_request():
    assert request_of("60", None, None, None, "1/2") == FrameRate(F(60), F(1, 2))
    assert request_of(None, "5/2", None, None, None) == Factor(F(5, 2))
    assert request_of(None, None, None, None, "1") == Factor(F(1), F(1))
    assert request_of(None, None, "1,2", None, None) == Times((F(1), F(2)))


def test_the_catalogs_name_everything(capsys):
    assert all(name in said(capsys, "models") for name in vidode.models.names())
    assert all(name in said(capsys, "datasets") for name in vidode.datasets.names())


def test_inspect_tells_what_a_file_contains_and_what_a_model_is(capsys, video, checkpoint):
    told = said(capsys, "inspect", video)
    assert "32x24" in told
    assert "6 from 1.4 s" in told
    assert "all 0.04 s" in told
    told = said(capsys, "inspect", checkpoint)
    assert "anchored_vid_ode" in told
    assert "sha256" in told
    assert "nothing to learn" in said(capsys, "inspect", "blend")


def test_evaluate_prints_a_row_and_writes_where_it_comes_from(capsys, tmp_path):
    options = ("--data", "bouncing_balls", "--clips", "2", "--out", tmp_path / "row.json")
    told = said(capsys, "evaluate", "blend", *options)
    assert "blend on bouncing_balls/test: every-second" in told
    assert "PSNR" in told
    assert json.loads((tmp_path / "row.json").read_text())["rows"]
    told = said(capsys, "evaluate", "copy_last", "--data", "bouncing_balls", "--clips", "1", "--task", "extrapolation")
    assert "beyond-5" in told


def test_evaluate_replaces_an_older_result_and_nothing_else(capsys, tmp_path, monkeypatch):
    path = tmp_path / "row.json"
    words = ("evaluate", "blend", "--data", "bouncing_balls", "--clips", "1", "--out", path)
    said(capsys, *words)
    said(capsys, *words)
    monkeypatch.setattr(evaluation, "measure", lambda *_, **__: pytest.fail("measured before it was refused"))
    for content in ('{"dataset": "storm", "options": {}, "clips": []}', "[1]", "mine", ""):
        path.write_text(content)
        assert "exists and is no result of vidode" in refused(capsys, *words)
        assert path.read_text() == content


def test_a_place_that_cannot_be_written_is_missed_before_anything_is_measured(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "measure", lambda *_, **__: pytest.fail("measured before it was refused"))
    (tmp_path / "file").write_text("mine")
    words = ("evaluate", "blend", "--data", "bouncing_balls", "--clips", "1", "--out")
    for path in (tmp_path / "file" / "x.json", tmp_path / "file" / "deep" / "x.json"):
        told = refused(capsys, *words, path)
        assert told == f"vidode: cannot write {path}: {tmp_path / 'file'}: Not a directory; choose another place\n"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_scores_are_said_although_they_cannot_be_written(capsys, tmp_path, monkeypatch):
    def full(path, *_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(evaluation, "write_report", full)
    out = ("--out", str(tmp_path / "row.json"))
    assert main(["evaluate", "blend", "--data", "bouncing_balls", "--clips", "1", *out]) == 2
    told = capsys.readouterr()
    assert "blend on bouncing_balls/test" in told.out
    assert "the disk is full" in told.err
    assert list(tmp_path.iterdir()) == []


def test_evaluate_takes_a_folder_of_videos(capsys, video, monkeypatch):
    monkeypatch.delenv("VIDODE_LPIPS", raising=False)  # the frames are too small for its network
    told = said(capsys, "evaluate", "blend", "--data", video.parent, "--option", "test=0.9", "--option", "validation=0")
    assert "video_folder/test" in told


def test_train_prints_its_configuration_and_trains_nothing(capsys, tmp_path):
    config = tmp_path / "small.yaml"
    config.write_text("model: {name: anchored_vid_ode}\ndata: {name: moving_scenes}\nsteps: 3\n")
    told = said(capsys, "train", config, "--print-config", "--folder", tmp_path / "run")
    assert "batch_size: 8" in told
    for part in (vidode.models.config_class("anchored_vid_ode"), vidode.datasets.config_class("moving_scenes")):
        assert all(f"  {field.name}:" in told for field in fields(part))
    assert all(f"  {field.name}:" in told for field in fields(vidode.models.OptimiserConfig))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("model: {name: blend}\ndata: moving_scenes", "blend has nothing to learn"),
        ("model: {name: vid_ode, options: {wdth: 3}}\ndata: moving_scenes", "did you mean 'width'"),
        ("model: vid_ode\ndata: moving_scene", "did you mean 'moving_scenes'"),
        ("model: vid_ode\ndata: {name: moving_scenes, options: {sizes: [8, 8]}}", "did you mean 'size'"),
        ("model: vid_ode\ndata: moving_scenes\noptimiser: {learningrate: 1}", "did you mean 'learning_rate'"),
    ],
)
def test_train_prints_no_configuration_that_cannot_be(capsys, tmp_path, options, message):
    (tmp_path / "small.yaml").write_text(f"{options}\nsteps: 3\n")
    assert message in refused(capsys, "train", tmp_path / "small.yaml", "--print-config")


def test_train_saves_a_model_that_generate_takes(capsys, video, tmp_path):
    config = tmp_path / "small.yaml"
    config.write_text(
        "model: {name: anchored_vid_ode, options: {width: 4, latent: 4}}\n"
        "data: {name: moving_scenes, options: {size: [32, 32]}}\n"
        "steps: 1\nbatch_size: 1\nrun: {device: cpu}\n"
    )
    assert "vidode generate --model" in said(capsys, "train", config, "--folder", tmp_path / "run")
    assert "card: commit" in said(capsys, "inspect", tmp_path / "run" / "model")
    model = ("--model", tmp_path / "run" / "model")
    said(capsys, "generate", video, tmp_path / "out.npz", "--fps", "50", *model)
    assert len(vidode.read(tmp_path / "out.npz")) == 11


def test_help_and_version_answer_without_loading_torch():
    code = "import sys; from vidode.cli import main; main(['generate', '--help']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("False")
    assert "--fps" in done.stdout
    done = subprocess.run([sys.executable, "-m", "vidode", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == app.version()


def test_the_default_model_is_the_same_everywhere():
    assert DEFAULT_MODEL == files.DEFAULT_MODEL


def test_the_public_names_are_there():
    for name in vidode.__all__:
        assert getattr(vidode, name) is not None
    assert set(vidode.__all__) <= set(dir(vidode))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vidode.nothing


# Bad input


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("not a video\n" * 50)


def sound(path):
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("make", "message"),
    [(None, "no file"), (empty, "empty"), (text, "video"), (sound, "audio")],
)
def test_inputs_that_are_no_video(capsys, tmp_path, make, message):
    source = tmp_path / "in.mp4"
    if make is not None:
        make(source)
    before = sorted(tmp_path.iterdir())
    assert message in refused(capsys, *generate(source, tmp_path / "out.mp4", "--fps", "60"))
    assert "expected" in refused(capsys, "inspect", source)
    assert sorted(tmp_path.iterdir()) == before


def test_a_truncated_video(capsys, video, tmp_path):
    source = tmp_path / "in.mp4"
    data = video.read_bytes()
    for share in (0.5, 0.95):
        source.write_bytes(data[: int(share * len(data))])
        refused(capsys, *generate(source, tmp_path / "out.mp4", "--fps", "60"))
        assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--fps"),
        (("--fps", "0"), "frame rate is 0"),
        (("--fps", "-30"), "frame rate is -30"),
        (("--fps", "fast"), "'fast'"),
        (("--fps", "nan"), "'nan'"),
        (("--factor", "0"), "factor is 0"),
        (("--factor", "1/0"), "'1/0'"),
        (("--times", "soon"), "expected numbers"),
        (("--times", "0.2,0.1"), "strictly increasing"),
        (("--times", "1.5,1.5"), "strictly increasing"),
        (("--times", "nan"), "expected numbers"),
        (("--timecodes", "missing.txt"), "missing.txt"),
        (("--fps", "60", "--factor", "2"), "one of them"),
        (("--times", "1.5", "--beyond", "1"), "one of them"),
        (("--fps", "60", "--beyond", "-1"), "zero or more"),
        (("--fps", "60", "--cut-threshold", "2"), "cut threshold is 2"),
        (("--fps", "60", "--device", "abacus"), "'abacus'"),
        (("--fps", "60", "--device", "mps"), "cpu or cuda"),
        (("--fps", "60", "--device", "cuda:99"), "use cpu"),
        (("--fps", "60", "--frame-gap", "0"), "frame gap"),
        (("--fps", "60", "--codec", "nonsense"), "'nonsense'"),
        (("--fps", "60", "--quality", "good"), "--quality"),
        (("--fps", "60", "--quality", "20.5"), "--quality: '20.5'; expected a whole number"),
        (("--fps", "60", "--fpss", "60"), "Did you mean --fps"),
        (("--fps",), "requires an argument"),
        (("--fps", "60", "more"), "more"),
        (("--fps", "60", "--model", "blend"), "multiple times"),
        (("--fps", "60", "--input-fps", "25"), "video"),
        (("--fps", "1e99999"), "'1e99999'"),
        (("--times", "1,1e300"), "expected numbers"),
        (("--times", "0.1," + "9" * 400), "expected numbers"),
        (("--times", "0.1," * 100 + "o.2"), "expected numbers"),
        (("--frame-gap", "9" * 400, "--fps", "60"), "expected a finite number"),
        (("--times", "1.5,400"), "times are in seconds"),
        (("--fps", "60", "--cut-threshold", "1e400"), "'1e400'"),
        (("--fps", "60", "--frame-gap", "1e-400"), "1e-400"),
    ],
)
def test_options_that_cannot_be(capsys, video, tmp_path, options, message):
    assert message in refused(capsys, *generate(video, tmp_path / "out.mp4", *options))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rate", ["0", "-5"])
def test_an_input_rate_that_is_none_is_refused(capsys, tmp_path, rate):
    vidode.write(tmp_path / "frames", clip_of())
    (tmp_path / "frames" / "times.txt").unlink()
    message = refused(
        capsys, *generate(tmp_path / "frames", tmp_path / "out.npz", "--fps", "60", f"--input-fps={rate}")
    )
    assert f"input frame rate is {rate}; expected a positive number" in message


def test_a_state_that_is_no_number_is_one_line(capsys, video, tmp_path, monkeypatch):
    def diverge(*arguments, **options):
        raise vidode.clip.NumericalError("the state is not finite at time 3")

    monkeypatch.setattr(files, "generate_file", diverge)
    assert "the state is not finite" in refused(capsys, *generate(video, tmp_path / "out.mp4", "--fps", "60"))


def test_an_unknown_model_names_the_closest(capsys, video, tmp_path):
    arguments = ("generate", video, tmp_path / "out.mp4", "--fps", "60")
    assert "did you mean 'blend'" in refused(capsys, *arguments, "--model", "blendd")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"), [(("genrate",), "generate"), (("generate",), "IN"), (("--fps",), "--fps")]
)
def test_usage_errors_are_one_line_too(capsys, arguments, message):
    assert message in refused(capsys, *arguments)


def test_one_frame_with_beyond_says_what_to_declare(capsys, tmp_path, checkpoint):
    vidode.write(tmp_path / "one.npz", clip_of(1))
    arguments = ("generate", tmp_path / "one.npz", tmp_path / "out.npz", "--model", checkpoint, "--beyond", "1")
    assert "--frame-gap" in refused(capsys, *arguments, "--fps", "60")
    assert "--frame-gap" in refused(capsys, *arguments)
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize("times", ["0\n1/25\n1/25\n", "0\nlater\n1\n", "0\n1\n"])
def test_bad_times_of_images(capsys, tmp_path, times):
    vidode.write(tmp_path / "frames", clip_of(3))
    (tmp_path / "frames" / "times.txt").write_text(times)
    refused(capsys, *generate(tmp_path / "frames", tmp_path / "out", "--fps", "60"))
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


def test_times_before_the_first_frame_with_a_model_that_cannot(capsys, video, tmp_path):
    folder = checkpoints.save(vidode.build("vid_ode", width=4), tmp_path / "small", "vid_ode")
    arguments = ("generate", video, tmp_path / "out.mp4", "--times", "0.5,1.5", "--model", folder)
    assert "before the first observed frame at 1.4" in refused(capsys, *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_missing_numbers_in_an_array(capsys, tmp_path):
    frames = np.zeros((3, 8, 8), np.float32)
    frames[1, 2, 3] = np.nan
    np.save(tmp_path / "in.npy", frames)
    assert "NaN" in refused(capsys, *generate(tmp_path / "in.npy", tmp_path / "out.mp4", "--factor", "2"))
    assert [path.name for path in tmp_path.iterdir()] == ["in.npy"]


def test_outputs_that_cannot_be(capsys, video, tmp_path):
    assert "does not exist" in refused(capsys, *generate(video, tmp_path / "no" / "out.mp4", "--fps", "60"))
    (tmp_path / "out.mp4").write_text("mine")
    assert "exists" in refused(capsys, *generate(video, tmp_path / "out.mp4", "--fps", "60"))
    assert ".mp4" in refused(capsys, *generate(video, tmp_path / "out.doc", "--fps", "60"))
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_text() == "mine"


class Exploding:
    def __reduce__(self):
        return os.system, ("touch exploded",)


def flipped(folder):
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-3] ^= 1
    (folder / "model.safetensors").write_bytes(data)


def pickled(folder):
    (folder / "model.safetensors").write_bytes(pickle.dumps(Exploding()))


def without_a_key(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["model"]
    (folder / "config.json").write_text(json.dumps(config))


def from_the_future(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "format": 999}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [(flipped, "checksum"), (pickled, "damaged"), (without_a_key, "'model'"), (from_the_future, "newer")],
)
def test_damaged_checkpoints(capsys, video, checkpoint, tmp_path, damage, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "small"
    folder.mkdir()
    for file in checkpoint.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    damage(folder)
    assert message in refused(capsys, "generate", video, "out.mp4", "--fps", "60", "--model", folder)
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_bad_names_elsewhere(capsys, tmp_path):
    assert "moving_scenes" in refused(capsys, "evaluate", "blend", "--data", "moving_scene")
    assert "NAME=VALUE" in refused(capsys, "evaluate", "blend", "--data", "moving_scenes", "--option", "size")
    assert "sizes" in refused(capsys, "evaluate", "blend", "--data", "moving_scenes", "--option", "sizes=[1,2]")
    assert "every-second" in refused(
        capsys, "evaluate", "blend", "--data", "bouncing_balls", "--scheme", "every-third", "--clips", "1"
    )
    options = ("--data", "bouncing_balls", "--clips", "1")
    assert "1 channel and vid_ode takes 3 channels" in refused(capsys, "evaluate", "vid_ode", *options)
    assert f"--out is {tmp_path}, a folder" in refused(capsys, "evaluate", "blend", *options, "--out", tmp_path)
    assert list(tmp_path.iterdir()) == []
    options = (*options, "--task", "extrapolation", "--scheme", "every-second")
    assert "expected one of beyond-5" in refused(capsys, "evaluate", "blend", *options)
    assert "missing.yaml" in refused(capsys, "train", tmp_path / "missing.yaml")
    for option in ("--clips", "--seed"):
        told = refused(capsys, "evaluate", "blend", "--data", "bouncing_balls", option, "1.5")
        assert f"{option}: '1.5'; expected a whole number" in told
    assert "--scene: '6.0'; expected" in refused(capsys, "demo", tmp_path / "demo", "--scene", "6.0")
    refused(capsys, "inspect", "nothing-of-that-name")
    refused(capsys, "demo", tmp_path / "no" / "demo", "--model", "blend")


# A disk that is full, and people who lose patience


def long_input(folder, frames=3000):
    np.save(folder / "in.npy", np.random.default_rng(0).integers(0, 255, (frames, 64, 64), np.uint8))
    return folder / "in.npy"


def started(*arguments, **options):
    command = [sys.executable, "-m", "vidode", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_a_full_disk(tmp_path):
    source = long_input(tmp_path, 60)

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    process = started(*generate(source, tmp_path / "out.mp4", "--factor", "2"), preexec_fn=limited)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2, error
    assert error.count("\n") == 1
    assert "out.mp4" in error
    assert [path.name for path in tmp_path.iterdir()] == ["in.npy"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_half_way(tmp_path, number, status):
    source = long_input(tmp_path)
    process = started(*generate(source, tmp_path / "out.mp4", "--factor", "20"))
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in tmp_path.glob(".out*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == status
    assert error.count("\n") == 1, error
    assert [path.name for path in tmp_path.iterdir()] == ["in.npy"]


def test_a_reader_that_has_gone():
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [sys.executable, "-m", "vidode", "datasets"], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert error.count("\n") == 1, error


PEAK = """
import resource, sys
from fractions import Fraction
from vidode import FrameRate, generate_file
source, target = sys.argv[1:]
generate_file(source, target, FrameRate(Fraction(15, 2)), "blend", device="cpu", input_rate=10)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path):
    """The 100 more frames are 88 MiB in float32, of which a stream must hold a few at most."""

    def peak(frames):
        pixels = np.lib.format.open_memmap(tmp_path / "in.npy", "w+", np.uint8, (frames, 240, 320, 3))
        pixels[:] = np.random.default_rng(0).integers(0, 255, (1, 15, 20, 3), np.uint8).repeat(16, 1).repeat(16, 2)
        del pixels
        command = [sys.executable, "-c", PEAK, str(tmp_path / "in.npy"), str(tmp_path / f"{frames}.mp4")]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return int(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)

    short, long = peak(40), peak(140)  # KiB
    assert long <= 1.2 * short
    assert long - short < 40 * 1024


# A real video, end to end


def on_and_off_the_grid():
    """37 presentation times in ticks of 1/60000 s, from half a second: every third is on the grid of 1/60 s."""
    place, ticks = 30_000, []
    for index in range(37):
        ticks.append(place + (0 if index % 3 == 0 else 137 * (index % 5) + 11))
        place += 2000 if index % 4 else 4000
    return ticks


def test_a_variable_rate_video_with_sound_and_odd_size(capsys, tmp_path):
    ticks, source = on_and_off_the_grid(), tmp_path / "in.mp4"
    Film(ticks, base=F(1, 60_000), size=(47, 63), format="yuv444p", audio="aac").write(source)
    said(capsys, *generate(source, tmp_path / "out.mp4", "--fps", "60", "--lossless"))
    with vidode.open_source(tmp_path / "out.mp4") as made, vidode.open_source(source) as observed:
        assert made.pixel_format == observed.pixel_format
        frames, known = list(made), {frame.time: frame.pixels for frame in observed}
    first = min(known)
    assert first == F(1, 2)
    assert [frame.time for frame in frames] == [first + F(n, 60) for n in range(len(frames))]
    assert frames[-1].time <= max(known) < frames[-1].time + F(1, 60)
    same = [frame for frame in frames if frame.time in known]
    assert len(same) >= 10
    assert all((frame.pixels - known[frame.time]).abs().max() <= 1.01 / 255 for frame in same)
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(source)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("split=train", "no option 'split'"),
        ("name=kth", "no option 'name'"),
        ("size=2024-13-01", "is not YAML"),
        ("size=!!int foo", "is not YAML"),
        ("size=&a [*a]", "is not YAML"),
        ("size=" + "[" * 2000 + "]" * 2000, "is not YAML"),
        ("size=" + "9" * 5000, "is not YAML"),
        ("channels=true", "channels is True; expected"),
    ],
)
def test_options_of_data_that_cannot_be(capsys, tmp_path, option, message):
    (tmp_path / "weizmann" / "train").mkdir(parents=True)
    words = ("evaluate", "blend", "--data", "weizmann", "--root", tmp_path / "weizmann", "--option", option)
    assert message in refused(capsys, *words)


def test_a_root_in_the_home_of_nobody_is_refused(capsys):
    told = refused(capsys, "evaluate", "blend", "--data", "weizmann", "--root", "~nobodyatall/weizmann")
    assert "root '~nobodyatall/weizmann' is not a folder" in told
