"""Augmented windows are moved as a whole, reproducibly, and come back by the inverse change."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidode.augmentation import Augmentation, augment, crop, flip, reverse, rotate
from vidode.clip import Clip, InvalidInput

NOTHING = Augmentation(flip=0, degrees=0)


@pytest.fixture
def clip():
    frames = torch.rand(5, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    return Clip(frames, torch.tensor([0.0, 1.0, 1.5, 4.0, 5.0], dtype=torch.float64))


@pytest.fixture
def smooth():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 33), torch.linspace(-1, 1, 33), indexing="ij")
    return Clip(
        torch.stack([0.5 + 0.3 * torch.sin(2 * x + k) * torch.cos(y) for k in range(3)])[:, None], torch.arange(3)
    )


def draw(seed):
    return torch.Generator().manual_seed(seed)


def test_nothing_asked_changes_nothing(clip):
    same = augment(clip, NOTHING, draw(0))
    assert torch.equal(same.frames, clip.frames)
    assert torch.equal(same.times, clip.times)


@given(st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_a_seed_gives_one_window(seed):
    frames = torch.rand(2, 1, 9, 11, generator=draw(1))
    how = Augmentation(crop=(6, 7), reverse=0.5)
    one, two = (augment(Clip(frames, [0.0, 1.0]), how, draw(seed)) for _ in range(2))
    assert torch.equal(one.frames, two.frames)


def test_each_change_undone_by_itself(clip):
    for change in (flip, reverse):
        twice = change(change(clip))
        assert torch.equal(twice.frames, clip.frames)
        assert torch.allclose(twice.times, clip.times)
        assert not torch.equal(change(clip).frames, clip.frames)


def test_reversed_time_keeps_the_gaps_with_their_frames(clip):
    back = reverse(clip)
    assert back.times.tolist() == [0.0, 1.0, 3.5, 4.0, 5.0]
    assert torch.equal(back.frames[1], clip.frames[3])


def test_turning_by_a_right_angle_moves_pixels_exactly():
    frames = torch.rand(2, 3, 9, 9)
    turned = rotate(Clip(frames, [0, 1]), 90.0).frames
    assert torch.allclose(turned, torch.rot90(frames, 1, dims=(2, 3)), atol=1e-5)  # both counter-clockwise


@given(st.floats(-10, 10))
@settings(max_examples=15, deadline=None)
def test_turning_there_and_back_is_nearly_nothing(degrees):
    y, x = torch.meshgrid(torch.linspace(-1, 1, 33), torch.linspace(-1, 1, 33), indexing="ij")
    frames = (0.5 + 0.3 * torch.sin(2 * x) * torch.cos(y))[None, None]
    back = rotate(rotate(Clip(frames, [0]), degrees), -degrees).frames
    assert (back - frames)[..., 8:-8, 8:-8].abs().max() < 2e-3


def test_turning_keeps_shape_on_frames_that_are_not_square():
    frames = torch.zeros(1, 1, 21, 41)
    frames[..., 6, 30] = 1  # (10, -4) from the centre
    turned = rotate(Clip(frames, [0]), 30.0).frames[0, 0]
    y, x = torch.meshgrid(torch.arange(21.0), torch.arange(41.0), indexing="ij")
    place = torch.stack([(turned * (x - 20)).sum(), (turned * (y - 10)).sum()]) / turned.sum()
    assert torch.allclose(place, torch.tensor([6.660, -8.464]), atol=0.1)


def test_what_turns_in_from_outside_is_black():
    turned = rotate(Clip(torch.ones(2, 3, 16, 16), [0, 1]), 10.0).frames
    assert (turned[..., 0, 0] == 0).all()
    assert (turned[..., 8, 8] == 1).all()


def test_one_angle_for_the_whole_clip():
    frame = torch.rand(1, 1, 16, 16).expand(6, -1, -1, -1)
    turned = augment(Clip(frame, torch.arange(6)), Augmentation(flip=0), draw(3)).frames
    assert torch.equal(turned, turned[:1].expand_as(turned))
    assert not torch.equal(turned[0], frame[0])


def test_flips_half_of_the_windows_and_turns_evenly():
    frames = torch.zeros(1, 1, 33, 33)
    frames[..., 16, 28:31] = 1  # on the right of the centre
    flipped, angles = 0, []
    y, x = torch.meshgrid(torch.arange(33.0) - 16, torch.arange(33.0) - 16, indexing="ij")
    for seed in range(400):
        weight = augment(Clip(frames, [0]), Augmentation(), draw(seed)).frames[0, 0]
        place = torch.stack([(weight * x).sum(), (weight * y).sum()])
        flipped += bool(place[0] < 0)
        angles.append(torch.rad2deg(torch.atan2(-place[1], place[0].abs())) * place[0].sign())
    assert 160 < flipped < 240
    angles = torch.stack(angles)
    assert angles.abs().max() <= 10.1
    assert angles.abs().max() > 9.5
    assert abs(float(angles.mean())) < 0.9
    assert float(angles.std()) == pytest.approx(20 / 12**0.5, rel=0.1)


def test_crops_of_every_place_are_drawn(clip):
    how = Augmentation(crop=(11, 15), flip=0, degrees=0)
    drawn = {float(augment(clip, how, draw(seed)).frames[0, 0, 0, 0]) for seed in range(40)}
    assert drawn == {float(clip.frames[0, 0, row, column]) for row in (0, 1) for column in (0, 1)}
    assert torch.equal(crop(clip, (2, 3), 4, 5).frames, clip.frames[..., 4:6, 5:8])


def test_one_option_leaves_the_others_draws_alone(smooth):
    with_flip = augment(smooth, Augmentation(flip=1.0), draw(5)).frames
    without = augment(flip(smooth), Augmentation(flip=0.0), draw(5)).frames
    assert torch.equal(with_flip, without)


def test_missing_pixels_stay_missing_and_reach_nothing_else():
    frames, valid = torch.full((2, 1, 15, 15), 0.5), torch.ones(2, 1, 15, 15, dtype=torch.bool)
    frames[..., 4, 4], valid[..., 4, 4] = torch.nan, False
    clip = Clip(frames, [0, 1], valid)
    turned = augment(clip, Augmentation(crop=(13, 13), reverse=1, flip=1), draw(1))
    assert torch.isfinite(turned.frames).all()
    assert 0 < (~turned.valid[:, :, 2:11, 2:11]).sum() < 20
    assert torch.allclose(turned.frames[turned.valid], torch.tensor(0.5), atol=1e-4)


@pytest.mark.parametrize(
    ("options", "told"),
    [({"flip": 1.5}, "flip is 1.5"), ({"degrees": -1.0}, "degrees is -1.0"), ({"crop": (0, 4)}, r"crop is \(0, 4\)")],
)
def test_what_cannot_be_is_refused(options, told):
    with pytest.raises(InvalidInput, match=told):
        Augmentation(**options)


def test_a_crop_larger_than_the_frame_is_refused(clip):
    with pytest.raises(InvalidInput, match=r"frames are \(12, 16\); expected at least the crop \(13, 4\)"):
        augment(clip, Augmentation(crop=(13, 4)), draw(0))
