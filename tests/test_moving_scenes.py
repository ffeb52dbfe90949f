"""Moving scenes are functions of time alone, and their flow is the motion that is seen."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from vidode.clip import InvalidInput
from vidode.datasets import open_dataset
from vidode.datasets.moving_scenes import MovingScenes, MovingScenesConfig
from vidode.scenes import Degradation, Scene, SceneStyle, degrade, draw_scene
from vidode.scenes.degradation import TO_YCC
from vidode.scenes.motion import Curve, Joint, Rig

STEADY = SceneStyle(static=0, flicker=0, max_speed=4)
FLOWING = SceneStyle(static=0, flicker=0, max_speed=4, still_camera=0, low_contrast=0)


@given(st.integers(0, 10**6), st.lists(st.floats(-1, 2), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None)
def test_a_frame_depends_on_its_time_alone(seed, others):
    scene = draw_scene(seed, detail=32)
    alone = scene.render(torch.tensor([0.31]), (32, 40))
    among = scene.render(torch.tensor([*others, 0.31, *others], dtype=torch.float64), (32, 40))
    assert torch.allclose(among[len(others)], alone[0], atol=1e-5)


def test_the_number_of_frames_at_once_changes_nothing(monkeypatch):
    scene = draw_scene(5, detail=32)
    times = torch.linspace(0, 1, 7, dtype=torch.float64)
    whole = scene.render(times, (32, 32))
    monkeypatch.setattr("vidode.scenes.scene.PIXELS_AT_ONCE", 1)
    assert torch.allclose(scene.render(times, (32, 32)), whole, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_every_size_shows_the_same_scene(seed):
    scene = draw_scene(seed, detail=32)
    times = torch.tensor([0.0, 0.4])
    small, large = scene.render(times, (32, 48)), scene.render(times, (96, 144))
    assert (functional.avg_pool2d(large, 3) - small).abs().mean() < 0.01
    # Below its detail a scene is averaged, so that nothing aliases.
    assert (functional.avg_pool2d(small, 4) - scene.render(times, (8, 12))).abs().max() < 1e-5
    # A wider frame shows more at its sides and the same between them.
    assert torch.allclose(scene.render(times, (32, 32)), small[..., 8:40], atol=1e-5)


def test_a_static_scene_never_changes():
    for seed in range(6):
        frames = draw_scene(seed, detail=24, style=SceneStyle(static=1)).render(torch.linspace(0, 3, 5), (24, 24))
        assert torch.equal(frames, frames[:1].expand_as(frames))


def test_a_still_camera_leaves_the_background_where_it_was():
    style = SceneStyle(static=0, still_camera=1, objects=1, figures=0, chains=0, flicker=0)
    scene = draw_scene(3, detail=32, style=style)
    flow = scene.flow(0.0, 0.4, (32, 32))
    still = flow.field.abs().amax(dim=0) < 1e-9
    assert 0.2 < still.float().mean() < 1


@pytest.mark.parametrize("seed", range(8))
def test_flow_carries_each_visible_point_to_where_it_is_seen(seed):
    scene, size, gap = draw_scene(seed, detail=64, style=FLOWING), (96, 128), 0.08
    first, second = scene.render(torch.tensor([0.3, 0.3 + gap], dtype=torch.float64), size)
    flow = scene.flow(0.3, 0.3 + gap, size)
    assert flow.visible.float().mean() > 0.3
    warped = _fetch(second, flow.field)
    moved = (warped - first).abs().mean(dim=0)[flow.visible].mean()
    assert moved < 0.015
    unmoved = (second - first).abs().mean(dim=0)[flow.visible].mean()
    assert moved < 0.5 * unmoved or unmoved < 0.02


@given(st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_flow_there_and_back_is_nothing(seed):
    scene, size = draw_scene(seed, detail=32, style=STEADY), (32, 32)
    there, back = scene.flow(0.1, 0.2, size), scene.flow(0.2, 0.1, size)
    returned = there.field + _fetch(back.field, there.field)
    # The way back is read between pixels, which at edges are of two layers; the median point is not at one.
    assert returned.abs().sum(dim=0)[there.visible].median() < 0.05


def square_moving_right(speed):
    """A white square of 8x8 pixels in a frame of 32x32, in its middle at time 0, before a still black background."""
    layer = torch.zeros(1, 4, 65, 65)
    layer[:, :, 16:49, 16:49] = 1  # the middle half of a texture of 16x16 pixels
    return Scene(
        background=torch.zeros(3, 8, 8),
        layers=layer,
        centre=np.zeros(2, dtype=np.complex128),
        extent=np.array([[1.0, 1.0], [0.5, 0.5]]),
        order=(0,),
        rig=Rig([Joint(), Joint(path=Curve(velocity=speed / 16))]),
        ripples={},
        gain=Curve(1.0),
        detail=32,
        frame_gap=1.0,
        middle=0.0,
    )


def test_the_flow_of_a_moving_square_is_its_motion_and_what_it_covers_is_hidden():
    scene = square_moving_right(3.0)
    flow = scene.flow(0.0, 1.0, (32, 32))
    inside = torch.zeros(32, 32, dtype=torch.bool)
    inside[12:20, 12:20] = True
    covered = torch.zeros(32, 32, dtype=torch.bool)
    covered[12:20, 20:23] = True
    assert torch.allclose(flow.field[:, inside], torch.tensor([[3.0], [0.0]]).expand(-1, 64))
    assert (flow.field[:, ~inside] == 0).all()
    assert torch.equal(~flow.visible, covered)
    frames = scene.render(torch.tensor([0.0, 1.0]), (32, 32))
    assert torch.allclose(frames[1, :, :, 3:], frames[0, :, :, :-3], atol=1e-6)


def test_what_leaves_the_frame_is_not_visible_there():
    flow = square_moving_right(7.0).flow(0.0, 2.0, (32, 32))  # columns 12 to 19 go to 26 to 33; the frame has 32
    assert not flow.visible[12:20, 18:20].any()
    assert flow.visible[12:20, 12:18].all()


def test_flow_to_the_same_time_is_zero_and_all_is_visible():
    flow = draw_scene(2, detail=32, style=FLOWING).flow(0.2, 0.2, (32, 32))
    assert flow.field.abs().max() < 1e-4
    assert flow.visible.float().mean() > 0.99


def test_speeds_spread_below_the_fastest():
    style = SceneStyle(max_speed=8, static=0)
    flows = [draw_scene(seed, 64, style=style).flow(0.38, 0.42, (16, 16)) for seed in range(40)]
    fastest = 4 * torch.tensor([float(flow.field.norm(dim=0).quantile(0.99)) for flow in flows])  # at 64 pixels
    assert 4 < fastest.max() < 24
    assert 0.5 < fastest.median() < 4


def test_a_hinged_layer_hangs_on_its_parent():
    swing = Curve(amplitude=1.0, omega=0.3)
    rig = Rig([Joint(path=Curve(1 + 2j, 0.1)), Joint(angle=swing, path=Curve(0.5)), Joint(path=Curve(0.25), parent=1)])
    s = torch.linspace(-5, 5, 9).numpy().astype("float64")
    turn, shift = rig.poses(s)
    assert abs(abs(shift[:, 2] - shift[:, 1]) - 0.25).max() < 1e-12
    assert abs(turn[:, 2] - turn[:, 1]).max() < 1e-12


@pytest.fixture
def scenes():
    return MovingScenes(MovingScenesConfig(size=(24, 32), frames=6, jitter=0.3), "train")


def test_clips_are_the_same_every_time(scenes):
    again = MovingScenes(scenes.config, "train")
    assert torch.equal(scenes.clip(3).frames, again.clip(3).frames)
    assert torch.equal(scenes.clip(3).times, again.clip(3).times)


def test_clips_splits_and_seeds_differ(scenes):
    other = MovingScenes(MovingScenesConfig(size=(24, 32), frames=6, jitter=0.3, seed=1), "train")
    held_out = [MovingScenes(scenes.config, split) for split in ("validation", "test")]
    clips = [scenes.clip(0), scenes.clip(1), other.clip(0), *(each.clip(0) for each in held_out)]
    for i, one in enumerate(clips):
        assert not any(torch.equal(one.frames, two.frames) for two in clips[i + 1 :])


def test_a_window_is_part_of_its_clip(scenes):
    whole = scenes.clip(7)
    starts = set()
    for seed in range(12):
        window = scenes.window(7, 4, torch.Generator().manual_seed(seed))
        start = int((whole.times == window.times[0]).nonzero())
        starts.add(start)
        assert torch.equal(window.times, whole.times[start : start + 4])
        assert torch.allclose(window.frames, whole.frames[start : start + 4], atol=1e-5)
    assert starts == {0, 1, 2}


def test_jitter_moves_times_less_than_asked(scenes):
    late = scenes.times(0) / scenes.config.frame_gap - torch.arange(6)
    assert 0 < late.abs().max() <= 0.3
    regular = MovingScenes(MovingScenesConfig(frames=6), "train").times(0)
    assert torch.allclose(regular, torch.arange(6, dtype=torch.float64) / 25)


def test_shares_hold():
    style = {"grey": 1.0, "low_contrast": 0.0}
    grey = open_dataset("moving_scenes", "train", size=[24, 24], frames=2, style=style).clip(0).frames
    assert torch.allclose(grey, grey[:, :1].expand_as(grey), atol=1e-6)
    single = open_dataset("moving_scenes", "test", size=[24, 24], frames=2, channels=1)
    assert single.clip(0).frames.shape == (2, 1, 24, 24)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"frames": 0}, "0 frames"),
        ({"channels": 2}, "2 channels"),
        ({"jitter": 0.5}, "jitter 0.5"),
        ({"style": {"static": 2.0}}, "static is 2.0"),
        ({"style": {"statik": 2.0}}, "did you mean 'static'"),
        ({"degradation": {"quality": [0, 50]}}, "quality is"),
    ],
)
def test_what_cannot_be_is_refused(options, told):
    with pytest.raises(InvalidInput, match=told):
        open_dataset("moving_scenes", "train", **options)


def test_a_window_longer_than_its_clip_is_refused(scenes):
    with pytest.raises(InvalidInput, match="6 frames; expected at least 7"):
        scenes.window(0, 7, torch.Generator())


def test_a_data_set_degrades_what_is_observed_and_not_its_times():
    data = open_dataset(
        "moving_scenes", "train", size=[24, 24], frames=2, degradation={"clean": 0.0, "noise": [0.1, 0.1]}
    )
    clean = data.clip(0)
    filmed = data.degrade(clean, torch.Generator().manual_seed(0))
    assert (filmed.frames - clean.frames).abs().mean() > 0.02
    assert torch.equal(filmed.times, clean.times)


def test_degrading_is_reproducible_and_bounded():
    frames = draw_scene(4, detail=32).render(torch.tensor([0.1, 0.2]), (30, 44))
    how = Degradation(clean=0, compressed=1)
    one, two = (degrade(frames, torch.Generator().manual_seed(9), how) for _ in range(2))
    assert torch.equal(one, two)
    assert 0 <= one.min() <= one.max() <= 1
    assert 0 < (one - frames).abs().mean() < 0.1


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_better_quality_is_nearer_to_the_truth(seed):
    frames = draw_scene(seed, detail=32).render(torch.tensor([0.1]), (32, 32))
    errors = []
    for quality in (5, 100):
        how = Degradation(noise=(0, 0), clean=0, compressed=1, quality=(quality, quality))
        difference = degrade(frames, torch.Generator(), how) - frames
        # Of the brightness: fine colours are lost at any quality, since colour is stored at half the size.
        errors.append(float(torch.einsum("c,tchw->thw", torch.tensor(TO_YCC[0]), difference).square().mean()))
    assert errors[1] <= errors[0]
    assert errors[1] < 5e-5


def test_fine_steps_give_a_grey_picture_back_to_within_a_level():
    frames = torch.rand(2, 1, 20, 28)
    how = Degradation(noise=(0, 0), clean=0, compressed=1, quality=(100, 100))
    assert (
        degrade(frames, torch.Generator(), how) - frames
    ).abs().max() < 4.1 / 255  # 64 coefficients, each half a level


def test_noise_has_the_deviation_asked_and_grey_stays_grey():
    frames = torch.full((4, 3, 32, 32), 0.5)
    noisy = degrade(frames, torch.Generator().manual_seed(1), Degradation(noise=(0.05, 0.05), clean=0, compressed=0))
    assert math.isclose(float((noisy - frames)[:, 0].std()), 0.05, rel_tol=0.05)
    assert torch.equal(noisy[:, 0], noisy[:, 1])


def _fetch(image, flow):
    """`image` (C, H, W) read at p + flow."""
    height, width = image.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    grid = torch.stack([(x + flow[0]) * 2 / (width - 1) - 1, (y + flow[1]) * 2 / (height - 1) - 1], dim=-1)
    return functional.grid_sample(image[None], grid[None], padding_mode="border", align_corners=True)[0]


def test_a_longer_lens_shows_a_part_of_the_scene_enlarged():
    scene = draw_scene(4, detail=32, style=STEADY)
    lens, eye = 2.0, 0.25 + 0.5j
    rig = scene.rig
    close = dataclasses.replace(scene, rig=Rig(rig.joints, rig.camera, lens, eye))
    times = torch.tensor([0.1, 0.4])
    whole, part = scene.render(times, (128, 128)), close.render(times, (64, 64))
    # The picture spans [-1, 1]: its middle is at the eye, and 64 pixels show half of the 128.
    column, row = (int(32 + 64 * along) for along in (eye.real, eye.imag))
    expected = functional.pad(whole, (64, 64, 64, 64))[..., 64 + row : 128 + row, 64 + column : 128 + column]
    inside = torch.zeros(64, 64, dtype=torch.bool)
    inside[: 128 - row, : 128 - column] = True
    assert (part - expected).abs()[..., inside].mean() < 0.01
    assert (part - whole[..., :64, :64]).abs()[..., inside].mean() > 0.02


def test_lenses_are_drawn_between_one_and_the_longest():
    lenses = [draw_scene(seed, 16, style=SceneStyle(lens=3.0)).rig.lens for seed in range(40)]
    assert 1 <= min(lenses) < 1.5 < 2 < max(lenses) <= 3
    assert all(draw_scene(seed, 16).rig.lens == 1 for seed in range(3))


def test_in_a_cartoon_every_surface_is_of_one_colour_and_has_its_shape():
    plain, drawn = (draw_scene(3, 32, style=SceneStyle(cartoon=share, low_contrast=0)) for share in (0.0, 1.0))
    assert plain.background.std(dim=(1, 2)).max() > 0.01
    for surface in (drawn.background, *drawn.layers[:, :3]):
        assert surface.std(dim=(1, 2)).max() < 1e-4
    assert ((plain.layers[:, 3] > 0.5) == (drawn.layers[:, 3] > 0.5)).float().mean() > 0.99


def test_the_data_set_knows_the_flow_in_pixels_of_its_frames():
    data = open_dataset("moving_scenes", "train", size=(48, 64), style={"flicker": 0.0, "static": 0.0})
    times = data.times(2)
    small = data.flow(2, float(times[3]), times[[2, 6]])
    assert small.shape == (2, 2, 12, 16)
    exact = data.scene(2).flow(float(times[3]), float(times[6]), (48, 64)).field
    apart = functional.avg_pool2d(exact, 4) - small[1]
    assert apart.abs().median() < 0.1


def test_recorded_data_knows_no_flow(tmp_path):
    data = open_dataset("bouncing_balls", "test")
    with pytest.raises(InvalidInput, match="knows no flow; set flow to false"):
        data.flow(0, 0.0, torch.tensor([0.1]))
