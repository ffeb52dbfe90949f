"""Vid-RNN, the discrete sibling of Vid-ODE in its section 4.4: recurrences where Vid-ODE solves equations.

    h        = ConvGRU(E(X_1), h') backward from the last observation       no flow between observations
    g_1      = z0(h);  g_k+1 = ConvGRU_dec(x = g_k, h = g_k)                one step for each regular slot
    g(t)     = (1 - a) g_k + a g_k+1,   a = (t - t_k) / (t_k+1 - t_k)       between slots
    F, D, M  = G(g(s_i), g(s_i-1));  the warp chain and all losses are Vid-ODE's

Slots lie `chain.step` of model time apart, which is one observed gap, and are counted from the first observation that a
query sees, to which the encoder's state belongs. The paper shows pictures of it and no numbers, and does not say what
the decoder's cell reads: here the state itself, nothing, or E of the frame that is drawn at the slot. Then the first
frame is the one that the chain starts from, and slots are counted from there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from vidode.blocks.chain import Chains, edge
from vidode.blocks.frames import FrameEncoder, encode_seen
from vidode.blocks.recurrent import ConvGRUCell, visits
from vidode.blocks.warp_decoder import Output, WarpChainConfig, WarpDecoder
from vidode.clip import Batch, InvalidInput
from vidode.configuration import require_at_least
from vidode.models import Objective, OptimiserConfig, Prediction, VideoModel, scaled
from vidode.models.vid_ode import DOWNS, ObjectiveConfig, VidOdeObjective, as_prediction, column_of, seen_by
from vidode.timing import TimeScale


@dataclass(frozen=True)
class SlotChainConfig(WarpChainConfig):
    """As Vid-ODE's; its step is the length of a slot.

    extra: none, since what lies between slots is not trained. origin: where slots are counted from, the "anchor" to
    which the encoder's state belongs, or the "first_query", as the released Vid-ODE counts.
    """

    extra: float = 0.0


@dataclass(frozen=True)
class VidRnnConfig:
    """What Vid-RNN is made of. Defaults are those of Vid-ODE.

    reads: what the decoder's cell has for an input, the "state" itself, "nothing", or the drawn "frame"; with it slots
    are counted from the anchor alone.
    """

    channels: int = 3
    width: int = 32
    neighbours: int = 5
    time_scale: TimeScale = field(default_factory=TimeScale)
    output: Output = "full"
    reads: Literal["state", "nothing", "frame"] = "state"
    chain: SlotChainConfig = field(default_factory=SlotChainConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)

    def __post_init__(self) -> None:
        require_at_least(self, channels=1, width=1, neighbours=1)
        if self.chain.origin != "anchor" and self.reads == "frame":
            raise InvalidInput(f"chain origin is {self.chain.origin!r}; drawn frames are counted from the anchor alone")


class VidRnn(VideoModel):
    """Frames at any time not before the first observation; the module's docstring holds the equations."""

    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig()
    config: VidRnnConfig

    def __init__(self, config: VidRnnConfig) -> None:
        super().__init__()
        self.config = config
        self.function_of_time = config.chain.function_of_time
        latent = config.width * 2**DOWNS
        self.frame_encoder = FrameEncoder(config.channels, config.width, DOWNS)
        self.cell = ConvGRUCell(latent, latent)
        self.z0 = nn.Sequential(nn.Conv2d(latent, latent, 1), nn.ReLU(), nn.Conv2d(latent, latent, 1))
        self.transition = ConvGRUCell(latent, latent)
        self.frame_decoder = WarpDecoder(latent, config.width, config.channels, DOWNS, config.output, config.chain)

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. Raises `InvalidInput` for a query before a clip's first observation."""
        seen = seen_by(self.config, observed, query)
        start = edge(seen.present, last=~seen.has_right)
        skip = seen.clip, column_of(seen.frame, start)

        x = encode_seen(self.frame_encoder, observed.frames, observed.seen)  # (B, T, D, h, w)
        h = self.gather(seen.gather(x), seen.times, seen.present)
        g = self.z0(h).to(h.dtype)  # (G, D, h, w)
        chain = self.config.chain.chains(seen, column_of(seen.times, start), self.training)
        drawn = _Drawn(self, observed.frames[skip], x[skip]) if self.config.reads == "frame" else None
        first = start if drawn else edge(seen.present, last=False)
        from_to = (
            self.config.chain.starts(column_of(seen.times, first).double(), chain),
            column_of(seen.times, start).double(),
        )
        g, g_start = self.at_steps(g, *from_to, chain, drawn)
        before = x[skip] if self.config.chain.first_state == "features" else g_start
        steps = self.frame_decoder.walk(observed.frames[skip], g, before, chain)
        return as_prediction({name: values[chain.of_query] for name, values in steps.items()})

    def objective(self) -> Objective:
        """Reconstruction, difference, and the image and sequence critics: Vid-ODE's."""
        return VidOdeObjective(self.config)

    @classmethod
    def sized(cls, share: float, size: tuple[int, int]) -> dict[str, Any]:
        """See `VideoModel.sized`. The critics are as much narrower."""
        return {**scaled(VidRnnConfig(), share, "width"), "objective": scaled(ObjectiveConfig(), share, "width")}

    def gather(self, features: Tensor, times: Tensor, present: Tensor) -> Tensor:
        """The state (G, D, h, w) after features (G, M, D, h, w), the last one read first."""
        # An error made in a step stays in every later state: float32 or wider, under autocast too.
        h = torch.zeros_like(features[:, 0], dtype=torch.promote_types(features.dtype, torch.float32))
        for visit in visits(times, present, "backward"):
            h = visit.put(h, self.cell(features[visit.rows, visit.column], h[visit.rows]))
        return h

    def at_steps(
        self, g: Tensor, first: Tensor, start: Tensor, chain: Chains, drawn: _Drawn | None
    ) -> tuple[Tensor, Tensor]:
        """States at the steps of the chains (P, D, h, w), and where they start (G, D, h, w), from g (G, D, h, w).

        first, start: (G,) model time of the state g, and of the frames where the chains start. drawn: what the cell
        reads, where it is frames.
        """
        of_steps = (chain.time - first[chain.window]) / self.config.chain.step
        of_start = ((start - first) / self.config.chain.step).clamp(min=0)
        count = 1 + int(torch.cat([of_steps, of_start]).max().floor())
        slots = self.slots(g, count, drawn)  # (G, K + 1, D, h, w)
        rows = torch.arange(len(g), device=g.device)
        return mixed(slots, chain.window, of_steps), mixed(slots, rows, of_start)

    def slots(self, g: Tensor, count: int, drawn: _Drawn | None) -> Tensor:
        """The states (G, count + 1, D, h, w) at the slots from that of g on."""
        states = [g]
        for _ in range(count):
            x = states[-1] if self.config.reads == "state" else torch.zeros_like(g)
            states.append(self.transition(x if drawn is None else drawn(states), states[-1]))
        return torch.stack(states, dim=1)


