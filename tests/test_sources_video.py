"""Video files: true times, colours, sound and rotation, in and out, and every bad file refused."""

import signal
import weakref
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from made_media import TICK, WITH_B_FRAMES, Film, audio_packets, irregular, stored
from vidode.clip import Clip, InvalidInput
from vidode.sources import Frame, open_sink, open_source, read, write
from vidode.sources.audio import AudioCopy
from vidode.sources.video import _counted
from vidode.timing import FrameRate

LEVEL = 1 / 255


@pytest.fixture(scope="session")
def phone(tmp_path_factory):
    """A variable-rate mp4 as phones make them: 37 irregular frames, B-frames, a start that is not zero, AAC sound."""
    path = tmp_path_factory.mktemp("phone") / "phone.mp4"
    Film(irregular(), audio="aac", smooth=True, options=WITH_B_FRAMES).write(path)
    return path


def copied(source_path, target, request=None, **options):
    """Write a source's frames, or its first frame at the requested times, and return those times."""
    source = open_source(source_path)
    frames = list(source)
    if request is not None:
        frames = [Frame(frames[0].pixels, time) for time in request.times([frame.time for frame in frames])]
    with open_sink(target, like=source, **options) as sink:
        for frame in frames:
            sink.write(frame)
    return [frame.time for frame in frames]


def furthest(one, other):
    pairs = zip(open_source(one), open_source(other), strict=True)
    return max(float((a.pixels - b.pixels).abs().max()) for a, b in pairs)


# Times


def test_times_are_the_files_own_and_exact(phone):
    source = open_source(phone)
    assert [frame.time for frame in source] == [pts * TICK for pts in irregular()]
    assert [frame.time for frame in source] == [pts * TICK for pts in irregular()], "iterating again starts again"


def test_b_frames_come_in_the_order_of_presentation(phone, tmp_path):
    copied(phone, tmp_path / "out.mp4", quality=5)
    for path in (phone, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            coded = [packet.pts for packet in container.demux(video=0) if packet.size]
        assert coded != sorted(coded), "the file has no B-frames: this test tells nothing"
        made = torch.stack([torch.tensor(Film(irregular(), smooth=True).picture(i).to_ndarray()) for i in range(37)])
        for index, picture in enumerate(stored(path, "yuv420p")):
            apart = (made.float() - torch.tensor(picture).float()).abs().mean(dim=(1, 2))
            assert int(apart.argmin()) == index
        brightness = [float(frame.pixels.mean()) for frame in open_source(path)]
        assert brightness == sorted(brightness)


def test_frames_of_an_avi_are_where_they_are_stored(tmp_path):
    """With B-frames, and with two of them packed into one place (as FFmpeg guesses the times of such a file)."""
    path = tmp_path / "in.avi"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=25, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(9):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * index, np.uint8), format="rgb24")
            picture.pts = index
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    frames = list(open_source(path))
    assert {late.time - early.time for early, late in pairwise(frames)} == {Fraction(1, 25)}
    assert all(late.pixels.mean() > early.pixels.mean() for early, late in pairwise(frames))

    packed = [SimpleNamespace(pts=pts, dts=dts) for pts, dts in [(1, 1), (2, 2), (4, 3), (3, 4), (5, 6), (7, None)]]
    assert [picture.pts for picture in _counted(iter(packed))] == [1, 2, 3, 4, 6, 7]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_frames_on_a_grid_after_an_irregular_start_are_written_exactly(phone, tmp_path, suffix):
    target = tmp_path / f"out{suffix}"
    asked = copied(phone, target, FrameRate(Fraction(60)), rate=Fraction(60))
    times = [frame.time for frame in open_source(target)]
    assert times == asked
    assert times == [Fraction(7003, 16000) + Fraction(n, 60) for n in range(len(asked))]


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_matroska_times_are_right_to_a_millisecond(phone, tmp_path, suffix):
    target = tmp_path / f"out{suffix}"
    asked = copied(phone, target, FrameRate(Fraction(60)), rate=Fraction(60), audio=False)
    for frame, time in zip(open_source(target), asked, strict=True):
        assert abs(frame.time - time) <= Fraction(1, 2000)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(1, 4000), min_size=1, max_size=6),
    st.integers(0, 9000),
    st.sampled_from([25, 1000, 9973, 90000, 30000]),
)
def test_any_times_come_back_exactly_from_mp4(tmp_path, gaps, start, ticks):
    ends = [start + sum(gaps[:count]) for count in range(len(gaps) + 1)]
    times = [Fraction(end, ticks) for end in ends]
    with open_sink(tmp_path / "out.mp4", times=times, overwrite=True) as sink:
        for time in times:
            sink.write(Frame(torch.rand(3, 16, 16), time))
    assert [frame.time for frame in open_source(tmp_path / "out.mp4")] == times


