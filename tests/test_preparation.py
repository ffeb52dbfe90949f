"""Data sets converted once: what is whole, what is refused, what goes on, and that a manifest never lies."""

import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from broken_arrays import broken_array
from stopping import stop_after
from vidode.cli import main
from vidode.clip import InvalidInput
from vidode.datasets import moving_gif, open_dataset
from vidode.manifest import JOURNAL, MANIFEST
from vidode.preparation import prepare
from vidode.preparation.journal import LOCK


def animation(path, frames=12, size=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = [Image.new("RGB", (size, size), (20 * k, 10, 0)) for k in range(frames)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=50)


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setattr(moving_gif.MovingGif, "whole", {"train": 3, "test": 1})
    for name in ("train/a", "train/b", "train/c", "test/d"):
        animation(tmp_path / "source" / f"{name}.gif", 10 + ord(name[-1]) % 5)
    return tmp_path / "source"


def test_a_prepared_set_is_the_set(source, tmp_path):
    told = []
    path = prepare("moving_gif", source, tmp_path / "made", report=lambda *words: told.append(words))
    assert path == tmp_path / "made" / MANIFEST
    for split in ("train", "test"):
        before = open_dataset("moving_gif", split, root=str(source))
        after = open_dataset("moving_gif", split, root=str(tmp_path / "made"))
        assert len(before) == len(after)
        for index in range(len(before)):
            assert torch.equal(before.clip(index).frames, after.clip(index).frames)
            assert torch.equal(before.clip(index).times, after.clip(index).times)
    assert isinstance(after.takes[0].reel.footage().frames, np.memmap)
    assert [done for _, done, _ in told] == [1, 2, 3, 4]
    assert {total for _, _, total in told} == {4}
    assert not (tmp_path / "made" / JOURNAL).exists()


def content(folder):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize(("name", "options"), [("moving_gif", {"size": 4}), ("video_folder", {"size": 8})])
def test_a_second_preparation_of_the_same_folder_is_refused_and_the_first_goes_on(source, tmp_path, name, options):
    prepare("moving_gif", source, tmp_path / "alone", {"size": 8})
    refused = []

    def meanwhile(*_):
        with pytest.raises(InvalidInput, match=r"another process is preparing .*made' now; wait until it") as error:
            prepare(name, source, tmp_path / "made", options)
        refused.append(str(error.value))

    prepare("moving_gif", source, tmp_path / "made", {"size": 8}, report=meanwhile)
    assert len(refused) == 4
    assert "\n" not in refused[0]
    assert content(tmp_path / "made") == content(tmp_path / "alone")


def test_a_second_process_is_refused_in_one_line(source, tmp_path):
    """That one holds the lock here, so that it is the other which starts from nothing."""
    words = [sys.executable, "-m", "vidode", *prepare_words(source, tmp_path), "--partial"]
    refused = []

    def meanwhile(name, done, total):
        if done == 1:
            refused.append(subprocess.run(words, capture_output=True, text=True, check=False))

    prepare("moving_gif", source, tmp_path / "made", report=meanwhile)
    assert refused[0].returncode == 2
    assert "another process is preparing" in refused[0].stderr
    assert refused[0].stderr.count("\n") == 1


def test_a_process_that_was_killed_locks_nothing(source, tmp_path):
    prepare("moving_gif", source, tmp_path / "alone")
    (tmp_path / "made").mkdir()
    code = "import filelock, os, sys; filelock.FileLock(sys.argv[1]).acquire(); os.kill(os.getpid(), 9)"
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "made" / LOCK)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "made").iterdir()] == [LOCK]
    prepare("moving_gif", source, tmp_path / "made")
    assert content(tmp_path / "made") == content(tmp_path / "alone")


def test_the_manifest_says_what_every_file_is(source, tmp_path):
    facts = json.loads(prepare("moving_gif", source, tmp_path / "made", {"size": 4}).read_text())
    assert facts["options"] == {"size": 4}
    assert [clip["frames"] for clip in facts["clips"]] == [
        len(np.load(tmp_path / "made" / c["file"])) for c in facts["clips"]
    ]
    assert {tuple(clip["shape"]) for clip in facts["clips"]} == {(3, 4, 4)}


