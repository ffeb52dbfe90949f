"""Latent ODE (Rubanova et al., NeurIPS 2019) for video: a clip is one vector, drawn and let flow along an ODE.

    x_i     = Linear(CNN(E(X_i)))                                   a vector for each observed frame
    (y, s)  = ODE-RNN(x_L, ..., x_1)                                backward, from the last observation to the first
    mu, std = head(y, s);  q(z_1) = N(mu, std^2),  p(z_1) = N(0, I)
    z(t)    = ODESolve(f, z_1, from the first observation to t)
    X^(t)   = G(CNN(Linear(z(t))))

Vid-ODE's paper compares with this model and says no more than that its dynamics are fully connected and that the
divergence of latents of many dimensions did not converge. The recognition, the fields, the loss, its annealing, the
start of the weights (linear layers from N(0, 0.1^2)) and the fall of the learning rate are the released Latent ODE's.
The networks around the vectors, with Vid-ODE's E and G, and the learning rate 1e-3 (1e-2 is too hot for batch
normalisation) are chosen here. `latent_ode_conv` keeps the latent a map instead.

Of the released code's choices these are not kept, as they break laws of the design: its solve starts at the first time
that is asked for, here at the first observation, to which the recognised state belongs; its mask beside each
observation is left out, as what is not observed is not visited.

Training draws `bound.samples` vectors z_1 for each clip; its windows share the noise, so that windows that see the same
frames are one trajectory, as in the paper. Evaluation follows the mean alone.

A vector holds a frame of one size: the networks are made for `size` x `size` pixels. Any other frame is encoded at its
own size, averaged to the same 4x4 map, decoded at `size` and resized; at `size` nothing is averaged or resized.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidode.blocks.fields import DenseField
from vidode.blocks.frames import FrameDecoder, FrameEncoder, encode_seen, pad_to_multiple
from vidode.blocks.latents import at_queries
from vidode.blocks.ode_rnn import OdeRNN
from vidode.blocks.variational import BoundConfig, Draws, Posterior
from vidode.clip import Batch, InvalidInput
from vidode.configuration import require_at_least
from vidode.models import TASKS, Example, Objective, OptimiserConfig, Prediction, VideoModel, scaled
from vidode.ode import Solver
from vidode.timing import TimeScale
from vidode.windows import Windows, windows

SIDE = 4
"""Of the map that a frame's vector is made from, and of the one that a latent becomes."""
HEAD = 100
"""Units of the head that tells the posterior (the released Latent ODE)."""
SPREAD = 0.1
"""Of the weights of linear layers at the start (the released Latent ODE)."""


