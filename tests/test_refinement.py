"""The correction of a motion: bounded, small at first, and each frame's own."""

import pytest
import torch

from vidode.blocks.refinement import FURTHEST, Refiner


def refiner(width=4):
    torch.manual_seed(0)
    return Refiner(5, 4, width)


def maps(count=3, size=(16, 24)):
    return torch.rand(count, 5, *size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_it_is_bounded_and_small_at_first():
    network = refiner()
    added = network(maps())
    assert added.shape == (3, 4, 16, 24)
    assert 0 < added.abs().max() < 1
    network.head.weight.mul_(1e4)
    assert FURTHEST - 1e-3 < network(maps()).abs().max() <= FURTHEST


@torch.no_grad()
@pytest.mark.parametrize("training", [True, False])
def test_a_frame_does_not_depend_on_its_neighbours(training):
    network = refiner().train(training)
    together, alone = network(maps()), torch.cat([network(one) for one in maps().split(1)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@torch.no_grad()
def test_it_sees_further_than_matching_reaches():
    changed = maps(1, (32, 32))
    changed[..., 0:4, 0:4] = 0
    network = refiner()
    assert (network(changed) - network(maps(1, (32, 32))))[..., 16:20, 16:20].abs().max() > 1e-6


@pytest.mark.parametrize("width", [1, 2, 6])
def test_any_width_will_do(width):
    assert refiner(width)(maps()).shape == (3, 4, 16, 24)
