"""Recorded sets are read as their owners distribute them; the files here are tiny ones in the same form."""

import json
import struct
import zlib
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from scipy.io import savemat

from vidode.cli import main
from vidode.clip import InvalidInput
from vidode.datasets import RecordedDataset, dataset_class, names, open_dataset, penn_action
from vidode.datasets import kth as kth_set
from vidode.footage import Footage, Preparation, Reel, Take, fit
from vidode.preparation import prepare
from vidode.sources import Frame


def film(path, frames=6, size=(24, 32), rate=25):
    """A small video whose frame k is a grey level of 20 k + 40."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4" if path.suffix == ".avi" else "libx264", rate=rate)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"qscale": "1"}
        for k in range(frames):
            picture = np.full((*size, 3), 20 * k + 40, dtype=np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@pytest.fixture
def made(tmp_path_factory):
    """A folder to write, beside the one with the source."""
    return tmp_path_factory.mktemp("prepared") / "made"


def levels(clip):
    """The grey level of each frame, as `film` counts them."""
    return ((clip.frames.mean(dim=(1, 2, 3)) * 255 - 40) / 20).round().int().tolist()


def strip(path, count=5, side=8, name_lies=True):
    """A strip of `count` square frames: red counts the frames, and alpha hides a part that is to be seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((side, side * count, 4), dtype=np.uint8)
    pixels[..., 0] = np.repeat(np.arange(count) * 10, side)
    pixels[..., 2] = 200
    pixels[: side // 2, :, 3] = 255
    Image.fromarray(pixels, "RGBA").save(path, format="PNG")
    return path


# ---------------------------------------------------------------------------------------------------- Weizmann


@pytest.fixture
def weizmann(tmp_path):
    strip(tmp_path / "train" / "00000001.jpg", count=7)
    strip(tmp_path / "train" / "00000000.jpg", count=5)
    strip(tmp_path / "test" / "00000002.jpg", count=6)
    return tmp_path


def test_a_strip_is_cut_into_its_frames(weizmann):
    data = open_dataset("weizmann", "train", root=str(weizmann))
    assert [len(data.clip(i)) for i in range(len(data))] == [5, 7]
    clip = data.clip(0)
    assert clip.frames.shape == (5, 3, 8, 8)
    assert (clip.frames * 255).round().int()[:, :, 0, 0].tolist() == [[10 * k, 0, 200] for k in range(5)]
    assert torch.equal(clip.frames[..., :1, :1].expand_as(clip.frames), clip.frames)  # alpha is not applied
    assert torch.allclose(clip.times, torch.arange(5, dtype=torch.float64) / 25)
    assert len(open_dataset("weizmann", "test", root=str(weizmann))) == 1


def test_what_is_no_strip_is_refused(weizmann):
    Image.new("RGB", (20, 8)).save(weizmann / "train" / "00000003.png")
    (weizmann / "train" / "00000004.png").write_text("not a picture")
    data = open_dataset("weizmann", "train", root=str(weizmann))
    with pytest.raises(InvalidInput, match="20x8 pixels; expected a strip of square frames"):
        data.clip(2)
    with pytest.raises(InvalidInput, match="cannot be read as a picture"):
        data.clip(3)
    with pytest.raises(InvalidInput, match="no folder 'train'"):
        open_dataset("weizmann", "train", root=str(weizmann / "test"))


def broken_picture(path, damage, size):
    """A PNG that Pillow refuses with an error of its own kind."""
    text = PngImagePlugin.PngInfo()
    if damage == "text":
        text.add_text("a", " " * 2**21, zip=True)
    Image.new("RGB", size).save(path, format="PNG", pnginfo=text)
    data = path.read_bytes()
    if damage == "chunk":
        place, first = data.index(b"IDAT"), data[data.index(b"IDAT") :][:9]  # the second part has no name
        pixels = data[place + 9 : data.index(b"IEND") - 8]
        parts = [struct.pack(">I", 5) + first + struct.pack(">I", zlib.crc32(first)), struct.pack(">I", len(pixels))]
        data = data[: place - 4] + b"".join([*parts, bytes(4), pixels, bytes(4)]) + data[-12:]
    elif damage == "size":
        head = b"IHDR" + struct.pack(">II", 2**20, 2**20) + data[24:29]
        data = data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]
    elif damage == "cut":
        data = data[: len(data) // 2]
    path.write_bytes(data)


@pytest.mark.parametrize("damage", ["chunk", "size", "text", "cut"])
def test_a_damaged_strip_or_picture_is_named_in_one_line(weizmann, penn, damage):
    broken_picture(weizmann / "train" / "00000000.jpg", damage, (32, 8))
    with pytest.raises(InvalidInput, match=r"00000000\.jpg' cannot be read as a picture") as refused:
        open_dataset("weizmann", "train", root=str(weizmann)).clip(0)
    assert "\n" not in str(refused.value)
    broken_picture(penn / "frames" / "0001" / "000002.jpg", damage, (20, 10))
    with pytest.raises(InvalidInput, match=r"000002\.jpg' (is damaged|cannot be read as an image)") as refused:
        open_dataset("penn_action", "train", root=str(penn)).clip(0)
    assert "\n" not in str(refused.value)


def test_a_strip_of_both_splits_is_refused(weizmann, made):
    strip(weizmann / "test" / "00000001.png")
    for split in ("train", "test"):
        with pytest.raises(InvalidInput, match=r"00000001\.png' and .*00000001\.jpg' are the same clip"):
            open_dataset("weizmann", split, root=str(weizmann))
    with pytest.raises(InvalidInput, match="are the same clip; remove one of them"):
        prepare("weizmann", weizmann, made, partial=True)


def test_a_strip_of_another_height_and_a_missing_one_are_named(weizmann, made):
    with pytest.raises(InvalidInput, match="lacks 00000003, 00000004, 00000005, 00000006, 00000007 and 64 more"):
        prepare("weizmann", weizmann, made)
    strip(weizmann / "test" / "00000003.jpg", side=16)
    with pytest.raises(InvalidInput, match=r"00000003\.jpg' is 16 pixels high; expected 8"):
        open_dataset("weizmann", "train", root=str(weizmann))


# ------------------------------------------------------------------------------------------- Moving GIF, Penn Action


def write_array(path, count, size=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = 20 * np.arange(count, dtype=np.uint8)[:, None, None, None] + 40
    np.save(path, np.broadcast_to(levels, (count, size, size, 3)))


def test_animations_keep_their_own_times_and_short_ones_are_left_out(tmp_path):
    (tmp_path / "train").mkdir()
    frames = [Image.new("RGB", (8, 8), (20 * k, 0, 0)) for k in range(12)]
    frames[0].save(tmp_path / "train" / "a.gif", save_all=True, append_images=frames[1:], duration=[50] * 6 + [100] * 6)
    frames[0].save(tmp_path / "train" / "b.gif", save_all=True, append_images=frames[1:4], duration=50)
    write_array(tmp_path / "train" / "c.npy", 10)
    data = open_dataset("moving_gif", "train", root=str(tmp_path))
    assert [len(data.clip(i)) for i in range(len(data))] == [12, 10]
    assert torch.allclose(data.clip(0).times.diff(), torch.tensor([0.05] * 6 + [0.1] * 5, dtype=torch.float64))
    assert torch.allclose(data.clip(1).times, torch.arange(10, dtype=torch.float64) / 10)
    with pytest.raises(InvalidInput, match="no folder 'test'"):
        open_dataset("moving_gif", "test", root=str(tmp_path))


@pytest.fixture
def penn(tmp_path):
    for number, (action, train) in {"0001": ("bowl", 1), "0002": ("squat", -1), "0003": ("squat", 1)}.items():
        folder = tmp_path / "frames" / number
        folder.mkdir(parents=True)
        for k in range(3):
            Image.new("RGB", (20, 10), (0, 40 * k, 0)).save(folder / f"{k + 1:06d}.jpg")
        (tmp_path / "labels").mkdir(exist_ok=True)
        savemat(tmp_path / "labels" / f"{number}.mat", {"action": action, "train": train})
    return tmp_path


def test_the_owners_flags_split_penn_action(penn):
    assert [len(open_dataset("penn_action", split, root=str(penn), size=8)) for split in ("train", "test")] == [2, 1]
    only = open_dataset("penn_action", "train", root=str(penn), size=8, actions=["squat"])
    assert len(only) == 1
    assert only.clip(0).frames.shape == (3, 3, 8, 8)
    assert torch.allclose(only.clip(0).times, torch.arange(3, dtype=torch.float64) / 25)


@pytest.fixture
def whole_penn(penn, monkeypatch):
    monkeypatch.setattr(penn_action, "CLIPS", 3)
    return penn


def test_actions_of_a_whole_source_are_prepared(whole_penn, made):
    prepare("penn_action", whole_penn, made, {"size": 8, "actions": ["squat"]})
    assert len(open_dataset("penn_action", "train", root=str(made), size=8, actions=["squat"])) == 1
    with pytest.raises(InvalidInput, match="has no clip of the action 'bwl'; did you mean 'bowl'"):
        prepare("penn_action", whole_penn, made.with_name("other"), {"actions": ["bwl"]})


def test_fewer_frames_than_the_label_counts_are_named(whole_penn, made):
    savemat(whole_penn / "labels" / "0002.mat", {"action": "squat", "train": -1, "nframes": 5})
    with pytest.raises(InvalidInput, match="lacks 2 of the 5 frames of frames/0002"):
        prepare("penn_action", whole_penn, made)


def test_arrays_of_penn_action_are_counted(tmp_path, made):
    write_array(tmp_path / "train" / "a.npy", 6)
    with pytest.raises(InvalidInput, match="has 1 clips to train of penn_action; expected 1258"):
        prepare("penn_action", tmp_path, made)


@pytest.mark.parametrize("damage", ["missing", "not MATLAB", "no flag", "MATLAB 7.3"])
def test_frames_without_a_label_are_refused_in_one_line(penn, damage):
    path = penn / "labels" / "0002.mat"
    path.unlink()
    if damage == "not MATLAB":
        path.write_text("bowl")
    if damage == "no flag":
        savemat(path, {"action": "bowl"})
    if damage == "MATLAB 7.3":  # A MATLAB header of that version, and HDF5 behind it.
        path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n".rjust(392, b"\0"))
    said = r"there is no label .*0002\.mat" if damage == "missing" else r"0002\.mat' cannot be read"
    with pytest.raises(InvalidInput, match=said) as refused:
        open_dataset("penn_action", "train", root=str(penn))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["kth", "penn_action"])
def test_arrays_of_the_released_code_are_read_where_there_are_no_videos(tmp_path, name):
    write_array(tmp_path / "test" / "a.npy", 6)
    data = open_dataset(name, "test", root=str(tmp_path), size=8)
    assert levels(data.clip(0)) == [0, 1, 2, 3, 4, 5]
    assert torch.allclose(data.clip(0).times, torch.arange(6, dtype=torch.float64) / 25)


@pytest.mark.parametrize("name", ["kth", "penn_action", "moving_gif"])
@pytest.mark.parametrize("kind", ["float32", "int64", "uint16", "int8", "bool"])
def test_arrays_of_anything_but_8_bit_levels_are_refused(tmp_path, made, name, kind):
    for split in ("train", "test"):
        write_array(tmp_path / split / "a.npy", 12)
    np.save(tmp_path / "train" / "a.npy", np.load(tmp_path / "train" / "a.npy").astype(kind))
    with pytest.raises(
        InvalidInput, match=rf"train/a\.npy' is an array of {kind}; expected levels .* as uint8"
    ) as said:
        prepare(name, tmp_path, made, {"size": 8}, partial=True)
    assert "\n" not in str(said.value)
    write_array(tmp_path / "train" / "a.npy", 12)
    prepare(name, tmp_path, made, {"size": 8}, partial=True)
    assert levels(open_dataset(name, "train", root=str(made), size=8).clip(0))[:3] == [0, 1, 2]


def damaged_label(path, damage):
    facts = {"action": "bowl", "train": 1, "nframes": 3}
    if damage in ("train", "nframes"):
        facts[damage] = np.inf
    elif damage == "empty":
        facts["train"] = np.zeros((0, 1))
    savemat(path, facts, do_compression=damage in ("bits", "cut"))
    data = bytearray(path.read_bytes())
    if damage == "bits":
        data[150:158] = bytes(8)
    elif damage == "cut":
        data = data[:-10]
    elif damage == "header":
        data = data[:120]
    elif damage == "tag":
        data[144:152] = b"\xff" * 8
    path.write_bytes(data)


@pytest.mark.parametrize("damage", ["train", "nframes", "empty", "bits", "cut", "header", "tag"])
def test_a_damaged_label_is_named_in_one_line(penn, damage):
    damaged_label(penn / "labels" / "0002.mat", damage)
    with pytest.raises(InvalidInput, match=r"0002\.mat' cannot be read as a label of Penn Action; unpack") as refused:
        open_dataset("penn_action", "train", root=str(penn))
    assert "\n" not in str(refused.value)


# --------------------------------------------------------------------------------------------------------- KTH

TABLE = """The sequences of the database

person01_boxing_d1\t\tframes\t1-2, 4-6
person01_boxing_d2\t\tframes\t1-6
person15_handwaving_d1\tframes\t2-5
person22_walking_d3\tframes\t3-99
person13_handclapping_d3\t*missing*
"""


@pytest.fixture
def kth(tmp_path):
    (tmp_path / "00sequences.txt").write_text(TABLE)
    film(tmp_path / "boxing" / "person01_boxing_d1_uncomp.avi", size=kth_set.SIZE)
    film(tmp_path / "handwaving" / "person15_handwaving.avi", size=kth_set.SIZE)
    film(tmp_path / "walking" / "person22_walking_d3_uncomp.mp4", size=kth_set.SIZE)
    return tmp_path


def test_each_sequence_of_the_table_is_a_clip(kth):
    validation = open_dataset("kth", "validation", root=str(kth))  # person 1
    assert [levels(validation.clip(i)) for i in range(len(validation))] == [[0, 1], [3, 4, 5]]
    train = open_dataset("kth", "train", root=str(kth))
    assert [levels(train.clip(i)) for i in range(len(train))] == [[1, 2, 3, 4]]
    test = open_dataset("kth", "test", root=str(kth))
    assert levels(test.clip(0)) == [2, 3, 4, 5]  # the table ends after the video


def test_kth_is_grey_in_three_equal_channels_and_keeps_the_videos_times(kth):
    clip = open_dataset("kth", "train", root=str(kth)).clip(0)
    assert clip.frames.shape == (4, 3, 120, 160)
    assert torch.equal(clip.frames, clip.frames[:, :1].expand_as(clip.frames))
    assert torch.allclose(clip.times, torch.arange(1, 5, dtype=torch.float64) / 25)


def test_a_kth_video_of_another_size_is_refused_and_prepared_after_the_repair(kth, made, capsys):
    film(kth / "walking" / "person22_walking_d3_uncomp.mp4", size=(240, 320))
    words = ["datasets", "prepare", "kth", str(kth), str(made), "--partial"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "person22_walking_d3_uncomp.mp4' is 320x240 pixels; expected 160x120: copy it again" in said
    assert said.count("\n") == 1
    film(kth / "walking" / "person22_walking_d3_uncomp.mp4", size=kth_set.SIZE)
    assert main(words) == 0
    assert open_dataset("kth", "test", root=str(made)).clip(0).size == (120, 160)


def test_people_are_chosen_and_in_one_split(kth):
    data = open_dataset("kth", "test", root=str(kth), validation=[], test=[1], actions=["boxing"])
    assert len(data) == 2
    with pytest.raises(InvalidInput, match="person 15 is in more than one split"):
        open_dataset("kth", "test", root=str(kth), test=[15])
    with pytest.raises(InvalidInput, match="no clips of the test split"):
        open_dataset("kth", "test", root=str(kth), test=[7], validation=[])


def test_an_action_that_is_in_no_table_is_named(kth, made):
    with pytest.raises(InvalidInput, match=r"sequences\.txt' has no clip of the action 'walk'; did you mean 'walking'"):
        open_dataset("kth", "validation", root=str(kth), actions=["boxing", "walk"])
    with pytest.raises(InvalidInput, match="has no clip of the action 'walk'"):
        prepare("kth", kth, made, {"actions": ["boxing", "walk"]}, partial=True)


def test_the_owners_default_split_has_sixteen_people_and_nine(kth):
    config = open_dataset("kth", "test", root=str(kth)).config
    assert (len(config.train) + len(config.validation), len(config.test)) == (16, 9)
    assert sorted(config.train + config.validation + config.test) == list(range(1, 26))


def test_the_papers_count_of_kth_stands_beside_what_there_is(kth, capsys, made):
    assert main(["datasets", "prepare", "kth", str(kth), str(made), "--partial"]) == 0
    said = capsys.readouterr().out
    assert "train: 1 clips of 1 videos\n" in said
    assert "validation: 2 clips of 1 videos\n" in said
    assert "test: 1 clips of 1 videos (the Vid-ODE paper states 144 videos)" in said
    assert "train and validation: 3 clips of 2 videos (the Vid-ODE paper states 255 videos)" in said
    assert "all: 4 clips of 3 videos (the Vid-ODE paper states 399 videos)" in said


def test_splits_that_have_no_people_are_not_prepared(kth, monkeypatch, made):
    monkeypatch.setattr(kth_set, "VIDEOS", 4)
    (kth / "sequences.txt").write_text("\n".join(TABLE.splitlines()[2:6]))
    film(kth / "boxing" / "person01_boxing_d2_uncomp.avi", size=kth_set.SIZE)
    people = {"train": [15], "validation": [], "test": [22]}
    facts = json.loads(prepare("kth", kth, made, people).read_text())
    assert facts["counts"] == {
        "train": {"clips": 1, "videos": 1, "stated": 255},
        "test": {"clips": 1, "videos": 1, "stated": 144},
        "all": {"clips": 2, "videos": 2, "stated": 399},
    }
    assert len(open_dataset("kth", "train", root=str(made), **people)) == 1
    with pytest.raises(InvalidInput, match="no clips of the train split"):
        prepare("kth", kth, made.with_name("none"), {**people, "train": [16]})


def test_whole_videos_are_clips_where_that_is_asked_for(kth):
    data = open_dataset("kth", "validation", root=str(kth), whole=True)
    assert [levels(data.clip(i)) for i in range(len(data))] == [[0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize("whole", [False, True])
def test_a_kth_video_that_ends_before_its_last_range_is_refused(kth, made, whole):
    film(kth / "boxing" / "person01_boxing_d1_uncomp.avi", frames=3, size=kth_set.SIZE)
    with pytest.raises(
        InvalidInput, match=r"person01_boxing.*avi' has 3 frames; its last range .* at frame 4: copy it"
    ):
        prepare("kth", kth, made, {"whole": whole}, partial=True)
    film(kth / "boxing" / "person01_boxing_d1_uncomp.avi", frames=4, size=kth_set.SIZE)
    prepare("kth", kth, made, {"whole": whole}, partial=True)


def test_arrays_of_kth_are_prepared_without_a_validation(tmp_path, made):
    for name in ("train/a", "train/b", "test/c"):
        write_array(tmp_path / "arrays" / f"{name}.npy", 6)
    prepare("kth", tmp_path / "arrays", tmp_path / "made", {"size": 8})
    assert len(open_dataset("kth", "train", root=str(tmp_path / "made"), size=8)) == 2
    with pytest.raises(InvalidInput, match="no clips of the validation split"):
        open_dataset("kth", "validation", root=str(tmp_path / "arrays"), size=8)


def test_the_same_video_in_two_folders_is_refused(kth):
    film(kth / "copies" / "person01_boxing_d1_uncomp.avi", size=kth_set.SIZE)
    with pytest.raises(InvalidInput, match=r"boxing/person01_boxing.*copies/person01_boxing.*are the same clip"):
        open_dataset("kth", "validation", root=str(kth))


@pytest.mark.parametrize("table", ["", "person01_boxing_d1 frames 9-3", "person01_boxing_d1 frames 0-3"])
def test_a_table_that_cannot_be_is_refused(kth, table):
    (kth / "00sequences.txt").write_text(table)
    with pytest.raises(InvalidInput, match=r"expected (lines|ranges)"):
        open_dataset("kth", "train", root=str(kth))


def test_a_missing_table_says_what_to_get(tmp_path):
    with pytest.raises(InvalidInput, match=r"no sequences\.txt or 00sequences\.txt; get the six zip files"):
        open_dataset("kth", "train", root=str(tmp_path))


# --------------------------------------------------------------------------------------------------------- UCF


@pytest.fixture
def ucf101(tmp_path):
    for group, action in ((1, "Biking"), (7, "Bowling"), (8, "Biking"), (15, "Biking")):
        film(tmp_path / action / f"v_{action}_g{group:02d}_c01.avi", frames=3, size=(240, 320))
    return tmp_path


@pytest.mark.parametrize(("fold", "tested"), [(1, {"g01", "g07"}), (2, {"g08"}), (3, {"g15"})])
def test_whole_groups_are_held_out(ucf101, fold, tested):
    groups = {}
    for split in ("train", "test"):
        takes = open_dataset("ucf101", split, root=str(ucf101), fold=fold).takes
        groups[split] = {take.reel.path.name.split("_")[2] for take in takes}
    assert groups["test"] == tested
    assert groups["train"] == {"g01", "g07", "g08", "g15"} - tested


def test_ucf_clips_are_videos_by_action(ucf101):
    data = open_dataset("ucf101", "train", root=str(ucf101), actions=["Biking"], size=16)
    assert len(data) == 2
    assert data.clip(0).frames.shape == (3, 3, 16, 16)
    assert levels(data.clip(0)) == [0, 1, 2]
    with pytest.raises(InvalidInput, match="no clip of the action 'Juggling'; expected one of Biking, Bowling"):
        open_dataset("ucf101", "train", root=str(ucf101), actions=["Juggling"])


def test_ucf_clips_of_another_size_and_twice_the_same_are_refused(ucf101):
    film(ucf101 / "Biking" / "v_Biking_g09_c01.avi", frames=3, size=(24, 32))
    with pytest.raises(InvalidInput, match=r"v_Biking_g09_c01\.avi' is 32x24 pixels; expected 320x240"):
        open_dataset("ucf101", "train", root=str(ucf101), actions=["Biking"]).clip(1)
    film(ucf101 / "copies" / "v_Biking_g09_c01.avi", frames=3)
    with pytest.raises(InvalidInput, match="are the same clip"):
        open_dataset("ucf101", "train", root=str(ucf101))


def test_a_part_of_ucf_is_prepared_where_that_is_asked_for_and_counted(ucf101, capsys, made):
    words = ["datasets", "prepare", "ucf101", str(ucf101), str(made), "--option", "size=16"]
    assert main(words) == 2
    assert "lacks 13316 of the 13320 clips" in capsys.readouterr().err
    assert main([*words, "--partial"]) == 0
    assert "all: 4 clips of 4 videos\n" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------------------ folder


def test_a_folders_own_splits_are_kept(tmp_path):
    film(tmp_path / "train" / "deep" / "a.mp4")
    film(tmp_path / "test" / "b.mp4", frames=4)
    np.save(tmp_path / "train" / "c.npy", np.zeros((3, 8, 10, 3), dtype=np.uint8))
    train = open_dataset("video_folder", "train", root=str(tmp_path))
    assert [len(train.clip(i)) for i in range(len(train))] == [3, 6]
    assert len(open_dataset("video_folder", "test", root=str(tmp_path)).clip(0)) == 4
    with pytest.raises(InvalidInput, match="has train and test but no folder 'validation'"):
        open_dataset("video_folder", "validation", root=str(tmp_path))


def test_without_splits_files_are_shared_out_by_seed(tmp_path):
    for k in range(10):
        np.save(tmp_path / f"{k}.npy", np.full((2, 8, 8, 3), k, dtype=np.uint8))

    def split(name, seed=0):
        takes = open_dataset("video_folder", name, root=str(tmp_path), validation=0.2, test=0.3, seed=seed).takes
        return {take.reel.path.stem for take in takes}

    parts = [split(name) for name in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [5, 2, 3]
    assert set.union(*parts) == {str(k) for k in range(10)}
    assert split("train") == parts[0]
    assert any(split("train", seed) != parts[0] for seed in (1, 2, 3))


def test_too_few_files_to_share_out(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros((2, 8, 8, 3), dtype=np.uint8))
    with pytest.raises(InvalidInput, match="holds 1 videos, too few"):
        open_dataset("video_folder", "train", root=str(tmp_path))
    assert len(open_dataset("video_folder", "train", root=str(tmp_path), validation=0.0, test=0.0)) == 1


@pytest.mark.parametrize("share", ["test=.nan", "validation=.nan", "test=-0.1", "validation=0.9"])
def test_shares_that_are_none_are_refused_in_one_line(tmp_path, capsys, share):
    for k in range(4):
        write_array(tmp_path / f"{k}.npy", 3)
    words = ["evaluate", "copy_last", "--data", "video_folder", "--root", str(tmp_path), "--option", share]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "expected shares of 0 or more that leave some for training" in said
    assert said.count("\n") == 1


def test_a_folder_of_images_is_a_clip_and_hidden_files_are_none(tmp_path):
    for place in ("walk", ".hidden"):
        (tmp_path / "train" / place).mkdir(parents=True)
        for k in range(3):
            Image.new("RGB", (10, 8), (k, k, k)).save(tmp_path / "train" / place / f"{k}.png")
    data = open_dataset("video_folder", "train", root=str(tmp_path))
    assert len(data) == 1
    assert data.clip(0).frames.shape == (3, 3, 8, 10)


def test_short_videos_are_left_out(tmp_path):
    film(tmp_path / "train" / "long.mp4", frames=6)
    film(tmp_path / "train" / "short.mp4", frames=2)
    data = open_dataset("video_folder", "train", root=str(tmp_path), min_frames=3)
    assert [take.reel.path.stem for take in data.takes] == ["long"]


def test_values_of_any_range_become_zero_to_one(tmp_path):
    (tmp_path / "train").mkdir()
    frames = np.linspace(0, 255, 2 * 8 * 8 * 3).reshape(2, 8, 8, 3).astype(np.uint8)
    np.save(tmp_path / "train" / "a.npy", frames)
    clip = open_dataset("video_folder", "train", root=str(tmp_path)).clip(0)
    assert np.array_equal((clip.frames * 255).round().numpy().transpose(0, 2, 3, 1), frames)


def test_grey_and_one_channel(tmp_path):
    (tmp_path / "train").mkdir()
    frames = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    frames[..., 1] = 100
    np.save(tmp_path / "train" / "a.npy", frames)
    one = open_dataset("video_folder", "train", root=str(tmp_path), channels=1).clip(0)
    three = open_dataset("video_folder", "train", root=str(tmp_path), grey=True).clip(0)
    assert one.frames.shape == (2, 1, 8, 8)
    assert torch.equal(three.frames, one.frames.expand(-1, 3, -1, -1))
    assert torch.allclose(one.frames, torch.tensor(59 / 255))  # 100 x 0.587


# ----------------------------------------------------------------------------------------------------- footage


def test_the_cache_holds_what_memory_would(tmp_path):
    film(tmp_path / "train" / "a.mp4")
    memory = open_dataset("video_folder", "train", root=str(tmp_path), size=16)
    cached = open_dataset("video_folder", "train", root=str(tmp_path), size=16, cache=str(tmp_path / "train" / "kept"))
    assert torch.equal(memory.clip(0).frames, cached.clip(0).frames)
    assert torch.equal(memory.clip(0).times, cached.clip(0).times)
    again = open_dataset("video_folder", "train", root=str(tmp_path), size=16, cache=str(tmp_path / "train" / "kept"))
    assert len(again) == 1  # the kept arrays are not clips
    assert isinstance(again.takes[0].reel.footage().frames, np.memmap)
    assert not list((tmp_path / "train" / "kept").glob(".*"))


def decoder(count, decoded, fails_after=None):
    def decode(path):
        decoded.append(path.name)
        for k in range(count):
            if k == fails_after:
                raise InvalidInput("damaged")
            yield Frame(torch.full((3, 4, 4), k / 255), Fraction(k, 25))

    return decode


def test_a_file_is_decoded_once_and_again_when_it_or_the_preparation_changes(tmp_path):
    path, decoded = tmp_path / "film", []
    path.write_text("one")

    def reel(**options):
        return Reel(path, Preparation(**options), tmp_path / "cache", decoder(3, decoded))

    for _ in range(2):
        assert len(reel().footage().times) == 3
    assert len(decoded) == 1
    reel(size=2).footage()
    assert len(decoded) == 2
    path.write_text("another")
    reel().footage()
    assert len(decoded) == 3


def test_what_fails_half_way_leaves_nothing_in_the_cache(tmp_path):
    path = tmp_path / "film"
    path.write_text("one")
    with pytest.raises(InvalidInput, match="damaged"):
        Reel(path, Preparation(), tmp_path / "cache", decoder(3, [], fails_after=2)).footage()
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_is_damaged_in_the_cache_is_named(tmp_path):
    path = tmp_path / "film"
    path.write_text("one")
    Reel(path, Preparation(), tmp_path / "cache", decoder(3, [])).footage()
    kept = next((tmp_path / "cache").glob("*.frames.npy"))
    kept.write_bytes(kept.read_bytes().replace(b"}", b"(", 1))
    with pytest.raises(InvalidInput, match=r"frames\.npy' cannot be read .* remove .*cache', and it is decoded again"):
        Reel(path, Preparation(), tmp_path / "cache", decoder(3, [])).footage()


def test_windows_are_successive_frames_from_every_start(tmp_path):
    film(tmp_path / "train" / "a.mp4", frames=6)
    data = open_dataset("video_folder", "train", root=str(tmp_path))
    drawn = {tuple(levels(data.window(0, 4, torch.Generator().manual_seed(seed)))) for seed in range(20)}
    assert drawn == {(0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5)}
    with pytest.raises(InvalidInput, match=r"clip 0 \(.*a\.mp4'\) has 6 frames; expected at least 7"):
        data.window(0, 7, torch.Generator())


class Spy:
    """Frames that remember which of them were read."""

    def __init__(self, frames):
        self.frames, self.read = frames, []

    def __getitem__(self, part):
        self.read.append(range(len(self.frames))[part])
        return self.frames[part]


def test_a_window_reads_only_its_frames(tmp_path):
    reel = Reel(tmp_path / "film", Preparation(), None, decoder(9, []))
    spy = Spy(reel.footage().frames)
    reel.footage = lambda: Footage(spy, np.arange(9.0))
    clip = Take(reel, 2, 8).clip(1, 3)
    assert clip.times.tolist() == [3, 4, 5]
    assert spy.read == [range(3, 6)]


def test_a_take_that_starts_after_the_reel_ends_is_refused(tmp_path):
    path = tmp_path / "film"
    path.write_text("one")
    with pytest.raises(InvalidInput, match="has 3 frames; expected a clip that starts at frame 6"):
        len(Take(Reel(path, Preparation(), None, decoder(3, [])), 5, 9))


def test_fitting_keeps_the_middle_of_the_longer_side():
    ramp = torch.arange(20.0).expand(1, 1, 10, 20)
    assert fit(ramp, 10)[0, 0, 0].tolist() == list(range(5, 15))
    assert fit(ramp.transpose(2, 3), 10)[0, 0, :, 0].tolist() == list(range(5, 15))
    # Halving without antialiasing is the mean of the two middle samples: exact on a ramp.
    assert fit(ramp, 5)[0, 0, 0].tolist() == [4.5, 6.5, 8.5, 10.5, 12.5]


RECORDED = [name for name in names() if issubclass(dataset_class(name), RecordedDataset)]


@pytest.mark.parametrize("name", RECORDED)
def test_a_root_that_is_not_there_says_what_to_do(name, tmp_path):
    kind = dataset_class(name)
    assert kind.downloads
    with pytest.raises(InvalidInput, match="no root is given"):
        open_dataset(name, "train")
    with pytest.raises(InvalidInput, match="is not a folder"):
        open_dataset(name, "train", root=str(tmp_path / "nowhere"))
    with pytest.raises(InvalidInput, match="no split is called 'dev'"):
        open_dataset(name, "dev", root=str(tmp_path))
    with pytest.raises(InvalidInput, match="root"):
        open_dataset(name, "train", root=str(tmp_path))