class _Drawn:
    """E of the frame at each slot in turn: those that chains start from (G, C, H, W), then those that are drawn."""

    def __init__(self, model: VidRnn, start: Tensor, features: Tensor) -> None:
        self.model, self.source, self.features = model, start, features

    def __call__(self, states: list[Tensor]) -> Tensor:
        """(G, D, h, w) at the last of the slots so far, each (G, D, h, w)."""
        if len(states) == 1:
            return self.features
        decoder, skip = self.model.frame_decoder, self.model.config.chain.first_state == "features"
        before = self.features if len(states) == 2 and skip else states[-2]
        parts = decoder.decode(states[-1], before, (self.source.shape[-2], self.source.shape[-1]))
        step = decoder.step(self.source, parts)
        self.source = decoder.carried(step)
        features: Tensor = self.model.frame_encoder(step["frames"])
        return features


def mixed(slots: Tensor, row: Tensor, place: Tensor) -> Tensor:
    """States (P, D, h, w) at places (P,), counted in slots, of rows (P,) of (G, K + 1, D, h, w)."""
    left = place.floor().clamp(0, slots.shape[1] - 2)
    share = (place - left).to(slots.dtype)[:, None, None, None]
    return torch.lerp(slots[row, left.long()], slots[row, left.long() + 1], share)
