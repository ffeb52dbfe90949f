"""LPIPS against a reference of its own in numpy, its laws, and where its weights come from."""

import json
import os
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.signal import correlate

from vidode.blocks.perceptual import CHANNELS, KERNELS, PADDINGS, STRIDES, VARIABLE, MissingWeights, load_lpips
from vidode.cli import main
from vidode.clip import InvalidInput
from vidode.datasets import open_dataset
from vidode.metrics import quantise


def random_weights(seed=0):
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for n in range(1, 6):
        shape = (CHANNELS[n], CHANNELS[n - 1], KERNELS[n - 1], KERNELS[n - 1])
        state[f"conv{n}.weight"] = torch.randn(shape, generator=generator) / np.sqrt(np.prod(shape[1:]))
        state[f"conv{n}.bias"] = torch.randn(CHANNELS[n], generator=generator) * 0.1
        state[f"linear{n}.weight"] = torch.rand(1, CHANNELS[n], 1, 1, generator=generator)
    return state


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """The real weights where VIDODE_LPIPS names them, random ones elsewhere."""
    if os.environ.get(VARIABLE):
        return os.environ[VARIABLE]
    path = tmp_path_factory.mktemp("weights") / "lpips.safetensors"
    save_file(random_weights(), path)
    return path


@pytest.fixture(scope="session")
def network(weights):
    return load_lpips(weights)


def images(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def reference(state, a, b):
    """The paper's distance of two images (3, H, W) in [0, 1], in double precision, without torch."""
    w = {key: value.double().numpy() for key, value in state.items()}
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    xs = [((2 * x - 1) - shift[:, None, None]) / scale[:, None, None] for x in (a.double().numpy(), b.double().numpy())]
    distance = 0.0
    for n in range(1, 6):
        if n in (2, 3):
            xs = [pool(x) for x in xs]
        weight, bias = w[f"conv{n}.weight"], w[f"conv{n}.bias"]
        xs = [np.maximum(convolve(x, weight, STRIDES[n - 1], PADDINGS[n - 1]) + bias[:, None, None], 0) for x in xs]
        ya, yb = (x / (np.sqrt((x**2).sum(axis=0)) + 1e-10) for x in xs)
        distance += (w[f"linear{n}.weight"].reshape(-1, 1, 1) * (ya - yb) ** 2).sum(axis=0).mean()
    return distance


def convolve(x, weight, stride, padding):
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    return np.stack([correlate(x, kernel, mode="valid")[0] for kernel in weight])[:, ::stride, ::stride]


def pool(x):
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    return windows[:, ::2, ::2].max(axis=(-1, -2))


def test_the_command_line_measures_frames_as_they_would_be_looked_at(weights, network, tmp_path):
    out, options = tmp_path / "row.json", {"size": 40, "held_out": 1, "frames": 10}
    given = [word for name, value in options.items() for word in ("--option", f"{name}={value}")]
    words = ["evaluate", "copy_last", "--data", "bouncing_balls", "--scheme", "regular-extrapolation"]
    assert main([*words, *given, "--lpips", str(weights), "--out", str(out)]) == 0
    (told, _) = json.loads(out.read_text())["rows"]
    frames = quantise(open_dataset("bouncing_balls", "test", **options).clip(0).normalised().frames) / 255
    last = frames[4].expand(5, -1, -1, -1)
    assert told["scores"]["lpips"] == pytest.approx(network(last, frames[5:]).mean().item(), rel=1e-5)
    assert told["scores"]["lpips"] > 0


def test_equals_an_independent_reference(network, weights):
    a, b = images(0, 1, 3, 35, 47), images(1, 1, 3, 35, 47)
    assert float(network(a, b)) == pytest.approx(reference(load_file(weights), a[0], b[0]), rel=1e-4)


def test_identity_symmetry_and_order(network):
    a, b = images(0, 3, 3, 40, 40), images(1, 3, 3, 40, 40)
    assert network(a, a).tolist() == [0, 0, 0]
    torch.testing.assert_close(network(a, b), network(b, a))
    near, far = network(a, a + 0.05 * (b - a)), network(a, a + 0.5 * (b - a))
    assert bool((near > 0).all())
    assert bool((near < far).all())


def test_an_image_is_alone_in_its_batch(network):
    a, b = images(0, 3, 3, 33, 50), images(1, 3, 3, 33, 50)
    together = network(a, b)
    for i in range(3):
        torch.testing.assert_close(network(a[i : i + 1], b[i : i + 1])[0], together[i], rtol=1e-5, atol=1e-6)


def test_grey_is_three_equal_channels_and_more_channels_are_as_many_grey_images(network):
    a, b = images(0, 2, 2, 32, 32), images(1, 2, 2, 32, 32)
    grey = [
        network(x.expand(-1, 3, -1, -1), y.expand(-1, 3, -1, -1))
        for x, y in zip(a.split(1, 1), b.split(1, 1), strict=True)
    ]
    torch.testing.assert_close(network(a[:, :1], b[:, :1]), grey[0])
    torch.testing.assert_close(network(a, b), (grey[0] + grey[1]) / 2)


def test_wrong_images_are_refused(network):
    with pytest.raises(InvalidInput, match="expected one"):
        network(torch.zeros(1, 3, 40, 40), torch.zeros(2, 3, 40, 40))
    with pytest.raises(InvalidInput, match="at least 31x31"):
        network(torch.zeros(1, 3, 30, 40), torch.zeros(1, 3, 30, 40))
    assert network(torch.zeros(1, 3, 31, 31), torch.ones(1, 3, 31, 31)).isfinite().all()


def test_the_variable_names_the_file_and_the_argument_goes_before_it(tmp_path, monkeypatch):
    for seed in (0, 1):
        save_file(random_weights(seed), tmp_path / f"{seed}.safetensors")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "1.safetensors"))
    first = random_weights(0)["conv1.bias"]
    assert torch.equal(load_lpips(tmp_path / "0.safetensors").layers[0].bias, first)
    assert not torch.equal(load_lpips().layers[0].bias, first)


