from fractions import Fraction as F
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidode.clip import InvalidInput
from vidode.cuts import Change, CutDetector, label_shots, neighbourhoods


def scene(seed, steps, speed=2, level=1.0, size=48):
    """A smooth picture that slides by `speed` pixels a frame."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 8, 24, generator=generator)
    wide = torch.nn.functional.interpolate(coarse, size=(size, 3 * size), mode="bicubic", align_corners=False)[0]
    return [wide[..., step * speed : step * speed + size].clamp(0, 1) * level for step in range(steps)]


def cuts_of(pictures, detector=None, times=None):
    times = times or [F(step, 25) for step in range(len(pictures))]
    labelled = label_shots(zip(pictures, times, strict=True), lambda item: item, detector or CutDetector())
    shots = [shot for _, shot in labelled]
    return [place for place, (early, late) in enumerate(pairwise(shots)) if late > early]


def test_a_cut_between_two_scenes_is_found_and_motion_is_not():
    assert cuts_of(scene(0, 8) + scene(1, 8, level=0.4)) == [7]
    assert cuts_of(scene(0, 16, speed=5)) == []


def test_a_picture_that_stands_still_is_one_shot_and_may_be_cut():
    still, other = scene(0, 1)[0], scene(1, 1, level=0.3)[0]
    assert cuts_of([still] * 8) == []
    assert cuts_of([still] * 4 + [other] * 4) == [3]


def test_repeated_frames_do_not_make_the_next_motion_a_cut():
    doubled = [picture for picture in scene(0, 8, speed=6) for _ in range(3)]
    assert cuts_of(doubled) == []


def test_a_fade_is_not_a_cut():
    picture = scene(0, 1)[0]
    assert cuts_of([picture * (1 - step / 12) for step in range(12)]) == []


def test_a_flash_is_cut_off_on_both_sides():
    pictures = scene(0, 12)
    pictures[6] = torch.ones_like(pictures[6])
    assert cuts_of(pictures) == [5, 6]


def test_missing_frames_do_not_make_a_cut():
    pictures, kept = scene(0, 24, speed=4), [0, 1, 2, 3, 4, 16, 17, 18, 19, 20]
    assert cuts_of([pictures[i] for i in kept], times=[F(i, 25) for i in kept]) == []


def test_the_typical_difference_is_per_time_so_a_longer_gap_may_change_more():
    detector = CutDetector()
    around = [Change(0.1, 0.1, F(1))] * 4
    assert detector.is_cut(Change(0.4, 0.5, F(1)), around)
    assert not detector.is_cut(Change(0.4, 0.5, F(4)), around)


def test_without_neighbours_more_must_change():
    detector = CutDetector(histogram=0.2)
    assert not detector.is_cut(Change(0.4, 0.3, F(1)), [])
    assert detector.is_cut(Change(0.4, 0.41, F(1)), [])


def test_noise_and_missing_pixels_do_not_cut():
    generator = torch.Generator().manual_seed(0)
    noisy = [torch.rand(1, 32, 32, generator=generator) for _ in range(6)]
    assert cuts_of(noisy) == []
    noisy[3] = torch.where(torch.rand(1, 32, 32, generator=generator) < 0.05, torch.nan, noisy[3])
    assert cuts_of(noisy) == []


@pytest.mark.parametrize("options", [{"histogram": 0}, {"histogram": 1.5}, {"ratio": 0}, {"reach": 0}])
def test_a_detector_that_cannot_be_is_refused(options):
    with pytest.raises(InvalidInput, match="expected"):
        CutDetector(**options)


def test_without_a_detector_all_is_one_shot():
    pictures = scene(0, 3) + scene(1, 3, level=0.3)
    assert {shot for _, shot in label_shots(pictures, lambda picture: (picture, F(0)), None)} == {0}


@given(st.integers(0, 12), st.integers(0, 4), st.integers(0, 4))
@settings(max_examples=40, deadline=None)
def test_neighbourhoods_are_slices_of_the_whole(length, before, after):
    whole = list(range(length))
    assert list(neighbourhoods(iter(whole), before, after)) == [
        (whole[max(0, i - before) : i], i, whole[i + 1 : i + 1 + after]) for i in whole
    ]


def test_neighbourhoods_read_no_further_than_they_must():
    items = iter(range(100))
    next(neighbourhoods(items, 5, 3))
    assert next(items) == 4