@pytest.mark.parametrize("seed", [0, 9])  # of 9, the last frame to be decoded is not the last to be seen
@pytest.mark.parametrize(("rate", "last"), [(Fraction(10), Fraction(1, 10)), (None, Fraction(3, 100))])
def test_the_last_frame_lasts_as_declared_or_as_long_as_the_one_before(tmp_path, rate, last, seed):
    torch.manual_seed(seed)
    times = [Fraction(1), Fraction(11, 10), Fraction(113, 100)]
    with open_sink(tmp_path / "out.mp4", rate=rate, times=times) as sink:
        for time in times:
            sink.write(Frame(torch.rand(3, 16, 16), time))
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == times[-1] - times[0] + last


def test_equal_times_are_refused_with_both_named(tmp_path):
    path = equal_times(tmp_path)
    with pytest.raises(InvalidInput, match=r"frame 3 is at 1/10 s and the one before it at 1/10 s"):
        list(open_source(path))


def equal_times(folder):
    path = folder / "equal.mkv"
    Film([0, 50, 100, 101, 150], Fraction(1, 1000), options={"qp": "0", "bf": "0"}).write(path)
    data = path.read_bytes()
    # Matroska keeps the time of a block in two bytes after the track: 101 ms becomes 100 ms.
    assert data.count(b"\x81\x00\x65\x80") + data.count(b"\x81\x00\x65\x00") == 1
    path.write_bytes(data.replace(b"\x81\x00\x65", b"\x81\x00\x64"))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize(("time", "message"), [(Fraction(-1, 2), "none before 0"), (Fraction(10) ** 25, "can count")])
def test_times_that_video_files_do_not_keep_are_refused(tmp_path, suffix, time, message):
    def written():
        with open_sink(tmp_path / f"out{suffix}") as sink:
            sink.write(Frame(torch.rand(3, 16, 16), time))

    with pytest.raises(InvalidInput, match=message):
        written()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rate", ["23.976023976", "59.94005994", "1e9", "1e-4"])
def test_rates_of_any_numerator_are_written(tmp_path, rate):
    times = [Fraction(n, 10) for n in range(3)]
    with open_sink(tmp_path / "out.mp4", rate=Fraction(rate), times=times) as sink:
        for time in times:
            sink.write(Frame(torch.rand(3, 16, 16), time))
    assert [frame.time for frame in open_source(tmp_path / "out.mp4")] == times


@pytest.mark.parametrize("later", [Fraction(1), Fraction(1, 2), Fraction(10001, 10000)])
def test_a_sink_refuses_times_that_do_not_reach_the_next_tick(tmp_path, later):
    def write_both():
        with open_sink(tmp_path / "out.mkv") as sink:
            sink.write(Frame(torch.zeros(3, 16, 16), Fraction(1)))
            sink.write(Frame(torch.zeros(3, 16, 16), later))

    with pytest.raises(InvalidInput, match="expected increasing times"):
        write_both()
    assert list(tmp_path.iterdir()) == []


# Colours

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p10le", "gbrp", "gray"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("tags", [(1, 1, 1, 1), (6, 2, 6, 6)])
def test_lossless_writing_in_the_sources_format_brings_frames_back(tmp_path, format, tags):
    """Random samples: most of them are colours outside of the RGB cube."""
    tags = (0, 2, 1, 13) if format == "gbrp" else tags
    codec = "libx264rgb" if format == "gbrp" else "libx264"
    Film(range(0, 3200, 800), format=format, codec=codec, tags=tags).write(tmp_path / "in.mp4")
    copied(tmp_path / "in.mp4", tmp_path / "out.mp4", lossless=True)
    assert furthest(tmp_path / "in.mp4", tmp_path / "out.mp4") <= 0.01 * LEVEL
    one, other = open_source(tmp_path / "in.mp4"), open_source(tmp_path / "out.mp4")
    assert (one.pixel_format, one.tags) == (other.pixel_format, other.tags)
    for before, after in zip(stored(tmp_path / "in.mp4", "rgb24"), stored(tmp_path / "out.mp4", "rgb24"), strict=True):
        assert np.array_equal(before, after), "another decoder sees another picture"


