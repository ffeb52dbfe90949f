"""ConvGRU-dt: what it is told of the gap, and what it does with it. What it shares is in test_rollout.py."""

import pytest
import torch
from torch.nn import functional

from vidode.blocks.recurrent import ConvGRUCell
from vidode.clip import Batch, Clip
from vidode.models import OptimiserConfig, build, model_class, parameter_count
from vidode.models.conv_gru_dt import GapCell

TIMES = torch.tensor([0.0, 0.1, 0.3, 0.4, 0.5], dtype=torch.float64)


def network(**options):
    torch.manual_seed(0)
    return build("conv_gru_dt", **{"width": 4, **options}).eval()


def observed(times=TIMES):
    return Batch.collate([Clip(torch.rand(len(times), 3, 8, 8, generator=torch.Generator().manual_seed(1)), times)])


def told(model, query, times=TIMES):
    """The gaps that the cell is told, in order."""
    gaps = []
    hook = model.network.cell.register_forward_hook(lambda _, inputs, __: gaps.append(inputs[2]))
    model(observed(times), torch.tensor([query], dtype=torch.float64))
    hook.remove()
    return torch.cat(gaps).tolist()


def weigh_gap(cell, factor):
    """Multiply the weights of the gap, the channel between features and state."""
    for convolution in (cell.cell.gates, cell.cell.candidate):
        convolution.weight.data[:, cell.cell.candidate.out_channels] *= factor


def test_the_size_of_the_default():
    assert parameter_count(build("conv_gru_dt")) == 1_143_811 + 9 * (256 + 128)


def test_the_optimiser_is_adamax_as_for_vid_ode():
    assert model_class("conv_gru_dt").optimiser == OptimiserConfig(name="adamax", learning_rate=1e-3, decay=0.99)


@torch.no_grad()
def test_a_cell_is_told_the_gap_of_each_sample_everywhere():
    torch.manual_seed(0)
    cell, x, h, gap = GapCell(4), torch.randn(3, 4, 5, 6), torch.randn(3, 4, 5, 6), torch.tensor([0.0, 0.2, 1.5])
    for row in range(3):
        maps = torch.cat([x[row], torch.full((1, 5, 6), float(gap[row])), h[row]])[None]
        gates = functional.conv2d(maps, cell.cell.gates.weight, cell.cell.gates.bias, padding=1).sigmoid()
        maps[:, 5:] *= gates[:, :4]
        candidate = functional.conv2d(maps, cell.cell.candidate.weight, cell.cell.candidate.bias, padding=1).tanh()
        expected = (1 - gates[:, 4:]) * h[row] + gates[:, 4:] * candidate
        torch.testing.assert_close(cell(x, h, gap)[row], expected[0])


@torch.no_grad()
def test_with_the_weights_of_the_gap_zero_it_is_the_plain_convgru():
    cell, plain = GapCell(4), ConvGRUCell(4, 4)
    weigh_gap(cell, 0)
    for name in ("gates", "candidate"):
        gapped, ungapped = getattr(cell.cell, name), getattr(plain, name)
        ungapped.weight.copy_(torch.cat([gapped.weight[:, :4], gapped.weight[:, 5:]], dim=1))
        ungapped.bias.copy_(gapped.bias)
    x, h = torch.randn(2, 4, 5, 5), torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(cell(x, h, torch.tensor([0.3, 7.0])), plain(x, h))


@torch.no_grad()
def test_the_gap_counts_and_without_its_weights_does_not():
    model, query = network(), torch.tensor([[0.6]], dtype=torch.float64)
    weigh_gap(model.network.cell, 30)
    # The typical gap, and so the query's model time, stays as it is.
    moved = torch.tensor([0.0, 0.15, 0.3, 0.4, 0.5], dtype=torch.float64)
    assert (model(observed(), query).frames - model(observed(moved), query).frames).abs().max() > 1e-4
    near, far = model(observed(), torch.tensor([[0.52, 0.58]], dtype=torch.float64)).frames[0]
    assert (near - far).abs().max() > 1e-4
    weigh_gap(model.network.cell, 0)
    torch.testing.assert_close(model(observed(), query).frames, model(observed(moved), query).frames)
    near, far = model(observed(), torch.tensor([[0.52, 0.58]], dtype=torch.float64)).frames[0]
    torch.testing.assert_close(near, far)


@pytest.mark.parametrize(
    ("gap", "expected"), [("before", [0.0, 0.1, 0.2, 0.1, 0.1]), ("next", [0.1, 0.2, 0.1, 0.1, 0.0])]
)
@torch.no_grad()
def test_what_is_told_with_each_observation_and_each_step(gap, expected):
    got = told(network(gap=gap), [0.75])
    assert got == pytest.approx([*expected, 0.1, 0.1, 0.05], abs=1e-6)


@torch.no_grad()
def test_the_first_of_the_observations_seen_is_told_no_gap():
    assert told(network(neighbours=3), [0.6]) == pytest.approx([0.0, 0.1, 0.1, 0.1], abs=1e-6)
    few = torch.tensor([4.0, 4.1], dtype=torch.float64)
    assert told(network(), [4.2], few) == pytest.approx([0.0, 0.0, 0.0, 0.0, 0.1, 0.1], abs=1e-6)


@torch.no_grad()
def test_the_convention_of_the_gap_changes_the_frames():
    query = torch.tensor([[0.6]], dtype=torch.float64)
    before, following = network(), network(gap="next")
    assert (before(observed(), query).frames - following(observed(), query).frames).abs().max() > 1e-5
