"""PredNet: its error units, its feedback, its two phases."""

import pytest
import torch
import torch.nn.functional as F

from vidode.clip import Batch, Clip, InvalidInput
from vidode.models import Example, Progress, build, parameter_count
from vidode.models.prednet import hard_sigmoid
from vidode.training.learner import schedule

SMALL = {"widths": (4, 6, 8)}


def made(**options):
    torch.manual_seed(0)
    model = build("prednet", **{**SMALL, **options}).eval()
    with torch.no_grad():  # predictions of a new network are near zero, where the rectifier hides them
        for conv in model.prediction:
            conv.bias.fill_(0.4)
    return model


def batch(count=3, size=(8, 16), seed=0):
    frames = torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))
    return Batch.collate([Clip(frames, torch.arange(count, dtype=torch.float64))])


def ask(model, observed, *times):
    with torch.no_grad():
        return model(observed, torch.tensor([times], dtype=torch.float64)).frames[0]


def example(observed, count=3, seed=5):
    last = observed.times.shape[1]
    query = torch.arange(last, last + count, dtype=torch.float64)[None]
    target = torch.rand(1, count, 3, *observed.frames.shape[-2:], generator=torch.Generator().manual_seed(seed))
    return Example(observed, query, target, "extrapolation")


@pytest.mark.parametrize(
    ("first_phase", "shares", "expected"),
    [
        (0.5, (0.1, 0.3, 0.6, 0.8), (1, 0.1, 1, 0.1)),
        (0.25, (0.1, 0.2, 0.3, 0.7), (1, 0.1, 1, 0.1)),
        (0, (0.2, 0.7), (1, 0.1)),
    ],
)
def test_each_phase_ends_with_a_tenth_of_its_learning_rate(first_phase, shares, expected):
    optimiser = made(first_phase=first_phase).optimiser
    assert (optimiser.name, optimiser.learning_rate) == ("adam", 1e-3)
    assert [schedule(optimiser, int(1000 * share), 1000, 10) for share in shares] == pytest.approx(expected)


def test_it_has_as_many_parameters_as_its_layers_say():
    levels, above = (3, 48, 96, 192), (48, 96, 192, 0)
    cells = sum(9 * (3 * own + up) * 4 * own + 4 * own for own, up in zip(levels, above, strict=True))
    guesses = sum(9 * own * own + own for own in levels)
    targets = sum(9 * 2 * own * up + up for own, up in zip(levels[:3], above[:3], strict=True))
    assert parameter_count(build("prednet")) == cells + guesses + targets == 6_915_948


@pytest.mark.parametrize("seed", range(8))
def test_no_seed_makes_a_network_of_grey_frames_that_cannot_learn(seed):
    torch.manual_seed(seed)
    model = build("prednet", channels=1)
    seen = batch()
    grey = Batch(seen.frames[:, :, :1], seen.times, seen.seen)
    asked = example(seen)
    asked = Example(grey, asked.query, asked.target[:, :, :1], "extrapolation")
    objective = model.objective()
    objective.progress = Progress(0, 100, 0)
    (term,) = objective.model_terms(asked, objective.answer(model, asked)).values()
    term.backward()
    assert model.prediction[0].weight.grad.any()
    assert model.lstm[0].weight.grad.any()


def test_a_grey_frame_is_shown_as_three_equal_channels_and_answered_by_their_mean():
    observed = batch()
    grey = Batch(observed.frames[:, :, :1], observed.times, observed.seen)
    model, colour = made(channels=1), made()
    colour.load_state_dict(model.state_dict())
    shown = Batch(grey.frames.expand(-1, -1, 3, -1, -1), grey.times, grey.seen)
    three = ask(colour, shown, 3.0, 4.0)
    assert (three[:, :1] - three[:, 1:]).abs().max() > 0.01
    torch.testing.assert_close(ask(model, grey, 3.0, 4.0), three.mean(dim=1, keepdim=True))


def test_gates_are_hard_sigmoids():
    x = torch.tensor([-9.0, -2.5, -1.0, 0.0, 1.0, 2.5, 9.0])
    torch.testing.assert_close(hard_sigmoid(x), torch.tensor([0.0, 0.0, 0.3, 0.5, 0.7, 1.0, 1.0]))


@torch.no_grad()
def test_its_error_units_are_zero_where_its_prediction_is_right():
    model, frames = made(), batch().frames
    state, _ = model.step(model.start(frames), frames[:, 0])
    state = model.look_down(state)
    guess = model.guess(state, 0)
    assert guess.abs().max() > 0.1
    assert model.look_up(state, guess, guess).error[0].abs().max() == 0
    wrong = model.look_up(state, guess, guess + 0.25).error[0]
    assert wrong[:, :3].abs().max() == 0
    torch.testing.assert_close(wrong[:, 3:], torch.full_like(guess, 0.25))


