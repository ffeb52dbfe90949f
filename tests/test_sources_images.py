"""Folders of images and GIFs: order, times, values and what is refused."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from vidode.clip import Clip, InvalidInput
from vidode.sources import Frame, open_sink, open_source, read, write


def folder_of(folder, names=("1.png", "2.png", "10.png"), size=(6, 5), mode="RGB", times=None, times_name="times.txt"):
    """Images whose grey level tells their place in the list."""
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        level = 40 * index + 20
        Image.new(mode, size[::-1], level if mode in ("L", "I;16") else (level,) * 3).save(folder / name)
    if times is not None:
        (folder / times_name).write_text(times)
    return folder


def levels(source):
    return [round(float(frame.pixels.mean()) * 255) for frame in source]


def test_frames_are_in_the_natural_order_of_their_names(tmp_path):
    source = open_source(folder_of(tmp_path / "in"))
    assert [file.name for file in source.files] == ["1.png", "2.png", "10.png"]
    assert levels(source) == levels(source) == [20, 60, 100]
    assert source.size == (6, 5)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("times.txt", "0.1\n0.25\n2/5\n"),
        ("times.csv", "0.1\n0.25\n0.4\n"),
        ("times.json", "[0.1, 0.25, 0.4]"),
        ("timecodes.txt", "# timecode format v2\n100\n250\n400\n"),
        ("timecodes.txt", "# timestamp format v2\n100\n250\n400\n"),
    ],
)
def test_times_files(tmp_path, name, text):
    source = open_source(folder_of(tmp_path / "in", times=text, times_name=name))
    assert [frame.time for frame in source] == [Fraction(1, 10), Fraction(1, 4), Fraction(2, 5)]


def test_times_given_by_hand_replace_the_folders_own(tmp_path):
    folder = folder_of(tmp_path / "in", times="5\n6\n7\n")
    (tmp_path / "other.txt").write_text("1\n2\n3\n")
    for given in ([1, 2, 3], torch.tensor([1.0, 2, 3]), np.array([1.0, 2, 3]), tmp_path / "other.txt"):
        assert [frame.time for frame in open_source(folder, times=given)] == [1, 2, 3]
    assert [frame.time for frame in open_source(folder, rate=Fraction(2))] == [0, Fraction(1, 2), 1]


def test_without_times_there_are_25_frames_a_second(tmp_path):
    assert [frame.time for frame in open_source(folder_of(tmp_path / "in"))] == [0, Fraction(1, 25), Fraction(2, 25)]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ("0.1\n0.2\n", "2 times for 3 images"),
        ("0.1\n0.2\n0.3\n0.4\n", "4 times for 3 images"),
        ("0.1\nsoon\n0.3\n", "soon"),
        ("0.1\nnan\n0.3\n", "nan"),
        ("0.1\n0.1\n0.3\n", "strictly increasing"),
        ("0.3\n0.2\n0.1\n", "strictly increasing"),
    ],
)
def test_bad_times_are_refused_in_one_line(tmp_path, times, message):
    with pytest.raises(InvalidInput, match=message) as told:
        open_source(folder_of(tmp_path / "in", times=times))
    assert "\n" not in str(told.value)


def test_folders_that_are_no_clip_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="holds no images"):
        open_source(tmp_path / "empty")
    mixed = folder_of(tmp_path / "mixed")
    Image.new("RGB", (9, 6)).save(mixed / "3.png")
    with pytest.raises(InvalidInput, match=r"'3.png' is 9x6 and '1.png' is 5x6; expected one size"):
        open_source(mixed)
    text = folder_of(tmp_path / "text")
    (text / "2.png").write_text("no image")
    with pytest.raises(InvalidInput, match=r"2\.png' cannot be read as an image"):
        open_source(text)
    cut = folder_of(tmp_path / "cut", size=(60, 50))
    (cut / "2.png").write_bytes((cut / "2.png").read_bytes()[:80])
    with pytest.raises(InvalidInput, match=r"2\.png' is damaged|2\.png' cannot be read"):
        list(open_source(cut))
    several = folder_of(tmp_path / "several", times="1\n2\n3\n")
    (several / "times.json").write_text("[1, 2, 3]")
    with pytest.raises(InvalidInput, match="several times files"):
        open_source(several)


def test_grey_images_have_one_channel_and_deep_ones_keep_their_depth(tmp_path):
    assert open_source(folder_of(tmp_path / "grey", mode="L")).channels == 1
    deep = tmp_path / "deep"
    deep.mkdir()
    Image.fromarray(np.full((4, 4), 12345, np.uint16)).save(deep / "0.png")
    (frame,) = open_source(deep)
    assert frame.pixels.shape == (1, 4, 4)
    assert float(frame.pixels[0, 0, 0]) == pytest.approx(12345 / 65535, abs=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_comes_back_with_exact_times_and_8_bit_values(tmp_path, channels):
    clip = Clip((torch.rand(4, channels, 7, 9) * 255).round() / 255, torch.tensor([0.5, 0.6, 1001 / 1000, 3.0]))
    write(tmp_path / "out", clip)
    again = read(tmp_path / "out")
    assert torch.equal(again.times, clip.times)
    assert torch.allclose(again.frames, clip.frames, atol=1e-6)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        *(f"00000{n}.png" for n in range(4)),
        "times.txt",
    ]


def test_what_lies_outside_of_black_and_white_is_cut_in_images(tmp_path):
    write(tmp_path / "out", Clip(torch.tensor([-0.5, 1.5]).reshape(1, 1, 1, 2), torch.tensor([0.0])))
    assert read(tmp_path / "out").frames.flatten().tolist() == [0, 1]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_that_were_taken_sideways_are_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(12), indexing="ij")
    stored = (rows * 16 + columns * 4).byte()
    Image.fromarray(stored.numpy()).save(tmp_path / "1.png", exif=exif)
    source = open_source(tmp_path)
    (frame,) = source
    upright = {1: stored, 3: stored.flip(0, 1), 6: stored.rot90(-1), 8: stored.rot90(1)}
    assert tuple(frame.pixels.shape[-2:]) == source.size == ((12, 8) if orientation > 4 else (8, 12))
    if orientation in upright:
        assert torch.equal((frame.pixels[0] * 255).round().byte(), upright[orientation])


def test_a_folder_is_replaced_only_if_it_holds_nothing_but_frames(tmp_path):
    clip = Clip(torch.rand(2, 3, 4, 4), torch.tensor([0.0, 1.0]))
    folder = folder_of(tmp_path / "out")
    with pytest.raises(InvalidInput, match="exists"):
        write(folder, clip)
    write(folder, clip, overwrite=True)
    assert len(read(folder)) == 2
    (folder / "thesis.doc").write_text("precious")
    with pytest.raises(InvalidInput, match=r"thesis.doc.*will not be overwritten"):
        write(folder, clip, overwrite=True)
    assert (folder / "thesis.doc").read_text() == "precious"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


# GIF


def coloured(count=4, size=(12, 10)):
    """Frames of one colour each, which a palette holds exactly."""
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]])[:count] / 255
    return colours[:, :, None, None].expand(-1, -1, *size).contiguous()


def test_gif_delays_are_the_files_own(tmp_path):
    images = [Image.fromarray((c.permute(1, 2, 0) * 255).byte().numpy()) for c in coloured()]
    images[0].save(tmp_path / "in.gif", save_all=True, append_images=images[1:], duration=[10, 20, 300, 40])
    source = open_source(tmp_path / "in.gif")
    assert [frame.time for frame in source] == [0, Fraction(1, 100), Fraction(3, 100), Fraction(33, 100)]
    for frame, expected in zip(source, coloured(), strict=True):
        assert torch.allclose(frame.pixels, expected, atol=0.01)


def test_gif_times_are_rounded_to_hundredths_from_the_first_frame(tmp_path):
    times = [Fraction(7, 3) + time for time in (Fraction(0), Fraction(1, 60), Fraction(1, 30), Fraction(1))]
    with open_sink(tmp_path / "out.gif") as sink:
        for pixels, time in zip(coloured(), times, strict=True):
            sink.write(Frame(pixels, time))
    source = open_source(tmp_path / "out.gif")
    assert [frame.time for frame in source] == [0, Fraction(2, 100), Fraction(3, 100), 1]
    for frame, expected in zip(source, coloured(), strict=True):
        assert torch.allclose(frame.pixels, expected, atol=0.01)
    with Image.open(tmp_path / "out.gif") as image:
        image.seek(3)
        assert image.info["duration"] == 970, "the last frame lasts as long as the one before"


def test_gif_holds_no_more_than_a_hundred_frames_a_second(tmp_path):
    with pytest.raises(InvalidInput, match="at most 100 frames a second"):
        write(tmp_path / "out.gif", Clip(coloured(), torch.tensor([0.0, 0.001, 0.002, 0.003])))
    assert list(tmp_path.iterdir()) == []
