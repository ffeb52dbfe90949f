"""ODE-Conv and ODE-FC: a fixed number of frames at once, then an ODE."""

import pytest
import torch

from vidode.clip import Batch, Clip, InvalidInput
from vidode.models import Example, build, parameter_count
from vidode.ode import Solver, integrate

SMALL = {"ode_conv": {"width": 4, "neighbours": 3}, "ode_fc": {"width": 4, "neighbours": 3, "size": (16, 16)}}


def made(name, **options):
    torch.manual_seed(0)
    return build(name, **{**SMALL[name], **options}).eval()


def batch(count=3, size=(16, 16), gap=1.0, start=0.0, seed=0):
    frames = torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))
    return Batch.collate([Clip(frames, start + gap * torch.arange(count, dtype=torch.float64))])


def ask(model, observed, *times):
    with torch.no_grad():
        return model(observed, torch.tensor([times], dtype=torch.float64)).frames[0]


@pytest.mark.parametrize(("name", "count"), [("ode_conv", 483_651), ("ode_fc", 26_617_819)])
def test_it_has_as_many_parameters_as_its_layers_say(name, count):
    convolutions = [(15, 32, 9), (32, 64, 16), (64, 128, 16), (128, 64, 9), (64, 32, 9), (32, 3, 9)]
    normalised = (32, 64, 128, 64, 32)
    own = sum(inputs * outputs * taps + outputs for inputs, outputs, taps in convolutions) + 2 * sum(normalised)
    whole = 128 * 32 * 32
    fields = {
        "ode_conv": 2 * (128 * 64 * 9) + 2 * (64 * 64 * 9) + 3 * 64 + 128,
        "ode_fc": 2 * 100 * whole + 100 + 100 * 100 + 100 + whole,
    }
    assert parameter_count(build(name)) == own + fields[name] == count


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("count", [2, 4, 6])
def test_another_number_of_frames_is_refused_in_one_line(name, count):
    with pytest.raises(InvalidInput, match=rf"{count} observed frames; {name} reads exactly 3 at once"):
        ask(made(name), batch(count), 5.0)


def test_five_frames_are_the_default_and_a_sixth_is_refused():
    model = build("ode_conv", width=2).eval()
    assert ask(model, batch(5), 7.0).shape == (1, 3, 16, 16)
    with pytest.raises(InvalidInput, match="6 observed frames; ode_conv reads exactly 5"):
        ask(model, batch(6), 7.0)


@pytest.mark.parametrize("name", SMALL)
def test_the_order_of_frames_counts_and_their_clock_does_not(name):
    model, observed = made(name), batch()
    before = ask(model, observed, 2.7)
    turned = Batch(observed.frames.flip(1), observed.times, observed.seen)
    assert (ask(model, turned, 2.7) - before).abs().max() > 1e-4
    torch.testing.assert_close(ask(model, batch(start=50.0), 52.7), before)
    torch.testing.assert_close(ask(model, batch(gap=3.0), 8.1), before)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("time", "origin"), [(3.5, 2.0), (1.25, 0.0)])
def test_the_state_belongs_to_the_last_frame_beyond_the_end_and_to_the_first_within(name, time, origin):
    model, observed = made(name), batch()
    h = model.frame_encoder(observed.frames.flatten(1, 2))
    h = h if name == "ode_conv" else h.flatten(1)
    start, end = torch.tensor([origin / 10]), torch.tensor([[time / 10]])
    h = integrate(lambda _, state: model.field(state), h, start, end, Solver()).states[:, 0]
    h = h if name == "ode_conv" else h.unflatten(1, model.map)
    torch.testing.assert_close(ask(model, observed, time), model.frame_decoder(h).detach(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", SMALL)
def test_the_released_rule_gives_the_first_time_asked_the_first_state(name):
    model, observed = made(name, origin="first_query"), batch()
    near, far = ask(model, observed, 2.5, 3.0)[0], ask(model, observed, 9.0, 9.5)[0]
    torch.testing.assert_close(near, far)


def test_a_projected_state_is_a_vector_of_that_length():
    model = made("ode_fc", vector=8)
    assert model.field.layers[0].in_features == 8
    assert ask(model, batch(), 2.5).shape == (1, 3, 16, 16)


def test_frames_of_another_size_are_answered_at_their_size():
    model = made("ode_fc")
    assert ask(model, batch(size=(9, 30)), 2.5, 1.0).shape == (2, 3, 9, 30)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ode_conv", {"width": 3}, "width is 3"),
        ("ode_conv", {"neighbours": 0}, "neighbours is 0"),
        ("ode_fc", {"size": (10, 16)}, r"size is \(10, 16\)"),
        ("ode_fc", {"vector": -1}, "vector -1"),
        ("ode_fc", {"hidden": 0}, "hidden is 0"),
    ],
)
def test_what_cannot_be_built_is_refused(name, options, message):
    with pytest.raises(InvalidInput, match=message):
        build(name, **options)


@pytest.mark.parametrize("name", SMALL)
def test_it_learns_one_clip(name):
    generator = torch.Generator().manual_seed(1)
    frames = torch.rand(6, 3, 4, 4, generator=generator).repeat_interleave(4, 2).repeat_interleave(4, 3)
    times = torch.arange(6, dtype=torch.float64)
    observed = Batch.collate([Clip(frames[:3], times[:3])])
    example = Example(observed, times[None, 3:], frames[None, 3:], "extrapolation")
    model = made(name).train()
    objective, optimiser = model.objective(), torch.optim.Adam(model.parameters(), lr=5e-3)
    before = (ask(model.eval(), observed, 3, 4, 5) - frames[3:]).abs().mean()
    model.train()
    for _ in range(150):
        optimiser.zero_grad()
        sum(objective.model_terms(example, objective.answer(model, example)).values()).backward()
        optimiser.step()
    after = (ask(model.eval(), observed, 3, 4, 5) - frames[3:]).abs().mean()
    assert after < 0.5 * before
    assert after < (frames[3:].mean(dim=0) - frames[3:]).abs().mean()
