"""Vid-ODE (Park et al., AAAI 2021): the latent of a video flows along an ODE, and warps one frame through time.

    h       = ODE-ConvGRU(E(X_1), ..., E(X_L))                      (Eq. 1)   L observed frames into one state
    h(s)    = ODESolve(f_phi, h, from the anchor to s)                        the state at any time
    F, D, M = G(h(s_i), h(s_i-1))                                             flow in pixels, difference, mask
    W_i     = W(W_i-1, F);  X^_i = M * W_i + (1 - M) * D            (Eq. 2)

The paper's order of s_i is the order of what is asked, so that a frame changes with what else is asked. Here the
chain starts at the paper's frame (the first observation of the window in interpolation, the last in extrapolation)
and goes through a grid of the trained spacing, `chain.step`, with one last shorter step to the query; the solve starts
at the anchor, the time to which the encoder's state belongs (the first observation when it runs backward, the last
when it runs forward). In training, random extra points break some of the steps, so that short ones are learned.

G's first step takes E(X_skip) for the state before it (the released code, confirmed by its author). Encoding that
frame a second time, as the released code does, differs only where batch statistics are used: here every seen frame is
encoded once. Padded and unseen frames are not encoded at all.

Source: the paper for the equations, `released` choices from the published code; see each field of the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn

from vidode import losses
from vidode.blocks.chain import (
    Chains,
    edge,
    places,
)
from vidode.blocks.critics import PatchCritic, sequences_between, sequences_beyond
from vidode.blocks.fields import ConvField
from vidode.blocks.frames import FrameEncoder, encode_seen
from vidode.blocks.recurrent import ONE_EULER_STEP, OdeConvGRU
from vidode.blocks.warp_decoder import Output, WarpChainConfig, WarpDecoder
from vidode.clip import Batch, InvalidInput
from vidode.configuration import require_at_least
from vidode.models import TASKS, Example, Objective, OptimiserConfig, Prediction, VideoModel, frozen, scaled
from vidode.ode import Solver, integrate
from vidode.timing import TimeScale
from vidode.windows import Windows

DOWNS = 2
"""Halvings between a frame and its latent."""


@dataclass(frozen=True)
class EncoderConfig:
    """How the observations become one state.

    direction: the paper writes forward and finds backward slightly better, which the released code does always.
    solver: over each gap; the released code takes one Euler step however long the gap. unused_half: the z0 head of the
    released code has a second half (a deviation) that nothing reads; only for its weights.
    """

    direction: Literal["backward", "forward"] = "backward"
    solver: Solver = ONE_EULER_STEP
    unused_half: bool = False


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is minimised: L_recon + difference L_diff + image L_img + sequence L_seq; a weight of 0 leaves a term out.

    observed: how many observed frames the sequence critics read (5 in the paper's regular tasks). generated: in
    extrapolation the fake sequence ends in "all" frames generated so far (released) or in the "last" one alone,
    behind true ones (the paper's Eq. 4). width: first maps of the critics.
    """

    difference: float = 1.0
    image: float = 0.003
    sequence: float = 0.003
    observed: int = 5
    generated: Literal["all", "last"] = "all"
    width: int = 64

    def __post_init__(self) -> None:
        if min(self.difference, self.image, self.sequence) < 0 or min(self.observed, self.width) < 1:
            raise InvalidInput(f"{self}; expected weights of at least 0, 1 observed frame and a width of 1, or more")


@dataclass(frozen=True)
class VidOdeConfig:
    """What Vid-ODE is made of. Defaults are the paper's network at 128 pixels, made lawful.

    width: channels of the first map; the latent has 4 times as many. neighbours: observations seen on each side of a
    query. solver: of the decoder. output: "full" has flow, difference and mask; "flow" and "frame" are the steps D
    and B, C of the paper's ablation. statistics: batch normalisation in evaluation uses "running" ones, or those of
    the "batch" (as the published test does, which breaks law 4).
    """

    channels: int = 3
    width: int = 32
    neighbours: int = 5
    time_scale: TimeScale = field(default_factory=TimeScale)
    solver: Solver = field(default_factory=Solver)
    output: Output = "full"
    statistics: Literal["running", "batch"] = "running"
    encoder: EncoderConfig = EncoderConfig()
    chain: WarpChainConfig = field(default_factory=WarpChainConfig)
    objective: ObjectiveConfig = ObjectiveConfig()

    def __post_init__(self) -> None:
        require_at_least(self, channels=1, width=1, neighbours=1)