@dataclass(frozen=True)
class LatentOdeConfig:
    """What Latent ODE is made of. Defaults are for the paper's 128 pixels.

    neighbours: observations seen on each side of a query. size: of the frames that the network is made for, 4 times a
    power of two. width: channels of E's first map; the 4x4 map has 4 times as many. state: numbers of a frame's
    vector, of y and of s. latent: numbers of z. units: of a hidden layer, in both fields and in the GRU. layers:
    further hidden layers of both fields. solver: of the generative ODE.
    """

    channels: int = 3
    neighbours: int = 5
    size: int = 128
    width: int = 32
    state: int = 256
    latent: int = 128
    units: int = 256
    layers: int = 2
    time_scale: TimeScale = field(default_factory=TimeScale)
    solver: Solver = field(default_factory=Solver)
    bound: BoundConfig = field(default_factory=BoundConfig)

    def __post_init__(self) -> None:
        require_at_least(self, channels=1, neighbours=1, state=1, latent=1, units=1)
        if self.width < 2 or self.width % 2:
            raise InvalidInput(f"width is {self.width}; expected an even number of at least 2")
        if self.layers < 0:
            raise InvalidInput(f"layers is {self.layers}; expected at least 0")
        if self.size < 4 * SIDE or self.size & (self.size - 1):
            raise InvalidInput(f"size is {self.size}; expected a power of two of at least {4 * SIDE}, such as 128")

    @property
    def multiple(self) -> int:
        """Pixels of a frame under one place of its map: sides are padded to a multiple of them."""
        return self.size // SIDE

    @property
    def inner(self) -> int:
        """Halvings between E's features and the map."""
        return (self.multiple // 4).bit_length() - 1


@dataclass(frozen=True, kw_only=True)
class Drawn(Prediction):
    """The mean frames of some draws, and the draws."""

    draws: Draws


class LatentOde(VideoModel):
    """Frames at any time; the module's docstring holds the equations."""

    tasks = TASKS
    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig(decay=0.999, every=1, floor=0.1)
    config: LatentOdeConfig

    def __init__(self, config: LatentOdeConfig) -> None:
        super().__init__()
        self.config = config
        self.maps = 4 * config.width
        flat = self.maps * SIDE**2
        self.frame_encoder = FrameEncoder(config.channels, config.width)
        self.to_map = nn.Sequential(*[_halving(self.maps) for _ in range(config.inner)])
        self.to_vector = nn.Linear(flat, config.state)
        self.recognition = OdeRNN(config.state, config.state, config.units, config.layers)
        self.head = nn.Sequential(nn.Linear(2 * config.state, HEAD), nn.Tanh(), nn.Linear(HEAD, 2 * config.latent))
        self.field = DenseField(config.latent, config.units, config.layers)
        self.from_vector = nn.Linear(config.latent, flat)
        self.from_map = nn.Sequential(*[_doubling(self.maps) for _ in range(config.inner)])
        self.frame_decoder = FrameDecoder(self.maps, config.width // 2, config.channels)
        self.apply(_start)

    def forward(self, observed: Batch, query: Tensor) -> Drawn:
        """See `VideoModel.forward`. Training draws one latent for each clip; evaluation takes the mean."""
        return self.draw(observed, query, 1 if self.training else None)

    def draw(self, observed: Batch, query: Tensor, samples: int | None) -> Drawn:
        """Frames at the query times, the mean of those of `samples` draws; of the posterior's mean without a number."""
        seen = windows(observed, query, self.config.neighbours, self.config.time_scale)
        posterior = self.recognise(encode_seen(self.vectors, observed.frames, observed.seen), seen)
        z = posterior.mean[None] if samples is None else posterior.sample(samples, seen.clip)  # (S, G, Z)
        z = at_queries(self.field, z, seen, self.config.solver)  # (S, B, K, Z)
        frames = self.decode(z.flatten(0, 2), observed.frames.shape[-2:])
        frames = frames.view(*z.shape[:3], *frames.shape[1:])  # (S, B, K, C, H, W)
        return Drawn(frames=frames.mean(dim=0), latent=z.mean(dim=0)[..., None, None], draws=Draws(frames, posterior))

    def objective(self) -> Objective:
        """The bound of the evidence."""
        return LatentOdeObjective(self.config.bound)

    @classmethod
    def sized(cls, share: float, size: tuple[int, int]) -> dict[str, Any]:
        """See `VideoModel.sized`. The network is made for the least power of two that holds the frames, up to its own.

        Larger frames are made at that size and enlarged: for CAM5 it would be another network, too large to train.
        """
        widths = scaled(LatentOdeConfig(), share, "width", "state", "latent", "units")
        fitting = max(4 * SIDE, 2 ** math.ceil(math.log2(max(size))))
        return {**widths, "size": min(fitting, LatentOdeConfig().size)}

    def vectors(self, frames: Tensor) -> Tensor:
        """The vector (N, R) of each frame (N, C, H, W)."""
        maps = self.to_map(self.frame_encoder(pad_to_multiple(frames, self.config.multiple)))
        return self.to_vector(F.adaptive_avg_pool2d(maps, SIDE).flatten(1))  # type: ignore[no-any-return]

    def recognise(self, vectors: Tensor, seen: Windows) -> Posterior:
        """The posterior q of the latent (G, Z) at the first observation of each window, from vectors (B, T, R)."""
        return Posterior.of(self.head(self.recognition(seen.gather(vectors), seen.times, seen.present)))

    def decode(self, z: Tensor, size: torch.Size) -> Tensor:
        """Frames (N, C, *size) of latents (N, Z)."""
        maps = self.from_vector(z).view(len(z), self.maps, SIDE, SIDE)
        frames: Tensor = self.frame_decoder(self.from_map(maps)).float()
        padded = [side + -side % self.config.multiple for side in size]
        if padded != list(frames.shape[-2:]):
            frames = F.interpolate(frames, padded, mode="bilinear", align_corners=False, antialias=True)
        return frames[..., : size[0], : size[1]]


class Drawing(Protocol):
    """A model whose frames are made of latents that are drawn."""

    def draw(self, observed: Batch, query: Tensor, samples: int | None) -> Drawn:
        """See `LatentOde.draw`."""


class LatentOdeObjective(Objective):
    """The bound of the evidence, as its terms likelihood and divergence; the divergence before its weight is read."""

    def __init__(self, bound: BoundConfig) -> None:
        super().__init__()
        self.bound = bound

    def answer(self, model: VideoModel, example: Example) -> Prediction:
        """What the bound's samples become."""
        return cast(Drawing, model).draw(example.observed, example.query, self.bound.samples)

    def model_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """See `BoundConfig`; the weight of the divergence follows the epoch."""
        assert isinstance(prediction, Drawn)
        return self.bound.terms(prediction.draws, example.target, self.progress.epoch)

    def readings(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The divergence in nats, whatever its weight."""
        assert isinstance(prediction, Drawn)
        return {"divergence_unweighted": self.bound.divergence(prediction.draws.posterior)}


def _halving(channels: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, channels, 4, stride=2, padding=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())


def _doubling(channels: int) -> nn.Sequential:
    enlarge = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    return nn.Sequential(enlarge, nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU())


def _start(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=SPREAD)
        nn.init.zeros_(module.bias)
