"""ODE-FC, a baseline of Vid-ODE (AAAI 2021): all frames at once, then an ODE whose field is fully connected.

    h_0  = E(X_1, ..., X_L)                   the frames side by side as channels, without their times
    h(t) = ODESolve(f, h_0, origin -> t)      f on the whole latent as one vector
    X^   = G(h(t))                            colours, without a warp

It is ODE-Conv with another field. Where the dense layers act the paper does not say: here on the flattened latent,
through two layers of 100 units with tanh (the sizes of a builder that is left unused in the released code), or with
`vector` on a projection of it. The number of weights hangs on the size of a frame: the network is made for `size`;
other frames are averaged to the same latent, decoded at `size` and resized.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from vidode.blocks.chain import whole_clips
from vidode.blocks.fields import DenseField
from vidode.blocks.frames import FrameDecoder, FrameEncoder, pad_to_multiple
from vidode.blocks.latents import at_queries
from vidode.blocks.stacked import Origin, origin_of, stacked
from vidode.clip import Batch, InvalidInput
from vidode.configuration import require_at_least
from vidode.models import Objective, OptimiserConfig, Prediction, ReconstructionObjective, VideoModel, scaled
from vidode.ode import Solver
from vidode.timing import TimeScale

DOWNS = 2
"""Halvings between a frame and its latent."""


@dataclass(frozen=True)
class OdeFcConfig:
    """What ODE-FC is made of. Defaults are Vid-ODE's sizes, at 128 pixels.

    neighbours: L, the frames that it reads, no fewer and no more. size: height and width of the frames that the network
    is made for, multiples of 4. width: channels of E's first map; the latent has 4 times as many. hidden: units of the
    field's two inner layers. vector: units that the latent is projected to, where the field then acts; 0 leaves it
    whole. origin: the time to which h_0 belongs; see `origin_of`.
    """

    channels: int = 3
    neighbours: int = 5
    size: tuple[int, int] = (128, 128)
    width: int = 32
    hidden: int = 100
    vector: int = 0
    time_scale: TimeScale = field(default_factory=TimeScale)
    solver: Solver = field(default_factory=Solver)
    origin: Origin = "anchor"

    def __post_init__(self) -> None:
        require_at_least(self, channels=1, neighbours=1, hidden=1)
        if self.width < 2 or self.width % 2 or self.vector < 0:
            raise InvalidInput(
                f"width is {self.width} and vector {self.vector}; expected an even number of at least 2, and 0 or more"
            )
        if min(self.size) < 1 or any(side % 2**DOWNS for side in self.size):
            raise InvalidInput(f"size is {self.size}; expected multiples of {2**DOWNS}, such as (128, 128)")


class OdeFc(VideoModel):
    """Frames at any time from exactly L frames; the module's docstring holds the equations."""

    exact: ClassVar[bool] = True
    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig()
    config: OdeFcConfig

    def __init__(self, config: OdeFcConfig) -> None:
        super().__init__()
        self.config = config
        self.function_of_time = config.origin == "anchor"
        self.map = (config.width * 2**DOWNS, config.size[0] // 2**DOWNS, config.size[1] // 2**DOWNS)
        whole = math.prod(self.map)
        self.frame_encoder = FrameEncoder(config.channels * config.neighbours, config.width, DOWNS)
        self.to_state = nn.Linear(whole, config.vector) if config.vector else nn.Identity()
        self.field = DenseField(config.vector or whole, config.hidden, layers=1)
        self.to_map = nn.Linear(config.vector, whole) if config.vector else nn.Identity()
        self.frame_decoder = FrameDecoder(self.map[0], config.width // 2, config.channels, DOWNS)

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. Raises `InvalidInput` for another number of frames than L."""
        config, size = self.config, (observed.frames.shape[-2], observed.frames.shape[-1])
        frames = pad_to_multiple(stacked(observed, config.neighbours, "ode_fc"), 2**DOWNS)
        seen = whole_clips(observed, query, config.time_scale)
        maps = F.adaptive_avg_pool2d(self.frame_encoder(frames), self.map[1:])
        h = self.to_state(maps.flatten(1))[seen.clip]  # (G, D)
        h = at_queries(self.field, h[None], seen, config.solver, origin_of(seen, config.origin))[0].flatten(0, 1)
        maps = self.to_map(h).unflatten(1, self.map)  # (Q, D, h, w)
        made = _resized(self.frame_decoder(maps).float(), (frames.shape[-2], frames.shape[-1]))
        made = made[..., : size[0], : size[1]]
        return Prediction(made.view(*query.shape, *made.shape[1:]), latent=maps.view(*query.shape, *self.map))

    def objective(self) -> Objective:
        """L1."""
        return ReconstructionObjective()

    @classmethod
    def sized(cls, share: float, size: tuple[int, int]) -> dict[str, Any]:
        """See `VideoModel.sized`. The network is made for the frames, enlarged to multiples of 4."""
        multiple = 2**DOWNS
        fitting = [-(-side // multiple) * multiple for side in size]
        return {**scaled(OdeFcConfig(), share, "width", "hidden"), "size": fitting}


def _resized(frames: Tensor, size: tuple[int, int]) -> Tensor:
    if (frames.shape[-2], frames.shape[-1]) == size:
        return frames
    return F.interpolate(frames, size, mode="bilinear", align_corners=False, antialias=True)
