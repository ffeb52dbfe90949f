"""The published networks, layer by layer as their papers and code have them, and the numbers that they state.

Written out here once more, so that a change of a slope, of a kind of pooling or of a weight is noticed.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vidode.blocks.bayesian import LOG_VARIANCE
from vidode.blocks.critics import PatchCritic
from vidode.models import build, config_class, model_class
from vidode.models.deep_voxel_flow import VoxelNetwork
from vidode.models.retrospective_cycle_gan import ResidualBlock
from vidode.models.unsupervised_interpolation import UNet
from vidode.ode import Solver

STATED = {
    "vid_ode": {
        "width": 32,
        "neighbours": 5,
        "statistics": "running",
        "encoder.direction": "backward",
        "encoder.solver": Solver("euler", step=None),
        "solver": Solver("rk4", step=0.1, rtol=1e-3, atol=1e-4),
        "chain.step": 0.1,
        "objective.difference": 1.0,
        "objective.image": 0.003,
        "objective.sequence": 0.003,
        "objective.width": 64,
    },
    "ode2vae": {
        "width": 16,
        "latent": 32,
        "hidden": 100,
        "solver": Solver("rk4", step=0.02),
        "objective.likelihood": "bernoulli",
        "objective.gamma": 1.0,
        "objective.curriculum": True,
    },
    "prednet": {"widths": (48, 96, 192), "feedback": "lagged", "errors": (1.0, 0.0, 0.0, 0.0), "first_phase": 0.5},
    "deep_voxel_flow": {"width": 64, "loss": "charbonnier", "flow_variation": 0.01, "mask_variation": 0.005},
    "unsupervised_interpolation": {
        "width": 32,
        "objective.times": 7,
        "objective.reversal": 0.5,
        "objective.pixel": 0.8,
        "objective.warping": 0.4,
        "objective.smoothness": 1.0,
        "objective.pseudo": 0.8,
    },
}
"""Of a model's configuration, by dotted name."""
OPTIMISERS = {
    "vid_ode": ("adamax", 1e-3),
    "ode2vae": ("adam", 8e-4 / 0.995),
    "conv_gru": ("adam", 1e-3),
    "deep_voxel_flow": ("adam", 1e-4),
    "unsupervised_interpolation": ("adam", 1e-4),
    "retrospective_cycle_gan": ("adam", 3e-4),
    "prednet": ("adam", 1e-3),
}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def facts():
    return [(name, dotted, value) for name, stated in STATED.items() for dotted, value in stated.items()]


@pytest.mark.parametrize(("name", "dotted", "value"), facts())
def test_defaults_are_those_of_the_papers(name, dotted, value):
    found = config_class(name)()
    for word in dotted.split("."):
        found = getattr(found, word)
    assert found == value


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers_are_those_of_the_papers(name):
    optimiser = model_class(name).optimiser
    assert (optimiser.name, optimiser.learning_rate) == pytest.approx(OPTIMISERS[name])


def test_the_weights_of_ode2vaes_field_begin_as_sharp_as_stated():
    assert math.exp(LOG_VARIANCE) == pytest.approx(1e-4)


