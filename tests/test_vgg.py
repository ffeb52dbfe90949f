"""VGG16 against the convolutions of its file, one after the other, and where its weights come from."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from vidode.blocks.vgg import VARIABLE, load_vgg
from vidode.clip import InvalidInput

SHAPES = {
    "1_1": (64, 3),
    "1_2": (64, 64),
    "2_1": (128, 64),
    "2_2": (128, 128),
    "3_1": (256, 128),
    "3_2": (256, 256),
    "3_3": (256, 256),
    "4_1": (512, 256),
    "4_2": (512, 512),
    "4_3": (512, 512),
}


@pytest.fixture(scope="module")
def state():
    generator, state = torch.Generator().manual_seed(0), {}
    for name, (outputs, inputs) in SHAPES.items():
        state[f"conv{name}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=generator) / np.sqrt(4.5 * inputs)
        state[f"conv{name}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
    return state


@pytest.fixture(scope="module")
def weights(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "vgg16.safetensors"
    save_file(state, path)
    return path


def test_it_is_ten_convolutions_with_three_pools_and_no_last_rectifier(weights, state):
    images = torch.rand(2, 3, 17, 24) - 0.5
    x = images.double()
    for name in SHAPES:
        if name in ("2_1", "3_1", "4_1"):
            x = x.unfold(2, 2, 2).unfold(3, 2, 2).amax(dim=(-1, -2))
        x = functional.conv2d(x, state[f"conv{name}.weight"].double(), state[f"conv{name}.bias"].double(), padding=1)
        x = x if name == "4_3" else x.clamp(min=0)
    seen = load_vgg(weights)(images)
    assert seen.shape == (2, 512, 2, 3)
    torch.testing.assert_close(seen.double(), x, rtol=0, atol=1e-4 * x.abs().max().item())
    assert bool((seen < 0).any())


def test_it_learns_nothing_and_lets_gradients_through(weights):
    network, images = load_vgg(weights), torch.rand(1, 3, 8, 8, requires_grad=True)
    network(images).sum().backward()
    assert bool(images.grad.any())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_variable_names_the_file_and_the_argument_goes_before_it(weights, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(weights))
    assert torch.equal(load_vgg().conv1_1.bias, load_vgg(weights).conv1_1.bias)
    with pytest.raises(InvalidInput, match="no VGG16 weights at"):
        load_vgg(tmp_path / "absent")


def test_absence_is_said_in_one_line(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(InvalidInput, match=f"no VGG16 weights: {VARIABLE} is not set") as caught:
        load_vgg()
    assert "\n" not in str(caught.value)


def test_a_wrong_file_is_refused_in_one_line(state, tmp_path):
    (tmp_path / "text").write_text("not weights")
    with pytest.raises(InvalidInput, match="cannot be read as safetensors"):
        load_vgg(tmp_path / "text")
    small = {name: value for name, value in state.items() if value.dim() == 1}
    save_file(small, tmp_path / "short.safetensors")
    with pytest.raises(InvalidInput, match=r"conv1_1\.weight is missing, unknown or of the wrong shape \(and 9 others"):
        load_vgg(tmp_path / "short.safetensors")


def test_images_that_are_too_small_are_refused(weights):
    with pytest.raises(InvalidInput, match="at least 8x8"):
        load_vgg(weights)(torch.zeros(1, 3, 7, 9))