@torch.no_grad()
def test_a_step_is_the_papers():
    model, frame = made(), batch().frames[:, 0]
    r, c, e = (list(part) for part in vars(model.step(model.start(batch().frames), frame)[0]).values())
    for level in (3, 2, 1, 0):
        inputs = [r[level], e[level]] + ([F.interpolate(r[level + 1], scale_factor=2.0)] if level < 3 else [])
        i, f, o, g = model.lstm[level](torch.cat(inputs, dim=1)).chunk(4, dim=1)
        c[level] = hard_sigmoid(f) * c[level] + hard_sigmoid(i) * g.tanh()
        r[level] = hard_sigmoid(o) * c[level].tanh()
    target = batch().frames[:, 1]
    for level in range(4):
        guess = model.prediction[level](r[level]).relu()
        guess = guess.clamp(max=1) if level == 0 else guess
        e[level] = torch.cat([(guess - target).relu(), (target - guess).relu()], dim=1)
        target = F.max_pool2d(model.target[level](e[level]).relu(), 2) if level < 3 else target
    after, _ = model.step(model.step(model.start(batch().frames), frame)[0], batch().frames[:, 1])
    for own, by_hand in zip(vars(after).values(), (r, c, e), strict=True):
        for level in range(4):
            torch.testing.assert_close(own[level], by_hand[level])


@torch.no_grad()
@pytest.mark.parametrize("feedback", ["lagged", "aligned"])
def test_what_is_fed_back_is_the_step_before_or_the_step_itself(feedback):
    model, observed = made(feedback=feedback), batch()
    state = model.start(observed.frames)
    for frame in observed.frames[0]:
        state, guess = model.step(state, frame[None])
    made_by_hand = [guess]
    for _ in range(3):
        state = model.look_down(state)
        guess = model.guess(state, 0)
        fed = guess if feedback == "aligned" else made_by_hand[-1]
        state = model.look_up(state, guess, fed)
        assert feedback == "lagged" or state.error[0].abs().max() == 0
        made_by_hand.append(guess)
    torch.testing.assert_close(ask(model, observed, 3.0, 4.0, 5.0), torch.cat(made_by_hand[1:]))


def test_the_two_feedbacks_agree_on_the_first_frame_alone():
    observed = batch()
    lagged, aligned = (ask(made(feedback=name), observed, 3.0, 5.0) for name in ("lagged", "aligned"))
    torch.testing.assert_close(lagged[0], aligned[0])
    assert (lagged[1] - aligned[1]).abs().max() > 1e-5


@torch.no_grad()
def test_the_first_phase_counts_errors_of_every_frame_but_the_first():
    model, asked = made(errors=(1.0, 0.5, 0.0, 0.25)), example(batch())
    objective = model.objective()
    frames = torch.cat([asked.observed.frames, asked.target], dim=1)
    state, errors = model.start(frames), []
    for column in range(6):
        state, guess = model.step(state, frames[:, column])
        means = [error.mean() for error in state.error]
        torch.testing.assert_close(means[0], 0.5 * (guess - frames[:, column]).abs().mean())
        errors.append(means[0] + 0.5 * means[1] + 0.25 * means[3])
    terms = objective.model_terms(asked, objective.answer(model, asked))
    assert set(terms) == {"errors"}
    torch.testing.assert_close(terms["errors"], torch.stack(errors[1:]).mean())


@torch.no_grad()
def test_the_second_phase_counts_frames_that_it_went_on_to():
    model, asked = made(), example(batch())
    objective = model.objective()
    objective.progress = Progress(step=49, steps=100)
    assert set(objective.model_terms(asked, objective.answer(model, asked))) == {"errors"}
    objective.progress = Progress(step=50, steps=100)
    answer = objective.answer(model, asked)
    torch.testing.assert_close(answer.frames, model(asked.observed, asked.query).frames)
    frames, state, guesses = asked.observed.frames, model.start(asked.observed.frames), []
    for column in range(3):
        state, guess = model.step(state, frames[:, column])
        guesses.append(guess)
    apart = torch.cat([torch.stack(guesses[1:], dim=1) - frames[:, 1:], answer.frames - asked.target], dim=1)
    terms = objective.model_terms(asked, answer)
    torch.testing.assert_close(terms, {"frames": 0.5 * apart.abs().mean()})


@torch.no_grad()
def test_a_clip_with_fewer_frames_starts_later():
    model, clips = made(), [Clip(batch(n, seed=n).frames[0], torch.arange(n, dtype=torch.float64)) for n in (4, 2)]
    together = model(Batch.collate(clips), torch.tensor([[4.0, 5.0], [2.0, 4.0]], dtype=torch.float64)).frames
    for row, (clip, query) in enumerate(zip(clips, ([4.0, 5.0], [2.0, 4.0]), strict=True)):
        torch.testing.assert_close(together[row], ask(model, Batch.collate([clip]), *query))


def test_a_sequence_with_holes_is_not_learned_from():
    asked = example(batch())
    holes = Example(asked.observed, asked.query + torch.tensor([0.0, 0, 1]), asked.target, "extrapolation")
    model = made()
    with pytest.raises(InvalidInput, match="one after the other"):
        model.objective().answer(model, holes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": ()}, "widths are"),
        ({"errors": (1.0, 0.0)}, "expected 4 weights"),
        ({"errors": (0.0, 0.0, 0.0, 0.0)}, "expected 4 weights"),
        ({"first_phase": 1.5}, r"first_phase is 1\.5"),
    ],
)
def test_what_cannot_be_built_is_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        build("prednet", **options)