def statistics(module):
    """Random running statistics: nothing passes by an accident of the start."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.5, 2)
    return module.eval()


@torch.no_grad()
def test_the_voxel_network_is_the_published_one():
    network = statistics(VoxelNetwork(6, 4))
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.mul_(20)  # as they start, its answers are too small to tell apart
    frames = torch.rand(2, 2, 3, 16, 24)

    def convolved(layer, x):
        convolution, norm, _ = layer
        x = F.conv2d(x, convolution.weight, padding=convolution.kernel_size[0] // 2)
        x = (x - norm.running_mean[:, None, None]) / (norm.running_var[:, None, None] + norm.eps).sqrt()
        return F.relu(x * norm.weight[:, None, None] + norm.bias[:, None, None])

    x, skips = 2 * frames.flatten(1, 2) - 1, []
    for layer in network.down:
        skips.append(convolved(layer, x))
        x = F.max_pool2d(skips[-1], 2, 2)
    x = convolved(network.bottom, x)
    for layer, skip in zip(network.up, skips[::-1], strict=True):
        larger = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
        x = convolved(layer, torch.cat([larger, skip], dim=1))
    expected = torch.tanh(F.conv2d(x, network.head.weight, network.head.bias, padding=2))
    torch.testing.assert_close(network(frames), expected, rtol=0, atol=1e-4)
    assert expected.std() > 0.1


@torch.no_grad()
def test_the_u_net_of_unsupervised_interpolation_is_the_published_one():
    network, x = UNet(6, 4, 4).eval(), torch.rand(2, 6, 32, 64)

    def twice(layers, x):
        for convolution in (layers[0], layers[2]):
            side = convolution.kernel_size[0] // 2
            x = F.leaky_relu(F.conv2d(x, convolution.weight, convolution.bias, padding=side), 0.1)
        return x

    assert [layers[0].kernel_size[0] for layers in network.down] == [7, 5, 3, 3, 3]
    skips, y = [], x
    for layers in network.down:
        skips.append(twice(layers, y))
        y = F.avg_pool2d(skips[-1], 2, 2)
    y = deepest = twice(network.bottom, y)
    for layers, skip in zip(network.up, skips[::-1], strict=True):
        larger = F.interpolate(y, size=skip.shape[-2:], mode="bilinear", align_corners=False)
        y = torch.cat([twice(layers, larger), skip], dim=1)
    last = network.refine[0]
    y = F.leaky_relu(F.conv2d(y, last.weight, last.bias, padding=1), 0.1)
    maps, deep = network.maps_and_deepest(x)
    torch.testing.assert_close(deep, deepest)
    torch.testing.assert_close(maps, F.conv2d(y, network.head.weight, network.head.bias))


@torch.no_grad()
def test_the_trunk_of_the_critics_is_the_published_one():
    critic, x = PatchCritic(3, width=4), torch.rand(2, 3, 64, 64)
    first, *middle, last = (layer for layer in critic.layers if isinstance(layer, nn.Conv2d))
    assert first.bias is None
    assert last.bias is None
    y = F.leaky_relu(F.conv2d(x, first.weight, stride=2, padding=1), 0.2)
    for convolution, (stride, padding) in zip(middle, ((2, 1), (2, 1), (1, 2)), strict=True):
        y = F.conv2d(y, convolution.weight, convolution.bias, stride=stride, padding=padding)
        y = (y - y.mean((2, 3), keepdim=True)) / (y.var((2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()
        y = F.leaky_relu(y, 0.2)
    torch.testing.assert_close(critic(x), F.conv2d(y, last.weight, padding=2))
    assert critic(torch.rand(1, 3, 128, 128)).shape == (1, 4, 18, 18)


@torch.no_grad()
def test_a_residual_block_of_retrospective_cycle_gan_is_the_published_one():
    block, x = ResidualBlock(4), torch.randn(2, 4, 8, 8)
    y = x
    for place, convolution in enumerate(layer for layer in block.layers if isinstance(layer, nn.Conv2d)):
        y = F.conv2d(F.pad(y, (1, 1, 1, 1), mode="reflect"), convolution.weight, convolution.bias)
        y = (y - y.mean((2, 3), keepdim=True)) / (y.var((2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()
        y = y if place else F.relu(y)
    torch.testing.assert_close(block(x), x + y)


def test_the_generator_of_retrospective_cycle_gan_pads_by_reflection_where_its_kernels_are_seven_wide():
    generator = build("retrospective_cycle_gan", width=4, blocks=1).generator
    wide = [layer for layer in generator.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size == (7, 7)]
    assert [layer.padding_mode for layer in wide] == ["reflect", "reflect"]
