"""The correction of a motion: bounded, small at first, and each frame's own."""

import pytest
import torch

from vidode.blocks.refinement import FURTHEST, Refiner


def refiner(width=4):
    torch.manual_seed(0)
    return Refiner(5, deep=2, motion=4, paint=3, width=width)


def told(network, frames, seed=2):
    """Motion and paint together."""
    height, width = (side // 4 for side in frames.shape[-2:])
    deep = torch.rand(len(frames), 2, height, width, generator=torch.Generator().manual_seed(seed))
    return torch.cat(network(frames, deep), dim=1)


def maps(count=3, size=(16, 24)):
    return torch.rand(count, 5, *size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_it_is_bounded_and_small_at_first():
    network = refiner()
    motion, paint = told(network, maps()).split([4, 3], dim=1)
    for added in (motion, paint):
        assert 0 < added.abs().max() < 1
    network.head.weight.mul_(1e4)
    motion, paint = told(network, maps()).split([4, 3], dim=1)
    assert FURTHEST - 1e-3 < motion.abs().max() <= FURTHEST
    assert paint.abs().max() > FURTHEST


@torch.no_grad()
@pytest.mark.parametrize("training", [True, False])
def test_a_frame_does_not_depend_on_its_neighbours(training):
    network = refiner().train(training)
    deep = maps(3, (4, 6))[:, :2]
    together = torch.cat(network(maps(), deep), dim=1)
    alone = [torch.cat(network(*one), dim=1) for one in zip(maps().split(1), deep.split(1), strict=True)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)


@torch.no_grad()
def test_it_sees_further_than_matching_reaches():
    changed = maps(1, (32, 32))
    changed[..., 0:4, 0:4] = 0
    network = refiner()
    assert (told(network, changed) - told(network, maps(1, (32, 32))))[..., 16:20, 16:20].abs().max() > 1e-6


@torch.no_grad()
def test_what_joins_it_changes_what_is_painted_and_may_be_missing():
    network = refiner()
    apart = told(network, maps(), seed=2) - told(network, maps(), seed=3)
    assert apart[:, 4:].abs().max() > 1e-6
    motion, paint = Refiner(5, deep=0, motion=4, paint=3, width=4)(maps())
    assert (motion.shape, paint.shape) == ((3, 4, 16, 24), (3, 3, 16, 24))


@pytest.mark.parametrize("width", [1, 2, 6])
def test_any_width_will_do(width):
    assert told(refiner(width), maps()).shape == (3, 7, 16, 24)
