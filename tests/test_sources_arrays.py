"""NumPy files: layouts, values, meaning and masks, streamed and never unpickled."""

from dataclasses import astuple
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidode.clip import Clip, InvalidInput, Meaning
from vidode.sources import open_source, read, write

FRAMES = np.random.default_rng(0).random((4, 3, 6, 5), np.float32)


@pytest.mark.parametrize(
    ("stored", "frames"),
    [
        (FRAMES, FRAMES),
        (FRAMES.transpose(0, 2, 3, 1).copy(), FRAMES),
        (FRAMES[:, 0].copy(), FRAMES[:, :1]),
        (FRAMES[:, :1], FRAMES[:, :1]),
    ],
)
@pytest.mark.parametrize("kind", ["<f4", ">f8"])
def test_layouts(tmp_path, stored, frames, kind):
    np.save(tmp_path / "in.npy", stored.astype(kind))
    source = open_source(tmp_path / "in.npy")
    assert (source.channels, source.size) == (frames.shape[1], (6, 5))
    assert np.array_equal(np.stack([frame.pixels.numpy() for frame in source]), frames)


def test_a_declared_layout_settles_what_the_shape_does_not(tmp_path):
    values = np.random.default_rng(0).random((2, 6, 5, 4), np.float32)
    np.save(tmp_path / "in.npy", values)
    with pytest.raises(InvalidInput, match="does not tell which axis is the channels"):
        open_source(tmp_path / "in.npy")
    for layout, channels in (("TCHW", 6), ("THWC", 4)):
        np.savez(tmp_path / "in.npz", frames=values, layout=layout)
        assert open_source(tmp_path / "in.npz").channels == channels


def test_whole_numbers_are_mapped_and_physical_values_keep_their_range(tmp_path):
    np.save(tmp_path / "bytes.npy", np.array([0, 51, 255], np.uint8).reshape(1, 1, 3))
    assert read(tmp_path / "bytes.npy").frames.flatten().tolist() == pytest.approx([0, 0.2, 1])
    np.save(tmp_path / "kelvin.npy", np.array([250.0, 260, 300]).reshape(1, 1, 3))
    clip = read(tmp_path / "kelvin.npy")
    assert clip.meaning.value_range == (250, 300)
    assert clip.normalised().frames.flatten().tolist() == pytest.approx([0, 0.2, 1])
    np.savez(tmp_path / "kelvin.npz", frames=np.array([[[250.0, 260]]]), value_range=(200, 400), units="K")
    assert read(tmp_path / "kelvin.npz").meaning == Meaning(value_range=(200, 400), units="K")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=5, unique=True).map(sorted),
    unit=st.sampled_from([1.0, 0.1, 1 / 3, 1001 / 30000, 86400.7, 1e-6]),
    channels=st.sampled_from([1, 2, 3, 6]),
    masked=st.booleans(),
    meaning=st.builds(
        Meaning,
        value_range=st.sampled_from([(0.0, 1.0), (-3.5, 12.0)]),
        units=st.sampled_from([None, "K", "mm/h"]),
        frame_gap=st.sampled_from([None, 0.04]),
        clock=st.sampled_from(["seconds", "days"]),
    ),
)
def test_a_clip_comes_back_from_npz_bit_for_bit(tmp_path, times, unit, channels, masked, meaning):
    frames = torch.randn(len(times), channels, 3, 4)
    valid = torch.rand(len(times), 1, 3, 4) > 0.3 if masked else None
    if valid is not None:
        valid[:, :, 0, 0] = True
        frames = torch.where(valid, frames, torch.nan)
    clip = Clip(frames, torch.tensor(times, dtype=torch.float64) * unit, valid, meaning)
    write(tmp_path / "out.npz", clip, overwrite=True)
    again = read(tmp_path / "out.npz")
    assert torch.equal(again.frames.nan_to_num(7e7), clip.frames.nan_to_num(7e7))
    assert torch.equal(again.times, clip.times)
    assert (valid is None and again.valid is None) or torch.equal(again.valid, clip.valid)
    assert astuple(again.meaning) == astuple(clip.meaning)


def test_npy_comes_back_with_the_times_beside_it(tmp_path):
    clip = Clip(torch.rand(3, 3, 4, 5), torch.tensor([0.1, 1 / 3, 2.0], dtype=torch.float64))
    write(tmp_path / "out.npy", clip)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.npy", "out.times.txt"]
    assert (tmp_path / "out.times.txt").read_text() == "# seconds\n1/10\n1/3\n2\n"
    again = read(tmp_path / "out.npy")
    assert torch.equal(again.frames, clip.frames)
    assert torch.equal(again.times, clip.times)
    assert np.array_equal(np.load(tmp_path / "out.npy"), clip.frames.numpy())


def test_times_can_be_given(tmp_path):
    np.save(tmp_path / "in.npy", FRAMES)
    assert [frame.time for frame in open_source(tmp_path / "in.npy", times=[0, 1, 2, 9])] == [0, 1, 2, 9]
    assert [frame.time for frame in open_source(tmp_path / "in.npy", rate=Fraction(4))][-1] == Fraction(3, 4)


