"""Gridded fields converted once: exactly the unprepared answers, mapped; what is missing is named before anything."""

import json
import sys
import tracemalloc
from dataclasses import fields

import numpy as np
import pytest
import torch

from broken_arrays import broken_array
from made_fields import track, write_era5, write_fields, write_radar, write_storm
from stopping import stop_after
from vidode.cli import main
from vidode.clip import InvalidInput
from vidode.datasets import FieldDataset, RecordedDataset, config_class, dataset_class, names, open_dataset
from vidode.manifest import JOURNAL, MANIFEST
from vidode.preparation import prepare

STORMS = {"train": 2, "min_frames": 5}


def cyclones(folder):
    """Three storms in three files: the first in one of them, the others in two each."""
    for name, first, steps in (("a", 0, 8), ("b", 8, 7), ("c", 15, 6)):
        write_fields(folder / "fields" / f"{name}.nc", first, steps)
    lines = ["storm,time,lat,lon", *track("two", 6, 14, 12.5, 131), *track("o/ne", 1, 7, 22, 352)]
    (folder / "tracks.csv").write_text("\n".join([*lines, *track("three", 9, 15, -20, 170)]) + "\n")


def released(folder):
    """Arrays as the released code keeps them."""
    rng = np.random.default_rng(0)
    for name, frames in (("train/a", 21), ("train/b", 24), ("test/c", 22)):
        path = folder / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, rng.random((frames, 3, 4, 6)).astype(np.float32))


def winter(folder):
    """Twelve frames, of which one lacks a variable, and a corner that is never there."""
    rng = np.random.default_rng(0)
    for name in ("P", "U", "V"):
        values = rng.normal(100, 20, (12, 5, 6)).astype(np.float32)
        values[:, 3:, 4:] = -9999
        values[4 if name == "V" else 12 :][:1] = -9999
        write_storm(folder, name, values)


def rain(folder):
    for minute in range(0, 40, 5):
        write_radar(folder / "knmi", minute)


SETS = {
    "hurricane": (cyclones, {}, STORMS),
    "hurricane of arrays": (released, {"edge": 2, "multiple": 5}, {"min_frames": 22}),
    "storm": (winter, {"variables": ["P", "V"]}, {"train": 8, "frames": 3, "hop": 1}),
    "era5": (lambda folder: write_era5(folder / "a.nc"), {"side": 3}, {"train": 6, "frames": 2}),
    "radar": (rain, {"side": 4}, {"train": 5}),
}
"""How its files are made, the options that shape what is stored, and those that do not."""


@pytest.fixture(params=SETS)
def case(request, tmp_path):
    make, options, free = SETS[request.param]
    (tmp_path / "source").mkdir()
    make(tmp_path / "source")
    return request.param.split()[0], tmp_path / "source", options, free


@pytest.fixture
def source(tmp_path):
    (tmp_path / "source").mkdir()
    cyclones(tmp_path / "source")
    return tmp_path / "source"


def same(one, other):
    assert torch.equal(one.frames, other.frames)
    assert torch.equal(one.times, other.times)
    assert (one.valid is None) == (other.valid is None)
    assert one.valid is None or torch.equal(one.valid, other.valid)
    assert one.meaning == other.meaning


def both(name, source, made, split, options):
    return (open_dataset(name, split, root=str(root), **options) for root in (source, made))


def arrays(made):
    return {path: path.stat().st_mtime_ns for path in made.rglob("*.npy")}


def test_prepared_fields_are_the_fields(case, tmp_path):
    name, source, options, free = case
    told = []
    prepare(name, source, tmp_path / "made", options, report=lambda *words: told.append(words))
    for split in ("train", "test"):
        before, after = both(name, source, tmp_path / "made", split, {**options, **free})
        assert len(before) == len(after)
        for index in range(len(before)):
            same(before.clip(index), after.clip(index))
            windows = [each.window(index, 2, torch.Generator().manual_seed(index)) for each in (before, after)]
            same(*windows)
        if before.scaling is not None:
            assert np.array_equal(before.scaling.low, after.scaling.low)
            assert np.array_equal(before.scaling.high, after.scaling.high)
    assert [done for _, done, _ in told] == list(range(1, len(told) + 1))
    assert {total for _, _, total in told} == {len(told)}
    assert not (tmp_path / "made" / JOURNAL).exists()