def test_absence_is_said_in_one_line(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")  # which is as good as not at all
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(MissingWeights, match="no LPIPS weights: VIDODE_LPIPS is not set") as caught:
        load_lpips()
    assert "\n" not in str(caught.value)


def test_torchvision_is_used_where_it_is(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    state = random_weights(2)
    features = {
        place: SimpleNamespace(weight=state[f"conv{n}.weight"], bias=state[f"conv{n}.bias"])
        for n, place in enumerate((0, 3, 6, 8, 10), start=1)
    }
    models = ModuleType("torchvision.models")
    models.AlexNet_Weights = SimpleNamespace(IMAGENET1K_V1="ImageNet")  # type: ignore[attr-defined]
    models.alexnet = lambda weights: SimpleNamespace(features=features)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    network = load_lpips()
    assert torch.equal(network.layers[4].bias, state["conv5.bias"])
    assert all(bool((head.weight >= 0).all()) and float(head.weight.sum()) > 0 for head in network.heads)


def test_a_wrong_file_is_refused_in_one_line(tmp_path):
    with pytest.raises(InvalidInput, match="no LPIPS weights at"):
        load_lpips(tmp_path / "absent")
    (tmp_path / "text").write_text("not weights")
    with pytest.raises(InvalidInput, match="cannot be read as safetensors"):
        load_lpips(tmp_path / "text")
    state = random_weights()
    del state["linear5.weight"]
    save_file(state, tmp_path / "short.safetensors")
    with pytest.raises(InvalidInput, match=r"expected convN\.weight"):
        load_lpips(tmp_path / "short.safetensors")
    save_file({**random_weights(), "conv3.bias": torch.zeros(2)}, tmp_path / "shape.safetensors")
    with pytest.raises(InvalidInput, match=r"expected convN\.weight"):
        load_lpips(tmp_path / "shape.safetensors")


def test_weights_that_are_no_numbers_are_refused(weights, tmp_path):
    state = load_file(weights)
    state["conv3.bias"][0] = torch.nan
    save_file(state, tmp_path / "lpips.safetensors")
    with pytest.raises(InvalidInput, match=r"conv3\.bias holds numbers that are not finite"):
        load_lpips(tmp_path / "lpips.safetensors")
