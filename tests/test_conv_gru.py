"""ConvGRU: its sizes, its loop, its layers and its one-step losses. What it shares is in test_rollout.py."""

import pytest
import torch

from vidode.clip import Batch, Clip, InvalidInput
from vidode.models import Example, build, model_class, parameter_count


def network(**options):
    torch.manual_seed(0)
    return build("conv_gru", **{"width": 4, **options}).eval()


def clips(*counts, size=(12, 16)):
    """Ten frames a second, each clip from a time of its own."""
    some = []
    for place, count in enumerate(counts):
        frames = torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(place))
        some.append(Clip(frames, place + torch.arange(count) / 10))
    return some


def after(some, *steps):
    """Query times (B, K) so many steps after the last frames."""
    return torch.stack([one.times[-1] + torch.tensor(steps, dtype=torch.float64) / 10 for one in some])


def example(*counts, steps=(1, 2, 3), size=(12, 16)):
    some = clips(*counts, size=size)
    target = torch.rand(len(some), len(steps), 3, *size, generator=torch.Generator().manual_seed(9))
    return Example(Batch.collate(some), after(some, *steps), target, "extrapolation")


def by_hand(model, frames, steps):
    """The next frames of one clip (T, C, H, W), and those predicted at each observed one: lists of (C, H, W)."""
    encoder, decoder = model.coder.frame_encoder, model.coder.frame_decoder
    states = [torch.zeros(1, 16, 3, 4) for _ in model.cells]
    made = []
    for place in range(len(frames) + steps - 1):
        frame = frames[place][None] if place < len(frames) else made[-1]
        x = encoder(frame)
        for layer, cell in enumerate(model.cells):
            x = states[layer] = cell(x, states[layer])
        made.append(decoder(x))
    made = [frame[0] for frame in made]
    return made[len(frames) - 1 :], made[: len(frames) - 1]


@pytest.mark.parametrize(("layers", "count"), [(1, 1_143_811), (2, 2_028_931)])
def test_the_size_of_the_default(layers, count):
    assert parameter_count(build("conv_gru", layers=layers)) == count


def test_the_optimiser_is_adam_with_the_decay_of_vid_ode():
    own, vid_ode = model_class("conv_gru").optimiser, model_class("vid_ode").optimiser
    assert (own.name, own.learning_rate) == ("adam", 1e-3)
    assert (own.schedule, own.decay, own.floor) == (vid_ode.schedule, vid_ode.decay, vid_ode.floor)


@pytest.mark.parametrize("layers", [1, 2])
@torch.no_grad()
def test_the_rollout_is_the_loop_written_by_hand(layers):
    model, some = network(layers=layers), clips(5, 3)
    made = model(Batch.collate(some), after(some, 3, 1, 5, 1)).frames
    for row, one in enumerate(some):
        expected, _ = by_hand(model, one.frames, 5)
        for place, step in enumerate((3, 1, 5, 1)):
            torch.testing.assert_close(made[row, place], expected[step - 1], rtol=0, atol=1e-6)


@torch.no_grad()
def test_a_second_layer_changes_the_frames():
    one, two = network(), network(layers=2)
    two.load_state_dict(one.state_dict(), strict=False)
    asked = example(5)
    apart = one(asked.observed, asked.query).frames - two(asked.observed, asked.query).frames
    assert apart.abs().max() > 1e-4


@torch.no_grad()
def test_only_the_last_frames_are_read():
    model, (whole,) = network(neighbours=3), clips(6)
    made = model(Batch.collate([whole]), after([whole], 1)).frames
    assert torch.equal(made, model(Batch.collate([whole[3:]]), after([whole], 1)).frames)
    assert (made - model(Batch.collate([whole[4:]]), after([whole], 1)).frames).abs().max() > 1e-4


def test_the_terms_are_the_free_running_l1_and_the_weighted_one_step_l1():
    model, asked = network(one_step=0.7), example(5, 3)
    objective = model.objective()
    terms = objective.model_terms(asked, objective.answer(model, asked))
    beyond, inside = [], []
    for row, count in enumerate((5, 3)):
        frames = asked.observed.frames[row, :count]
        free, ahead = by_hand(model, frames, 3)
        beyond += [(a - b).abs() for a, b in zip(free, asked.target[row], strict=True)]
        inside += [(a - b).abs() for a, b in zip(ahead, frames[1:], strict=True)]
    assert set(terms) == {"reconstruction", "one_step"}
    torch.testing.assert_close(terms["reconstruction"], torch.stack(beyond).mean())
    torch.testing.assert_close(terms["one_step"], 0.7 * torch.stack(inside).mean())
    assert len(inside) == 4 + 2


def test_without_a_weight_there_is_no_one_step_term():
    model, asked = network(), example(5)
    objective = model.objective()
    answer = objective.answer(model, asked)
    assert set(objective.model_terms(asked, answer)) == {"reconstruction"}
    assert torch.equal(answer.frames, model(asked.observed, asked.query).frames)


@torch.no_grad()
def test_the_one_step_losses_leave_the_answer_as_it_is():
    model, asked = network(one_step=1.0), example(5, 3)
    answer = model.objective().answer(model, asked)
    assert torch.equal(answer.frames, model(asked.observed, asked.query).frames)
    assert torch.equal(answer.frames, network()(asked.observed, asked.query).frames)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": 0}, "layers is 0; expected at least 1"),
        ({"one_step": -1.0}, "one_step is -1.0; expected a weight of at least 0"),
        ({"one_step": 1.0, "neighbours": 1}, "neighbours is 1; expected at least 2"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        build("conv_gru", **options)


@pytest.mark.parametrize(
    ("step", "message"),
    [(0, "conv_gru cannot do interpolation"), (-0.5, "conv_gru cannot do interpolation"), (1.5, "1.50 gaps beyond")],
)
def test_a_query_that_is_no_next_frame_is_refused(step, message):
    some = clips(5)
    with pytest.raises(InvalidInput, match=message):
        network()(Batch.collate(some), after(some, 1, step))


def test_uneven_frames_are_refused():
    (even,) = clips(5)
    uneven = even[[0, 1, 2, 4]]
    with pytest.raises(InvalidInput, match=r"2.00 typical gaps apart; conv_gru expects a regular sequence"):
        network()(Batch.collate([uneven]), after([uneven], 1))


def test_one_step_losses_need_two_frames():
    model, (one, two) = network(one_step=1.0), clips(3, 3)
    asked = Example(Batch.collate([one, two]), after([one, two], 1), torch.rand(2, 1, 3, 12, 16), "extrapolation")
    asked.observed.seen[1, :2] = False
    asked.observed.frame_gap[:] = 0.1
    with pytest.raises(InvalidInput, match="1 observed frames; conv_gru expects at least 2"):
        model.objective().answer(model, asked)