@pytest.mark.parametrize("format", ["yuv422p12le", "gbrp10le", "gray16le"])
def test_lossless_is_refused_where_the_codec_cannot_hold_the_sources_format(tmp_path, format):
    Film([0, 800], format=format, codec="ffv1", tags=(2, 1, 2, 2), options={}).write(tmp_path / "in.mkv")
    with pytest.raises(InvalidInput, match=r"cannot hold .* without loss; use --codec ffv1"):
        copied(tmp_path / "in.mkv", tmp_path / "out.mp4", lossless=True)
    copied(tmp_path / "in.mkv", tmp_path / "out.mkv", lossless=True, codec="ffv1")
    assert furthest(tmp_path / "in.mkv", tmp_path / "out.mkv") < LEVEL / 4


def test_odd_sizes_are_written_with_full_chroma(tmp_path):
    Film(irregular(), size=(47, 63), format="yuv444p").write(tmp_path / "in.mp4")
    copied(tmp_path / "in.mp4", tmp_path / "out.mp4", lossless=True)
    assert open_source(tmp_path / "out.mp4").size == (47, 63)
    assert furthest(tmp_path / "in.mp4", tmp_path / "out.mp4") <= 0.01 * LEVEL
    write(tmp_path / "array.mp4", Clip(torch.rand(2, 3, 47, 63), torch.tensor([0.0, 0.04])))
    assert open_source(tmp_path / "array.mp4").pixel_format == "yuv444p"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_arrays_come_back_from_a_lossless_video_within_a_level(tmp_path, suffix):
    clip = Clip(torch.rand(3, 3, 30, 34), torch.tensor([0.0, 0.25, 1.0]))
    write(tmp_path / f"out{suffix}", clip, lossless=True)
    again = read(tmp_path / f"out{suffix}")
    assert float((again.frames - clip.frames).abs().max()) <= 0.51 * LEVEL
    assert torch.equal(again.times, clip.times)


@pytest.mark.parametrize("tags", [(1, 1, 1, 1), (5, 1, 5, 6), (1, 2, 1, 1), (9, 1, 9, 14), (2, 1, 2, 2)])
def test_colours_agree_with_ffmpegs_own_conversion(tmp_path, tags):
    Film([0, 800], format="yuv444p", tags=tags, smooth=True).write(tmp_path / "in.mp4")
    for frame, expected in zip(open_source(tmp_path / "in.mp4"), stored(tmp_path / "in.mp4", "rgb24"), strict=True):
        ours = (frame.pixels.clamp(0, 1) * 255).permute(1, 2, 0).numpy()
        assert np.abs(ours - expected.astype(float)).max() <= 0.55, "rounding to 8 bits is half a level"


@pytest.mark.parametrize("format", ["nv12", "rgb24", "bgra", "gray", "yuyv422", "p010le", "yuvj420p", "yuv411p"])
def test_packed_formats_are_read_as_their_planar_equals(format):
    from vidode.sources.colour import read_pixels

    tags = (1, 2, 1, 1) if format in ("gray", "yuvj420p") else (1, 1, 1, 1)
    picture = Film([0], format="yuv444p", smooth=True, tags=tags).picture(0).reformat(format=format)
    expected = picture.reformat(format="rgb24").to_ndarray()
    ours = read_pixels(picture)
    assert ours.shape == (3, 48, 64)
    error = np.abs(ours.clamp(0, 1).permute(1, 2, 0).numpy() * 255 - expected.astype(float))
    assert error.mean() <= 2


def test_ycgco_is_its_definition():
    from vidode.sources.colour import FULL, Tags, write_pixels

    red, green = torch.zeros(3, 2, 2), torch.zeros(3, 2, 2)
    red[0], green[1] = 1, 1
    for colour, samples in ((red, (64, 64, 255)), (green, (128, 255, 128))):
        planes = write_pixels(colour, "yuv444p", Tags(matrix=8, range=FULL)).to_ndarray()
        assert np.abs(planes[:, 0, 0].astype(int) - samples).max() <= 1


# Rotation

