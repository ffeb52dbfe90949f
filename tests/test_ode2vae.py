"""ODE2VAE: its second order, its trace, the density that flows along, each term of its bound, its curriculum."""

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from vidode.blocks.bayesian import BayesianMLP
from vidode.clip import Batch, Clip, InvalidInput
from vidode.models import Example, Progress, build, model_class, parameter_count
from vidode.models.ode2vae import Gaussian, frames_shown
from vidode.training.learner import schedule

SMALL = {"width": 4, "size": 16, "latent": 3, "hidden": 10, "neighbours": 3, "amort_len": 2}


def made(**options):
    torch.manual_seed(0)
    model = build("ode2vae", **{**SMALL, **options}).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
    return model


def batch(count=3, size=(16, 16), seed=0, gap=1.0):
    frames = torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))
    return Batch.collate([Clip(frames, gap * torch.arange(count, dtype=torch.float64))])


def example(count=3, later=3, task="extrapolation"):
    observed = batch(count)
    query = torch.arange(count, count + later, dtype=torch.float64)[None] if task == "extrapolation" else observed.times
    target = torch.rand(1, query.shape[1], 3, 16, 16, generator=torch.Generator().manual_seed(7))
    return Example(observed, query, target, task)


def ask(model, observed, *times):
    with torch.no_grad():
        return model(observed, torch.tensor([times], dtype=torch.float64))


def test_it_has_as_many_parameters_as_its_layers_say():
    widths = (16, 32, 64, 128, 256)

    def encoder(inputs):
        pairs = zip((inputs, *widths[:-1]), widths, strict=True)
        return sum(25 * a * b + b + 2 * b for a, b in pairs) + 4096 * 64 + 64

    pairs = zip((256, 128, 64, 32, 32), (128, 64, 32, 32, 16), strict=True)
    decoder = 32 * 4096 + 4096 + sum(16 * a * b + b + 2 * b for a, b in pairs) + 9 * 16 * 3 + 3
    field = 64 * 100 + 100 + 100 * 100 + 100 + 100 * 32 + 32 + 1
    assert parameter_count(build("ode2vae")) == encoder(3) + encoder(15) + decoder + field


def test_the_position_integrates_the_velocity():
    model, observed = made(solver={"step": 0.001}), batch()
    steps = 0.01 * torch.arange(41, dtype=torch.float64)
    z = ask(model, observed, *steps.tolist()).latent[0, :, :, 0, 0].double()
    velocity, position = z[:, :3], z[:, 3:]
    unit = 0.01 / 10  # model time between two of these
    slopes = (position[2:] - position[:-2]) / (2 * unit)
    torch.testing.assert_close(slopes, velocity[1:-1], rtol=1e-2, atol=1e-2)
    assert (velocity[-1] - velocity[0]).abs().max() > 1e-4


def test_the_trace_is_that_of_autograds_jacobian():
    torch.manual_seed(0)
    network = BayesianMLP(6, 12, 3).draw(sample=True)
    x = torch.randn(5, 6)
    rate, trace = network.rate_and_trace(x, network.coupling())
    torch.testing.assert_close(rate, network(x))
    for row in range(5):
        jacobian = torch.autograd.functional.jacobian(lambda y: network(y[None])[0], x[row])
        torch.testing.assert_close(trace[row], jacobian[:, :3].trace())
        probe = torch.tensor([1.0, -1.0, 1.0])
        estimate = network.rate_and_trace(x[row : row + 1], network.coupling(probe))[1]
        torch.testing.assert_close(estimate[0], probe @ jacobian[:, :3] @ probe)


def test_the_density_is_that_of_the_change_of_variables():
    model = made(solver={"step": 0.005})
    network, start, times = model.field.draw(sample=True), torch.randn(1, 6), torch.tensor([[0.05, 0.2]])
    with torch.no_grad():
        z, log_density = model.flow_of_density(start, torch.tensor([1.5]), times, network)
    torch.testing.assert_close(z, model.flow(start, times, network), atol=1e-5, rtol=0)
    for place in (0, 1):
        jacobian = torch.autograd.functional.jacobian(
            lambda first, place=place: model.flow(first, times, network)[0, place], start
        )[:, 0]
        torch.testing.assert_close(log_density[0, place], 1.5 - torch.linalg.slogdet(jacobian)[1], atol=1e-4, rtol=0)


def test_in_evaluation_it_answers_with_means_and_in_training_it_samples():
    model, observed = made(), batch()
    assert torch.equal(ask(model, observed, 4.0).frames, ask(model, observed, 4.0).frames)
    model.train()
    assert not torch.equal(ask(model, observed, 4.0).frames, ask(model, observed, 4.0).frames)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("density", ["corrected", "released"])
def test_each_term_is_what_its_distribution_says(likelihood, density):
    model = made(objective={"likelihood": likelihood, "density": density, "gamma": 0.5, "curriculum": False})
    asked, objective = example(), model.objective()
    found = objective.answer(model, asked)
    terms = objective.model_terms(asked, found)
    shown = torch.cat([asked.observed.frames, asked.target], dim=1)
    assert torch.equal(found.shown, shown)
    if likelihood == "bernoulli":
        expected = -Bernoulli(found.frames.clamp(1e-6, 1 - 1e-6), validate_args=False).log_prob(shown).sum()
    else:
        expected = -Normal(found.frames, 0.1).log_prob(shown).sum()
    torch.testing.assert_close(terms["likelihood"], expected, rtol=2e-3, atol=0)
    standard = Normal(0, 1).log_prob(found.z).sum(dim=-1)
    torch.testing.assert_close(terms["path"], (found.log_density - standard).sum())
    mean, log_variance = found.encoded.mean, found.encoded.log_variance
    said = Normal(mean, (log_variance / 2).exp()).log_prob(found.z[:, :4]).sum(dim=-1)
    torch.testing.assert_close(terms["encoding"], 0.5 * (found.log_density[:, :4] - said).sum())
    first = Normal(mean[:, 0], (log_variance[:, 0] / 2).exp()).log_prob(found.z[:, 0]).sum()
    spread = 0.5 * log_variance[:, 0].sum() if density == "released" else 0.0
    torch.testing.assert_close(found.log_density[0, 0], first + spread)