class WarpConfig(Protocol):
    """What the objective and the chain read of a configuration."""

    @property
    def channels(self) -> int:
        """Of frames."""

    @property
    def neighbours(self) -> int:
        """Observations seen on each side of a query."""

    @property
    def time_scale(self) -> TimeScale:
        """From the clock to model time."""

    @property
    def chain(self) -> WarpChainConfig:
        """How a query is reached."""

    @property
    def objective(self) -> ObjectiveConfig:
        """What is minimised."""


class VidOde(VideoModel):
    """Frames at any time not before the first observation; the module's docstring holds the equations."""

    tasks = TASKS
    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig()
    config: VidOdeConfig

    def __init__(self, config: VidOdeConfig) -> None:
        super().__init__()
        self.config = config
        self.function_of_time = config.chain.function_of_time
        latent = config.width * 2**DOWNS
        self.frame_encoder = FrameEncoder(config.channels, config.width, DOWNS)
        self.encoder = OdeConvGRU(latent, latent, latent // 2, solver=config.encoder.solver)
        halves = 2 if config.encoder.unused_half else 1
        self.z0 = nn.Sequential(nn.Conv2d(latent, latent, 1), nn.ReLU(), nn.Conv2d(latent, halves * latent, 1))
        self.field = ConvField(latent, latent // 2)
        self.frame_decoder = WarpDecoder(latent, config.width, config.channels, DOWNS, config.output, config.chain)

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. Raises `InvalidInput` for a query before a clip's first observation."""
        seen = seen_by(self.config, observed, query)
        start = edge(seen.present, last=~seen.has_right)
        skip = seen.clip, column_of(seen.frame, start)

        x = encode_seen(self.frame_encoder, observed.frames, observed.seen)  # (B, T, D, h, w)
        h = self.gather(seen.gather(x), seen.times, seen.present)  # (G, D, h, w)
        chain = self.config.chain.chains(seen, column_of(seen.times, start), self.training)
        h, h_start = self._solve(h, seen, column_of(seen.times, start), chain)  # (P, D, h, w), (G, D, h, w)
        before = x[skip] if self.config.chain.first_state == "features" else h_start
        steps = self.frame_decoder.walk(observed.frames[skip], h, before, chain)
        return as_prediction({name: values[chain.of_query] for name, values in steps.items()})

    def train(self, mode: bool = True) -> VidOde:
        """Switch the mode; with `statistics="batch"`, batch normalisation stays as in training."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d) and self.config.statistics == "batch":
                module.train()
        return self

    def objective(self) -> Objective:
        """Reconstruction, difference, and the image and sequence critics."""
        return VidOdeObjective(self.config)

    @classmethod
    def sized(cls, share: float, size: tuple[int, int]) -> dict[str, Any]:
        """See `VideoModel.sized`. The critics are as much narrower."""
        return {**scaled(VidOdeConfig(), share, "width"), "objective": scaled(ObjectiveConfig(), share, "width")}

    def gather(self, features: Tensor, times: Tensor, present: Tensor) -> Tensor:
        """The state (G, D, h, w) that the decoder starts from, out of features (G, M, D, h, w)."""
        h = self.encoder(features, times, present, self.config.encoder.direction)
        z0: Tensor = self.z0(h)
        return z0[:, : self.encoder.channels]

    def _solve(self, h: Tensor, seen: Windows, start: Tensor, chain: Chains) -> tuple[Tensor, Tensor]:
        """States at the steps of the chains, and at the frames where they start."""
        place = places(chain.window)
        anchor = column_of(seen.times, edge(seen.present, last=self.config.encoder.direction == "forward")).double()
        anchor = self.config.chain.starts(anchor, chain)
        # A window with fewer steps than others asks for its anchor's own time, which costs nothing.
        times = anchor[:, None].repeat(1, int(place.max()) + 2)
        times = times.index_put((chain.window, place), chain.time)
        if self.config.chain.first_state == "state":
            times[:, -1] = start
        states = integrate(lambda _, h: self.field(h), h, anchor, times, self.config.solver).states
        return states[chain.window, place], states[:, -1]


def seen_by(config: WarpConfig, observed: Batch, query: Tensor) -> Windows:
    """What each query sees. Raises `InvalidInput` for a query before a clip's first observation."""
    seen = config.chain.windows(observed, query, config.neighbours, config.time_scale)
    first = torch.where(observed.seen, observed.times, torch.inf).amin(dim=1)
    early = (query < first[:, None]).nonzero()
    if len(early):
        clip, place = (int(i) for i in early[0])
        raise InvalidInput(
            f"query time {float(query[clip, place]):g} lies before the first observed frame at {float(first[clip]):g};"
            " a chain of warps starts from a frame: ask for later times, or use anchored_vid_ode"
        )
    return seen


class VidOdeObjective(Objective):
    """L_recon + L_diff + the least-squares terms of an image critic and of a sequence critic for each task."""

    def __init__(self, config: WarpConfig) -> None:
        super().__init__()
        self.config = config
        weights, channels = config.objective, config.channels
        self.image = PatchCritic(channels, weights.width) if weights.image else None
        inputs = {"interpolation": weights.observed, "extrapolation": weights.observed + 1}
        self.sequence = nn.ModuleDict(
            {task: PatchCritic(frames * channels, weights.width) for task, frames in inputs.items() if weights.sequence}
        )

    def model_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The terms reconstruction, difference, image and sequence. The critics get no gradient."""
        weights = self.config.objective
        terms = {"reconstruction": losses.reconstruction(prediction.frames, example.target)}
        if weights.difference and prediction.difference is not None:
            previous = previous_frames(self.config, example)
            apart = losses.difference(prediction.difference, example.target, previous)
            terms["difference"] = weights.difference * apart
        with frozen(self):
            for shown in self._shown(example, prediction.frames):
                terms[shown.name] = shown.weight * losses.deception(shown.critic(shown.fake))
        return terms

    def critic_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The terms image and sequence of the critics."""
        return {
            shown.name: shown.weight * losses.critic(shown.critic(shown.real), shown.critic(shown.fake))
            for shown in self._shown(example, prediction.frames.detach())
        }

    def _shown(self, example: Example, made: Tensor) -> list[_Shown]:
        """What each critic is shown."""
        weights, target = self.config.objective, example.target
        shown = []
        if self.image is not None:
            shown.append(_Shown("image", self.image, weights.image, target.flatten(0, 1), made.flatten(0, 1)))
        if example.task in self.sequence:
            real, fake = self._sequences(example, made)
            shown.append(_Shown("sequence", self.sequence[example.task], weights.sequence, real, fake))
        return shown

    def _sequences(self, example: Example, made: Tensor) -> tuple[Tensor, Tensor]:
        count, generated = self.config.objective.observed, self.config.objective.generated
        if example.task == "interpolation":
            return sequences_between(example.observed, example.query, example.target, made, count)
        return sequences_beyond(example.observed, example.query, example.target, made, count, generated)


@dataclass(frozen=True)
class _Shown:
    """A critic, its weight, and the real and the fake that it is to tell apart."""

    name: str
    critic: nn.Module
    weight: float
    real: Tensor
    fake: Tensor


def previous_frames(config: WarpConfig, example: Example) -> Tensor:
    """X_(s_i-1) of L_diff (B, K, C, H, W): the true frame at the query before, or the frame where the chain starts.

    The released code takes neighbouring slots of its grid, black where a frame is missing; selected frames are meant.
    On the chain's grid D comes from the step before, which may lie between the two: the term is exact only where
    queries are one step apart, as in the paper's regular windows, and no extra point breaks the step.
    """
    observed, query, target = example.observed, example.query.double(), example.target
    seen = seen_by(config, observed, query)
    frame = column_of(seen.frame, edge(seen.present, last=~seen.has_right))[seen.of_query]  # (B, K)
    earlier = torch.where(query[:, None] < query[:, :, None], query[:, None], -torch.inf)
    latest, place = earlier.max(dim=2)
    clip = torch.arange(len(query), device=query.device)[:, None]
    asked = latest >= observed.times.gather(1, frame)
    return torch.where(asked[..., None, None, None], target[clip, place], observed.frames[clip, frame])


def as_prediction(parts: dict[str, Tensor]) -> Prediction:
    """Named parts (B, K, ...) as a `Prediction` with one warped frame."""
    single = {name: values.unsqueeze(2) if name in ("flow", "warped") else values for name, values in parts.items()}
    return Prediction(**single)  # type: ignore[arg-type]


def column_of(values: Tensor, column: Tensor) -> Tensor:
    """(G,) the given column of each row of (G, M)."""
    return values.gather(1, column[:, None])[:, 0]
