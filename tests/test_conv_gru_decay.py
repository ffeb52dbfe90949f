"""ConvGRU-Decay: how its state fades with the gap. What it shares is in test_rollout.py."""

import math

import pytest
import torch

from vidode.clip import Batch, Clip
from vidode.models import OptimiserConfig, build, model_class, parameter_count
from vidode.models.conv_gru_decay import DecayCell

GAPS = torch.tensor([0.0, 0.1, 0.5, 2.0, 30.0])


def network(**options):
    torch.manual_seed(0)
    return build("conv_gru_decay", **{"width": 4, **options}).eval()


def observed(times=(0.0, 0.1, 0.3, 0.4, 0.5)):
    times = torch.tensor(times, dtype=torch.float64)
    return Batch.collate([Clip(torch.rand(len(times), 3, 8, 8, generator=torch.Generator().manual_seed(1)), times)])


def keeping_cell(rates=4):
    """A cell whose update gate is shut: its new state is what is left of the old one."""
    torch.manual_seed(0)
    cell = DecayCell(4, rates)
    cell.cell.gates.weight.data[4:] = 0
    cell.cell.gates.bias.data[4:] = -100
    return cell


@pytest.mark.parametrize(("decay", "rates"), [("channel", 128), ("scalar", 1)])
def test_the_size_of_the_default(decay, rates):
    model = build("conv_gru_decay", decay=decay)
    assert parameter_count(model) == 1_143_811 + 2 * rates
    assert model.network.cell.rate.tolist() == pytest.approx([0.1] * rates)
    assert model.network.cell.offset.tolist() == [0.0] * rates


def test_the_optimiser_is_adamax_as_for_vid_ode():
    assert model_class("conv_gru_decay").optimiser == OptimiserConfig(name="adamax", learning_rate=1e-3, decay=0.99)


@torch.no_grad()
def test_the_state_shrinks_with_the_gap_by_the_exponential():
    cell, h = keeping_cell(), torch.randn(1, 4, 3, 3).expand(5, -1, -1, -1)
    left = cell(torch.randn(5, 4, 3, 3), h, GAPS)
    for row, gap in enumerate(GAPS.tolist()):
        torch.testing.assert_close(left[row], math.exp(-0.1 * gap) * h[row])
    assert bool((left.abs().diff(dim=0) < 0).all())


@torch.no_grad()
def test_each_channel_has_a_rate_and_an_offset_of_its_own():
    cell, h = keeping_cell(), torch.ones(2, 4, 3, 3)
    cell.rate.copy_(torch.tensor([0.0, 1.0, 2.0, -1.0]))
    cell.offset.copy_(torch.tensor([0.5, 0.0, 0.1, 0.2]))
    left = cell(torch.randn(2, 4, 3, 3), h, torch.tensor([0.3, 0.1]))
    for row, lost in enumerate([[0.5, 0.3, 0.7, 0.0], [0.5, 0.1, 0.3, 0.1]]):  # never less than nothing
        for channel in range(4):
            torch.testing.assert_close(left[row, channel], torch.full((3, 3), math.exp(-lost[channel])))


@torch.no_grad()
def test_one_rate_can_serve_all_channels():
    cell, h = keeping_cell(rates=1), torch.randn(2, 4, 3, 3)
    left = cell(torch.randn(2, 4, 3, 3), h, torch.tensor([0.3, 4.0]))
    torch.testing.assert_close(left, h * torch.exp(-0.1 * torch.tensor([0.3, 4.0]))[:, None, None, None])


@pytest.mark.parametrize("rates", [4, 1])
@torch.no_grad()
def test_over_a_zero_gap_it_is_the_plain_convgru(rates):
    torch.manual_seed(0)
    cell, x, h = DecayCell(4, rates), torch.randn(2, 4, 5, 5), torch.randn(2, 4, 5, 5)
    assert torch.equal(cell(x, h, torch.zeros(2)), cell.cell(x, h))
    assert (cell(x, h, torch.tensor([0.0, 5.0]))[1] - cell.cell(x, h)[1]).abs().max() > 1e-2


@torch.no_grad()
def test_the_decay_is_of_the_time_since_the_last_event():
    model, gaps = network(), []
    model.network.cell.register_forward_hook(lambda _, inputs, __: gaps.append(inputs[2]))
    model(observed(), torch.tensor([[0.75]], dtype=torch.float64))
    assert torch.cat(gaps).tolist() == pytest.approx([0.0, 0.1, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05], abs=1e-6)


@torch.no_grad()
def test_a_state_that_fades_at_once_makes_frames_of_the_frame_before_alone():
    model, query = network(), torch.tensor([[0.6]], dtype=torch.float64)
    model.network.cell.offset.fill_(200)
    seen, last = observed(), observed()
    last.frames[:, :4] = 0
    torch.testing.assert_close(model(seen, query).frames, model(last, query).frames)
    model.network.cell.offset.fill_(0)
    assert (model(seen, query).frames - model(last, query).frames).abs().max() > 1e-4