def test_what_does_not_shape_the_arrays_stays_free(case, tmp_path):
    name, source, options, free = case
    prepare(name, source, tmp_path / "made", options)
    others = {"train": free.get("train", 2) - 1, "min_frames": 1, "frames": 1, "hop": 1}
    others = {key: others[key] for key in free}
    for split in ("train", "test"):
        before, after = both(name, source, tmp_path / "made", split, {**options, **others})
        same(before.clip(0), after.clip(0))
    manifest = (tmp_path / "made" / MANIFEST).read_text()
    before = arrays(tmp_path / "made")
    prepare(name, source, tmp_path / "made", {**options, **others})
    assert arrays(tmp_path / "made") == before
    assert json.loads((tmp_path / "made" / MANIFEST).read_text())["clips"] == json.loads(manifest)["clips"]


@pytest.mark.parametrize(
    ("name", "made_with", "asked", "message"),
    [
        ("hurricane", {}, {"edge": 0}, r"was prepared with edge 1, not 0; give the same"),
        ("hurricane", {"side": 16}, {}, r"was prepared with side 16, not None; give the same"),
        ("storm", {}, {"variables": ["U"]}, r"was prepared with variables \['P', 'U', 'V'\]"),
        ("era5", {}, {"side": 3}, r"was prepared with side None"),
        ("radar", {}, {"side": None}, r"was prepared with side 128"),
    ],
)
def test_other_options_that_shape_the_arrays_are_refused(tmp_path, name, made_with, asked, message):
    make, _, free = SETS[name]
    (tmp_path / "source").mkdir()
    make(tmp_path / "source")
    prepare(name, tmp_path / "source", tmp_path / "made", made_with)
    with pytest.raises(InvalidInput, match=message):
        open_dataset(name, "train", root=str(tmp_path / "made"), **free, **asked)
    with pytest.raises(InvalidInput, match="was prepared with"):
        prepare(name, tmp_path / "source", tmp_path / "made", asked)


