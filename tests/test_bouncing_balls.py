"""Balls obey mechanics, at any time and whatever else is asked."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidode.clip import InvalidInput
from vidode.datasets import open_dataset
from vidode.datasets.bouncing_balls import BouncingBalls, BouncingBallsConfig, Motion, State

CONFIG = BouncingBallsConfig()
INDEX = st.integers(0, 999)
TIME = st.floats(-20, 60)


def balls(**options):
    return open_dataset("bouncing_balls", "train", **options)


@given(INDEX, TIME)
@settings(max_examples=40, deadline=None)
def test_energy_is_kept_and_balls_neither_overlap_nor_leave_the_box(index, time):
    state = balls(speed=3.0).state(index, time)
    assert (state.velocities**2).sum() == pytest.approx(9.0, rel=1e-9)
    assert (state.positions >= CONFIG.radius - 1e-9).all()
    assert (state.positions <= CONFIG.box - CONFIG.radius + 1e-9).all()
    for i in range(3):
        for j in range(i):
            assert np.linalg.norm(state.positions[i] - state.positions[j]) >= 2 * CONFIG.radius - 1e-9


@given(INDEX, st.lists(TIME, max_size=6), TIME)
@settings(max_examples=30, deadline=None)
def test_a_time_has_one_state_whatever_else_is_asked(index, others, time):
    asked = balls()
    for other in others:
        asked.state(index, other)
    state, alone = asked.state(index, time), balls().state(index, time)
    assert np.array_equal(state.positions, alone.positions)
    assert np.array_equal(state.velocities, alone.velocities)


@given(INDEX, st.floats(0.1, 40))
@settings(max_examples=30, deadline=None)
def test_reversing_the_velocities_runs_the_film_backwards(index, frames):
    start = balls().state(index, 0.0)
    end = Motion(start, CONFIG.box, CONFIG.radius).at(frames)
    back = Motion(State(0.0, end.positions, -end.velocities), CONFIG.box, CONFIG.radius).at(frames)
    assert np.allclose(back.positions, start.positions, atol=1e-7)
    assert np.allclose(back.velocities, -start.velocities, atol=1e-7)


def test_before_the_first_frame_the_balls_come_from_where_the_film_leads_back():
    data = balls(speed=4.0)
    before = data.state(3, -0.8)
    ahead = Motion(State(0.0, before.positions, before.velocities), CONFIG.box, CONFIG.radius).at(20.0)
    assert np.allclose(ahead.positions, data.state(3, 0.0).positions, atol=1e-6)


def test_a_head_on_hit_hands_the_velocity_over():
    start = State(0.0, np.array([[2.0, 5.0], [6.0, 5.0]]), np.array([[1.0, 0.0], [0.0, 0.0]]))
    motion = Motion(start, 10.0, 1.0)
    assert np.allclose(motion.at(1.5).velocities, [[1, 0], [0, 0]])
    after = motion.at(3.0)
    assert np.allclose(after.velocities, [[0, 0], [1, 0]])
    assert np.allclose(after.positions, [[4, 5], [7, 5]])  # touching at t = 2, then one unit on


def test_a_glancing_hit_keeps_momentum_and_turns_by_a_right_angle():
    start = State(0.0, np.array([[2.0, 4.4], [6.0, 5.0]]), np.array([[1.0, 0.0], [0.0, 0.0]]))
    after = Motion(start, 10.0, 1.0).at(3.0).velocities
    assert np.allclose(after.sum(axis=0), [1, 0])
    assert abs(after[0] @ after[1]) < 1e-12  # equal masses, one at rest
    assert (np.abs(after) > 0.05).all()


def test_a_wall_is_a_mirror():
    motion = Motion(State(0.0, np.array([[5.0, 5.0]]), np.array([[2.0, 0.5]])), 10.0, 1.0)
    there = motion.at(9.5)  # unfolded, x = 24 and y = 9.75
    assert np.allclose(there.positions, [[8.0, 8.25]])
    assert np.allclose(there.velocities, [[2.0, -0.5]])


def test_clips_are_the_papers():
    sizes = {split: len(open_dataset("bouncing_balls", split)) for split in BouncingBalls.splits}
    assert sizes == {"train": 1000, "validation": 50, "test": 50}
    clip = balls().clip(0)
    assert clip.frames.shape == (20, 1, 32, 32)
    assert torch.allclose(clip.times, torch.arange(20, dtype=torch.float64) / 25)
    three = balls(channels=3).clip(0).frames
    assert torch.equal(three, clip.frames.expand(-1, 3, -1, -1))


@given(INDEX)
@settings(max_examples=10, deadline=None)
def test_every_frame_shows_the_area_of_three_discs(index):
    area = balls().clip(index).frames.sum(dim=(1, 2, 3)) * (10 / 32) ** 2
    assert torch.allclose(area, torch.full_like(area, 3 * np.pi * 1.2**2), rtol=0.02)


def test_a_disc_is_drawn_where_its_ball_is():
    data = balls(balls=1)
    clip = data.clip(5)
    x = (torch.arange(32) + 0.5) * 10 / 32
    weight = clip.frames[:, 0] / clip.frames[:, 0].sum(dim=(1, 2), keepdim=True)
    centre = torch.stack([(weight * x).sum((1, 2)), (weight * x[:, None]).sum((1, 2))], dim=1)
    truth = torch.stack([torch.from_numpy(data.state(5, float(t)).positions[0]) for t in clip.times]).float()
    assert (centre - truth).abs().max() < 0.03


def test_reproducible_and_disjoint():
    assert torch.equal(balls().clip(4).frames, balls().clip(4).frames)
    starts = [
        open_dataset("bouncing_balls", split, seed=s).clip(0).frames for split in BouncingBalls.splits for s in (0, 1)
    ]
    for i, one in enumerate(starts):
        assert not any(torch.equal(one, two) for two in starts[i + 1 :])


def test_the_manifest_tells_every_constant():
    manifest = balls(radius=1.0).manifest()
    assert manifest["radius"] == 1.0
    assert manifest["clips in split"] == 1000
    assert {"box", "speed", "seed", "frame_gap", "mass", "restitution"} <= manifest.keys()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"balls": 0}, "0 balls"),
        ({"channels": 2}, "2 channels"),
        ({"radius": 6.0, "balls": 1}, "does not fit"),
        ({"balls": 30}, "crowd"),
        ({"speed": 0.0}, "speed 0.0"),
    ],
)
def test_what_cannot_be_is_refused(options, told):
    with pytest.raises(InvalidInput, match=told):
        balls(**options)