def test_the_divergence_of_the_weights_is_that_of_normals():
    model = made(objective={"curriculum": False})
    weights = torch.cat([each.flatten() for each in (*model.field.weights, *model.field.biases)])
    posterior = Normal(weights, (model.field.log_variance / 2).exp())
    expected = kl_divergence(posterior, Normal(torch.zeros(()), torch.ones(()))).sum()
    objective, asked = model.objective(), example()
    terms = objective.model_terms(asked, objective.answer(model, asked))
    q, hidden = 3, 10
    beta = q / (hidden * (3 * q + 2 * hidden + 2 + 1) + q)
    torch.testing.assert_close(terms["weights"], beta * expected)


def test_the_log_density_of_a_normal_is_torchs():
    mean, log_variance, z = torch.randn(4, 6), torch.randn(4, 6), torch.randn(4, 6)
    expected = Normal(mean, (log_variance / 2).exp()).log_prob(z).sum(dim=1)
    torch.testing.assert_close(Gaussian(mean, log_variance).log_density(z), expected)


def test_the_curriculum_shows_more_frames_as_epochs_go_by():
    assert [frames_shown(10, epoch, 3) for epoch in (0, 4, 6, 8, 16, 99)] == [4, 4, 5, 6, 10, 10]
    model, asked = made(), example()
    objective = model.objective()
    lengths = []
    for epoch in (0, 4, 99):
        objective.progress = Progress(epoch=epoch)
        lengths.append(objective.answer(model, asked).shown.shape[1])
    assert lengths == [3, 3, 6]


def test_in_interpolation_the_observed_frames_are_explained():
    model, asked = made(objective={"curriculum": False}), example(task="interpolation")
    objective = model.objective()
    assert torch.equal(objective.answer(model, asked).shown, asked.observed.frames)


def test_queries_out_of_order_are_a_sequence_in_order():
    model, asked = made(objective={"curriculum": False}), example()
    mixed = Example(asked.observed, asked.query[:, [2, 0, 1]], asked.target[:, [2, 0, 1]], "extrapolation")
    objective = model.objective()
    assert torch.equal(objective.answer(model, mixed).shown, objective.answer(model, asked).shown)


def test_frames_of_another_size_are_answered_at_their_size():
    assert ask(made(), batch(size=(9, 30)), 3.0).frames.shape == (1, 1, 3, 9, 30)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"amort_len": 4}, "amort_len is 4; expected 1 to neighbours = 3"),
        ({"size": 20}, "size is 20; expected a power of two"),
        ({"objective": {"gamma": -1.0}}, "expected weights of at least 0"),
    ],
)
def test_what_cannot_be_built_is_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        made(**options)


def test_fewer_frames_than_it_sees_are_refused():
    with pytest.raises(InvalidInput, match="2 observed frames; ode2vae sees exactly 3"):
        ask(made(), batch(2), 3.0)


def test_its_learning_rate_falls_as_in_its_code():
    optimiser = build("ode2vae").optimiser
    rates = [optimiser.learning_rate * schedule(optimiser, step, 10_000, 32) for step in (0, 199, 200, 2000)]
    assert rates == pytest.approx([8e-4, 8e-4, 0.995 * 8e-4, 0.995**10 * 8e-4])


@pytest.mark.parametrize("name", ["ode2vae", "latent_ode"])
def test_for_larger_frames_it_stays_the_network_of_its_own_size(name):
    own, wide, small = (
        build(name, **model_class(name).sized(1.0, size)) for size in ((128, 128), (240, 640), (32, 32))
    )
    assert parameter_count(own) == parameter_count(wide) == parameter_count(build(name)) > parameter_count(small)


LEARNED = {"extrapolation": ((0, 1, 2), (3, 4, 5)), "interpolation": ((0, 2, 4), (0, 2, 4))}
"""Frames that are seen, and that are asked: in interpolation it learns from those seen alone, so these it can know."""


@pytest.mark.parametrize("task", LEARNED)
def test_it_learns_one_clip_by_its_whole_objective(task):
    frames = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(1)).round() * 0.8 + 0.1
    frames = frames.repeat_interleave(4, 2).repeat_interleave(4, 3)
    seen, asked = (torch.tensor(each) for each in LEARNED[task])
    observed = Batch.collate([Clip(frames[seen], seen.double())])
    example = Example(observed, asked[None].double(), frames[None, asked], task)
    model = made(latent=8, hidden=32, solver={"step": 0.05})
    untrained = (ask(model, observed, *asked.tolist()).frames[0] - frames[asked]).abs().mean()
    objective, optimiser = model.train().objective(), torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(1400):
        objective.progress = Progress(step, 1400, step // 50)  # what its curriculum goes by
        optimiser.zero_grad()
        sum(objective.model_terms(example, objective.answer(model, example)).values()).backward()
        optimiser.step()
    error = (ask(model.eval(), observed, *asked.tolist()).frames[0] - frames[asked]).abs().mean()
    assert error < min(untrained / 2, (frames[asked].mean(dim=0) - frames[asked]).abs().mean())