def test_values_are_mapped_and_a_window_alone_is_read(tmp_path):
    (tmp_path / "source" / "train").mkdir(parents=True)
    (tmp_path / "source" / "test").mkdir()
    for split in ("train", "test"):
        np.save(tmp_path / "source" / split / "a.npy", np.zeros((60, 3, 100, 100), np.float32))  # 7 MB
    prepare("hurricane", tmp_path / "source", tmp_path / "made")
    tracemalloc.start()
    data = open_dataset("hurricane", "train", root=str(tmp_path / "made"))
    clip = data.window(0, 2, torch.Generator().manual_seed(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(clip) == 2
    assert isinstance(data.series[0].values, np.memmap)
    assert peak < 2e6  # a few times the window's two frames, of 0.12 MB each


def test_a_window_of_a_mapped_record_alone_is_read(tmp_path):
    write_era5(tmp_path / "a.nc", hours=20000)  # 2 MB
    prepare("era5", tmp_path, tmp_path.with_name("made"))
    tracemalloc.start()
    data = open_dataset("era5", "test", root=str(tmp_path.with_name("made")))
    data.window(0, 2, torch.Generator().manual_seed(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(data.series.values, np.memmap)
    assert peak < 1.2e6  # its times, its extremes and their places, half a million bytes


def test_the_manifest_says_what_every_record_is(source, tmp_path, capsys):
    assert main(["datasets", "prepare", "hurricane", str(source), str(tmp_path / "made")]) == 0
    assert "all: 3 records of 23 frames (the Vid-ODE paper states 319 videos)\n" in capsys.readouterr().out
    facts = json.loads((tmp_path / "made" / MANIFEST).read_text())
    assert [each["file"] for each in facts["clips"]] == [
        "all/00000-o_ne.npy",
        "all/00001-two.npy",
        "all/00002-three.npy",
    ]
    assert facts["clips"][0]["names"] == ["U850", "V850", "PSL"]
    assert facts["clips"][0]["units"] == ["m/s", "m/s", "Pa"]
    values, extremes = (np.load(tmp_path / "made" / f"all/00001-two{end}") for end in (".npy", ".extremes.npy"))
    assert values[:, 0, 1, 0].tolist() == list(range(6, 15))  # in physical units, each frame its number
    assert np.isnan(values[:, :, 0]).all()
    assert extremes.shape == (9, 2, 3)
    assert extremes[:, 0, 0].tolist() == list(range(6, 15))


def test_short_training_storms_count_for_the_scaling(source, tmp_path):
    prepare("hurricane", source, tmp_path / "made")
    options = {"train": 2, "min_frames": 8}  # the first of them has 7, and the least values
    before, after = both("hurricane", source, tmp_path / "made", "train", options)
    assert len(after) == 1
    assert after.scaling.low[0] == 1
    same(before.clip(0), after.clip(0))


def test_every_data_set_of_files_can_be_prepared():
    in_files = [name for name in names() if any(option.name == "root" for option in fields(config_class(name)))]
    assert {*SETS} - {"hurricane of arrays"} < {*in_files}
    assert all(issubclass(dataset_class(name), (RecordedDataset, FieldDataset)) for name in in_files)


def test_what_was_cut_off_goes_on_and_what_changed_is_converted_again(source, tmp_path):
    made = tmp_path / "made"
    with pytest.raises(KeyboardInterrupt):
        prepare("hurricane", source, made, report=stop_after(2))
    assert not (made / MANIFEST).exists()
    before = arrays(made)
    write_fields(source / "fields" / "a.nc", 0, 8)  # the file of the first two storms
    prepare("hurricane", source, made)
    assert not any(path.stat().st_mtime_ns == time for path, time in before.items())
    before = arrays(made)
    write_fields(source / "fields" / "c.nc", 15, 6)
    prepare("hurricane", source, made)
    assert {path.name[:5] for path, time in arrays(made).items() if before[path] != time} == {"00002"}


def test_a_storm_that_is_annotated_otherwise_is_converted_again(source, tmp_path):
    made = tmp_path / "made"
    prepare("hurricane", source, made)
    before = arrays(made)
    lines = (source / "tracks.csv").read_text().splitlines()
    end = next(line for line in reversed(lines) if line.startswith("o/ne"))
    (source / "tracks.csv").write_text("\n".join(line for line in lines if line != end) + "\n")
    prepare("hurricane", source, made)
    assert {path.name[:5] for path, time in arrays(made).items() if before[path] != time} == {"00000"}
    assert len(open_dataset("hurricane", "train", root=str(made), **STORMS).clip(0)) == 6


def broken(path, damage):
    if damage == "other type":
        np.save(path, np.load(path).astype(">f8"))
    elif damage == "other shape":
        np.save(path, np.load(path)[1:])
    else:
        broken_array(path, damage)


@pytest.mark.parametrize("ending", [".npy", ".times.npy", ".extremes.npy"])
@pytest.mark.parametrize("damage", ["cut", "gone", "header", "archive", "other type", "other shape"])
def test_damaged_arrays_are_named_in_one_line(source, tmp_path, capsys, damage, ending):
    prepare("hurricane", source, tmp_path / "made")
    broken(tmp_path / "made" / "all" / f"00001-two{ending}", damage)
    words = ["evaluate", "copy_last", "--data", "hurricane", "--root", str(tmp_path / "made"), "--option", "train=1"]
    assert main([*words, "--clips", "1"]) == 2
    said = capsys.readouterr().err
    assert f"00001-two{ending}' " in said
    assert said.endswith("prepare the data set again\n")
    assert said.count("\n") == 1


@pytest.mark.parametrize("damage", ["header", "archive"])
def test_a_damaged_array_of_the_source_is_named_in_one_line(tmp_path, capsys, damage):
    released(tmp_path / "source")
    broken(tmp_path / "source" / "train" / "b.npy", damage)
    assert main(["datasets", "prepare", "hurricane", str(tmp_path / "source"), str(tmp_path / "made")]) == 2
    said = capsys.readouterr().err
    assert "b.npy' cannot be read as an array" in said
    assert said.endswith("copy it again\n")
    assert said.count("\n") == 1


@pytest.mark.parametrize("ending", [".npy", ".times.npy", ".extremes.npy"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_damaged_arrays_are_converted_again(source, tmp_path, damage, ending):
    made = tmp_path / "made"
    prepare("hurricane", source, made)
    before = arrays(made)
    broken(made / "all" / f"00001-two{ending}", damage)
    prepare("hurricane", source, made)
    assert {path.name[:5] for path, time in arrays(made).items() if before[path] != time} == {"00001"}
    one, other = both("hurricane", source, made, "train", STORMS)
    same(one.clip(1), other.clip(1))


def test_one_storm_at_a_time_is_in_memory(source, tmp_path):
    prepare("hurricane", source, tmp_path / "first")  # what is imported on the way counts for nothing
    write_fields(source / "fields" / "d.nc", 30, 170)
    long = [line for k in range(20) for line in track(f"long {k}", 0, 150, 22, 352, start="1996-03-02T18")]
    (source / "tracks.csv").write_text("\n".join(["storm,time,lat,lon", *long]) + "\n")
    tracemalloc.start()
    prepare("hurricane", source, tmp_path / "made")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    stored = sum(path.stat().st_size for path in (tmp_path / "made").rglob("*.npy"))
    assert peak < stored / 3


@pytest.mark.parametrize("ending", [".npy", ".times.npy", ".extremes.npy"])
def test_a_lost_array_is_named(source, tmp_path, ending):
    prepare("hurricane", source, tmp_path / "made")
    (tmp_path / "made" / "all" / f"00001-two{ending}").unlink()
    with pytest.raises(
        InvalidInput, match=rf"00001-two{ending}' cannot be read as an array .*; prepare the data set again"
    ):
        open_dataset("hurricane", "train", root=str(tmp_path / "made"), **STORMS)


def test_hours_that_are_missing_are_named_before_anything_is_written(source, tmp_path, capsys):
    (source / "fields" / "b.nc").unlink()
    write_fields(source / "fields" / "b.nc", 10, 5)
    words = ["datasets", "prepare", "hurricane", str(source), str(tmp_path / "made")]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "lacks fields of storm two (between 1996-02-27T21 and 1996-02-28T06)" in said
    assert "storm three (1996-02-28T03 to before 1996-02-28T06); copy them there, or prepare" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "made").exists()
    assert main([*words, "--partial"]) == 0
    assert "all: 1 records of 7 frames" in capsys.readouterr().out


def test_a_part_keeps_every_storm_in_its_split(source, tmp_path):
    (source / "fields" / "a.nc").unlink()
    write_fields(source / "fields" / "a.nc", 3, 5)  # lacks the start of the first storm
    facts = json.loads(prepare("hurricane", source, tmp_path / "made", partial=True).read_text())
    assert facts["partial"] is True
    made = str(tmp_path / "made")
    train, test = (open_dataset("hurricane", split, root=made, **STORMS) for split in ("train", "test"))
    assert [len(each.clip(index)) for each in (train, test) for index in range(len(each))] == [9, 7]
    write_fields(source / "fields" / "a.nc", 0, 8)
    prepare("hurricane", source, tmp_path / "made")
    assert len(open_dataset("hurricane", "train", root=made, **STORMS)) == 2


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.9, 0.999])
@pytest.mark.parametrize(("name", "file"), [("hurricane", "fields/b.nc"), ("storm", "Ustorm.cdf"), ("era5", "a.nc")])
def test_a_truncated_file_is_named_in_one_line(tmp_path, capfd, name, file, share):
    source = tmp_path / "source"
    source.mkdir()
    SETS[name][0](source)
    whole = (source / file).read_bytes()
    (source / file).write_bytes(whole[: int(share * len(whole))])
    words = ["datasets", "prepare", name, str(source), str(tmp_path / "made")]
    assert main(words) == 2
    said = capfd.readouterr().err
    assert file.split("/")[-1] in said
    assert said.count("\n") == 1
    assert not (tmp_path / "made" / MANIFEST).exists()
    (source / file).write_bytes(whole)
    assert main(words) == 0


def test_a_damaged_header_is_named_in_one_line_and_nothing_else_is_said(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)  # pytest has its own, which keeps quiet
    cyclones(tmp_path / "source")
    path = tmp_path / "source" / "fields" / "b.nc"
    data = bytearray(path.read_bytes())
    root = data.index(b"OHDR")  # the header of the root group
    data[root + 10 : root + 40] = bytes(30)
    path.write_bytes(data)
    assert main(["datasets", "prepare", "hurricane", str(tmp_path / "source"), str(tmp_path / "made")]) == 2
    said = capfd.readouterr().err
    assert "b.nc' cannot be read" in said
    assert said.count("\n") == 1


def test_a_truncated_array_is_named_and_the_rest_goes_on(tmp_path):
    released(tmp_path / "source")
    path = tmp_path / "source" / "train" / "b.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-50])
    with pytest.raises(InvalidInput, match=r"b\.npy' cannot be read as an array .*; copy it again"):
        prepare("hurricane", tmp_path / "source", tmp_path / "made")
    before = arrays(tmp_path / "made")
    path.write_bytes(whole)
    prepare("hurricane", tmp_path / "source", tmp_path / "made")
    assert len(before) == 3
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((24, 3, 5, 6)), "b.npy' has frames of (3, 7, 6) (C, H, W), those before it, such as "),
        (np.zeros((24, 2, 4, 6)), "b.npy' has frames of (2, 6, 6) (C, H, W), those before it, such as "),
        (np.full((24, 3, 4, 6), 255, np.uint8), "b.npy' has values from 255 to 255; expected them scaled to [0, 1]"),
        (np.full((24, 3, 4, 6), -0.6), "b.npy' has values from -0.6 to -0.6; expected them scaled to [0, 1]"),
    ],
)
def test_arrays_of_another_size_or_scale_are_refused_and_the_rest_goes_on(tmp_path, capsys, values, message):
    released(tmp_path / "source")
    path = tmp_path / "source" / "train" / "b.npy"
    whole = path.read_bytes()
    np.save(path, values)
    words = ["datasets", "prepare", "hurricane", str(tmp_path / "source"), str(tmp_path / "made")]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    with pytest.raises(InvalidInput, match=r"a has fields of .* and b of|expected them scaled"):
        open_dataset("hurricane", "train", root=str(tmp_path / "source"))
    path.write_bytes(whole)
    assert main(words) == 0


