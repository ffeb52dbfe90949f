"""Work that several processes share is done once."""

import subprocess
import sys
import time

import pytest
from filelock import FileLock

from vidode.experiments.reproduction import sharing
from vidode.experiments.reproduction.sharing import in_turn

WORKER = """
import sys, time
from pathlib import Path
from vidode.experiments.reproduction import sharing
sharing.PAUSE = 0.05
folder, me = Path(sys.argv[1]), sys.argv[2]

def piece(name):
    def do():
        path = folder / f"{name}.txt"
        if not path.exists():
            time.sleep(0.2)
            path.write_text(me)
            with (folder / "made.txt").open("a") as file:
                file.write(f"{name} {me}\\n")
        return path.read_text()
    return do

found = dict(sharing.in_turn({name: piece(name) for name in "abcdef"}, lambda name: folder / f"{name}.lock"))
assert sorted(found) == list("abcdef")
"""


def test_what_another_process_is_at_comes_later(tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "PAUSE", 0.0)
    elsewhere, order = FileLock(tmp_path / "locks" / "b.lock"), []
    (tmp_path / "locks").mkdir()
    elsewhere.acquire()
    work = {name: lambda name=name: name.upper() for name in "abc"}
    for name, given in in_turn(work, lambda name: tmp_path / "locks" / f"{name}.lock"):
        order.append(name)
        assert given == name.upper()
        if name == "c":
            elsewhere.release()
    assert order == ["a", "c", "b"]


def test_what_was_passed_over_comes_as_soon_as_it_is_free(tmp_path):
    elsewhere, order = FileLock(tmp_path / "a.lock"), []
    elsewhere.acquire()
    for name, _ in in_turn({name: lambda: None for name in "abc"}, lambda name: tmp_path / f"{name}.lock"):
        order.append(name)
        elsewhere.release()
    assert order == ["b", "a", "c"]


def test_an_error_leaves_no_lock(tmp_path):
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(in_turn({"a": fail}, lambda name: tmp_path / "a.lock"))
    assert list(in_turn({"a": lambda: 1}, lambda name: tmp_path / "a.lock")) == [("a", 1)]


def test_processes_share_the_work_and_one_that_dies_leaves_it_to_the_others(tmp_path):
    def start(name):
        return subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), name])

    doomed = start("doomed")
    end = time.monotonic() + 120
    while not (tmp_path / "made.txt").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    others = [start("one"), start("two")]
    doomed.kill()
    assert [other.wait(timeout=120) for other in others] == [0, 0]
    made = [line.split() for line in (tmp_path / "made.txt").read_text().splitlines()]
    assert sorted(name for name, _ in made) == list("abcdef")
    assert {"one", "two"} <= {who for _, who in made}
