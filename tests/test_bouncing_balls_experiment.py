"""The experiment on bouncing balls: its rows, its claim and its pictures, on a model that knows nothing yet."""

import json

import pytest
from PIL import Image

from vidode.checkpoints import save
from vidode.experiments.bouncing_balls import main
from vidode.models import build


@pytest.fixture
def out(tmp_path):
    save(build("vid_ode", channels=1, width=4, neighbours=10), tmp_path / "vid_ode", "vid_ode")
    return tmp_path


def test_rows_tables_and_pictures_are_written(out):
    main(out=out, clips=2)
    result = json.loads((out / "vid_ode.json").read_text())
    rows = {row["protocol"]: row for row in result["rows"]}
    assert rows["vidode2021"]["clips"] == 2
    assert sorted(rows["vidode2021"]["by_distance"], key=int) == [str(step) for step in range(1, 11)]
    table = (out / "table.md").read_text()
    floor = {row["protocol"]: row for row in json.loads((out / "copy_last.json").read_text())["rows"]}
    for protocol, row in rows.items():
        ahead = row["scores"]["psnr"] - floor[protocol]["scores"]["psnr"]
        assert f"vid_ode is {ahead:+.2f} dB PSNR ahead" in table
    assert str(out.parent) not in table
    assert "--clips 2" in table
    assert json.loads((out / "data.json").read_text())["restitution"] == 1.0
    assert Image.open(out / "strips.png").size == (10 * 66, 12 * 66)
    assert Image.open(out / "balls.gif").n_frames == 10


def test_it_runs_again_over_what_it_wrote(out):
    main(out=out, clips=1)
    first = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    main(out=out, clips=1)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == first
