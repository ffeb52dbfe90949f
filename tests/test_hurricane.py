"""Storms cut out of the fields of a climate model, by their annotated times and positions."""

import numpy as np
import pytest
import torch

from made_fields import LATITUDES, LONGITUDES, track, write_fields
from vidode.clip import InvalidInput
from vidode.datasets import open_dataset
from vidode.storms import read_tracks


@pytest.fixture
def root(tmp_path):
    write_fields(tmp_path / "fields" / "a.nc", 0, 10)
    write_fields(tmp_path / "fields" / "b.nc", 10, 30)
    lines = ["storm,time,lat,lon", *track("two", 6, 14, 12.5, 131), *track("one", 1, 8, 22, 352)]
    lines += track("three", 9, 15, -20, 170)
    (tmp_path / "tracks.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def hurricane(root, split="train", **options):
    return open_dataset("hurricane", split, root=str(root), **{"train": 2, "min_frames": 5, **options})


def test_a_storm_lasts_from_its_annotated_start_to_its_end_across_files(root):
    data = hurricane(root)
    assert [len(data.clip(index)) for index in range(len(data))] == [8, 9]
    assert data.clip(1).times.tolist() == [3 * 3600.0 * step for step in range(9)]
    counted = data.scaling.physical(data.clip(1).frames.numpy())[:, 0, 5, 5]
    np.testing.assert_allclose(counted, range(6, 15), atol=1e-3)


def test_it_is_cut_out_of_the_basin_that_holds_it(root):
    data = hurricane(root, edge=0)
    for index, (west, south) in enumerate([(200, 0), (60, 0)]):
        physical = data.scaling.physical(data.clip(index).frames.numpy())[0]
        assert physical.shape == (3, 12, 32)
        np.testing.assert_allclose(physical[1, 0], (west + 5 * np.arange(32)) % 360, atol=1e-2)
        np.testing.assert_allclose(physical[2, :, 0], south + 5 * np.arange(12), atol=1e-2)


def test_rows_are_added_and_declared_missing(root):
    assert hurricane(root, edge=0).clip(0).size == (12, 32)
    assert hurricane(root, edge=2, multiple=5).clip(0).size == (20, 32)
    clip = hurricane(root).clip(0)  # one above and one below, as in the paper
    assert clip.size == (14, 32)
    assert not clip.valid[:, :, [0, -1]].any()
    assert clip.valid[:, :, 1:-1].all()
    assert (clip.frames[:, :, [0, -1]] == 0).all()


def test_storms_are_split_in_order_of_their_start_and_scaled_by_the_training_ones(root):
    train, test = hurricane(root), hurricane(root, "test")
    assert (len(train), len(test)) == (2, 1)
    assert float(train.clip(0).frames.min()) == 0
    assert np.array_equal(train.scaling.low, test.scaling.low)
    assert test.clip(0).meaning.channels == ("U850", "V850", "PSL")


def test_arrays_of_the_released_code_have_the_same_rows_added(tmp_path):
    (tmp_path / "test").mkdir()
    values = np.random.default_rng(0).random((21, 3, 4, 6)).astype(np.float32)
    np.save(tmp_path / "test" / "a.npy", values)
    data = open_dataset("hurricane", "test", root=str(tmp_path))
    assert torch.equal(data.clip(0).frames[:, :, 1:-1], torch.from_numpy(values))
    assert data.clip(0).size == (6, 6)
    assert (data.clip(0).frames[:, :, [0, -1]] == 0).all()
    assert not data.clip(0).valid[:, :, [0, -1]].any()
    assert open_dataset("hurricane", "test", root=str(tmp_path), edge=0).clip(0).size == (4, 6)
    assert data.clip(0).times[1] == 3 * 3600


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / "tracks.csv").write_text("storm,time,lat\n"), "no column 'lon'"),
        (lambda root: (root / "tracks.csv").write_text("storm,time,lat,lon\na,soon,1,2\n"), "line 2"),
        (lambda root: (root / "tracks.csv").write_bytes(b"storm,time,lat,lon\n\xff\xfe\x81"), "not a table of text"),
        (lambda root: with_point(root, "1996-02-27T00,91,131"), r"line \d+, .* a latitude from -90 to 90"),
        (lambda root: with_point(root, "1996-02-27T00,nan,131"), r"line \d+, .* a latitude"),
        (lambda root: with_point(root, "1996-02-27T00,12,inf"), r"line \d+, .* a latitude"),
        (lambda root: with_point(root, ",12,131"), r"line \d+, .* a time such as"),
        (lambda root: with_point(root, "now,12,131"), r"line \d+, .* a time such as"),
        (lambda root: with_point(root, "2000-01,12,131"), r"line \d+, .* a time such as"),
        (lambda root: with_point(root, "1996-02-27,12,131"), r"line \d+, .* a time such as"),
        (lambda root: with_point(root, "1996-02-27T00:00+01:00,12,131"), r"line \d+, .* a time such as .* \(UTC\)"),
        (lambda root: with_point(root, "1996-02-30T00:00,12,131"), r"line \d+, .* a time such as"),
        (lambda root: with_point(root, "1996-02-27T00,12,131", " "), r"line \d+, .* expected the storm's name"),
        (
            lambda root: (root / "tracks.csv").unlink(),
            r"has no tracks\.csv, and no arrays in train/ and test/; the CAM5",
        ),
        (
            lambda root: (root / "fields" / "b.nc").unlink(),
            r"no field is there of storm two \(after 1996-02-28T03 to 1996-02-28T18\)",
        ),
        (
            lambda root: (root / "fields" / "a.nc").unlink(),
            r"no field is there of storm one \(1996-02-27T03 to 1996-02-28T00\)",
        ),
        (lambda root: [path.unlink() for path in (root / "fields").iterdir()], "holds no NetCDF"),
    ],
)
def test_what_is_incomplete_is_refused_in_one_line(root, change, message):
    lines = (root / "tracks.csv").read_text() + "\n".join(track("late", 30, 36, 12, 131)) + "\n"
    (root / "tracks.csv").write_text(lines)
    change(root)
    with pytest.raises(InvalidInput, match=message) as refused:
        hurricane(root, "test")
    assert "\n" not in str(refused.value)