TURNS = [(degrees, flip, False) for degrees in (0, 90, 180, 270) for flip in (False, True)]


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("format", ["yuv420p", "yuv422p"])
def test_turned_video_is_read_upright_and_written_upright(tmp_path, turn, format):
    degrees, flip, _ = turn
    Film([0, 800], format=format, smooth=True).write(tmp_path / "plain.mp4")
    Film([0, 800], format=format, smooth=True, turn=turn).write(tmp_path / "turned.mp4")
    for plain, turned in zip(open_source(tmp_path / "plain.mp4"), open_source(tmp_path / "turned.mp4"), strict=True):
        expected = torch.rot90(plain.pixels, degrees // 90, dims=(-2, -1))
        expected = expected.flip(-1) if flip else expected
        assert torch.equal(turned.pixels, expected)
    copied(tmp_path / "turned.mp4", tmp_path / "out.mp4", lossless=True)
    source = open_source(tmp_path / "out.mp4")
    assert source.orientation.degrees == 0
    assert source.size == ((64, 48) if degrees % 180 else (48, 64))
    assert furthest(tmp_path / "turned.mp4", tmp_path / "out.mp4") <= LEVEL


# Sound


@pytest.mark.parametrize(("suffix", "slack"), [(".mp4", 0), (".mov", 0), (".mkv", Fraction(1, 1000))])
def test_sound_is_copied_byte_for_byte_and_stays_in_step(phone, tmp_path, suffix, slack):
    target = tmp_path / f"out{suffix}"
    copied(phone, target, FrameRate(Fraction(60)), rate=Fraction(60))
    before, after = audio_packets(phone), audio_packets(target)
    assert len(before) > 50
    assert [data for _, data in before] == [data for _, data in after]
    assert max(abs(a - b) for (a, _), (b, _) in zip(before, after, strict=True)) <= slack


def test_opus_goes_into_webm(tmp_path):
    Film(irregular(12), Fraction(1, 16000), audio="libopus").write(tmp_path / "in.mkv")
    copied(tmp_path / "in.mkv", tmp_path / "out.webm")
    before, after = audio_packets(tmp_path / "in.mkv"), audio_packets(tmp_path / "out.webm")
    assert [data for _, data in before] == [data for _, data in after]


def test_sound_that_the_container_cannot_hold_is_refused_in_one_line(phone, tmp_path):
    with pytest.raises(InvalidInput, match=r"webm cannot hold the source's aac sound; write \.mkv") as told:
        open_sink(tmp_path / "out.webm", like=open_source(phone))
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sound", "suffix", "held"),
    [("flac", ".mp4", True), ("pcm_s16le", ".mov", True), ("pcm_s16le", ".mp4", False), ("libopus", ".mov", False)],
)
def test_sound_from_another_container_is_copied_or_refused_as_sound(tmp_path, sound, suffix, held):
    Film([0, 1600, 3200], audio=sound).write(tmp_path / "in.mkv")
    target = tmp_path / f"out{suffix}"
    if not held:
        with pytest.raises(InvalidInput, match=r"cannot hold the source's .* sound; .*--no-audio"):
            copied(tmp_path / "in.mkv", target)
        assert not target.exists()
        return
    copied(tmp_path / "in.mkv", target)
    before, after = (b"".join(data for _, data in audio_packets(path)) for path in (tmp_path / "in.mkv", target))
    assert before == after


class Recorder:
    """An output that counts how far the sound has come."""

    def __init__(self, output):
        self.output, self.times = output, []

    def add_stream_from_template(self, stream):
        return self.output.add_stream_from_template(stream)

    def mux(self, packet):
        self.times.append(packet.pts * packet.time_base)


def test_sound_is_read_no_further_than_the_pictures_have_come(phone, tmp_path):
    everything = [time for time, _ in audio_packets(phone)]
    with av.open(str(tmp_path / "out.mp4"), "w") as output:
        sound = AudioCopy(open_source(phone), recorder := Recorder(output))
        for seconds in (Fraction(-1), Fraction(0), Fraction(1, 2), Fraction(6, 5)):
            sound.until(seconds)
            assert recorder.times == [time for time in everything if time <= seconds]
        sound.until(None)
        assert recorder.times == everything
        sound.close()


# Streaming


def test_only_a_few_frames_are_alive_at_any_time(tmp_path):
    Film(range(0, 32_000, 400), size=(16, 16), options={}).write(tmp_path / "in.mp4")
    alive = weakref.WeakSet()
    source = open_source(tmp_path / "in.mp4")
    with open_sink(tmp_path / "out.mp4", like=source) as sink:
        for frame in source:
            alive.add(frame)
            sink.write(frame)
            assert len(alive) <= 3


# Bad input


def bad(folder, name):
    path = folder / f"{name}.mp4"
    if name == "empty":
        path.write_bytes(b"")
    elif name == "text":
        path.write_text("this is no video\n" * 100)
    elif name == "sound":
        with av.open(str(path), "w") as output:
            stream = output.add_stream("aac", rate=44100)
            sound = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp")
            sound.sample_rate = 44100
            output.mux([*stream.encode(sound), *stream.encode(None)])
    elif name == "folder":
        path.mkdir()
    elif name == "header":
        Film([0, 800]).write(folder / "whole.mp4")
        path.write_bytes((folder / "whole.mp4").read_bytes()[:600])
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "no file or folder .*missing.mp4"),
        ("empty", "is empty; expected a video file"),
        ("text", "cannot be read as video"),
        ("sound", "holds audio and no moving pictures"),
        ("folder", "holds no images"),
        ("header", "is cut short"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, name, message):
    with pytest.raises(InvalidInput, match=message) as told:
        open_source(bad(tmp_path, name))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi", ".gif"])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.0, 0.999))
