"""Latent ODE with a vector or a map for a latent: sizes, draws, what is minimised and what is read; options."""

import csv

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

import tiny
from vidode.clip import Batch, Clip, InvalidInput
from vidode.models import Example, Progress, build, parameter_count
from vidode.training import config_from, train
from vidode.training.learner import schedule

SMALL = {
    "latent_ode": {"size": 16, "width": 8, "state": 32, "latent": 16, "units": 64},
    "latent_ode_conv": {"width": 8},
}
either = pytest.mark.parametrize("name", SMALL)


def network(name, **options):
    torch.manual_seed(0)
    return build(name, **{**SMALL[name], **options}).eval()


def clips(count=2, steps=4, size=(16, 16), seed=0):
    generator = torch.Generator().manual_seed(seed)
    times = 0.1 * torch.arange(steps).double()
    return Batch.collate([Clip(torch.rand(steps, 3, *size, generator=generator), times) for _ in range(count)])


def queries(*times, count=2):
    return torch.tensor([times], dtype=torch.float64).expand(count, -1)


def example(observed=None):
    observed = clips() if observed is None else observed
    target = torch.rand(2, 3, *observed.frames.shape[2:], generator=torch.Generator().manual_seed(7))
    return Example(observed, queries(0.05, 0.22, 0.47), target, "interpolation")


@pytest.mark.parametrize(("name", "count"), [("latent_ode", 3_670_119), ("latent_ode_conv", 1_636_355)])
def test_the_size_of_the_default(name, count):
    assert parameter_count(build(name)) == count


# What is drawn


@either
@torch.no_grad()
def test_evaluation_follows_the_mean_alone(name):
    model, observed = network(name), clips()
    first = observed.times[:, :1]
    made = model(observed, first)
    assert torch.equal(made.frames, model(observed, first).frames)
    assert made.draws.frames.shape[0] == 1
    latent = made.latent[:, 0].view_as(made.draws.posterior.mean)
    assert torch.equal(latent, made.draws.posterior.mean)  # the state belongs to the first observation


@either
@torch.no_grad()
def test_training_draws_by_the_seed(name):
    model, asked = network(name), example()
    mean = model(asked.observed, asked.query).frames
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(model(asked.observed, asked.query).frames)
    assert torch.equal(drawn[0], drawn[1])
    assert (drawn[0] - drawn[2]).abs().max() > 1e-4
    assert (drawn[0] - mean).abs().max() > 1e-4


@either
@torch.no_grad()
def test_a_draw_is_one_trajectory_whatever_gap_is_asked(name):
    model, observed, made = network(name), clips(), []
    for query in (queries(0.05, 0.22, 0.47), queries(0.22)):
        torch.manual_seed(3)
        made.append(model.draw(observed, query, 2).draws.frames)
    assert made[0].shape == (2, 2, 3, 3, 16, 16)
    torch.testing.assert_close(made[0][:, :, 1], made[1][:, :, 0], atol=1e-5, rtol=0)
    assert (made[0][0] - made[0][1]).abs().max() > 1e-4


@either
def test_unseen_frames_stay_out_of_the_statistics_of_training(name):
    observed = clips(steps=6)
    observed.seen[:, 4:] = False
    observed.frames[:, 4:] = 50.0
    model = network(name).train()
    model(observed, queries(0.25))
    assert float(model.frame_encoder.layers[1].running_mean.abs().max()) < 1


# What is minimised


