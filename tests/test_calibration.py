"""The floors beside figures from elsewhere: parts are what they say, and differences are marked as they are."""

import json
from pathlib import Path

import pytest
import torch

from vidode.datasets import VideoDataset, open_dataset
from vidode.experiments import calibration
from vidode.experiments.calibration import FLOORS, Case, Part, PartConfig, main, table
from vidode.experiments.real_video import Source


def balls(clips=7):
    return open_dataset("bouncing_balls", "test", held_out=clips, frames=12)


def test_a_part_is_every_so_manieth_clip_and_its_first_frames():
    whole = balls()
    part = Part(whole, PartConfig(stride=3, frames=5))
    assert len(part) == 3
    for index in range(3):
        assert torch.equal(part.clip(index).frames, whole.clip(3 * index).frames[:5])
    assert torch.equal(Part(whole, PartConfig()).clip(6).frames, whole.clip(6).frames)


class Balls(Source):
    """Bouncing balls in the place of footage."""

    def open(self, root: Path, cache: Path | None = None) -> VideoDataset:
        return open_dataset("bouncing_balls", self.split, held_out=2, frames=12, **self.options)


@pytest.mark.parametrize(("off", "bold"), [(0.4, True), (0.6, False)])
def test_a_figure_is_met_within_half_a_decibel(off, bold):
    line = {"label": "x", "part": None, "psnr": dict.fromkeys(FLOORS, 30 + off), "figures": dict.fromkeys(FLOORS, 30)}
    cell = table([line]).splitlines()[2].split("|")[3].strip()
    assert cell == (f"**{30 + off:.2f} (+{off:.2f})**" if bold else f"{30 + off:.2f} (+{off:.2f})")


def test_the_whole_set_and_the_part_stand_beside_the_figures(tmp_path, monkeypatch):
    case = Case(Balls("balls", "bouncing_balls", "test"), (20.0, 21.0, 22.0), PartConfig(2, 7), {"size": 40})
    monkeypatch.setattr(calibration, "CASES", (case,))
    main(data=tmp_path, out=tmp_path / "out")
    result = json.loads((tmp_path / "out" / "calibration.json").read_text())
    whole, part = result["lines"]
    assert whole["part"] is None
    assert part["part"] == {"stride": 2, "frames": 7, "size": 40}
    assert part["data"]["configuration"]["size"] == 40
    assert whole["figures"] == {"copy_last": 20.0, "blend": 21.0, "optical_flow": 22.0}
    assert whole["psnr"] != part["psnr"]
    assert "every 2. clip, first 7 frames, 40x40" in (tmp_path / "out" / "calibration.md").read_text()
