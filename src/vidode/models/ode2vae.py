"""ODE2VAE (Yildiz, Heinonen and Lahdesmaki, NeurIPS 2019): a latent position that moves by a latent velocity.

    q(s_0 | x_0) q(v_0 | x_0 ... x_a-1)                 two encoders: one frame; the first `amort_len` of them, stacked
    ds/dt = v,  dv/dt = f_W(v, s),  W ~ q(W)            a Bayesian field of second order; z = (v, s)
    d log q(z_t) / dt = -tr(df_W / dv)                  solved along with z; the row of s has no divergence
    x_t ~ p(x | s_t)                                    the decoder sees the position alone

What is minimised, with q_ode the density that flows along and q_enc what the encoders say of the frames from t on:

    L = -E log p(x | s) + E sum_t [log q_ode(z_t) - log N(z_t; 0, I)] + beta KL(q(W) || p(W))
        + gamma E sum_t [log q_ode(z_t) - log q_enc(z_t | x_t ... x_t+a-1)]

Sums run over frames and pixels, the mean over sequences; one sample of z_0 a sequence and one of W a pass. The last
term ("instant encoding") takes t = 0 ... T - a - 1 of a sequence of T frames, and is left out where there is none.

Sequences: in extrapolation all frames, the inputs and the targets, so that the prefix explains the whole; in
interpolation the observed frames alone, as the paper trains, even where the sampling asks for hidden ones. A curriculum
starts with a few of the frames (`frames_shown`). In evaluation z_0 and W are their posterior means.

Choices. Paper and released code: the objective, beta and curriculum, the field, RK4 of 0.02 where frames are 0.1 apart.
Ours, for 128 pixels: five halvings, q = 32, and a velocity encoder that sees all 5 inputs (the paper's 3 is
`amort_len=3`). The released code takes the density of the noise for that of z_0, without -sum log sigma, so that
sigma has no gradient from it; that is `density="released"`. The encoder takes no times: only how far a query lies from
the first frame counts. A query sees exactly `neighbours` observations (`blocks.runs`).

Frame sizes: at `size` pixels the encoder's maps are 4 x 4 when they are flattened and the decoder ends at that size.
Frames of another size have these maps averaged to 4 x 4, and what is decoded is resized, bilinear and antialiased.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidode.blocks.bayesian import BayesianMLP, Network
from vidode.blocks.chain import places
from vidode.blocks.runs import runs
from vidode.clip import Batch, InvalidInput
from vidode.configuration import require_at_least
from vidode.models import TASKS, Example, Objective, OptimiserConfig, Prediction, VideoModel, scaled
from vidode.ode import Solver, integrate
from vidode.timing import TimeScale

COARSE = 4
"""Rows and columns of the map between the convolutions and the latent."""
SMALL = 1e-5
"""Inside the logarithms of the Bernoulli likelihood (released code)."""


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is minimised; see the module.

    likelihood: "bernoulli" on values in [0, 1], or "gaussian" of the given `deviation`. beta: of KL(q(W) || p(W)); None
    is the paper's q / (number of weights of f). gamma: of the instant encoding; the paper has 1 for bouncing balls and
    0.1 for rotating digits. curriculum: long sequences come late. density: of z_0, "corrected" or "released".
    trace: "exact", or "hutchinson" with one random probe a pass, which here saves nothing.
    """

    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    deviation: float = 0.1
    beta: float | None = None
    gamma: float = 1.0
    curriculum: bool = True
    density: Literal["corrected", "released"] = "corrected"
    trace: Literal["exact", "hutchinson"] = "exact"

    def __post_init__(self) -> None:
        if min(self.beta or 0, self.gamma) < 0 or not self.deviation > 0:
            raise InvalidInput(f"{self}; expected weights of at least 0 and a positive deviation")


