"""ODE-Conv, a baseline of Vid-ODE (AAAI 2021) and step A of its ablation: all frames at once, then an ODE of maps.

    h_0  = E(X_1, ..., X_L)                   the frames side by side as channels, without their times
    h(t) = ODESolve(f, h_0, origin -> t)      f convolutional
    X^   = G(h(t))                            colours, without a warp

The paper says no more than that the ODE-ConvGRU is left out. E, f and the solver are Vid-ODE's, G is its decoder with
half of the inputs and three outputs; the loss is L1 alone. h_0 belongs to the last observation in extrapolation and to
the first in interpolation; the released Vid-ODE's rule, by which it belongs to the first time asked, is an option.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from vidode.blocks.chain import whole_clips
from vidode.blocks.fields import ConvField
from vidode.blocks.frames import FrameDecoder, FrameEncoder
from vidode.blocks.latents import at_queries
from vidode.blocks.stacked import Origin, origin_of, stacked
from vidode.clip import Batch, InvalidInput
from vidode.configuration import require_at_least
from vidode.models import Objective, OptimiserConfig, Prediction, ReconstructionObjective, VideoModel
from vidode.ode import Solver
from vidode.timing import TimeScale

DOWNS = 2
"""Halvings between a frame and its latent."""


@dataclass(frozen=True)
class OdeConvConfig:
    """What ODE-Conv is made of. Defaults are Vid-ODE's sizes.

    neighbours: L, the frames that it reads, no fewer and no more. width: channels of E's first map; the latent has 4
    times as many. origin: the time to which h_0 belongs; see `origin_of`.
    """

    channels: int = 3
    neighbours: int = 5
    width: int = 32
    time_scale: TimeScale = field(default_factory=TimeScale)
    solver: Solver = field(default_factory=Solver)
    origin: Origin = "anchor"

    def __post_init__(self) -> None:
        require_at_least(self, channels=1, neighbours=1)
        if self.width < 2 or self.width % 2:
            raise InvalidInput(f"width is {self.width}; expected an even number of at least 2")


class OdeConv(VideoModel):
    """Frames at any time from exactly L frames; the module's docstring holds the equations."""

    exact: ClassVar[bool] = True
    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig()
    config: OdeConvConfig

    def __init__(self, config: OdeConvConfig) -> None:
        super().__init__()
        self.config = config
        self.function_of_time = config.origin == "anchor"
        latent = config.width * 2**DOWNS
        self.frame_encoder = FrameEncoder(config.channels * config.neighbours, config.width, DOWNS)
        self.field = ConvField(latent, latent // 2)
        self.frame_decoder = FrameDecoder(latent, config.width // 2, config.channels, DOWNS)

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. Raises `InvalidInput` for another number of frames than L."""
        config = self.config
        frames = stacked(observed, config.neighbours, "ode_conv")
        seen = whole_clips(observed, query, config.time_scale)
        h = self.frame_encoder(frames)[seen.clip]  # (G, D, h, w)
        h = at_queries(self.field, h[None], seen, config.solver, origin_of(seen, config.origin))[0]  # (B, K, D, h, w)
        height, width = observed.frames.shape[-2:]
        made = self.frame_decoder(h.flatten(0, 1)).float()[..., :height, :width]
        return Prediction(made.view(*query.shape, *made.shape[1:]), latent=h)

    def objective(self) -> Objective:
        """L1."""
        return ReconstructionObjective()
