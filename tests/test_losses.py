"""Each term against its equation, worked by hand."""

import math

import pytest
import torch

from vidode import losses


def test_reconstruction_is_the_mean_of_absolute_values():
    assert float(losses.reconstruction(torch.tensor([1.0, -2.0, 4.0]), torch.tensor([0.0, 0.0, 1.0]))) == 2.0


def test_difference_compares_with_the_change_of_the_frame():
    previous, target = torch.tensor([0.2, 0.5]), torch.tensor([0.6, 0.4])
    assert float(losses.difference(target - previous, target, previous)) == 0.0
    assert float(losses.difference(torch.zeros(2), target, previous)) == pytest.approx(0.25)
    assert float(losses.difference(torch.zeros(2), target, target)) == 0.0


def test_the_critic_wants_one_for_real_and_zero_for_fake():
    one, zero = torch.ones(4), torch.zeros(4)
    assert float(losses.critic(real=one, fake=zero)) == 0.0
    assert float(losses.critic(real=zero, fake=one)) == 1.0
    assert float(losses.critic(real=zero, fake=zero)) == 0.5


def test_the_model_wants_its_fakes_to_be_one():
    assert float(losses.deception(torch.ones(3))) == 0.0
    assert float(losses.deception(torch.tensor([0.0, 3.0]))) == 2.5


def test_charbonnier_is_the_absolute_value_with_a_round_corner():
    assert float(losses.charbonnier(torch.zeros(5), torch.zeros(5), smooth=1e-3)) == pytest.approx(1e-3)
    far = losses.charbonnier(torch.tensor([3.0]), torch.tensor([-1.0]), smooth=1e-3)
    assert float(far) == pytest.approx(4.0)
    corner = torch.zeros(1, requires_grad=True)
    losses.charbonnier(corner, torch.zeros(1)).backward()
    assert math.isfinite(float(corner.grad))


def test_variation_is_the_mean_distance_of_neighbours_along_both_axes():
    maps = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    across = (maps[..., 1:] - maps[..., :-1]).abs().mean()
    down = (maps[..., 1:, :] - maps[..., :-1, :]).abs().mean()
    torch.testing.assert_close(losses.variation(maps), across + down)
    smooth = losses.variation(torch.ones(1, 1, 4, 5, dtype=torch.float64), losses.charbonnier)
    assert smooth.item() == pytest.approx(2e-3)