@dataclass(frozen=True)
class Ode2VaeConfig:
    """What ODE2VAE is made of.

    width: channels of the encoders' first map, doubled at each halving. size: pixels of the frames it is made for, a
    power of two; others are resized. latent: q, numbers of the position, and of the velocity. hidden: units of each
    of the field's two hidden layers. neighbours: observations that a query sees in all. amort_len: how many of them,
    from the first, the velocity encoder sees.
    """

    channels: int = 3
    width: int = 16
    size: int = 128
    latent: int = 32
    hidden: int = 100
    neighbours: int = 5
    amort_len: int = 5
    time_scale: TimeScale = field(default_factory=TimeScale)
    solver: Solver = field(default_factory=lambda: Solver("rk4", step=0.02))
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)

    def __post_init__(self) -> None:
        require_at_least(self, channels=1, width=1, latent=1, hidden=1, neighbours=1)
        if not 1 <= self.amort_len <= self.neighbours:
            raise InvalidInput(f"amort_len is {self.amort_len}; expected 1 to neighbours = {self.neighbours}")
        if self.size < 2 * COARSE or self.size.bit_count() != 1:
            raise InvalidInput(f"size is {self.size}; expected a power of two from {2 * COARSE} on, such as 128")

    @property
    def halvings(self) -> int:
        """Between a frame and the coarse map."""
        return (self.size // COARSE).bit_length() - 1

    @property
    def beta(self) -> float:
        """The weight of KL(q(W) || p(W)). The paper's count of the weights of f is a little too high, and kept."""
        if self.objective.beta is not None:
            return self.objective.beta
        return self.latent / (self.hidden * (3 * self.latent + 2 * self.hidden + 3) + self.latent)


@dataclass(frozen=True)
class Gaussian:
    """A factorised normal distribution of z = (v, s): mean and log_variance (..., 2q)."""

    mean: Tensor
    log_variance: Tensor

    def draw(self, sample: bool) -> Tensor:
        """A sample, or the mean."""
        if not sample:
            return self.mean
        return self.mean + (self.log_variance / 2).exp() * torch.randn_like(self.mean)

    def log_density(self, z: Tensor) -> Tensor:
        """(...) of z (..., 2q), in nats."""
        scaled = (z - self.mean).square() * (-self.log_variance).exp()
        return -0.5 * (scaled + self.log_variance + math.log(2 * math.pi)).sum(dim=-1)


class Encoder(nn.Module):
    """(N, inputs, H, W) -> mean and log-variance (N, 2 latent): 5x5 convolutions of stride 2 with BN and ReLU."""

    def __init__(self, inputs: int, config: Ode2VaeConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in (config.width << halving for halving in range(config.halvings)):
            layers += [nn.Conv2d(inputs, width, 5, stride=2, padding=2), nn.BatchNorm2d(width), nn.ReLU()]
            inputs = width
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(COARSE), nn.Flatten())
        self.heads = nn.Linear(inputs * COARSE**2, 2 * config.latent)

    def forward(self, frames: Tensor) -> Tensor:
        """The mean first."""
        return self.heads(self.layers(frames)).float()  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """(N, latent) -> (N, channels, size, size) before the sigmoid: transposed 4x4 convolutions with BN and ReLU."""

    def __init__(self, config: Ode2VaeConfig) -> None:
        super().__init__()
        coarsest = config.width << (config.halvings - 1)
        narrower = [max(coarsest >> up, 2 * config.width) for up in range(1, config.halvings)]
        layers: list[nn.Module] = [
            nn.Linear(config.latent, coarsest * COARSE**2),
            nn.Unflatten(1, (coarsest, COARSE, COARSE)),
        ]
        for inputs, width in pairwise([coarsest, *narrower, config.width]):
            layers += [nn.ConvTranspose2d(inputs, width, 4, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(config.width, config.channels, 3, padding=1))

    def forward(self, position: Tensor) -> Tensor:
        """Raw maps."""
        return self.layers(position)  # type: ignore[no-any-return]


class Ode2Vae(VideoModel):
    """Frames at any time, before the first observation too; the module's docstring holds the equations."""

    tasks = TASKS
    # The paper's 8e-4 for the first 200 steps, to which the schedule's first factor applies, too.
    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig(
        "adam", learning_rate=8e-4 / 0.995, decay=0.995, every=200, floor=0
    )
    config: Ode2VaeConfig

    def __init__(self, config: Ode2VaeConfig) -> None:
        super().__init__()
        self.config = config
        self.position = Encoder(config.channels, config)
        self.velocity = Encoder(config.amort_len * config.channels, config)
        self.field = BayesianMLP(2 * config.latent, config.hidden, config.latent)
        self.decoder = Decoder(config)

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. Raises `InvalidInput` for a clip of fewer than `neighbours` observations."""
        seen = runs(observed, query, self.config.neighbours, self.config.time_scale, "ode2vae")
        start = self.encode(seen.gather(observed.frames)).draw(self.training)  # (R, 2q)
        run = seen.of_query.flatten()
        place = places(run)
        times = seen.times.new_zeros(len(start), int(place.max()) + 1)  # what nobody asks for is the start, at no cost
        times = times.index_put((run, place), seen.query.flatten())
        z = self.flow(start, times, self.field.draw(self.training))[run, place].view(*query.shape, -1)  # (B, K, 2q)
        return Prediction(self.decode(z, observed.frames.shape[-2:]), latent=z[..., None, None])

    def objective(self) -> Objective:
        """The negative evidence lower bound, term by term."""
        return Ode2VaeObjective(self.config)

    @classmethod
    def sized(cls, share: float, size: tuple[int, int]) -> dict[str, Any]:
        """See `VideoModel.sized`. The network is made for the least power of two that holds the frames, up to its own.

        Larger frames are made at that size and enlarged: for CAM5 it would be another network, fifty times as large.
        """
        fitting = max(2 * COARSE, 2 ** math.ceil(math.log2(max(size))))
        own = min(fitting, Ode2VaeConfig().size)
        return {**scaled(Ode2VaeConfig(), share, "width", "latent", "hidden"), "size": own}

    def encode(self, frames: Tensor) -> Gaussian:
        """q_enc of z at the first of the frames (N, at least amort_len, C, H, W)."""
        velocity = self.velocity(frames[:, : self.config.amort_len].flatten(1, 2)).chunk(2, dim=1)
        position = self.position(frames[:, 0]).chunk(2, dim=1)
        return Gaussian(*(torch.cat(parts, dim=1) for parts in zip(velocity, position, strict=True)))

    def flow(self, start: Tensor, times: Tensor, network: Network) -> Tensor:
        """Z (R, K, 2q) at model times (R, K), from z (R, 2q) at time zero."""
        velocity = slice(0, self.config.latent)

        def rate(_: Tensor, z: Tensor) -> Tensor:
            return torch.cat([network(z), z[:, velocity]], dim=1)

        return integrate(rate, start, torch.zeros_like(times[:, 0]), times, self.config.solver).states

    def flow_of_density(
        self, start: Tensor, log_density: Tensor, times: Tensor, network: Network
    ) -> tuple[Tensor, Tensor]:
        """Z (R, K, 2q) as in `flow`, and log q_ode(z) (R, K), from log q_ode (R,) at time zero."""
        q = self.config.latent
        probe = torch.randint(2, (q,), device=start.device).to(start.dtype) * 2 - 1
        coupling = network.coupling(probe if self.config.objective.trace == "hutchinson" else None)

        def rate(_: Tensor, state: Tensor) -> Tensor:
            acceleration, trace = network.rate_and_trace(state[:, : 2 * q], coupling)
            return torch.cat([acceleration, state[:, :q], -trace[:, None]], dim=1)

        state = torch.cat([start, log_density[:, None]], dim=1)
        states = integrate(rate, state, torch.zeros_like(times[:, 0]), times, self.config.solver).states
        return states[..., : 2 * q], states[..., 2 * q]

    def decode(self, z: Tensor, size: tuple[int, ...]) -> Tensor:
        """Frames (..., C, H, W) in [0, 1] of z (..., 2q), of the given height and width."""
        position = z[..., self.config.latent :]
        maps = torch.sigmoid(self.decoder(position.flatten(0, -2)).float())
        if maps.shape[-2:] != tuple(size):
            maps = F.interpolate(maps, size=list(size), mode="bilinear", align_corners=False, antialias=True)
        return maps.view(*z.shape[:-1], *maps.shape[1:])


@dataclass(frozen=True, kw_only=True)
class Evidence(Prediction):
    """What the objective is about; frames and latent are those of a sequence (R, T, ...), not of the queries.

    shown: (R, T, C, H, W) the true frames. z: (R, T, 2q). log_density: (R, T) log q_ode(z). encoded: q_enc (R, P, 2q)
    of z at the first P frames of the sequence, P = T - amort_len where that is positive; else None.
    weights: KL(q(W) || p(W)).
    """

    shown: Tensor
    z: Tensor
    log_density: Tensor
    encoded: Gaussian | None
    weights: Tensor


class Ode2VaeObjective(Objective):
    """The terms likelihood, path, weights and encoding, in the order of the module's L."""

    def __init__(self, config: Ode2VaeConfig) -> None:
        super().__init__()
        self.config = config

    def answer(self, model: VideoModel, example: Example) -> Evidence:
        """One pass over the sequences of the example, sampled in training mode."""
        model = cast(Ode2Vae, model)
        times, shown = self._sequences(example)
        encoded = self._encoded(model, shown)  # (R, P, 2q)
        first = Gaussian(encoded.mean[:, 0], encoded.log_variance[:, 0])
        start = first.draw(model.training)
        log_density = first.log_density(start)
        if self.config.objective.density == "released":
            log_density = log_density + first.log_variance.sum(dim=1) / 2
        z, log_density = model.flow_of_density(start, log_density, times, model.field.draw(model.training))
        return Evidence(
            model.decode(z, shown.shape[-2:]),
            latent=z[..., None, None],
            shown=shown,
            z=z,
            log_density=log_density,
            encoded=encoded if shown.shape[1] > self.config.amort_len else None,
            weights=model.field.divergence(),
        )

    def model_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The terms likelihood, path, weights and, where sequences are long enough, encoding."""
        found, weights = cast(Evidence, prediction), self.config.objective
        standard = Gaussian(torch.zeros_like(found.z), torch.zeros_like(found.z))
        terms = {
            "likelihood": -self._log_likelihood(found.frames, found.shown).flatten(1).sum(dim=1).mean(),
            "path": (found.log_density - standard.log_density(found.z)).sum(dim=1).mean(),
            "weights": self.config.beta * found.weights,
        }
        if weights.gamma and found.encoded is not None:
            positions = found.encoded.mean.shape[1]
            said = found.encoded.log_density(found.z[:, :positions])
            terms["encoding"] = weights.gamma * (found.log_density[:, :positions] - said).sum(dim=1).mean()
        return terms

    def _sequences(self, example: Example) -> tuple[Tensor, Tensor]:
        """Model times (R, T) and frames (R, T, C, H, W) that are shown at this point of the training."""
        config = self.config
        seen = runs(example.observed, example.query, config.neighbours, config.time_scale, "ode2vae")
        times, frames = seen.times, seen.gather(example.observed.frames)
        if example.task == "extrapolation":  # all that is asked lies beyond the end: each clip is one run
            later, order = seen.query.sort(dim=1)
            target = example.target[torch.arange(len(order), device=order.device)[:, None], order]
            times, frames = torch.cat([times, later], dim=1), torch.cat([frames, target], dim=1)
        length = times.shape[1]
        if config.objective.curriculum:
            length = frames_shown(length, self.progress.epoch, config.amort_len)
        return times[:, :length], frames[:, :length]

    def _encoded(self, model: Ode2Vae, frames: Tensor) -> Gaussian:
        """q_enc (R, P, 2q) at the frames t = 0 ... max(0, T - amort_len - 1) of a sequence, all in one pass."""
        amort = self.config.amort_len
        windows = frames.unfold(1, amort, 1).movedim(-1, 2)  # (R, T - amort + 1, amort, C, H, W)
        windows = windows[:, : max(1, frames.shape[1] - amort)]
        encoded = model.encode(windows.flatten(0, 1))
        return Gaussian(*(part.view(*windows.shape[:2], -1) for part in (encoded.mean, encoded.log_variance)))

    def _log_likelihood(self, frames: Tensor, shown: Tensor) -> Tensor:
        """Log p(x | s) of every value, in nats."""
        if self.config.objective.likelihood == "bernoulli":
            return shown * (frames + SMALL).log() + (1 - shown) * (1 - frames + SMALL).log()
        deviation = self.config.objective.deviation
        return -0.5 * ((shown - frames) / deviation).square() - math.log(deviation * math.sqrt(2 * math.pi))


def frames_shown(length: int, epoch: int, amort_len: int) -> int:
    """T_e of the curriculum: a fifth of the sequence and one frame more every second epoch, at least amort_len + 1."""
    return min(length, max(length // 5 + epoch // 2, amort_len + 1))