def test_other_options_than_it_was_prepared_with_are_refused(source, tmp_path):
    prepare("moving_gif", source, tmp_path / "made", {"size": 4})
    with pytest.raises(InvalidInput, match="made' was prepared with size 4, not None; give the same, or prepare it"):
        open_dataset("moving_gif", "train", root=str(tmp_path / "made"))
    several = "size 4, not 8, and channels 3, not 1, and min_frames 10, not 5; give the same, or "
    options = {"size": 8, "channels": 1, "min_frames": 5}
    with pytest.raises(InvalidInput, match=several + "prepare it again"):
        open_dataset("moving_gif", "train", root=str(tmp_path / "made"), **options)
    with pytest.raises(InvalidInput, match=several + "choose another folder"):
        prepare("moving_gif", source, tmp_path / "made", options)
    with pytest.raises(InvalidInput, match="holds moving_gif, not ucf101"):
        open_dataset("ucf101", "train", root=str(tmp_path / "made"))
    assert len(open_dataset("moving_gif", "train", root=str(tmp_path / "made"), size=4)) == 3


def damaged(source, damage):
    path = source / "train" / "b.gif"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "missing":
        path.unlink()
    elif damage == "wrong size":
        path.unlink()
        np.save(path.with_suffix(".npy"), np.zeros((12, 10, 8, 3), np.uint8))
    return source


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("truncated", "b.gif"),
        ("missing", "2 clips to train of moving_gif; expected 3"),
        (
            "wrong size",
            "b.npy' has frames of (3, 10, 8) (C, H, W), those before it, such as '{source}/train/a.gif', of (3, 8, 8);"
            " expected one size: give all one size, such as --option size=128, or copy it again",
        ),
    ],
)
def test_a_broken_source_ends_in_one_line_and_goes_on_after_the_repair(source, tmp_path, capsys, damage, message):
    damaged(source, damage)
    words = ["datasets", "prepare", "moving_gif", str(source), str(tmp_path / "made")]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message.format(source=source) in said
    assert said.count("\n") == 1
    assert not (tmp_path / "made" / MANIFEST).exists()
    assert not list((tmp_path / "made").rglob("*.part"))
    for path in (source / "train").glob("b*"):
        path.unlink()
    animation(source / "train" / "b.gif", 13)
    assert main(words) == 0
    assert str(tmp_path / "made" / MANIFEST) in capsys.readouterr().out
    assert len(open_dataset("moving_gif", "train", root=str(tmp_path / "made"))) == 3


def test_too_many_files_are_to_be_removed(source, tmp_path):
    animation(source / "train" / "e.gif", 12)
    with pytest.raises(InvalidInput, match="4 clips to train of moving_gif; expected 3: remove what does not belong"):
        prepare("moving_gif", source, tmp_path / "made")


