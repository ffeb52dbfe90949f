"""Records of gridded fields: what is read from real NetCDF and HDF5 files, how it is split, scaled and masked."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from made_fields import write_era5, write_radar, write_storm
from vidode.cli import main
from vidode.clip import InvalidInput
from vidode.datasets import open_dataset
from vidode.gridded import Scaling, Series, thinned

REAL = Path(os.environ.get("VIDODE_DATA", "no-data"))
"""Real data that is not shipped. What is known of it is tested where it is; reading it, on made files."""


@pytest.fixture
def storm(tmp_path):
    rng = np.random.default_rng(0)
    fields = {name: rng.normal(100, 20, (12, 5, 6)).astype(np.float32) for name in ("P", "U", "V")}
    for values in fields.values():
        values[:, 3:, 4:] = -9999
    fields["V"][4] = -9999
    for name, values in fields.items():
        write_storm(tmp_path, name, values)
    return tmp_path, fields


def test_a_frame_without_a_channel_leaves_a_longer_gap(storm):
    root, _ = storm
    clip = open_dataset("storm", "train", root=str(root), train=8).clip(0)
    assert clip.times.tolist() == [6 * 3600.0 * step for step in (0, 1, 2, 3, 5, 6, 7)]
    assert clip.meaning.channels == ("P", "U", "V")


def test_a_missing_corner_is_declared_and_zero(storm):
    root, _ = storm
    clip = open_dataset("storm", "test", root=str(root), train=8).clip(0)
    assert not clip.valid[:, :, 3:, 4:].any()
    assert clip.valid[:, :, :3].all()
    assert (clip.frames[~clip.valid] == 0).all()


def test_channels_are_scaled_by_the_extremes_of_the_training_part_alone(storm):
    root, fields = storm
    train, test = (open_dataset("storm", split, root=str(root), train=8) for split in ("train", "test"))
    measured = train.clip(0).frames[:, 0][train.clip(0).valid[:, 0]]
    assert (float(measured.min()), float(measured.max())) == (0.0, 1.0)
    physical = test.scaling.physical(test.clip(0).frames.numpy())
    np.testing.assert_allclose(physical[:, 1, :3], fields["U"][8:, :3], rtol=1e-4)


def test_training_windows_come_from_anywhere_in_their_split(storm):
    root, _ = storm
    data = open_dataset("storm", "train", root=str(root), train=8, frames=3)
    assert len(data) == 2
    starts = {float(data.window(0, 4, torch.Generator().manual_seed(seed)).times[0]) for seed in range(60)}
    assert starts == {6 * 3600.0 * step for step in (0, 1, 2, 3)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variables": ("P", "W")}, "expected some of P, U, V"),
        ({"variables": ("P", "T")}, "has no Tstorm.cdf"),
        ({"train": 12}, "train is 12 of 12 frames"),
        ({"train": 8, "frames": 9}, "frames is 9"),
        ({"train": 8, "frames": 0}, "frames is 0; expected at least 1"),
        ({"train": 8, "frames": -3}, "frames is -3; expected at least 1"),
        ({"train": 8, "frames": 2, "hop": -1}, "hop is -1; expected at least 1"),
        ({"train": 0}, "train is 0; expected at least 1"),
        ({"variables": ()}, "variables are empty"),
    ],
)
def test_what_a_storm_cannot_be_is_refused_in_one_line(storm, options, message):
    with pytest.raises(InvalidInput, match=message):
        open_dataset("storm", "train", root=str(storm[0]), **options)


def test_a_variable_with_fewer_frames_is_named(storm):
    write_storm(storm[0], "U", storm[1]["U"][:10])
    with pytest.raises(InvalidInput, match=r"Ustorm\.cdf has shape \(10, 5, 6\); expected .*\(12, 5, 6\)"):
        open_dataset("storm", "train", root=str(storm[0]), train=8)


@pytest.mark.parametrize("damage", ["text", "empty", "cut"])
def test_a_broken_file_is_named_in_one_line(storm, damage):
    path = storm[0] / "Ustorm.cdf"
    path.write_bytes({"text": b"not a grid", "empty": b"", "cut": path.read_bytes()[:300]}[damage])
    with pytest.raises(InvalidInput, match=r"Ustorm\.cdf") as refused:
        open_dataset("storm", "train", root=str(storm[0]), train=8)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("times", ["time", "valid_time"])
def test_era5_has_true_times_and_units(tmp_path, times):
    write_era5(tmp_path / "a.nc", times=times)
    data = open_dataset("era5", "test", root=str(tmp_path), train=6, frames=2)
    assert len(data) == 2
    assert data.clip(1).times.tolist() == [8 * 3600.0, 9 * 3600.0]
    overlapping = open_dataset("era5", "test", root=str(tmp_path), train=6, frames=2, hop=1)
    assert [overlapping.clip(i).times.tolist() for i in range(len(overlapping))] == [
        [3600.0 * hour, 3600.0 * (hour + 1)] for hour in (6, 7, 8)
    ]
    assert data.series.units == ("K",)


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ((0, 1, 2, 2, 4, 5, 6, 7), r"times\[2\] = 7200\.0 is followed by times\[3\] = 7200\.0; expected strictly"),
        ((0, 1, 2, 3, 4, -1, 6, 7), r"time 5 is nan; expected a finite number"),
        ((-1, 1, 2, 3, 4, 5, 6, 7), r"time 0 is nan; expected a finite number"),
    ],
)
def test_times_that_are_repeated_or_missing_are_refused_when_it_is_opened(tmp_path, at, message):
    write_era5(tmp_path / "a.nc", hours=8, at=at)
    for split in ("train", "test"):
        with pytest.raises(InvalidInput, match=f"era5 in .*: {message}"):
            open_dataset("era5", split, root=str(tmp_path), train=6, frames=2)


def test_era5_says_which_file_and_which_variables_there_are(tmp_path):
    write_era5(tmp_path / "a.nc")
    with pytest.raises(InvalidInput, match="no variable 'u10'; it has t2m"):
        open_dataset("era5", "train", root=str(tmp_path), train=6, variables=("u10",))
    write_era5(tmp_path / "b.nc")
    with pytest.raises(InvalidInput, match="holds 2 such files"):
        open_dataset("era5", "train", root=str(tmp_path), train=6)
    open_dataset("era5", "train", root=str(tmp_path), train=6, file="b.nc")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 0}, "side is 0; expected at least 1"),
        ({"side": -2}, "side is -2; expected at least 1"),
        ({"side": 1}, "side is 1 for fields of 4 by 6 cells; expected at least 2"),
        ({"variables": ()}, "variables are empty"),
        ({"variables": ("t2m", "t2m")}, "variables are t2m, t2m; expected each once"),
        ({"variables": ("time",)}, "expected"),
        ({"variables": ("t2m", "latitude")}, "latitude of .* has shape"),
        ({"frames": 0}, "frames is 0"),
        ({"frames": 2, "hop": -1}, "hop is -1"),
    ],
)
def test_what_era5_cannot_be_is_refused_in_one_line(tmp_path, options, message):
    write_era5(tmp_path / "a.nc")
    with pytest.raises(InvalidInput, match=message) as refused:
        open_dataset("era5", "train", root=str(tmp_path), **{"train": 6, **options})
    assert "\n" not in str(refused.value)


def test_the_command_line_refuses_a_side_of_no_cells(tmp_path, capsys):
    write_era5(tmp_path / "a.nc")
    words = ["evaluate", "linear_blend", "--data", "era5", "--root", str(tmp_path), "--option", "side=0"]
    assert main(words) == 2
    assert capsys.readouterr().err == "vidode: side is 0; expected at least 1\n"


@pytest.mark.parametrize(
    ("minute", "shape", "message"),
    [
        (75, (6, 8), r"_201008260075\.h5' has the impossible date 201008260075"),
        (10, (6, 9), r"_201008260010\.h5' has a field of \(6, 9\) cells; expected \(6, 8\)"),
    ],
)
def test_a_radar_file_that_does_not_belong_is_named(tmp_path, minute, shape, message):
    for each in (0, 5):
        write_radar(tmp_path / "knmi", each)
    write_radar(tmp_path / "knmi", minute, shape)
    with pytest.raises(InvalidInput, match=message):
        open_dataset("radar", "train", root=str(tmp_path), train=2, side=None)


def test_radar_composites_are_read_at_the_times_of_their_names(tmp_path):
    for minute in (0, 5, 15):
        write_radar(tmp_path / "knmi", minute)
    data = open_dataset("radar", "train", root=str(tmp_path), train=2, side=None)
    assert data.clip(0).times.tolist() == [0, 300]
    np.testing.assert_allclose(data.series.values[1, 0, 1:], np.log1p(5.0), rtol=1e-6)
    assert not data.clip(0).valid[:, :, 0].any()


def test_blocks_are_averaged_over_what_was_measured():
    values = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    values[0, :2, :2] = np.nan
    values[0, 2, 2] = np.nan
    made = thinned(values, 2)
    assert made.shape == (1, 2, 2)
    assert np.isnan(made[0, 0, 0])
    assert made[0, 1, 1] == pytest.approx((11 + 14 + 15) / 3)
    assert thinned(values, None) is values


def test_a_constant_channel_scales_to_zero():
    series = Series(np.full((2, 1, 2, 2), 7, np.float32), np.arange(2.0), ("x",), ("",))
    assert (Scaling.of(series.extremes).unit(series.values) == 0).all()


@pytest.mark.skipif(
    not (REAL / "storm").is_dir(),
    reason="the data of the storm is not shipped with the project; VIDODE_DATA names a folder that holds storm/",
)
def test_the_real_storm_lacks_the_frames_that_it_is_known_to_lack():
    everything = ("P", "U", "V", "T", "U500", "V500")
    clip = open_dataset("storm", "train", root=str(REAL / "storm"), variables=everything).clip(0)
    missing = set(range(48)) - {round(time / 21600) for time in clip.times.tolist()}
    assert missing == {17, 36, 37}
    assert float((~clip.valid).float().mean()) == pytest.approx(0.189, abs=0.002)
