"""States depend on their own time alone, and errors shrink as the order of the method says."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidode.clip import InvalidInput
from vidode.ode import NumericalError, Solver, integrate

ORDERS = {"euler": 1, "midpoint": 2, "rk4": 4}
SOLVERS = [*(Solver(method, step=0.1) for method in ORDERS), Solver("rk4", step=None), Solver("dopri5")]
TIGHT = Solver("dopri5", rtol=1e-8, atol=1e-8)


def cosine(time, state):
    """dh/dt = cos(t) h, so that h(t) = h(a) exp(sin t - sin a)."""
    return torch.cos(time)[:, None] * state


def exact(state, start, times):
    return state[:, None] * torch.exp(torch.sin(times) - torch.sin(start)[:, None])[..., None]


def problem(samples=3, queries=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = [(samples, 2), (samples,), (samples, queries)]
    return tuple(torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1 for shape in draw)


@pytest.mark.parametrize("method", ORDERS)
def test_the_error_falls_with_the_order_of_the_method(method):
    state, start, times = torch.ones(1, 1).double(), torch.zeros(1).double(), torch.tensor([[1.0]]).double()
    steps = [0.1, 0.05, 0.025]
    errors = [
        float((integrate(cosine, state, start, times, Solver(method, step)).states - exact(state, start, times)).abs())
        for step in steps
    ]
    slope = math.log(errors[0] / errors[-1]) / math.log(steps[0] / steps[-1])
    assert slope == pytest.approx(ORDERS[method], abs=0.2)


@pytest.mark.parametrize("solver", [Solver("rk4", 0.01), Solver("midpoint", 0.001), TIGHT])
def test_a_closed_form_is_met_before_and_after_the_start(solver):
    state, start, times = problem()
    assert (integrate(cosine, state, start, times, solver).states - exact(state, start, times)).abs().max() < 1e-6


def test_dopri5_keeps_to_its_tolerance():
    state, start, times = problem()
    for tolerance in (1e-4, 1e-7):
        solution = integrate(cosine, state, start, times, Solver("dopri5", rtol=tolerance, atol=tolerance))
        assert (solution.states - exact(state, start, times)).abs().max() < 10 * tolerance


@pytest.mark.parametrize("solver", [Solver("rk4", 0.05), TIGHT])
def test_there_and_back_is_the_identity(solver):
    state, start, times = problem(queries=1)
    there = integrate(cosine, state, start, times, solver).states[:, 0]
    back = integrate(cosine, there, times[:, 0], start[:, None], solver).states[:, 0]
    torch.testing.assert_close(back, state, atol=1e-6, rtol=0)


@pytest.mark.parametrize("solver", SOLVERS, ids=str)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_state_depends_on_its_own_sample_and_time_alone(solver, data):
    samples, queries = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    state, start, _ = problem(samples, seed=data.draw(st.integers(0, 99)))
    grid = st.integers(-12, 12).map(lambda k: k / 10)  # whole steps, repeats and the start among them
    row = st.lists(st.one_of(grid, st.floats(-1.5, 1.5)), min_size=queries, max_size=queries)
    times = start[:, None] + torch.tensor([data.draw(row) for _ in range(samples)]).double()
    together = integrate(cosine, state, start, times, solver).states
    for i in range(samples):
        for k in range(queries):
            alone = integrate(cosine, state[i : i + 1], start[i : i + 1], times[i : i + 1, k : k + 1], solver).states
            torch.testing.assert_close(together[i, k], alone[0, 0], atol=1e-12, rtol=0)


@pytest.mark.parametrize("solver", [*SOLVERS[:4], TIGHT], ids=str)
def test_gradients_reach_the_state_the_start_and_the_times(solver):
    state, start, times = problem(samples=2, queries=3)
    times[0, 1] = times[0, 2]  # repeated
    times[1, 0] = start[1]
    inputs = [x.requires_grad_() for x in (state, start, times)]
    assert torch.autograd.gradcheck(lambda *x: integrate(cosine, *x, solver).states, inputs, atol=1e-5)


def test_the_gradient_of_a_time_on_the_grid_is_the_field():
    state, start, _ = problem(samples=1)
    times = (start[:, None] + 0.3).requires_grad_()
    solved = integrate(cosine, state, start, times, Solver("rk4", 0.1)).states
    (slope,) = torch.autograd.grad(solved.sum(), times)
    torch.testing.assert_close(slope[0, 0], cosine(times[:, 0], solved[:, 0]).sum())


def test_the_grid_is_walked_once_for_all_samples_and_queries():
    state, start, times = problem(samples=4)
    times = start[:, None] + torch.tensor([0.1, 0.2, 0.3, 0.3, 0.5]).double()
    assert integrate(cosine, state, start, times, Solver("rk4", 0.1)).evaluations == 5 * 4
    assert integrate(cosine, state, start, times + 0.03, Solver("rk4", 0.1)).evaluations == 6 * 4
    assert integrate(cosine, state, start, start[:, None], Solver("rk4", 0.1)).evaluations == 0


def test_a_sample_that_has_arrived_is_left_alone():
    seen = []

    def field(time, state):
        seen.append(len(state))
        return cosine(time, state)

    state, start, _ = problem(samples=3)
    integrate(field, state, start, start[:, None] + torch.tensor([[0.1], [0.3], [0.2]]).double(), Solver("euler", 0.1))
    assert seen == [3, 2, 1]


def test_the_field_is_called_at_the_nodes_of_the_method():
    called = []

    def field(time, state):
        called.append(float(time[0]))
        return torch.zeros_like(state)

    integrate(field, torch.zeros(1, 1), torch.tensor([1.0]), torch.tensor([[1.4]]), Solver("rk4", None))
    assert called == pytest.approx([1.0, 1.2, 1.2, 1.4])


def test_a_polynomial_of_degree_four_is_exact_under_rk4():
    def field(time, state):
        return (4 * time**3).reshape(-1, 1).expand_as(state)

    times = torch.tensor([[0.37, -0.8, 2.0]]).double()
    solution = integrate(field, torch.zeros(1, 1).double(), torch.zeros(1).double(), times, Solver("rk4", 0.5))
    torch.testing.assert_close(solution.states[..., 0], times**4)


@pytest.mark.parametrize("solver", [Solver("rk4"), Solver("dopri5")], ids=str)
def test_states_stay_float32_under_autocast(solver):
    layer = torch.nn.Linear(2, 2)
    state, start, times = (x.float() for x in problem())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wide = integrate(lambda _, h: layer(h), state.bfloat16(), start, times, solver).states
    assert wide.dtype == torch.float32
    narrow = integrate(lambda _, h: layer(h), state.bfloat16().float(), start, times, solver).states
    assert torch.equal(wide, narrow)


@pytest.mark.parametrize("solver", [Solver("euler", 0.1), Solver("dopri5")], ids=str)
def test_an_explosion_is_reported_with_its_time(solver):
    with pytest.raises(NumericalError, match="time"):
        integrate(lambda _, h: h.square() * 1e8, torch.ones(1, 1), torch.zeros(1), torch.tensor([[0.1, 3.0]]), solver)


def test_the_first_time_that_is_not_finite_is_named():
    times = torch.tensor([[0.3, 0.1, 5.0, 9.0]])
    with pytest.raises(NumericalError, match="time 5 of sample 0"):
        integrate(lambda _, h: h * 1e9, torch.ones(1, 1), torch.zeros(1), times, Solver("euler", 0.5))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"method": "rk5"}, "one of euler"), ({"step": 0.0}, "step is 0.0"), ({"rtol": -1.0}, "rtol is -1.0")],
)
def test_a_solver_that_cannot_be_is_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        Solver(**options)