def test_a_full_disk_leaves_no_manifest_and_no_half_file(source, tmp_path, monkeypatch, capsys):
    real = np.save

    def full(file, values, **options):
        if values.ndim == 4 and len(values) == 9:
            file.write(b"half")
            raise OSError("1265664 requested and 913280 written")
        real(file, values, **options)

    monkeypatch.setattr(np, "save", full)
    words = ["datasets", "prepare", "hurricane", str(source), str(tmp_path / "made")]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path / 'made' / 'all' / '00001-two.npy'}: the disk is full" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "made" / MANIFEST).exists()
    assert not list((tmp_path / "made").rglob("*.part"))
    monkeypatch.setattr(np, "save", real)
    assert main(words) == 0
    same(*(each.clip(1) for each in both("hurricane", source, tmp_path / "made", "train", STORMS)))


@pytest.mark.parametrize("name", [*SETS, "tracks alone"])
def test_a_source_without_files_is_refused_in_one_line(tmp_path, capsys, name):
    (tmp_path / "source").mkdir()
    if name == "tracks alone":
        (tmp_path / "source" / "tracks.csv").write_text("storm,time,lat,lon\n" + "\n".join(track("a", 0, 3, 9, 131)))
    name = "hurricane" if name == "tracks alone" else name.split()[0]
    assert main(["datasets", "prepare", name, str(tmp_path / "source"), str(tmp_path / "made")]) == 2
    said = capsys.readouterr().err
    lacks = ("source' ho", "source/fields' ho", "source' has no Pstorm.cdf and no Ustorm", "source' has no tracks.csv")
    assert any(each in said for each in lacks)
    assert said.count("\n") == 1
    assert not (tmp_path / "made").exists()


