"""Posteriors of a latent, and the bound of the evidence that they are trained for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vidode.clip import InvalidInput

NARROWEST = 1e-6
"""The least spread of a posterior, whose logarithm stays finite."""


@dataclass(frozen=True)
class Posterior:
    """N(mean, std^2) of each number of G latents by itself. mean, std: (G, ...) float32 or wider."""

    mean: Tensor
    std: Tensor

    @staticmethod
    def of(head: Tensor) -> Posterior:
        """From the output (G, 2 D, ...) of a network: the mean, and the spread as an absolute value."""
        mean, spread = head.to(torch.promote_types(head.dtype, torch.float32)).chunk(2, dim=1)
        return Posterior(mean, spread.abs().clamp(min=NARROWEST))

    def sample(self, count: int, owner: Tensor) -> Tensor:
        """(count, G, ...) draws; rows of the same owner (G,) share their noise, so that equal posteriors agree."""
        shape = (count, int(owner.max()) + 1, *self.mean.shape[1:])
        noise = torch.randn(shape, dtype=self.mean.dtype, device=self.mean.device)
        return self.mean + self.std * noise[:, owner]

    def divergence(self) -> Tensor:
        """KL(N(mean, std^2) || N(0, 1)) of each number (G, ...), in nats."""
        return 0.5 * (self.mean.square() + self.std.square() - 1) - self.std.log()


@dataclass(frozen=True)
class Draws:
    """What is trained on. frames: (S, B, K, C, H, W) of S draws for each clip. posterior: of G windows."""

    frames: Tensor
    posterior: Posterior


@dataclass(frozen=True)
class BoundConfig:
    """What is maximised of the evidence of a clip X, and how its divergence is let in.

        log 1/S sum_k exp(log p(X | z_k)) - c KL(q || p),   z_1 ... z_S drawn from q

    As in the released Latent ODE, which leaves out the constant 1/S: importance-weighted draws (Burda et al., ICLR
    2016), with the closed divergence in the place of each draw's own. With one draw and c = 1 it is the evidence lower
    bound; with more it lies above that one, and no longer below the evidence for certain.

    sigma: of the Gaussian likelihood p, frames being in [0, 1]. samples: S. reduction: "means" (released) divides log p
    by the number of values and the divergence by that of latents, so that it counts (values / latents) times as much as
    in the bound, and takes log p over the batch before the draws are weighed; "sums" divides by neither and weighs the
    draws of each clip. wait: epochs with c = 0; after them c = 1 - anneal^(epoch - wait).
    """

    sigma: float = 0.01
    samples: int = 3
    reduction: Literal["means", "sums"] = "means"
    wait: int = 10
    anneal: float = 0.99

    def __post_init__(self) -> None:
        if not self.sigma > 0 or self.samples < 1 or self.wait < 0 or not 0 <= self.anneal <= 1:
            raise InvalidInput(
                f"{self}; expected a positive sigma, at least 1 sample, a wait of at least 0 and anneal from 0 to 1"
            )

    def weight(self, epoch: int) -> float:
        """The weight c in an epoch, counted from zero."""
        return 1 - self.anneal ** max(0, epoch - self.wait)

    def likelihood(self, frames: Tensor, target: Tensor) -> Tensor:
        """The first term of the bound, log 1/S sum_k exp(log p(target | z_k)).

        frames: (S, B, K, C, H, W) of the draws. target: (B, K, C, H, W).
        """
        deviation = ((frames - target) / self.sigma).square().flatten(2)  # (S, B, values)
        each = -0.5 * deviation.mean(dim=2) - math.log(self.sigma * math.sqrt(2 * math.pi))  # (S, B)
        each = each.mean(dim=1, keepdim=True) if self.reduction == "means" else each * deviation.shape[2]
        return (each.logsumexp(dim=0) - math.log(len(frames))).mean()

    def divergence(self, posterior: Posterior) -> Tensor:
        """KL(q || p) in nats, of the mean number of a latent or of all of them together, mean over the posteriors."""
        each = posterior.divergence().flatten(1)
        return (each.mean(dim=1) if self.reduction == "means" else each.sum(dim=1)).mean()

    def terms(self, draws: Draws, target: Tensor, epoch: int) -> dict[str, Tensor]:
        """The bound, negated, as its two terms, which are minimised: likelihood and the weighted divergence."""
        return {
            "likelihood": -self.likelihood(draws.frames, target),
            "divergence": self.weight(epoch) * self.divergence(draws.posterior),
        }
