"""Every module that is started with `python -m` says what fails in one line, as the command line does."""

import runpy
import sys

import pytest

EXPERIMENTS = "vidode.experiments"


def started(monkeypatch, module, *words):
    """The status with which `python -m module` ends."""
    monkeypatch.setattr(sys, "argv", [module, *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module(f"{EXPERIMENTS}.{module}", run_name="__main__", alter_sys=True)
    return caught.value.code


@pytest.mark.filterwarnings("ignore:.* found in sys.modules:RuntimeWarning")  # others have imported it
@pytest.mark.parametrize(
    ("module", "words", "message"),
    [
        ("bouncing_balls", ("--clips", "1.5"), "'1.5'; expected a whole number"),
        ("bouncing_balls", (), "vid_ode"),
        ("calibration", ("--data", "absent"), "is not a folder"),
        ("optimisers", ("--data", "absent"), "holds 0 clips; expected at least 6"),
        ("optimisers", ("--data", "absent", "--steps", "1.5"), "'1.5'; expected a whole number"),
        ("optimisers", (), "See 'python -m vidode.experiments.optimisers --help'"),
        ("real_video", ("--data", "absent"), "is not a folder"),
        ("training_cost", ("--scale", "tiny"), "no scale is called 'tiny'"),
        ("training_cost", ("one", "vid_od", "extrapolation", "smoke"), "did you mean 'vid_ode'"),
    ],
)
def test_bad_input_of_an_experiment_is_one_line(module, words, message, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    place = () if "one" in words else ("--out", "out")
    assert started(monkeypatch, module, *words, *place) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.startswith("vidode: ")
    assert said.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:.* found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("bouncing_balls", ()),
        ("calibration", ("--data", ".")),
        ("optimisers", ("--data", ".")),
        ("real_video", ("--data", ".")),
        ("training_cost", ("--scale", "smoke")),
    ],
)
def test_an_experiment_says_before_it_begins_that_it_cannot_write(module, words, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")
    assert started(monkeypatch, module, *words, "--out", "file/out") == 2
    told = capsys.readouterr().err
    assert told.startswith("vidode: cannot write file/out")
    assert told.endswith("Not a directory; choose another place\n")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
