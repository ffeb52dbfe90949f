"""The weights that come with the package: whole, small, and worth more than the floors."""

import torch

from vidode import checkpoints
from vidode.demo import run_demo

MEBIBYTE = 2**20


def test_weights_are_shipped_for_the_model_that_generate_uses():
    assert "anchored_vid_ode" in checkpoints.shipped()


def test_shipped_weights_are_a_few_megabytes_with_a_card_that_says_how_they_were_made():
    for name in checkpoints.shipped():
        found = checkpoints.describe(name)
        assert sum(path.stat().st_size for path in found.folder.iterdir()) < 8 * MEBIBYTE
        assert {"training", "steps", "seconds", "command", "commit", "scores"} <= set(found.card)
        assert found.card["training"]["data"]["name"] == "moving_scenes"
        assert (found.folder / "README.md").is_file()
        model = checkpoints.load(name)
        assert not model.training
        assert all(bool(torch.isfinite(value).all()) for value in model.state_dict().values())


def test_the_demo_is_ahead_of_copy_and_blend_by_two_decibels(tmp_path):
    done = run_demo(tmp_path / "demo", progress=False)
    scores = {line.model: line for line in done.lines}
    ours = scores.pop("anchored_vid_ode")
    for floor in ("blend", "copy_last"):
        assert ours.between.psnr >= scores[floor].between.psnr + 2
