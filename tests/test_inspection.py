"""What a file really contains, on files made to contain it."""

import itertools
from fractions import Fraction

import pytest
import torch

from made_media import TICK, Film, irregular
from vidode.clip import Clip
from vidode.sources import Frame, open_sink, write
from vidode.sources.colour import Tags
from vidode.sources.inspection import Gaps, Missing, inspect_file


def scene(seed, count, repeat=()):
    """A soft pattern of its own colours that moves by a pixel a frame."""
    torch.manual_seed(seed)
    colour = torch.rand(3, 1, 1)
    pattern = torch.rand(3, 6, 8).repeat_interleave(8, 1).repeat_interleave(8, 2) * 0.3 + 0.7 * colour
    shifts = [n - sum(r <= n for r in repeat) for n in range(count)]
    return [pattern.roll(shift, -1) for shift in shifts]


def film(folder, pictures, times, **options):
    with open_sink(folder / "film.mp4", times=times, **options) as sink:
        for pixels, time in zip(pictures, times, strict=True):
            sink.write(Frame(pixels, time))
    return inspect_file(folder / "film.mp4")


def test_times_gaps_and_rates_are_exact(tmp_path):
    pts = irregular()
    Film(pts, audio="aac").write(tmp_path / "in.mp4")
    found = inspect_file(tmp_path / "in.mp4")
    assert found.times == tuple(time * TICK for time in pts)
    gaps = sorted((late - early) * TICK for early, late in itertools.pairwise(pts))
    assert found.gaps == Gaps(gaps[0], gaps[17], gaps[-1])
    assert found.true_rate == 36 / ((pts[-1] - pts[0]) * TICK)
    assert (found.frames, found.size, found.channels) == (37, (48, 64), 3)


def test_what_a_video_declares(tmp_path):
    Film([0, 800, 1600], audio="aac", tags=(6, 2, 5, 6), turn=(270, False, False)).write(tmp_path / "in.mp4")
    video = inspect_file(tmp_path / "in.mp4").video
    assert (video.pixel_format, video.tags, video.audio) == ("yuvj420p", Tags(6, 2, 5, 6), ("aac",))
    assert (video.degrees, video.mirrored, video.time_base) == (90, False, TICK)
    assert inspect_file(tmp_path / "in.mp4").size == (64, 48)


def test_frames_that_are_missing_repeated_or_the_first_of_a_shot(tmp_path):
    pictures = scene(0, 12, repeat=(4, 9)) + scene(1, 10)
    ticks = [n for n in range(25) if n not in (6, 15, 16)]
    found = film(tmp_path, pictures, [Fraction(n, 25) for n in ticks], quality=10)
    assert found.repeated_pictures == (4, 9)
    assert found.cuts == (12,)
    assert found.missing == (Missing(5, 1), Missing(13, 2))
    assert found.repeated_times == ()


def test_times_that_repeat_are_reported_not_refused(tmp_path):
    from test_sources_video import equal_times

    found = inspect_file(equal_times(tmp_path))
    assert found.repeated_times == (3,)
    assert found.gaps == Gaps(Fraction(0), Fraction(1, 20), Fraction(1, 20))


@pytest.mark.parametrize("name", ["out", "out.npz"])
def test_images_and_arrays(tmp_path, name):
    write(tmp_path / name, Clip(torch.rand(3, 1, 4, 6), torch.tensor([0.0, 0.5, 1.0])))
    found = inspect_file(tmp_path / name)
    assert (found.video, found.channels, found.size, found.true_rate) == (None, 1, (4, 6), 2)


def test_a_single_frame_has_no_gaps(tmp_path):
    found = film(tmp_path, scene(0, 1), [Fraction(1)])
    assert (found.frames, found.gaps, found.true_rate, found.cuts) == (1, None, None, ())