@pytest.mark.parametrize("zeros", [20, 400])
def test_an_animation_that_is_damaged_inside_is_not_a_short_one(source, tmp_path, capsys, zeros):
    path = source / "train" / "b.gif"
    data = bytearray(path.read_bytes())
    place = data.index(b"\x21\xf9\x04", len(data) // 2)  # where an extension starts, between two pictures
    data[place : place + zeros] = bytes(min(zeros, len(data) - place - 1))
    path.write_bytes(data)
    assert main(prepare_words(source, tmp_path)) == 2
    said = capsys.readouterr().err
    assert f"train/b.gif' is damaged at byte {place}" in said
    assert said.count("\n") == 1


def test_zeros_before_the_end_of_an_animation_lose_nothing(source):
    path = source / "train" / "b.gif"
    path.write_bytes(path.read_bytes()[:-1] + b"\0\0\x3b")
    assert len(open_dataset("moving_gif", "train", root=str(source)).clip(1)) == 13


def test_videos_of_several_sizes_are_prepared_at_one(source, tmp_path):
    damaged(source, "wrong size")
    with pytest.raises(InvalidInput, match="give all one size"):
        prepare("moving_gif", source, tmp_path / "made")
    with pytest.raises(InvalidInput, match="give all one size"):  # what is converted already is told apart, too
        prepare("moving_gif", source, tmp_path / "made")
    prepare("moving_gif", source, tmp_path / "small", {"size": 8})
    data = open_dataset("moving_gif", "train", root=str(tmp_path / "small"), size=8)
    assert {data.clip(index).size for index in range(len(data))} == {(8, 8)}


def test_what_was_cut_off_goes_on_without_converting_again(source, tmp_path):
    made = tmp_path / "made"

    def stop(name, done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare("moving_gif", source, made, report=stop)
    assert not (made / MANIFEST).exists()
    with (made / JOURNAL).open("a") as journal:
        journal.write('{"file": "cut o')
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*.npy")}
    animation(source / "train" / "a.gif", 14)
    prepare("moving_gif", source, made)
    kept = {path.name for path, time in before.items() if path.stat().st_mtime_ns == time}
    assert kept == {"00001-b.npy", "00001-b.times.npy"}
    assert len(open_dataset("moving_gif", "train", root=str(made)).clip(0)) == 14


def test_a_full_disk_leaves_no_manifest_and_no_half_file(source, tmp_path, monkeypatch, capsys):
    real = np.save

    def full(file, values, **options):
        if len(values) == 13 and values.ndim == 4:
            file.write(b"half")
            raise OSError(28, "No space left on device", str(tmp_path / "made"))
        real(file, values, **options)

    monkeypatch.setattr(np, "save", full)
    words = ["datasets", "prepare", "moving_gif", str(source), str(tmp_path / "made")]
    assert main(words) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert not (tmp_path / "made" / MANIFEST).exists()
    assert not list((tmp_path / "made").rglob("*.part"))
    monkeypatch.setattr(np, "save", real)
    assert main(words) == 0


def test_a_part_is_prepared_where_that_is_asked_for(source, tmp_path):
    (source / "test" / "d.gif").unlink()
    facts = json.loads(prepare("moving_gif", source, tmp_path / "made", partial=True).read_text())
    assert facts["partial"] is True
    assert {clip["split"] for clip in facts["clips"]} == {"train"}


def test_a_lost_array_is_named(source, tmp_path):
    prepare("moving_gif", source, tmp_path / "made")
    (tmp_path / "made" / "test" / "00000-d.npy").unlink()
    with pytest.raises(InvalidInput, match=r"00000-d\.npy.*prepare the data set again"):
        open_dataset("moving_gif", "test", root=str(tmp_path / "made")).clip(0)


def test_a_finished_folder_is_left_as_it_is(source, tmp_path):
    manifest = prepare("moving_gif", source, tmp_path / "made")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "made").rglob("*.npy")}
    said = json.loads(manifest.read_text())
    assert json.loads(prepare("moving_gif", source, tmp_path / "made").read_text()) == said
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "made").rglob("*.npy")} == before
    assert not (tmp_path / "made" / JOURNAL).exists()


def broken(path, damage):
    if damage == "floats":
        np.save(path, np.load(path).astype(np.float32))
    elif damage == "shape":
        np.save(path, np.load(path)[..., :4])
    elif damage == "frames":
        np.save(path, np.load(path)[:5])
        np.save(path.with_suffix(".times.npy"), np.arange(5.0))
    elif damage == "times gone":
        path.with_suffix(".times.npy").unlink()
    elif damage == "times short":
        np.save(path.with_suffix(".times.npy"), np.arange(3.0))
    else:
        broken_array(path, damage)


