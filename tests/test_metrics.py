"""Metrics against references written on their own in numpy, scipy and Pillow, their bounds, and streaming."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter
from torchmetrics.functional.image import peak_signal_noise_ratio

from vidode.blocks.perceptual import Lpips
from vidode.clip import InvalidInput
from vidode.metrics import PROTOCOLS, Metrics, luma, psnr, quantise, score_frames, ssim


def pair(seed: int = 0, frames: int = 4, channels: int = 3, size: tuple[int, int] = (24, 31)):
    """Blocky pictures and noisy versions of them, each frame noisier than the last."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(frames, channels, 6, 6, generator=generator)
    target = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear", align_corners=True)
    strength = torch.linspace(0.02, 0.4, frames).reshape(-1, 1, 1, 1)
    return target + strength * torch.randn(target.shape, generator=generator), target


def to_8_bit(frames):
    return np.floor(np.clip(frames.double().numpy(), 0, 1) * 255 + 0.5)


def reference_ssim(a, b):
    """Wang et al. 2004 on one channel of 8-bit levels, in double precision, over whole windows."""
    mean = lambda x: gaussian_filter(x, sigma=1.5, radius=5)  # noqa: E731
    ma, mb = mean(a), mean(b)
    va, vb, vab = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    value = (2 * ma * mb + c1) * (2 * vab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return value[5:-5, 5:-5].mean()


def reference_luma(levels):
    return np.stack(
        [np.asarray(Image.fromarray(f.astype(np.uint8).transpose(1, 2, 0)).convert("L"), float) for f in levels]
    )


def test_vidode2021_equals_an_independent_reference():
    predicted, target = pair()
    p, t = to_8_bit(predicted), to_8_bit(target)
    mse = (((p - t) / 255) ** 2).mean()
    expected_ssim = np.mean([reference_ssim(a, b) for a, b in zip(reference_luma(p), reference_luma(t), strict=True)])
    metrics = Metrics("vidode2021")
    metrics.update(predicted, target)
    scores = metrics.compute()
    assert scores.mse == pytest.approx(mse, rel=1e-5)
    assert scores.psnr == pytest.approx(-10 * np.log10(mse), abs=1e-4)
    assert scores.ssim == pytest.approx(expected_ssim, abs=2e-5)
    assert (scores.lpips, scores.frames) == (None, 4)


def test_per_frame_equals_an_independent_reference():
    predicted, target = pair(1)
    p, t = to_8_bit(predicted), to_8_bit(target)
    each = [
        peak_signal_noise_ratio(torch.tensor(a), torch.tensor(b), data_range=255.0) for a, b in zip(p, t, strict=True)
    ]
    expected_ssim = np.mean([reference_ssim(p[n, c], t[n, c]) for n in range(4) for c in range(3)])
    metrics = Metrics("per-frame")
    metrics.update(predicted, target)
    scores = metrics.compute()
    assert scores.psnr == pytest.approx(float(np.mean(each)), abs=1e-4)
    assert scores.ssim == pytest.approx(expected_ssim, abs=2e-5)


@pytest.mark.parametrize("channels", [1, 6])
def test_every_channel_is_a_grey_image_where_there_is_no_luma(channels):
    predicted, target = pair(2, channels=channels)
    p, t = to_8_bit(predicted), to_8_bit(target)
    expected = np.mean([reference_ssim(p[n, c], t[n, c]) for n in range(4) for c in range(channels)])
    scores = score_frames(predicted, target)
    assert float(scores.ssim_luma.mean()) == pytest.approx(expected, abs=2e-5)
    assert torch.equal(scores.ssim_luma, scores.ssim_colour)


def test_luma_is_pillows():
    steps = torch.arange(0, 256, 3)  # 86 levels of each colour, 636,056 colours
    levels = torch.cartesian_prod(steps, steps, steps).T.reshape(1, 3, 86, -1).float()
    assert np.array_equal(luma(levels)[0].numpy(), reference_luma(levels.numpy()))


def test_the_mean_of_psnrs_is_never_below_the_psnr_of_the_mean():
    predicted, target = pair(3)
    together = {}
    for protocol in PROTOCOLS:
        metrics = Metrics(protocol)
        metrics.update(predicted, target)
        together[protocol] = metrics.compute().psnr
    assert together["per-frame"] > together["vidode2021"] + 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_perfect_prediction_gives_the_bound(protocol):
    _, target = pair()
    metrics = Metrics(protocol, Lpips().eval())
    target = torch.nn.functional.interpolate(target, size=(33, 40))
    target = quantise(target) / 255
    metrics.update(target + 0.4 / 255, target)  # less than half a level
    scores = metrics.compute()
    assert (scores.mse, scores.psnr, scores.lpips) == (0.0, 100.0, 0.0)
    assert scores.ssim == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
@settings(max_examples=10, deadline=None)
def test_streaming_equals_whole(protocol, sizes):
    torch.manual_seed(0)
    network = Lpips().eval()
    predicted, target = pair(4, frames=sum(sizes), size=(31, 33))
    whole, streamed = Metrics(protocol, network), Metrics(protocol, network)
    whole.update(predicted, target)
    for a, b in zip(predicted.split(sizes), target.split(sizes), strict=True):
        streamed.update(a, b)
    expected, got = whole.compute(), streamed.compute()
    assert got.frames == expected.frames == sum(sizes)
    for name in ("mse", "psnr", "ssim", "lpips"):
        assert getattr(got, name) == pytest.approx(getattr(expected, name), rel=1e-5)


def test_values_outside_the_range_are_clamped_and_rounded_to_the_nearest_level():
    values = torch.tensor([-3.0, 0.4999 / 255, 0.5 / 255, 1.5 / 255, 254.6 / 255, 7.0]).reshape(1, 1, 1, -1)
    assert quantise(values).flatten().tolist() == [0, 0, 1, 2, 255, 255]


def test_the_data_range_scales_psnr_and_ssim():
    assert float(psnr(torch.tensor(0.01), data_range=1.0)) == pytest.approx(20)
    assert float(psnr(torch.tensor(0.01 * 255**2), data_range=255.0)) == pytest.approx(20)
    predicted, target = pair(5)
    torch.testing.assert_close(
        ssim(predicted * 255, target * 255, data_range=255.0), ssim(predicted, target, data_range=1.0)
    )


def test_noise_lowers_every_score_in_order():
    predicted, target = pair(6)
    scores = score_frames(predicted, target)
    assert bool((scores.mse.diff() > 0).all())
    assert bool((scores.ssim_luma.diff() < 0).all())
    assert bool((scores.ssim_colour.diff() < 0).all())


@pytest.mark.parametrize(
    ("predicted", "target", "message"),
    [
        (torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 17), "expected one"),
        (torch.zeros(0, 3, 16, 16), torch.zeros(0, 3, 16, 16), "N >= 1"),
        (torch.zeros(1, 3, 10, 16), torch.zeros(1, 3, 10, 16), "needs at least 11x11"),
        (torch.full((1, 3, 16, 16), torch.nan), torch.zeros(1, 3, 16, 16), "predicted frames hold values"),
    ],
)
def test_what_cannot_be_compared_is_refused(predicted, target, message):
    with pytest.raises(InvalidInput, match=message):
        Metrics("per-frame").update(predicted, target)


def test_nothing_scored_and_unknown_protocols_are_refused():
    with pytest.raises(InvalidInput, match="no frames were scored"):
        Metrics("per-frame").compute()
    metrics = Metrics("vidode2020")  # type: ignore[arg-type]
    metrics.update(*pair())
    with pytest.raises(InvalidInput, match="expected one of vidode2021, per-frame"):
        metrics.compute()
