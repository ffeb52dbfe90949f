"""Latent ODE (Rubanova et al., NeurIPS 2019) for video, with a map for a latent: Vid-ODE's networks, drawn from.

    y       = ODE-ConvGRU(E(X_L), ..., E(X_1))                      backward, from the last observation to the first
    mu, std = head(y);  q(z_1) = N(mu, std^2),  p(z_1) = N(0, I)    each place of the map by itself
    z(t)    = ODESolve(f, z_1, from the first observation to t)
    X^(t)   = G(z(t))                                               colours, without a warp

Which Latent ODE the paper of Vid-ODE compares with is not told. Its released code has an unused half of a head for a
spread, which speaks for this one, and so does its remark that the divergence of latents of many dimensions did not
converge: here they are 128 x 32 x 32. `latent_ode`, with a vector, is the other. The networks are Vid-ODE's (the
recognition takes one Euler step over each gap); the loss, its annealing and the fall of the learning rate are the
released Latent ODE's, and the learning rate 1e-3 is Vid-ODE's.

The solve starts at the first observation, to which the recognised state belongs, not at the first time that is asked.
Training draws `bound.samples` maps z_1 for each clip; its windows share the noise, so that windows that see the same
frames are one trajectory. Evaluation follows the mean alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from vidode.blocks.fields import ConvField
from vidode.blocks.frames import FrameDecoder, FrameEncoder, encode_seen
from vidode.blocks.latents import at_queries
from vidode.blocks.recurrent import ONE_EULER_STEP, OdeConvGRU
from vidode.blocks.variational import BoundConfig, Draws, Posterior
from vidode.clip import Batch, InvalidInput
from vidode.configuration import require_at_least
from vidode.models import TASKS, Objective, OptimiserConfig, VideoModel
from vidode.models.latent_ode import Drawn, LatentOdeObjective
from vidode.ode import Solver
from vidode.timing import TimeScale
from vidode.windows import Windows, windows

DOWNS = 2
"""Halvings between a frame and its latent."""


@dataclass(frozen=True)
class LatentOdeConvConfig:
    """What the convolutional Latent ODE is made of. Defaults are Vid-ODE's sizes.

    neighbours: observations seen on each side of a query. width: channels of E's first map; the latent has 4 times as
    many. recognition: solver of the recognition over each gap. solver: of the generative ODE.
    """

    channels: int = 3
    neighbours: int = 5
    width: int = 32
    time_scale: TimeScale = field(default_factory=TimeScale)
    recognition: Solver = ONE_EULER_STEP
    solver: Solver = field(default_factory=Solver)
    bound: BoundConfig = field(default_factory=BoundConfig)

    def __post_init__(self) -> None:
        require_at_least(self, channels=1, neighbours=1)
        if self.width < 2 or self.width % 2:
            raise InvalidInput(f"width is {self.width}; expected an even number of at least 2")


class LatentOdeConv(VideoModel):
    """Frames at any time; the module's docstring holds the equations."""

    tasks = TASKS
    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig(decay=0.999, every=1, floor=0.1)
    config: LatentOdeConvConfig

    def __init__(self, config: LatentOdeConvConfig) -> None:
        super().__init__()
        self.config = config
        latent = config.width * 2**DOWNS
        self.frame_encoder = FrameEncoder(config.channels, config.width, DOWNS)
        self.recognition = OdeConvGRU(latent, latent, latent // 2, solver=config.recognition)
        self.head = nn.Sequential(nn.Conv2d(latent, latent, 1), nn.ReLU(), nn.Conv2d(latent, 2 * latent, 1))
        self.field = ConvField(latent, latent // 2)
        self.frame_decoder = FrameDecoder(latent, config.width // 2, config.channels, DOWNS)

    def forward(self, observed: Batch, query: Tensor) -> Drawn:
        """See `VideoModel.forward`. Training draws one latent for each clip; evaluation takes the mean."""
        return self.draw(observed, query, 1 if self.training else None)

    def draw(self, observed: Batch, query: Tensor, samples: int | None) -> Drawn:
        """Frames at the query times, the mean of those of `samples` draws; of the posterior's mean without a number."""
        seen = windows(observed, query, self.config.neighbours, self.config.time_scale)
        posterior = self.recognise(encode_seen(self.frame_encoder, observed.frames, observed.seen), seen)
        z = posterior.mean[None] if samples is None else posterior.sample(samples, seen.clip)  # (S, G, D, h, w)
        z = at_queries(self.field, z, seen, self.config.solver)  # (S, B, K, D, h, w)
        frames = self.decode(z.flatten(0, 2), observed.frames.shape[-2:])
        frames = frames.view(*z.shape[:3], *frames.shape[1:])  # (S, B, K, C, H, W)
        return Drawn(frames=frames.mean(dim=0), latent=z.mean(dim=0), draws=Draws(frames, posterior))

    def objective(self) -> Objective:
        """The bound of the evidence."""
        return LatentOdeObjective(self.config.bound)

    def recognise(self, features: Tensor, seen: Windows) -> Posterior:
        """The posterior q of the latent (G, D, h, w) at the first observation of each window, of (B, T, D, h, w)."""
        return Posterior.of(self.head(self.recognition(seen.gather(features), seen.times, seen.present, "backward")))

    def decode(self, z: Tensor, size: torch.Size) -> Tensor:
        """Frames (N, C, *size) of latents (N, D, h, w)."""
        frames: Tensor = self.frame_decoder(z).float()
        return frames[..., : size[0], : size[1]]