def test_a_split_of_arrays_that_is_missing_is_refused(tmp_path):
    released(tmp_path / "source")
    (tmp_path / "source" / "test" / "c.npy").unlink()
    with pytest.raises(InvalidInput, match="holds no clips of the test split"):
        prepare("hurricane", tmp_path / "source", tmp_path / "made")
    prepare("hurricane", tmp_path / "source", tmp_path / "made", partial=True)
    assert len(open_dataset("hurricane", "train", root=str(tmp_path / "made"))) == 2
    with pytest.raises(InvalidInput, match="holds no storms of the test split"):
        open_dataset("hurricane", "test", root=str(tmp_path / "made"))


def test_times_that_do_not_increase_are_refused(tmp_path):
    for minute in (0, 5):
        write_radar(tmp_path / "source", minute)
    twin = tmp_path / "source" / "RAD_NL25_RAP_5min_201008260005.h5"
    twin.with_name("RAD_NL25_RAQ_5min_201008260005.h5").write_bytes(twin.read_bytes())
    twin.with_name("RAD_NL25_RAP_5min_x_201008260005.h5").write_bytes(twin.read_bytes())
    with pytest.raises(InvalidInput, match=r"radar in .*source': times\[1\] = 300\.0 .* strictly increasing"):
        prepare("radar", tmp_path / "source", tmp_path / "made")