DAMAGE = ["cut", "gone", "header", "archive", "floats", "shape", "frames", "times gone", "times short"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_arrays_are_named_in_one_line(source, tmp_path, capsys, damage):
    made = tmp_path / "made"
    prepare("moving_gif", source, made)
    broken(made / "test" / "00000-d.npy", damage)
    assert main(["evaluate", "copy_last", "--data", "moving_gif", "--root", str(made), "--clips", "1"]) == 2
    said = capsys.readouterr().err
    assert "test/00000-d." in said
    assert said.endswith("prepare the data set again\n")
    assert said.count("\n") == 1


@pytest.mark.parametrize("damage", ["header", "archive"])
def test_a_damaged_array_of_the_source_is_named_in_one_line(source, tmp_path, capsys, damage):
    np.save(source / "train" / "b.npy", np.zeros((12, 8, 8, 3), np.uint8))
    (source / "train" / "b.gif").unlink()
    broken(source / "train" / "b.npy", damage)
    for words in (["inspect", str(source / "train" / "b.npy")], prepare_words(source, tmp_path)):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert "b.npy' cannot be read as an array" in said
        assert said.count("\n") == 1


def prepare_words(source, tmp_path):
    return ["datasets", "prepare", "moving_gif", str(source), str(tmp_path / "made")]


@pytest.mark.parametrize("lost", ["frames", "shape"])
def test_an_entry_that_says_too_little_is_said_in_one_line(source, tmp_path, lost):
    path = prepare("moving_gif", source, tmp_path / "made")
    facts = json.loads(path.read_text())
    del facts["clips"][1][lost]
    path.write_text(json.dumps(facts))
    with pytest.raises(InvalidInput, match="is not what 'vidode datasets prepare' writes") as refused:
        open_dataset("moving_gif", "train", root=str(tmp_path / "made"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("damage", [*DAMAGE, "changed"])
def test_damaged_arrays_are_converted_again(source, tmp_path, finished, damage):
    made = tmp_path / "made"
    if finished:
        prepare("moving_gif", source, made)
    else:
        with pytest.raises(KeyboardInterrupt):
            prepare("moving_gif", source, made, report=stop_after(2))
    other = made / "train" / "00001-b.npy"
    before = other.stat().st_mtime_ns
    broken(made / "train" / "00000-a.npy", damage)
    prepare("moving_gif", source, made)
    assert other.stat().st_mtime_ns == before
    clip = open_dataset("moving_gif", "train", root=str(made)).clip(0)
    assert torch.equal(clip.frames, open_dataset("moving_gif", "train", root=str(source)).clip(0).frames)


def test_what_is_half_prepared_is_no_data_and_no_source(source, tmp_path, capsys):
    made = tmp_path / "made"
    with pytest.raises(KeyboardInterrupt):
        prepare("moving_gif", source, made, report=stop_after(1))
    for name in ("moving_gif", "penn_action", "video_folder"):
        assert main(["evaluate", "copy_last", "--data", name, "--root", str(made), "--clips", "1"]) == 2
        said = capsys.readouterr().err
        assert "made' holds a preparation that is not finished; type the same 'vidode datasets prepare" in said
        assert said.count("\n") == 1
        assert main(["datasets", "prepare", name, str(made), str(tmp_path / "again")]) == 2
        assert "holds a preparation that is not finished" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


def test_there_is_no_manifest_while_what_it_says_is_repaired(source, tmp_path):
    made = tmp_path / "made"
    prepare("moving_gif", source, made)
    (made / "train" / "00000-a.npy").unlink()
    with pytest.raises(KeyboardInterrupt):
        prepare("moving_gif", source, made, report=stop_after(1))
    assert not (made / MANIFEST).exists()
    prepare("moving_gif", source, made)
    assert len(open_dataset("moving_gif", "train", root=str(made))) == 3


def test_arrays_of_clips_that_have_gone_are_removed(source, tmp_path):
    made = tmp_path / "made"
    prepare("moving_gif", source, made)
    (source / "train" / "a.gif").unlink()
    prepare("moving_gif", source, made, partial=True)
    assert sorted(path.name for path in (made / "train").glob("*.npy") if "times" not in path.name) == [
        "00000-b.npy",
        "00001-c.npy",
    ]


def test_short_clips_count_as_there_are_left_out_and_named(source, tmp_path, capsys):
    animation(source / "train" / "b.gif", 5)
    assert main(prepare_words(source, tmp_path)) == 0
    assert "1 shorter than 10 frames, left out: train/b.gif\n" in capsys.readouterr().out
    facts = json.loads((tmp_path / "made" / MANIFEST).read_text())
    assert facts["short"] == {"10": ["train/b.gif"]}
    assert facts["counts"]["train"]["clips"] == 2
    assert len(open_dataset("moving_gif", "train", root=str(tmp_path / "made"))) == 2
    assert not list((tmp_path / "made").rglob("*-b.*"))


def test_nothing_is_decoded_before_the_files_are_counted(source, tmp_path):
    (source / "train" / "a.gif").write_bytes(b"not a picture")
    (source / "train" / "b.gif").unlink()
    with pytest.raises(InvalidInput, match="2 clips to train of moving_gif; expected 3"):
        prepare("moving_gif", source, tmp_path / "made")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("source", "overlap"),
        ("source/below", "overlap"),
        (".", "overlap"),
        ("full", "holds 'theirs.txt' already"),
        ("full/theirs.txt", "is a file"),
        ("odd", "is not the journal"),
        ("random", "is not the journal"),
    ],
)
def test_a_target_that_is_not_ours_is_refused_and_left_alone(source, tmp_path, capsys, place, message):
    for name, content in (("odd", b"[1]\n"), ("random", bytes(range(128, 256)))):
        (tmp_path / name).mkdir()
        (tmp_path / name / JOURNAL).write_bytes(content)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "theirs.txt").write_text("mine")
    before = set(tmp_path.rglob("*"))
    assert main(["datasets", "prepare", "moving_gif", str(source), str(tmp_path / place)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert set(tmp_path.rglob("*")) == before


def test_the_working_directory_is_not_filled(source, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "theirs.txt").write_text("mine")
    monkeypatch.chdir(tmp_path / "here")
    assert main(["datasets", "prepare", "moving_gif", str(source), ""]) == 2
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["theirs.txt"]


@pytest.mark.parametrize("finished", [True, False])
def test_other_data_options_or_source_do_not_mix(source, tmp_path, finished):
    made = tmp_path / "made"
    shutil.copytree(source, tmp_path / "copy")
    if finished:
        prepare("moving_gif", source, made, {"size": 4})
    else:
        with pytest.raises(KeyboardInterrupt):
            prepare("moving_gif", source, made, {"size": 4}, report=stop_after(1))
    with pytest.raises(InvalidInput, match="was prepared with size 4, not None"):
        prepare("moving_gif", source, made)
    with pytest.raises(InvalidInput, match=r"was prepared from source .*source, not .*copy"):
        prepare("moving_gif", tmp_path / "copy", made, {"size": 4})
    with pytest.raises(InvalidInput, match="was prepared from dataset moving_gif, not video_folder"):
        prepare("video_folder", source, made, {"validation": 0.0})
    prepare("moving_gif", source, made, {"size": 4, "min_frames": 10})  # its default, given


def test_a_damaged_journal_costs_no_more_than_converting_again(source, tmp_path):
    made = tmp_path / "made"
    with pytest.raises(KeyboardInterrupt):
        prepare("moving_gif", source, made, report=stop_after(2))
    with (made / JOURNAL).open("ab") as journal:
        journal.write(b'[1]\n{"file": "../../x.npy", "split": "train", "source": "", "frames": 1}\n\xff\xfe\n3')
    (tmp_path.parent / "x.npy").write_text("not ours")
    prepare("moving_gif", source, made)
    assert (tmp_path.parent / "x.npy").exists()
    assert len(open_dataset("moving_gif", "train", root=str(made))) == 3


@pytest.mark.parametrize("content", ["{", "[]", '{"dataset":"ucf101"}', '{"dataset":"moving_gif"}', "\xff"])
def test_a_manifest_that_is_none_is_said_in_one_line(source, tmp_path, capsys, content):
    (source / MANIFEST).write_text(content, encoding="latin-1")
    assert main(["datasets", "prepare", "moving_gif", str(source), str(tmp_path / "made")]) == 2
    said = capsys.readouterr().err
    assert "is not what 'vidode datasets prepare' writes" in said
    assert said.count("\n") == 1
    with pytest.raises(InvalidInput, match="is not what"):
        open_dataset("moving_gif", "train", root=str(source))


def test_a_part_of_nothing_is_refused(source, tmp_path):
    for path in source.rglob("*.gif"):
        path.unlink()
    with pytest.raises(InvalidInput, match="holds no clips of any split"):
        prepare("moving_gif", source, tmp_path / "made", partial=True)
    assert not (tmp_path / "made").exists()
    animation(source / "train" / "a.gif", 3)  # shorter than is kept
    with pytest.raises(InvalidInput, match="holds no clips of any split"):
        prepare("moving_gif", source, tmp_path / "made", partial=True)
    assert not (tmp_path / "made" / MANIFEST).exists()


def test_a_root_among_the_options_is_refused(source, tmp_path, capsys):
    words = ["datasets", "prepare", "moving_gif", str(source), str(tmp_path / "made"), "--option", "root=foo"]
    assert main(words) == 2
    assert "root is given as an option" in capsys.readouterr().err


def test_a_full_disk_that_numpy_does_not_name_is_named(source, tmp_path, monkeypatch, capsys):
    def full(file, values, **options):
        raise OSError("1265664 requested and 913280 written")

    monkeypatch.setattr(np, "save", full)
    assert main(["datasets", "prepare", "moving_gif", str(source), str(tmp_path / "made")]) == 2
    assert f"{tmp_path / 'made' / 'train' / '00000-a.times.npy'}: the disk is full" in capsys.readouterr().err


def test_data_without_files_and_what_is_prepared_already_are_no_sources(source, tmp_path):
    prepare("moving_gif", source, tmp_path / "made")
    with pytest.raises(InvalidInput, match="is prepared already; use it as root"):
        prepare("moving_gif", tmp_path / "made", tmp_path / "again")
    with pytest.raises(InvalidInput, match="needs no preparation"):
        prepare("bouncing_balls", source, tmp_path / "other")
