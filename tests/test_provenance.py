"""Where results come from: commands without this machine's folders, checksums that follow what they stand for."""

import subprocess
from pathlib import Path

import pytest
import torch
from torch import nn

from vidode import provenance as origin
from vidode.clip import Clip
from vidode.provenance import DataChecksum, command_line, provenance, weights_checksum, write_json


def test_absolute_paths_are_cut_to_their_last_part():
    assert command_line(["/opt/bin/vidode", "evaluate", "--data", "/home/me/weizmann", "a b", "runs/x"]) == (
        "vidode evaluate --data weizmann 'a b' runs/x"
    )


def test_the_commit_is_named_with_changes_and_is_none_outside_a_checkout(monkeypatch):
    answers = {"ls-files": "provenance.py", "rev-parse": "abc123", "status": " M file.py"}
    monkeypatch.setattr(origin, "_git", lambda word, *rest: answers[word])
    assert provenance("x")["commit"] == "abc123+changes"
    answers["status"] = ""
    assert provenance("x")["commit"] == "abc123"

    def fail(*words):
        raise subprocess.CalledProcessError(128, "git")

    monkeypatch.setattr(origin, "_git", fail)
    assert provenance("x")["commit"] is None


def test_a_copy_installed_in_a_checkout_of_something_else_has_no_commit(monkeypatch, tmp_path):
    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], cwd=tmp_path, check=True)

    git("init", "--quiet")
    (tmp_path / "other.py").write_text("")
    git("add", "other.py")
    git("commit", "--quiet", "--message", "theirs")
    (tmp_path / "provenance.py").write_text("")
    monkeypatch.setattr(origin, "__file__", str(tmp_path / "provenance.py"))
    assert provenance("x")["commit"] is None
    git("add", "provenance.py")
    assert provenance("x")["commit"].endswith("+changes")


def test_weights_have_the_same_checksum_until_one_number_changes():
    torch.manual_seed(0)
    one, two = nn.Linear(3, 2), nn.Linear(3, 2)
    assert weights_checksum(one) != weights_checksum(two)
    two.load_state_dict(one.state_dict())
    assert weights_checksum(one) == weights_checksum(two)
    with torch.no_grad():
        two.bias[1] += 1e-6
    assert weights_checksum(one) != weights_checksum(two)


@pytest.mark.parametrize("change", ["pixel", "time", "shape"])
def test_data_has_the_same_checksum_until_a_level_a_time_or_the_shape_changes(change):
    frames, times = torch.rand(2, 1, 4, 6) / 2, torch.tensor([0.0, 1.0], dtype=torch.float64)

    def checksum(frames, times):
        digest = DataChecksum()
        digest.update(Clip(frames, times))
        return digest.hexdigest()

    before = checksum(frames, times)
    assert before == checksum(frames.clone(), times.clone())
    other = frames.clone()
    other[1, 0, 0, 0] += 1 / 255
    changed = {
        "pixel": lambda: checksum(other, times),
        "time": lambda: checksum(frames, times + 1e-9),
        "shape": lambda: checksum(frames.reshape(2, 1, 6, 4), times),
    }[change]()
    assert changed != before


def test_a_result_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"psnr": 30.0})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"psnr": float("nan")})
    assert path.read_text() == '{\n  "psnr": 30.0\n}\n'
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_a_number_on_its_own_counts_as_a_weight():
    module = torch.nn.Module()
    module.scale = torch.nn.Parameter(torch.tensor(1.0))
    before = weights_checksum(module)
    module.scale.data += 1
    assert weights_checksum(module) != before


def test_a_result_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        origin.write_text(tmp_path / "a.json", "{}")
    assert list(tmp_path.iterdir()) == []
