"""A multi-layer perceptron of uncertain weights, with the trace of its Jacobian in closed form.

    f_W(x) = W3 relu(W2 relu(W1 x + b1) + b2) + b3
    q(W)   = N(mean, s^2 I) with one learned log s^2 for all weights and biases;   p(W) = N(0, I)

Where D1 and D2 are the diagonal matrices of which hidden units are on, the Jacobian with respect to the first q of the
inputs, which the q outputs are the rates of, is W3 D2 W2 D1 A with A the first q columns of W1. Its trace is

    tr(W3 D2 W2 D1 A) = d2^T (W2 * (A W3)^T) d1,    * elementwise,

so that it costs one product of hidden x hidden, once the coupling W2 * (A W3)^T of these weights is known. Hutchinson's
estimate with a probe e, e^T (W3 D2 W2 D1 A) e, is the same with the coupling W2 * (W3^T e) (A e)^T.

Source: ODE2VAE (Yildiz et al., NeurIPS 2019) for the field and its posterior.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LOG_VARIANCE = math.log(1e-4)
"""Of every weight, at the start (released ODE2VAE)."""


@dataclass(frozen=True)
class Network:
    """One choice of the weights. weights: (hidden, inputs), (hidden, hidden), (q, hidden). biases: their outputs."""

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """f_W (S, q) of x (S, inputs)."""
        return F.linear(self._hidden(x)[1], self.weights[2], self.biases[2])

    def coupling(self, probe: Tensor | None = None) -> Tensor:
        """(hidden, hidden) what `rate_and_trace` needs: the exact one, or Hutchinson's estimate with a probe (q,)."""
        first, second, outward = self.weights
        inward = first[:, : len(outward)]  # (hidden, q)
        with torch.autocast(first.device.type, enabled=False):  # its error would be in every later density
            loop = inward @ outward if probe is None else torch.outer(inward @ probe, probe @ outward)
        return second * loop.T

    def rate_and_trace(self, x: Tensor, coupling: Tensor) -> tuple[Tensor, Tensor]:
        """f_W (S, q), and the trace (S,) of its Jacobian with respect to the first q of x (S, inputs)."""
        first, second = self._hidden(x)
        on_first, on_second = (first > 0).to(x.dtype), (second > 0).to(x.dtype)
        trace = ((on_second @ coupling) * on_first).sum(dim=1)
        return F.linear(second, self.weights[2], self.biases[2]), trace

    def _hidden(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = F.relu(F.linear(x, self.weights[0], self.biases[0]))
        return first, F.relu(F.linear(first, self.weights[1], self.biases[1]))


class BayesianMLP(nn.Module):
    """q(W): learned means of two hidden layers (Xavier, biases zero), and one learned log-variance."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        layers = [nn.Linear(*sizes) for sizes in pairwise((inputs, hidden, hidden, outputs))]
        for layer in layers:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.weights = nn.ParameterList(layer.weight for layer in layers)
        self.biases = nn.ParameterList(layer.bias for layer in layers)
        self.log_variance = nn.Parameter(torch.tensor(LOG_VARIANCE))

    def draw(self, sample: bool) -> Network:
        """A sample of the weights, or their means."""
        deviation = (self.log_variance / 2).exp() if sample else None
        return Network(
            tuple(_drawn(mean, deviation) for mean in self.weights),
            tuple(_drawn(mean, deviation) for mean in self.biases),
        )

    def divergence(self) -> Tensor:
        """KL(q(W) || p(W)) = 1/2 sum (s^2 + mean^2 - 1 - log s^2), in nats."""
        means = torch.cat([mean.flatten() for mean in (*self.weights, *self.biases)])
        return 0.5 * (self.log_variance.exp() + means.square() - 1 - self.log_variance).sum()


def _drawn(mean: Tensor, deviation: Tensor | None) -> Tensor:
    return mean if deviation is None else mean + deviation * torch.randn_like(mean)