def test_times_of_a_prepared_record_are_looked_at_too(tmp_path):
    (tmp_path / "hours").mkdir()
    write_era5(tmp_path / "hours" / "a.nc")
    prepare("era5", tmp_path / "hours", tmp_path / "made")
    path = tmp_path / "made" / "all" / "00000-era5.times.npy"
    np.save(path, np.maximum(np.load(path), 3600.0))
    with pytest.raises(InvalidInput, match=r"made/all': times\[0\] = 3600\.0 is followed by"):
        open_dataset("era5", "train", root=str(tmp_path / "made"), train=6)


@pytest.mark.parametrize("name", ["hurricane", "era5"])
def test_half_prepared_fields_are_no_data(source, tmp_path, name):
    with pytest.raises(KeyboardInterrupt):
        prepare("hurricane", source, tmp_path / "made", report=stop_after(1))
    with pytest.raises(InvalidInput, match="holds a preparation that is not finished"):
        open_dataset(name, "train", root=str(tmp_path / "made"))


def test_a_wrong_option_is_corrected_in_the_same_folder(source, tmp_path):
    with pytest.raises(InvalidInput, match=r"a\.nc' has no variable 'PLS'; it has"):
        prepare("hurricane", source, tmp_path / "made", {"variables": ["PLS"]})
    prepare("hurricane", source, tmp_path / "made", {"variables": ["PSL"]})
    assert len(open_dataset("hurricane", "train", root=str(tmp_path / "made"), variables=["PSL"], **STORMS)) == 2


@pytest.mark.parametrize("lost", ["names", "units", "place", "frames", "shape"])
def test_an_entry_that_says_too_little_is_said_in_one_line(source, tmp_path, lost):
    path = prepare("hurricane", source, tmp_path / "made")
    facts = json.loads(path.read_text())
    del facts["clips"][1][lost]
    path.write_text(json.dumps(facts))
    with pytest.raises(InvalidInput, match="is not what 'vidode datasets prepare' writes") as refused:
        open_dataset("hurricane", "train", root=str(tmp_path / "made"), **STORMS)
    assert "\n" not in str(refused.value)
    prepare("hurricane", source, tmp_path / "made")
    open_dataset("hurricane", "train", root=str(tmp_path / "made"), **STORMS)
