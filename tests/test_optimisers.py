"""The small scale's optimiser beside the models' own: nothing that is tested on is learned from."""

import json

import numpy as np
import pytest
from PIL import Image

from vidode.clip import InvalidInput
from vidode.experiments import optimisers
from vidode.experiments.optimisers import development, main
from vidode.preparation import prepare


@pytest.fixture
def strips(tmp_path):
    """Twelve clips to train on, of twelve frames, and one to test on."""
    for name in [*(f"train/{index:02d}.png" for index in range(12)), "test/12.png"]:
        path = tmp_path / "weizmann" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(len(str(path))).integers(0, 255, (32, 12 * 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    return tmp_path


def test_every_sixth_training_clip_is_held_out_and_no_test_clip_is_touched(strips, tmp_path):
    folder = development(strips, tmp_path / "links") / "weizmann"
    named = {split: sorted(path.stem for path in (folder / split).iterdir()) for split in ("train", "test")}
    assert named["test"] == ["05", "11"]
    assert sorted(named["train"] + named["test"]) == [f"{index:02d}" for index in range(12)]
    assert development(strips, tmp_path / "links") == folder.parent


def test_a_folder_without_clips_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="holds 0 clips; expected at least 6"):
        development(tmp_path, tmp_path / "links")


def test_a_prepared_folder_is_refused(strips, tmp_path):
    prepare("weizmann", strips / "weizmann", tmp_path / "prepared" / "weizmann", {}, partial=True)
    with pytest.raises(InvalidInput, match="made by 'vidode datasets prepare'; expected the strips"):
        development(tmp_path / "prepared", tmp_path / "links")
    assert not (tmp_path / "links").exists()


def test_each_model_is_trained_twice_and_the_floors_stand_below(strips, tmp_path, monkeypatch):
    monkeypatch.setattr(optimisers, "MODELS", (("extrapolation", ("deep_voxel_flow",)),))
    monkeypatch.setattr(optimisers, "ours", lambda *_: [])
    main(data=strips, out=tmp_path / "out", runs=tmp_path / "runs", steps=2)
    lines = json.loads((tmp_path / "out" / "optimisers.json").read_text())["lines"]
    assert [line["model"] for line in lines] == [
        "deep_voxel_flow",
        "blend",
        "optical_flow",
        "copy_last",
        "optical_flow",
    ]
    assert lines[0]["own"] != lines[0]["brief"]
    page = (tmp_path / "out" / "table.md").read_text()
    assert "| deep_voxel_flow | extrapolation |" in page
    assert "2 updates" in page
