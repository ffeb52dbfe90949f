"""The posterior and the bound against torch's own distributions, and the identities that they keep."""

import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from vidode.blocks.variational import NARROWEST, BoundConfig, Draws, Posterior
from vidode.clip import InvalidInput

both = pytest.mark.parametrize("reduction", ["means", "sums"])


def posterior(rows=4, size=(3, 2, 5), seed=0):
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(rows, *size, generator=generator)
    return Posterior(mean, 0.1 + torch.rand(mean.shape, generator=generator))


def frames(draws=3, seed=0):
    """Of draws, and the truth: (S, B, K, C, H, W) and (B, K, C, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(2, 4, 3, 5, 6, generator=generator)
    return target + 0.02 * torch.randn(draws, *target.shape, generator=generator), target


def test_the_divergence_is_zero_at_the_prior():
    prior = Posterior.of(torch.cat([torch.zeros(2, 5), torch.tensor([1.0, -1.0]).view(2, 1).expand(2, 5)], dim=1))
    assert torch.equal(prior.divergence(), torch.zeros(2, 5))


def test_the_divergence_is_that_of_two_normal_distributions():
    q = posterior()
    expected = kl_divergence(Normal(q.mean, q.std), Normal(0.0, 1.0))
    torch.testing.assert_close(q.divergence(), expected)
    assert bool((expected > 0).all())


def test_the_head_tells_the_mean_and_the_absolute_spread():
    head = torch.tensor([[0.5, -2.0, -0.25, 0.0]], dtype=torch.bfloat16)
    q = Posterior.of(head)
    assert q.mean.tolist() == [[0.5, -2.0]]
    assert q.std.tolist() == [[0.25, pytest.approx(NARROWEST)]]
    assert bool(q.divergence().isfinite().all())


def test_draws_are_distributed_as_the_posterior_says():
    torch.manual_seed(0)
    q = posterior(rows=3, size=(2,))
    drawn = q.sample(20_000, torch.arange(3))
    torch.testing.assert_close(drawn.mean(dim=0), q.mean, atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.std(dim=0), q.std, atol=0.03, rtol=0)
    assert torch.corrcoef(drawn[:, :, 0].T).triu(1).abs().max() < 0.03


def test_rows_of_one_owner_share_their_noise():
    drawn = Posterior(torch.zeros(3, 4), torch.ones(3, 4)).sample(2, torch.tensor([1, 0, 1]))
    assert torch.equal(drawn[:, 0], drawn[:, 2])
    assert not torch.equal(drawn[:, 0], drawn[:, 1])
    assert not torch.equal(drawn[0], drawn[1])


@both
def test_the_likelihood_is_the_logarithm_of_the_mean_weight_of_the_draws(reduction):
    made, target = frames()
    density = Independent(Normal(made, 0.05), 4).log_prob(target).double()  # (S, B)
    if reduction == "means":
        expected = math.log(sum(math.exp(d.mean() / target[0].numel()) for d in density) / 3)
    else:
        expected = (density - density.max()).exp().mean(dim=0).log().add(density.max()).mean().item()
    got = BoundConfig(sigma=0.05, reduction=reduction).likelihood(made, target)
    assert got.item() == pytest.approx(expected, rel=1e-5)


@both
def test_draws_that_agree_give_the_plain_bound(reduction):
    made, target = frames(draws=1)
    config = BoundConfig(reduction=reduction)
    plain = config.likelihood(made, target)
    torch.testing.assert_close(config.likelihood(made.expand(3, *target.shape), target), plain)


@both
def test_several_draws_lie_between_their_mean_and_the_best(reduction):
    made, target = frames()
    config = BoundConfig(reduction=reduction)
    each = torch.stack([config.likelihood(draw[None], target) for draw in made])
    together = config.likelihood(made, target)
    assert each.mean() < together <= each.max() + 1e-4


@pytest.mark.parametrize(("reduction", "numbers"), [("means", 1), ("sums", 30)])
def test_the_divergence_of_a_latent_is_of_its_mean_number_or_of_all(reduction, numbers):
    q = posterior()
    expected = numbers * kl_divergence(Normal(q.mean, q.std), Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(BoundConfig(reduction=reduction).divergence(q), expected)


def test_the_divergence_is_let_in_after_ten_epochs():
    weights = [BoundConfig().weight(epoch) for epoch in (0, 9, 10, 11, 12, 500)]
    assert weights == pytest.approx([0, 0, 0, 0.01, 1 - 0.99**2, 1 - 0.99**490])
    assert BoundConfig(wait=0, anneal=0.5).weight(2) == 0.75


def test_the_terms_are_the_bound_negated():
    made, target = frames()
    config, draws = BoundConfig(sigma=0.1), Draws(made, posterior())
    assert float(config.terms(draws, target, epoch=3)["divergence"]) == 0
    terms = config.terms(draws, target, epoch=20)
    torch.testing.assert_close(terms["likelihood"], -config.likelihood(made, target))
    torch.testing.assert_close(terms["divergence"], (1 - 0.99**10) * config.divergence(draws.posterior))


@pytest.mark.parametrize("wrong", [{"sigma": 0.0}, {"samples": 0}, {"wait": -1}, {"anneal": 1.5}])
def test_what_makes_no_bound_is_refused(wrong):
    with pytest.raises(InvalidInput, match="expected a positive sigma, at least 1 sample"):
        BoundConfig(**wrong)
