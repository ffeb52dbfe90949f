"""Storms cut out of the fields of a climate model, by their annotated times and positions."""

import h5netcdf
import numpy as np
import pytest
import torch

from vidode.clip import InvalidInput
from vidode.datasets import open_dataset

LATITUDES = np.arange(-90, 90, 5.0)
LONGITUDES = np.arange(0, 360, 5.0)


def write_fields(path, first, steps, calendar="noleap"):
    """U850 counts time, V850 is the longitude and PSL the latitude, so that a cut tells where it is from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"time": steps, "lat": len(LATITUDES), "lon": len(LONGITUDES)}
        time = file.create_variable("time", ("time",), "f8", data=3.0 * (first + np.arange(steps)))
        time.attrs["units"], time.attrs["calendar"] = "hours since 1996-02-27", calendar
        file.create_variable("lat", ("lat",), "f8", data=LATITUDES)
        file.create_variable("lon", ("lon",), "f8", data=LONGITUDES)
        shape = (steps, len(LATITUDES), len(LONGITUDES))
        counted = np.broadcast_to((first + np.arange(steps, dtype=np.float32))[:, None, None], shape)
        values = {"U850": counted, "V850": np.broadcast_to(LONGITUDES, shape)}
        values["PSL"] = np.broadcast_to(LATITUDES[:, None], shape)
        for name, field in values.items():
            made = file.create_variable(
                name, ("time", "lat", "lon"), "f4", data=np.ascontiguousarray(field, np.float32)
            )
            made.attrs["units"] = {"PSL": "Pa"}.get(name, "m/s")


def track(storm, first, last, latitude, longitude, start="1996-02-27T00"):
    moments = np.datetime64(start) + 3 * np.arange(first, last + 1) * np.timedelta64(1, "h")
    return [f"{storm},{moment},{latitude},{longitude}" for moment in moments]


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
    data = hurricane(root, multiple=1)
    for index, (west, south) in enumerate([(200, 0), (60, 0)]):
        physical = data.scaling.physical(data.clip(index).frames.numpy())[0]
        assert physical.shape == (3, 12, 32)
        np.testing.assert_allclose(physical[1, 0], (west + 5 * np.arange(32)) % 360, atol=1e-2)
        np.testing.assert_allclose(physical[2, :, 0], south + 5 * np.arange(12), atol=1e-2)


def test_rows_are_added_and_declared_missing(root):
    clip = hurricane(root, multiple=7).clip(0)
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


def test_arrays_of_the_released_code_are_taken_as_they_are(tmp_path):
    (tmp_path / "test").mkdir()
    values = np.random.default_rng(0).random((21, 3, 4, 6)).astype(np.float32)
    np.save(tmp_path / "test" / "a.npy", values)
    data = open_dataset("hurricane", "test", root=str(tmp_path))
    assert torch.equal(data.clip(0).frames, torch.from_numpy(values))
    assert data.clip(0).times[1] == 3 * 3600


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / "tracks.csv").write_text("storm,time,lat\n"), "no column 'lon'"),
        (lambda root: (root / "tracks.csv").write_text("storm,time,lat,lon\na,soon,1,2\n"), "line 2"),
        (lambda root: (root / "fields" / "b.nc").unlink(), "no field has the times of storm"),
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


def test_a_storm_outside_every_basin_is_named(root):
    with pytest.raises(InvalidInput, match=r"storm two lies at 12\.5, 131"):
        hurricane(root, basins=[[0, 200], [-60, 160]])


def test_more_training_storms_than_there_are_is_refused(root):
    with pytest.raises(InvalidInput, match="train is 3 of 3 storms"):
        hurricane(root, train=3)
