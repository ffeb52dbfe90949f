"""Data sets converted once: what is whole, what is refused, what goes on, and that a manifest never lies."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from vidode.cli import main
from vidode.clip import InvalidInput
from vidode.datasets import moving_gif, open_dataset
from vidode.preparation import JOURNAL, MANIFEST, prepare


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


def test_the_manifest_says_what_every_file_is(source, tmp_path):
    facts = json.loads(prepare("moving_gif", source, tmp_path / "made", {"size": 4}).read_text())
    assert facts["options"] == {"size": 4}
    assert [clip["frames"] for clip in facts["clips"]] == [
        len(np.load(tmp_path / "made" / c["file"])) for c in facts["clips"]
    ]
    assert {tuple(clip["shape"]) for clip in facts["clips"]} == {(3, 4, 4)}


def test_other_options_than_it_was_prepared_with_are_refused(source, tmp_path):
    prepare("moving_gif", source, tmp_path / "made", {"size": 4})
    with pytest.raises(InvalidInput, match="was prepared with size 4"):
        open_dataset("moving_gif", "train", root=str(tmp_path / "made"))
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
        np.save(path.with_suffix(".npy"), np.zeros((12, 8), np.uint8))
    return source


@pytest.mark.parametrize(
    ("damage", "message"),
    [("truncated", "b.gif"), ("missing", "2 clips to train of moving_gif; expected 3"), ("wrong size", "b.npy")],
)
def test_a_broken_source_ends_in_one_line_and_goes_on_after_the_repair(source, tmp_path, capsys, damage, message):
    damaged(source, damage)
    words = ["datasets", "prepare", "moving_gif", str(source), str(tmp_path / "made")]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "made" / MANIFEST).exists()
    assert not list((tmp_path / "made").rglob("*.part"))
    for path in (source / "train").glob("b*"):
        path.unlink()
    animation(source / "train" / "b.gif", 13)
    assert main(words) == 0
    assert str(tmp_path / "made" / MANIFEST) in capsys.readouterr().out
    assert len(open_dataset("moving_gif", "train", root=str(tmp_path / "made"))) == 3


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


def test_a_folder_that_is_prepared_and_data_without_files_are_refused(source, tmp_path):
    prepare("moving_gif", source, tmp_path / "made")
    with pytest.raises(InvalidInput, match="is prepared already"):
        prepare("moving_gif", source, tmp_path / "made")
    with pytest.raises(InvalidInput, match="needs no preparation"):
        prepare("bouncing_balls", source, tmp_path / "other")