def test_masks_of_every_documented_shape(tmp_path):
    valid = np.ones((4, 3, 6, 5), bool)
    valid[1, :, 2, 3] = False
    frames = np.where(valid, FRAMES, np.nan)
    for mask in (valid, valid[:, :1], valid[:, 0]):
        np.savez(tmp_path / "in.npz", frames=frames, valid=mask)
        clip = read(tmp_path / "in.npz")
        assert np.array_equal(clip.valid.expand(4, 3, 6, 5).numpy(), valid)
    np.savez(tmp_path / "in.npz", frames=frames.transpose(0, 2, 3, 1), valid=valid.transpose(0, 2, 3, 1)[..., :1])
    assert np.array_equal(read(tmp_path / "in.npz").valid[:, 0].numpy(), valid[:, 0])


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def bad(folder, name):
    path = folder / "in.npz"
    with_nan = FRAMES.copy()
    with_nan[2, 1, 3, 4] = np.nan
    makers = {
        "nan": lambda: np.savez(path, frames=with_nan),
        "objects": lambda: np.savez(path, frames=np.array([Trap()] * 8, object).reshape(2, 2, 2)),
        "pickle": lambda: path.write_bytes(b"\x80\x04\x95"),
        "keys": lambda: np.savez(path, pictures=FRAMES),
        "shape": lambda: np.savez(path, frames=FRAMES[0, 0]),
        "none": lambda: np.savez(path, frames=FRAMES[:0]),
        "complex": lambda: np.savez(path, frames=FRAMES.astype(complex)),
        "times": lambda: np.savez(path, frames=FRAMES, times=[0.0, 1, 2]),
        "order": lambda: np.savez(path, frames=FRAMES, times=[0.0, 1, 1, 2]),
        "words": lambda: np.savez(path, frames=FRAMES, times=["a", "b", "c", "d"]),
        "mask": lambda: np.savez(path, frames=FRAMES, valid=np.ones((4, 5, 6), bool)),
        "masked": lambda: np.savez(path, frames=FRAMES, valid=np.zeros((4, 6, 5), bool)),
        "fortran": lambda: np.savez(path, frames=np.asfortranarray(FRAMES)),
        "cut": lambda: (np.savez(path, frames=FRAMES), path.write_bytes(path.read_bytes()[:-300])),
        "empty": lambda: path.write_bytes(b""),
    }
    makers[name]()
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nan", "frame 2 holds NaN or infinity.*valid"),
        ("objects", "expected real numbers"),
        ("pickle", "cannot be read as an array"),
        ("keys", "expected an array called 'frames'"),
        ("shape", r"expected \(T, H, W\)"),
        ("none", "not empty"),
        ("complex", "expected real numbers"),
        ("times", "3 times for 4 frames"),
        ("order", "strictly increasing"),
        ("words", "expected numbers"),
        ("mask", "valid has shape"),
        ("masked", "no pixel is valid"),
        ("fortran", "ascontiguousarray"),
        ("cut", "cannot be read as an array"),
        ("empty", "cannot be read as an array"),
    ],
)
def test_bad_arrays_are_refused_in_one_line(tmp_path, name, message):
    with pytest.raises(InvalidInput, match=message) as told:
        open_source(bad(tmp_path, name))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("kind", "top"), [(np.uint8, 255), (np.uint16, 4095)])
def test_whole_numbers_with_a_declared_range_keep_their_values(tmp_path, kind, top):
    np.savez(tmp_path / "a.npz", frames=np.full((2, 4, 4), top, kind), value_range=[0, top])
    clip = read(tmp_path / "a.npz")
    assert clip.meaning.value_range == (0, top)
    assert torch.equal(clip.normalised().frames, torch.ones(2, 1, 4, 4))


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        ({"value_range": [3]}, r"value_range is \[3\]; expected 2 numbers"),
        ({"value_range": ["a", "b"]}, "value_range is .*; expected 2 numbers"),
        ({"frame_gap": [1, 2]}, r"frame_gap is \[1, 2\]; expected 1 number"),
        ({"frame_gap": "soon"}, "frame_gap is 'soon'; expected 1 number"),
    ],
)
def test_facts_that_are_none_are_refused(tmp_path, fact, message):
    np.savez(tmp_path / "a.npz", frames=np.zeros((2, 4, 4)), **fact)
    with pytest.raises(InvalidInput, match=message):
        open_source(tmp_path / "a.npz")


def test_a_channels_name_is_not_spelled_out(tmp_path):
    np.savez(tmp_path / "a.npz", frames=np.zeros((2, 4, 4)), channels="red")
    assert open_source(tmp_path / "a.npz").meaning.channels == ("red",)


def test_npy_cut_short_is_refused(tmp_path):
    np.save(tmp_path / "in.npy", FRAMES)
    (tmp_path / "in.npy").write_bytes((tmp_path / "in.npy").read_bytes()[:-8])
    with pytest.raises(InvalidInput, match="cut short: frame 3 of 4"):
        open_source(tmp_path / "in.npy")


def save_npy(path, frames):
    np.save(path, frames)


@pytest.mark.filterwarnings("ignore:Reading `.npy`:UserWarning")  # a header as Python 2 wrote it
@pytest.mark.parametrize("flip", [0x01, 0x08, 0x20])
@pytest.mark.parametrize(
    ("name", "save"),
    [("a.npy", save_npy), ("a.npz", np.savez), ("c.npz", np.savez_compressed)],
    ids=["npy", "npz", "zip"],
)
def test_whichever_byte_is_damaged_it_is_read_or_refused_in_one_line(tmp_path, name, save, flip):
    path = tmp_path / name
    save(path, frames=np.zeros((2, 2, 2, 3), np.uint8))
    whole, said = path.read_bytes(), []
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
        try:
            with open_source(path) as source:
                list(source)
        except InvalidInput as error:
            said.append(str(error))
    assert said
    assert not any("\n" in each for each in said)