@example(share=1 - 1e-9)
def test_a_file_cut_anywhere_never_passes_for_a_shorter_one(tmp_path, suffix, share):
    whole = tmp_path / f"whole{suffix}"
    if not whole.exists():
        codec = {".webm": "libvpx-vp9", ".avi": "mpeg4"}.get(suffix, "libx264")
        if suffix == ".gif":
            write(whole, Clip(torch.rand(8, 3, 12, 16), torch.arange(8) / 10))
        else:
            Film(range(0, 8), Fraction(1, 25), codec=codec, tags=(2, 1, 2, 2)).write(whole)
        assert len(list(open_source(whole))) == 8
    cut = tmp_path / f"cut{suffix}"
    data = whole.read_bytes()
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InvalidInput):
        list(open_source(cut))


def noticed_by_the_decoder(path):
    """By a mark on a frame or by refusing a packet: which of them depends on what the encoder of the machine wrote."""
    try:
        with av.open(str(path)) as container:
            return any(frame.is_corrupt for frame in container.decode(video=0))
    except av.FFmpegError:
        return True


def test_frames_that_the_decoder_knows_to_be_damaged_are_refused(tmp_path):
    Film(range(0, 16000, 800), options={"crf": "30"}).write(tmp_path / "whole.mp4")
    whole, told = (tmp_path / "whole.mp4").read_bytes(), 0
    for seed in range(12):
        data = bytearray(whole)
        for place in np.random.default_rng(seed).integers(5000, len(data) - 2500, 6):
            data[place] ^= 255
        path = tmp_path / f"{seed}.mp4"
        path.write_bytes(bytes(data))
        if not noticed_by_the_decoder(path):
            continue
        told += 1
        with pytest.raises(InvalidInput, match=r"is damaged|cannot be read as video"):
            list(open_source(path))
    assert told, "no damage was noticed: this test tells nothing"


def test_a_playlist_in_disguise_opens_nothing_else(phone, tmp_path):
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile {phone}\n")
    with pytest.raises(InvalidInput, match="cannot be read as video"):
        open_source(tmp_path / "list.mp4")


def test_a_cover_is_no_video(tmp_path):
    picture = Film([0], format="yuvj420p").picture(0)
    with av.open(str(tmp_path / "song.mp4"), "w") as output:
        cover = output.add_stream("mjpeg")
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        sound = output.add_stream("aac", rate=44100)
        output.mux(cover.encode(picture))
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp")
        silence.sample_rate = 44100
        output.mux([*cover.encode(None), *sound.encode(silence), *sound.encode(None)])
    with pytest.raises(InvalidInput, match="no moving pictures"):
        open_source(tmp_path / "song.mp4")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codec": "nonsense"}, "expected an encoder for video"),
        ({"codec": "aac"}, "expected one for video"),
        ({"codec": "libsvtav1", "lossless": True}, "no lossless mode"),
        ({"quality": 20, "lossless": True}, "does not go with"),
    ],
)
def test_encodings_that_cannot_be_are_refused(tmp_path, options, message):
    with pytest.raises(InvalidInput, match=message):
        open_sink(tmp_path / "out.mp4", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_says_nothing_on_the_terminal(tmp_path, capfd):
    write(tmp_path / "out.mp4", Clip(torch.rand(4, 3, 64, 64), torch.arange(4) / 25), codec="libx265")
    assert len(read(tmp_path / "out.mp4")) == 4
    assert capfd.readouterr() == ("", "")


def test_lower_quality_numbers_are_closer(tmp_path):
    Film(range(0, 2400, 800)).write(tmp_path / "in.mp4")
    for quality in (5, 40):
        copied(tmp_path / "in.mp4", tmp_path / f"{quality}.mp4", quality=quality)
    assert furthest(tmp_path / "in.mp4", tmp_path / "5.mp4") < furthest(tmp_path / "in.mp4", tmp_path / "40.mp4")


def test_ctrl_c_half_way_leaves_nothing(tmp_path):
    def interrupted():
        with open_sink(tmp_path / "out.mp4") as sink:
            for n in range(60):
                sink.write(Frame(torch.rand(3, 64, 64), Fraction(n, 30)))
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