@either
def test_the_objective_is_the_bound(name):
    model, asked = network(name, bound={"sigma": 0.1}), example()
    objective = model.objective()
    objective.progress = Progress(epoch=30)
    made = objective.answer(model, asked)
    assert made.draws.frames.shape == (3, *asked.target.shape)
    torch.testing.assert_close(made.frames, made.draws.frames.mean(dim=0))
    q, terms = made.draws.posterior, objective.model_terms(asked, made)
    weights = (
        Independent(Normal(made.draws.frames, 0.1), 4).log_prob(asked.target).mean(dim=1) / asked.target[0].numel()
    )
    divergence = kl_divergence(Normal(q.mean, q.std), Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(terms["likelihood"], -weights.exp().mean().log(), rtol=1e-4, atol=0)
    torch.testing.assert_close(terms["divergence"], (1 - 0.99**20) * divergence)
    sum(terms.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@either
def test_the_divergence_is_read_before_its_weight_lets_it_in(name):
    model, asked = network(name), example()
    objective = model.objective()
    made = objective.answer(model, asked)
    q = made.draws.posterior
    assert objective.model_terms(asked, made)["divergence"].item() == 0
    expected = kl_divergence(Normal(q.mean, q.std), Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(objective.readings(asked, made)["divergence_unweighted"], expected)


@either
def test_a_run_journals_the_divergence_beside_its_terms(name, tmp_path):
    options = {**SMALL[name], "channels": 1, "bound": {"wait": 1, "anneal": 0.5, "samples": 1}}
    sampling = {"frames_in": 3, "frames_out": 1}
    run = {"log_every": 1, "checkpoint_every": 0}
    values = {"model": {"name": name, "options": options}, "data": "drifting", "sampling": sampling, "run": run}
    with tiny.joined():
        train(config_from({**values, "steps": 4, "batch_size": 2, "steps_per_epoch": 1}), tmp_path)
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    assert [row["divergence_unweighted"] > 0.01 for row in rows] == [True] * 4
    for row, weight in zip(rows, (0, 0, 0.5, 0.75), strict=True):
        assert row["divergence"] == pytest.approx(weight * row["divergence_unweighted"], rel=1e-5)
        assert row["loss"] == pytest.approx(row["likelihood"] + row["divergence"], rel=1e-5)


@either
def test_the_learning_rate_falls_every_step_to_a_tenth(name):
    optimiser = build(name, **SMALL[name]).optimiser
    assert (optimiser.name, optimiser.learning_rate) == ("adamax", 1e-3)
    factors = [schedule(optimiser, step, steps=10_000, steps_per_epoch=32) for step in (0, 1, 99, 5000)]
    assert factors == pytest.approx([0.999, 0.999**2, 0.999**100, 0.1])


def moving_clip(steps=3, size=16):
    """A bright disc that crosses the frame."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    away = torch.hypot(columns - (4 + 4 * torch.arange(steps)[:, None, None]), rows - size / 2)
    frames = 0.2 + 0.7 * (3.5 - away).clamp(0, 1)
    return Clip(frames[:, None].repeat(1, 3, 1, 1), torch.arange(steps) / 25)


@torch.no_grad()
def error(model, asked):
    return (model.eval()(asked.observed, asked.query).frames - asked.target).abs().mean()


# Options


OPTIONS = {
    "dopri5": {"solver": {"method": "dopri5", "rtol": 1e-6, "atol": 1e-7}},
    "euler": {"solver": {"method": "euler", "step": 0.02}},
    "absolute": {"time_scale": {"kind": "absolute", "per_unit": 2.0}},
}


@either
@pytest.mark.parametrize("option", OPTIONS)
@torch.no_grad()
def test_every_way_to_solve_answers_both_tasks_at_once(name, option):
    observed, query = clips(size=(11, 14)), queries(-0.05, 0.0, 0.17, 0.71, 0.17)
    default, changed = network(name), network(name, **OPTIONS[option])
    made, expected = changed(observed, query), default(observed, query).latent
    assert made.frames.shape == (2, 5, 3, 11, 14)
    torch.testing.assert_close(made.frames[:, 2], made.frames[:, 4])
    if option == "dopri5":
        torch.testing.assert_close(made.latent, expected, atol=1e-4, rtol=0)
    else:
        assert (made.latent - expected).abs().max() > 1e-5


@either
@pytest.mark.parametrize("bound", [{"sigma": 0.1}, {"samples": 1}, {"reduction": "sums"}, {"wait": 0}])
def test_every_option_of_the_bound_changes_what_is_minimised(name, bound):
    losses, asked = [], example()
    for options in ({}, {"bound": bound}):
        model = network(name, **options)
        objective = model.objective()
        objective.progress = Progress(epoch=5)
        torch.manual_seed(1)
        losses.append(sum(objective.model_terms(asked, objective.answer(model, asked)).values()).item())
    assert losses[0] != pytest.approx(losses[1], rel=1e-6)


# The vector alone


@torch.no_grad()
def test_at_its_own_size_nothing_is_averaged_or_resized():
    model = build("latent_ode", width=2, state=8, latent=4, units=8).eval()
    frames = torch.rand(3, 3, 128, 128)
    maps = model.to_map(model.frame_encoder(frames))
    assert maps.shape == (3, 8, 4, 4)
    observed = Batch.collate([Clip(frames, torch.arange(3.0))])
    torch.testing.assert_close(model.vectors(observed.frames[0]), model.to_vector(maps.flatten(1)), atol=1e-6, rtol=0)
    z = torch.randn(2, 4)
    plain = model.frame_decoder(model.from_map(model.from_vector(z).view(2, 8, 4, 4)))
    assert torch.equal(model.decode(z, torch.Size((128, 128))), plain)


@torch.no_grad()
def test_another_size_is_a_crop_of_the_padded_one():
    model, z = network("latent_ode"), torch.randn(2, 16)
    padded = model.decode(z, torch.Size((24, 36)))
    assert torch.equal(model.decode(z, torch.Size((21, 33))), padded[..., :21, :33])
    whole = model.decode(z, torch.Size((16, 16)))
    torch.testing.assert_close(padded.mean(dim=(-1, -2)), whole.mean(dim=(-1, -2)), atol=0.05, rtol=0)


def test_linear_layers_start_as_in_the_released_code():
    linear = [module for module in build("latent_ode").modules() if isinstance(module, nn.Linear)]
    assert len(linear) == 18
    for layer in linear:
        assert layer.weight.std().item() == pytest.approx(0.1, rel=0.03)
        assert not bool(layer.bias.any())


def test_more_layers_are_in_both_fields():
    more = parameter_count(build("latent_ode", layers=3)) - parameter_count(build("latent_ode"))
    assert more == 2 * (256 * 256 + 256)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 100}, "size is 100; expected a power of two of at least 16"),
        ({"size": 8}, "size is 8; expected a power of two"),
        ({"width": 3}, "width is 3; expected an even number"),
        ({"latent": 0}, "latent is 0; expected at least 1"),
        ({"layers": -1}, "layers is -1; expected at least 0"),
        ({"bound": {"sigmas": 0.1}}, "sigmas"),
    ],
)
def test_what_makes_no_network_is_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        build("latent_ode", **options)
