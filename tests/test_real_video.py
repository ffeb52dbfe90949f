"""The table over real video: resumable row by row, honest about what is missing."""

import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vidode.blocks.perceptual import Lpips
from vidode.datasets import VideoDataset, open_dataset
from vidode.evaluation import Row
from vidode.experiments import real_video
from vidode.experiments.real_video import SCHEMES, Settings, Source, claims, label, main, run
from vidode.metrics import Scores
from vidode.tables import NO_LPIPS


class Balls(Source):
    """Bouncing balls in the place of footage."""

    def open(self, root: Path, cache: Path | None = None) -> VideoDataset:
        return open_dataset("bouncing_balls", self.split, held_out=1, frames=20, **self.options)


@pytest.fixture
def settings(monkeypatch, tmp_path):
    sources = (Balls("small/test", "bouncing_balls", "test"), Balls("other", "bouncing_balls", "test", {"seed": 1}))
    monkeypatch.setattr(real_video, "SOURCES", {"development": sources})
    return Settings(data=tmp_path / "data", out=tmp_path / "out", models=("never_trained", "copy_last", "blend"))


def files(folder):
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*.json")}


def test_every_row_is_a_file_with_its_origin_and_the_table_says_what_is_missing(settings, caplog):
    run(settings, None)
    folder = settings.out / "development"
    assert set(files(folder)) == {
        f"{scheme}/{data}/{model}.json"
        for scheme in SCHEMES
        for data in ("small-test", "other")
        for model in ("copy_last", "blend")
    }
    result = json.loads((folder / "every-second" / "other" / "blend.json").read_text())
    assert result["data"]["configuration"]["seed"] == 1
    assert len(result["data"]["sha256"]) == 64
    assert result["rows"][0]["data"] == "other"
    table = (folder / "table.md").read_text()
    assert "never_trained was not measured: no checkpoint called 'never_trained'" in table
    assert NO_LPIPS in table
    assert str(settings.out.parent) not in table
    for title in SCHEMES.values():
        assert f"## {title}, protocol vidode2021" in table
    assert (folder / "beyond-5.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_goes_on_where_it_stopped_and_measures_again_only_what_changed(settings):
    settings = replace(settings, schemes=("every-second",))
    run(settings, None)
    before = files(settings.out)
    table = (settings.out / "development" / "table.md").read_text()
    lost = settings.out / "development" / "every-second" / "other" / "blend.json"
    lost.unlink()
    run(settings, None)
    after = files(settings.out)
    assert {name for name in before if after[name] != before[name]} == {"development/every-second/other/blend.json"}
    assert (settings.out / "development" / "table.md").read_text() == table
    run(settings, Lpips().eval())
    assert all(files(settings.out)[name] != after[name] for name in after)


def test_a_model_in_a_folder_is_called_after_it_or_after_its_run():
    assert label("blend") == "blend"
    assert label("mine/night") == "night"
    assert label("runs/two_frames/model") == "two_frames"


def row(model, psnr, ssim, lpips):
    return Row(model, "a", "every-second", "per-frame", 1, 0, Scores(1, 0.1, psnr, ssim, lpips), {})


def test_claims_name_what_holds_and_what_fails():
    floors = [row("blend", 30, 0.9, 0.1), row("optical_flow", 33, 0.95, 0.05)]
    told = claims([row("anchored_vid_ode", 31, 0.89, 0.08), *floors])
    assert "PSNR yes, SSIM **no**, LPIPS yes" in told
    assert "-2.00 dB" in told
    assert "LPIPS" not in claims([row("anchored_vid_ode", 31, 0.89, None), *floors])
    assert claims(floors) == ""


def test_missing_weights_are_logged_in_one_line(settings, monkeypatch, caplog):
    monkeypatch.delenv("VIDODE_LPIPS", raising=False)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    monkeypatch.setattr(real_video, "SCHEMES", {"every-second": "Every second"})
    with caplog.at_level(logging.WARNING):
        main(Settings(settings.data, settings.out, models=("copy_last",), schemes=("every-second",)))
    assert [record.message for record in caplog.records if "no LPIPS weights" in record.message]
