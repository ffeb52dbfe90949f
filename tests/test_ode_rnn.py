"""The ODE-RNN against a loop written by hand from the released rules, and what is not present."""

from itertools import pairwise

import pytest
import torch

from vidode.blocks.ode_rnn import OdeRNN, PairGRU, euler_steps
from vidode.blocks.recurrent import BEFORE_FIRST

SIZE = 4


def network(seed=0):
    torch.manual_seed(seed)
    return OdeRNN(inputs=3, size=SIZE, units=6).requires_grad_(False)


def clip(rows=2, steps=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    times = torch.rand(rows, steps, generator=generator).sort(dim=1).values
    return torch.randn(rows, steps, 3, generator=generator), times, torch.ones(rows, steps).bool()


def by_hand(model, features, times):
    """The released loop over one clip (M, inputs), (M,); its sub-steps are a grid of points."""
    y, s = torch.zeros(1, SIZE), torch.zeros(1, SIZE)
    before, least = times[-1] + BEFORE_FIRST, (times[-1] - times[0]) / 50
    for x, now in zip(reversed(features), reversed(times), strict=True):
        points = 2 if before - now < least else max(2, int((before - now) / least))
        grid = torch.linspace(float(before), float(now), points)
        for start, end in pairwise(grid):
            y = y + model.field(y) * (end - start)
        y, s = model.cell(x[None], y, s)
        before = now
    return torch.cat([y, s], dim=1)[0]


def test_it_is_the_released_loop():
    model, (features, times, present) = network(), clip(rows=3)
    times[1, 2] = times[1, 1] + 1e-3  # a gap below the least step
    times[2] *= 7
    state = model(features, times, present)
    for row in range(3):
        torch.testing.assert_close(state[row], by_hand(model, features[row], times[row]), atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    ("gap", "span", "steps"),
    [(0.1, 0.4, 11), (0.01, 0.4, 1), (0.001, 0.4, 1), (0.1, 0.5, 9), (0.024, 0.4, 2), (7.0, 7.0, 49), (0.01, 0.0, 1)],
)
def test_a_gap_is_crossed_on_as_many_points_as_least_steps_fit(gap, span, steps):
    assert euler_steps(torch.tensor([gap]).double(), torch.tensor([span]).double()).tolist() == [steps]


def test_rounding_does_not_drop_a_step():
    """Ten least steps fit exactly into each gap of six regular observations, in float32 or not."""
    for start in torch.linspace(-3, 3, 200):
        times = start + 0.1 * torch.arange(6.0)
        gap, span = times.diff().double(), (times[-1:] - times[:1]).double().expand(5)
        assert euler_steps(gap, span).tolist() == [9] * 5


@pytest.mark.parametrize("keep", [0.0, 1.0])
def test_the_update_gate_keeps_the_state(keep):
    torch.manual_seed(0)
    cell = PairGRU(inputs=3, size=SIZE, units=6).requires_grad_(False)
    cell.update[-1].bias.fill_(1e4 if keep else -1e4)
    x, y, s = torch.randn(2, 3), torch.randn(2, SIZE), torch.rand(2, SIZE)
    got = cell(x, y, s)
    if keep:
        assert torch.equal(got[0], y)
        assert torch.equal(got[1], s)
        return
    reset = torch.sigmoid(cell.reset(torch.cat([y, s, x], dim=1)))
    candidate = cell.candidate(torch.cat([reset * y, reset * s, x], dim=1))
    torch.testing.assert_close(got[0], candidate[:, :SIZE])
    torch.testing.assert_close(got[1], candidate[:, SIZE:].abs())


def test_the_spread_is_never_negative_and_does_not_flow():
    model, (features, times, present) = network(), clip()
    state = model(features, times, present)
    assert state[:, SIZE:].min() >= 0
    model.cell.update[-1].bias.fill_(1e4)  # nothing is let in, so that only the flow is left
    y, s = model(features, times, present).chunk(2, dim=1)
    assert y.abs().max() > 1e-3
    assert torch.equal(s, torch.zeros_like(s))


def test_what_is_not_present_is_not_visited():
    model, (features, times, present) = network(), clip(rows=3)
    present[0, 1] = present[1, 0] = present[1, 4] = False
    present[2, :4] = False  # a single observation
    state = model(features, times, present)
    for row in range(3):
        kept = present[row]
        torch.testing.assert_close(
            state[row], model(*(part[row : row + 1, kept] for part in (features, times, present)))[0]
        )
    poisoned = torch.where(present[..., None], features, torch.nan)
    assert torch.equal(model(poisoned, torch.where(present, times, -7.0), present), state)


def test_padding_changes_no_bit():
    model, (features, times, present) = network(), clip()
    padded = [torch.nn.functional.pad(part, pad) for part, pad in ((features, (0, 0, 2, 3)), (times, (2, 3)))]
    got = model(*padded, torch.nn.functional.pad(present, (2, 3)))
    assert torch.equal(got, model(features, times, present))


def test_the_state_stays_float32_under_autocast():
    model, parts = network(), clip()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = model(*parts)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, model(*parts), atol=0.05, rtol=0)
