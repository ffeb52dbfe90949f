from fractions import Fraction as F

import pytest
import torch
from PIL import Image

import vidode
from vidode import demo, pictures
from vidode.clip import InvalidInput
from vidode.demo import film
from vidode.demo.film import REQUEST


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(film, "SIZE", (32, 40))
    monkeypatch.setattr(film, "SECONDS", F(2, 5))


def test_the_film_is_uneven_with_gaps_and_the_truth_is_the_scene_itself(small, tmp_path):
    shot = film.shoot(tmp_path / "film.mp4", 6)
    with vidode.open_source(tmp_path / "film.mp4") as source:
        filmed = {frame.time: frame.pixels for frame in source}
    assert list(filmed) == shot.observed
    gaps = {late - early for early, late in zip(shot.observed, shot.observed[1:], strict=False)}
    assert len(gaps) > 3
    assert max(gaps) > F(3, 2) * film.GAP
    assert shot.asked == list(REQUEST.times(shot.observed))
    for time, truth in zip(shot.asked, shot.truth, strict=True):
        if time in filmed:
            assert (filmed[time] - truth).abs().max() <= 1 / 255
    assert bool(shot.made.any())
    assert int(shot.beyond.sum()) == sum(time > shot.observed[-1] for time in shot.asked) > 5


def test_a_demo_writes_everything_and_scores_only_what_was_made(small, tmp_path):
    done = demo.run_demo(tmp_path / "demo", "blend", progress=False)
    assert sorted(path.name for path in done.folder.iterdir()) == sorted(demo.FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    assert done.lines[0].model == "blend"
    assert {line.model for line in done.lines} >= {"blend", "copy_last"}
    with vidode.open_source(done.folder / "restored.mp4") as source:
        times = [frame.time for frame in source]
    with vidode.open_source(done.folder / "observed.mp4") as source:
        observed = [frame.time for frame in source]
    assert (len(observed), len(times)) == done.frames
    assert times == list(REQUEST.times(observed))
    scored = done.lines[0].between.frames + done.lines[0].beyond.frames
    assert scored == sum(time not in observed for time in times)
    with Image.open(done.folder / "side_by_side.gif") as picture:
        assert picture.size == (3 * 40, 32 + pictures.CAPTION)
        assert picture.n_frames == len(times)


def test_a_model_that_knows_the_scene_has_no_error(small, tmp_path, monkeypatch):
    class Oracle(type(vidode.load("blend"))):
        def forward(self, observed, query):
            shot = film.shoot(tmp_path / f"{query.sum()}.mp4", 6)
            known = dict(zip(map(float, shot.asked), shot.truth, strict=True))
            frames = torch.stack([known[time] for time in query[0].tolist()])
            return vidode.models.Prediction(frames[None])

    load = demo.load
    monkeypatch.setattr(demo, "load", lambda name: Oracle(load("blend").config) if name == "blend" else load(name))
    first, *others = demo.run_demo(tmp_path / "demo", "blend", progress=False).lines
    assert first.between.psnr == first.beyond.psnr == 100
    assert all(line.between.psnr < 60 for line in others)


def test_only_a_demo_is_overwritten(small, tmp_path):
    for scene in (-1, 10**20):
        with pytest.raises(InvalidInput, match=f"scene is {scene}"):
            demo.run_demo(tmp_path / "demo", "blend", scene=scene)
    assert not list(tmp_path.iterdir())
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(InvalidInput, match="exists"):
        demo.run_demo(folder, "blend")
    with pytest.raises(InvalidInput, match=r"thesis\.tex"):
        demo.run_demo(folder, "blend", overwrite=True)
    assert (folder / "thesis.tex").read_text() == "years of work"
