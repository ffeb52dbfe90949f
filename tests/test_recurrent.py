"""The ODE-ConvGRU is its two parts and nothing else, and what is not present has no effect."""

import pytest
import torch

from vidode.blocks.recurrent import BEFORE_FIRST, ConvGRUCell, OdeConvGRU
from vidode.ode import Solver, integrate

RK4 = Solver("rk4", step=0.05)


def encoder(solver=RK4, seed=0):
    torch.manual_seed(seed)
    return OdeConvGRU(inputs=3, channels=4, hidden=5, solver=solver).requires_grad_(False)


def clip(rows=2, steps=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, steps, 3, 6, 5, generator=generator)
    times = torch.rand(rows, steps, generator=generator).sort(dim=1).values
    return features, times, torch.ones(rows, steps).bool()


def flow(model, state, start, end, solver=RK4):
    return integrate(lambda _, h: model.field(h), state, start, end[:, None], solver).states[:, 0]


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_with_the_gates_shut_it_is_the_pure_ode(direction):
    model = encoder()
    model.cell.gates.bias[4:] = -1e4  # the update gate: no observation comes in
    features, times, present = clip()
    ends = times[:, [0, -1]] if direction == "forward" else times[:, [-1, 0]]
    start = ends[:, 0] + (-BEFORE_FIRST if direction == "forward" else BEFORE_FIRST)
    pure = flow(model, torch.zeros(2, 4, 6, 5), start, ends[:, 1])
    torch.testing.assert_close(model(features, times, present, direction), pure, atol=1e-6, rtol=0)
    assert pure.abs().max() > 1e-3


def test_without_a_flow_it_is_the_plain_convgru():
    model = encoder()
    for p in model.field.parameters():
        p.zero_()
    features, times, present = clip()
    h = torch.zeros(2, 4, 6, 5)
    for x in features.unbind(1):
        h = model.cell(x, h)
    torch.testing.assert_close(model(features, times, present), h)


def test_a_gap_of_zero_is_the_plain_convgru():
    model = encoder()
    features, times, present = clip(steps=2)
    times[:, 1] = times[:, 0]
    first = model(features[:, :1], times[:, :1], present[:, :1])
    torch.testing.assert_close(model(features, times, present), model.cell(features[:, 1], first))


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_what_is_not_present_is_not_visited(direction):
    model = encoder()
    features, times, present = clip(rows=3, steps=5)
    present[0, 1] = present[1, 0] = present[1, 4] = False
    state = model(features, times, present, direction)
    for row in range(3):
        kept = present[row]
        alone = model(
            features[row : row + 1, kept], times[row : row + 1, kept], present[row : row + 1, kept], direction
        )
        torch.testing.assert_close(state[row], alone[0], atol=1e-6, rtol=0)
    poisoned = torch.where(present[..., None, None, None], features, torch.nan)
    assert torch.equal(model(poisoned, torch.where(present, times, -7.0), present, direction), state)


def test_nothing_present_is_the_zero_state():
    features, times, present = clip()
    present[0] = False
    state = encoder()(features, times, present)
    assert not state[0].any()
    assert state[1].any()


def test_backward_is_forward_in_the_mirror_of_time():
    model = encoder()
    features, times, present = clip()
    backward = model(features, times, present, "backward")
    for p in model.field.layers[-1].parameters():
        p.neg_()  # dh/dt = f becomes dh/d(-t) = -f
    torch.testing.assert_close(backward, model(features.flip(1), -times.flip(1), present, "forward"))


def test_the_released_encoder_takes_one_euler_step_over_each_gap():
    model = OdeConvGRU(3, 4, 5).requires_grad_(False)
    features, times, present = clip(steps=3)
    h, since = torch.zeros(2, 4, 6, 5), times[:, -1] + BEFORE_FIRST
    for i in (2, 1, 0):
        h = h + (times[:, i] - since)[:, None, None, None] * model.field(h)
        h, since = model.cell(features[:, i], h), times[:, i]
    torch.testing.assert_close(model(features, times, present, "backward"), h, atol=1e-6, rtol=0)


def test_a_shut_gate_keeps_the_state_and_an_open_one_takes_the_candidate():
    cell = ConvGRUCell(3, 4).requires_grad_(False)
    x, h = torch.randn(2, 3, 5, 5), torch.randn(2, 4, 5, 5)
    cell.gates.bias[4:] = -1e4
    assert torch.equal(cell(x, h), h)
    cell.gates.bias[:4], cell.gates.bias[4:] = -1e4, 1e4
    candidate = torch.tanh(cell.candidate(torch.cat([x, torch.zeros_like(h)], dim=1)))
    torch.testing.assert_close(cell(x, h), candidate)