def with_point(root, point, storm="odd"):
    with (root / "tracks.csv").open("a") as file:
        file.write(f"{storm},{point}\n")


@pytest.mark.parametrize("form", ["{}", "{}:00", "{}:00:00Z", " {}:00:00.000 "])
def test_times_are_told_to_the_hour_or_finer(root, form):
    header, *lines = (root / "tracks.csv").read_text().splitlines()
    points = [line.split(",") for line in lines]
    told = [",".join((storm, form.format(time), *place)) for storm, time, *place in points]
    before = [storm.hours for storm in read_tracks(root / "tracks.csv")]
    (root / "tracks.csv").write_text("\n".join([header, *told]))
    assert [storm.hours for storm in read_tracks(root / "tracks.csv")] == before


def test_fields_that_are_missing_inside_a_storm_are_named(root):
    (root / "fields" / "b.nc").unlink()
    write_fields(root / "fields" / "b.nc", 12, 28)
    with pytest.raises(
        InvalidInput, match=r"storm two \(between 1996-02-28T03 and 1996-02-28T12\); expected .* 3 hours"
    ):
        hurricane(root)
    write_fields(root / "fields" / "c.nc", 9, 3)
    with pytest.raises(InvalidInput, match="two fields have 1996-02-28T03 of storm two"):
        hurricane(root)


@pytest.mark.parametrize("name", ["time", "lat", "lon", "units"])
def test_fields_without_coordinates_or_units_are_named(root, name):
    write_fields(root / "fields" / "a.nc", 0, 10, lacking=name)
    said = "has no dates in 'time'" if name == "units" else f"has no '{name}' along an axis"
    with pytest.raises(InvalidInput, match=rf"a\.nc' {said}") as refused:
        hurricane(root)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"multiple": 0}, "multiple is 0; expected at least 1"),
        ({"edge": -1}, "edge is -1; expected at least 0"),
        ({"side": 0}, "side is 0; expected at least 1"),
        ({"side": 1}, "side is 1 for fields of 12 by 32 cells; expected at least 3"),
        ({"variables": ()}, "variables are empty"),
        ({"variables": ("PSL", "PSL")}, "variables are PSL, PSL; expected each once"),
    ],
)
def test_what_a_hurricane_cannot_be_is_refused(root, options, message):
    with pytest.raises(InvalidInput, match=message):
        hurricane(root, **options)


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({"latitudes": LATITUDES[::-1]}, r"latitudes from 85 to -90 \(36\), .*a\.nc' has them from -90 to 85 \(36\)"),
        ({"latitudes": LATITUDES + 2.5}, "latitudes from -87.5 to 87.5"),
        ({"longitudes": LONGITUDES - 180}, "longitudes from -180 to 175"),
    ],
)
def test_files_of_several_grids_are_refused(root, axes, said):
    write_fields(root / "fields" / "b.nc", 10, 30, **axes)
    with pytest.raises(InvalidInput, match=rf"b\.nc' has {said}.*; expected one grid: copy it again") as refused:
        hurricane(root)
    assert "\n" not in str(refused.value)


def test_coordinates_in_single_precision_are_the_same_grid(root):
    before = hurricane(root).clip(1).frames
    write_fields(root / "fields" / "b.nc", 10, 30, longitudes=LONGITUDES + 1e-5)
    assert torch.allclose(hurricane(root).clip(1).frames, before, atol=1e-6)


def test_a_storm_outside_every_basin_is_named(root):
    with pytest.raises(InvalidInput, match=r"storm two lies at 12\.5, 131"):
        hurricane(root, basins=[[0, 200], [-60, 160]])


def test_more_training_storms_than_there_are_is_refused(root):
    with pytest.raises(InvalidInput, match="train is 3 of 3 storms"):
        hurricane(root, train=3)
