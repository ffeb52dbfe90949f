"""Anchored Vid-ODE: a frame is one resampling of the two nearest, observed or, far beyond the end, made before it.

Vid-ODE warps one frame along a chain, so each prediction blurs the one before and quality falls with their number
(the limitation its paper closes with). Here a query at time t is anchored in the two observed frames nearest to it,
A and B, and all queries decode in one batch:

    g_i            = E(x_i)                        features of each observed frame at three scales
    h_A, h_B       = ODE-ConvGRU over the frames on A's side and on B's side, each ending at its anchor
    h_A(t), h_B(t) = ODESolve(f, h, anchor -> t)   context of more than two frames, brought to the query
    v_A, v_B, M, D = G(g_A, g_B, h_A(t), h_B(t))   motion over r gaps A -> B, mask, difference; coarse to fine
    F_A, F_B       = -a v_A / r, (1 - a) v_B / r   flows from the query to A and to B, a = (t - t_A) / (t_B - t_A)
    x(t)           = (1 - M) W(x_A, F_A) + M W(x_B, F_B) + gate(a) D

Between two observations A is the one before and B the one after (0 <= a <= 1). Beyond the last, A is the last and B
the one before it (a < 0), and only A's side has a latent. Motion is told over r = max(1, |a|) gaps: what G sees amiss
at the query is then what it has to add, however far the query is. Before the first it is the same in the mirror of
time: both sides share their weights, and the side after the query runs in negated time. M starts from the odds
a : 1 - a, so that at an observed time the frame is the observed one.

More than a gap beyond either end it goes on gap by gap, from frames that it made (blocks/beyond.py): motion told
between two frames one gap apart is better than motion told over many. While training it answers directly. Fields that
change in place more than they move, seen at gaps of many lengths, are better answered at once (`beyond`).

G works at an eighth, twice at a quarter, and at a half of the frame size; at each it sees the features brought to the
query by the motion so far and their local correlation, brought there too, and weighs the shifts. At the frame size an
encoder-decoder, which the states join, adds what matching leaves unsaid, as in Deep Voxel Flow (Liu et al., ICCV 2017).
Mask and difference come last, from the frames as they were brought. Estimating flow at the query from coarse to fine
follows intermediate-flow networks (Huang et al., RIFE, ECCV 2022), correlation PWC-Net (Sun et al., CVPR 2018) and, at
the query's place, BMBC (Park et al., ECCV 2020), the time-weighted blend Super SloMo (Jiang et al., CVPR 2018).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from vidode import losses
from vidode.blocks.anchors import Anchors, anchors_of, flows, gate, odds_of_b
from vidode.blocks.beyond import gap_by_gap
from vidode.blocks.context import ContextEncoder, with_time
from vidode.blocks.critics import PatchCritic
from vidode.blocks.matching import Pyramid
from vidode.blocks.motion_decoder import COARSEST, Draft, MotionDecoder, full_size, work_frames
from vidode.blocks.recurrent import OdeConvGRU
from vidode.blocks.warp import warp
from vidode.clip import Batch, InvalidInput
from vidode.configuration import require_at_least
from vidode.losses import charbonnier
from vidode.models import Example, Objective, OptimiserConfig, Prediction, VideoModel, frozen, scaled
from vidode.ode import Solver, integrate
from vidode.timing import TimeScale
from vidode.windows import Windows, windows


@dataclass(frozen=True)
class ObjectiveConfig:
    """image: weight of an image critic, Vid-ODE's with its 0.003, or 0 for none. width: of its first maps."""

    image: float = 0.0
    width: int = 64

    def __post_init__(self) -> None:
        require_at_least(self, image=0, width=1)


@dataclass(frozen=True)
class AnchoredVidOdeConfig:
    """What the network is made of.

    neighbours: observations seen on each side of a query. width: channels of the finest features. latent: channels of
    the ODE-ConvGRU; 0 leaves it out, which is the two-frame network of the ablation. context: what it reads, features
    of its "own" at a quarter of the frame size, or those of "matching" at an eighth, as the shipped weights do.
    reach: radius of the local correlation, in cells. refine: channels of the finest map of the encoder-decoder that
    corrects motion, mask and difference; 0 leaves it out. beyond: see the module. work_side: longer side in pixels
    above which motion, mask and difference are estimated on a reduced copy of the frames and applied at full size; 0
    never reduces.
    """

    channels: int = 3
    neighbours: int = 2
    width: int = 16
    latent: int = 128
    context: Literal["own", "matching"] = "own"
    reach: int = 4
    refine: int = 32
    beyond: Literal["gap_by_gap", "at_once"] = "gap_by_gap"
    work_side: int = 0
    time_scale: TimeScale = field(default_factory=TimeScale)
    solver: Solver = field(default_factory=lambda: Solver("rk4", step=0.1))
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)

    def __post_init__(self) -> None:
        require_at_least(self, neighbours=1, latent=0, refine=0)


class AnchoredVidOde(VideoModel):
    """Frames at any time from the observations around it; the module's docstring holds the equations."""

    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig(
        name="adamw", learning_rate=1e-3, weight_decay=1e-4, schedule="cosine", floor=0.02, warmup=200, clip_norm=1.0
    )
    config: AnchoredVidOdeConfig

    def __init__(self, config: AnchoredVidOdeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Pyramid(config.channels, config.width)
        own = config.context == "own" and config.latent > 0
        self.context_encoder = ContextEncoder(config.channels, config.width, config.latent) if own else None
        read = config.latent + 1 if own else 4 * config.width
        self.context = OdeConvGRU(read, config.latent, config.latent // 2) if config.latent else None
        latents = 2 * (config.latent + own)
        self.decoder = MotionDecoder(config.channels, config.width, config.reach, config.refine, latents, deep=own)

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. Flow and warped hold two fields and two frames, A's and B's; latent is A's."""
        if self.training or self.config.beyond == "at_once":
            return self._answer(observed, query)
        return Prediction(**gap_by_gap(self._parts, observed, query, self.config.neighbours))  # type: ignore[arg-type]

    def _parts(self, observed: Batch, query: Tensor) -> dict[str, Tensor]:
        """The parts that an answer has."""
        return {name: part for name, part in vars(self._answer(observed, query)).items() if part is not None}

    def _answer(self, observed: Batch, query: Tensor) -> Prediction:
        """Every frame directly from the observations next to it."""
        seen = windows(observed, query, self.config.neighbours, self.config.time_scale)
        anchors = anchors_of(seen)
        frames = work_frames(observed.frames, self.config.work_side)  # (B, T, C, h, w)
        features = self._of_frames(self.encoder, frames)
        latents = self._latents(self._read(frames, features), seen, anchors)  # two of (Q, D, ...)
        draft = self._draft(frames, features, latents, anchors)
        size = (observed.frames.shape[-2], observed.frames.shape[-1])
        prediction = compose(observed.frames, full_size(draft, size, self.config.work_side), anchors)
        drafts = [Prediction(made, flow=flow) for made, flow in draft.coarser]
        parts = replace(prediction, latent=latents[0] if latents else None, drafts=drafts or None)
        return unfolded(parts, query.shape)

    def objective(self) -> Objective:
        """The robust photometric objective, on the frame and on its coarser drafts, and a critic where there is one."""
        return AnchoredObjective(self.config)

    @classmethod
    def sized(cls, share: float, size: tuple[int, int]) -> dict[str, Any]:
        """See `VideoModel.sized`. The critic is as much narrower."""
        widths = scaled(AnchoredVidOdeConfig(), share, "width", "latent", "refine")
        return {**widths, "objective": scaled(ObjectiveConfig(), share, "width")}

    def _alone(self, x: Tensor) -> bool:
        """Whether each frame, window and query is worked on by itself: when a processor answers.

        A processor rounds differently for each size of batch, and stage after stage of matching makes more than 1e-5
        of that. By itself, a frame is the same to the bit whatever else is asked. It takes no longer there.
        """
        return not self.training and x.device.type == "cpu"

    def _read(self, frames: Tensor, features: list[Tensor]) -> Tensor:
        """What the recurrence reads (B, T, F, ...) of frames (B, T, C, h, w) or of their features."""
        encoder = self.context_encoder
        return features[-1] if encoder is None else self._of_frames(lambda flat: [encoder(flat)], frames)[0]

    def _of_frames(self, encoder: Callable[[Tensor], list[Tensor]], frames: Tensor) -> list[Tensor]:
        """An encoder's maps (B, T, F, ...) of every frame (B, T, C, h, w)."""
        flat = frames.flatten(0, 1)
        levels = map(encoder, torch.split(flat, 1)) if self._alone(frames) else [encoder(flat)]
        return [torch.cat(level).view(*frames.shape[:2], *level[0].shape[1:]) for level in zip(*levels, strict=True)]

    def _draft(self, frames: Tensor, features: list[Tensor], latents: list[Tensor], anchors: Anchors) -> Draft:
        """G of every query."""
        if not self._alone(frames):
            return self.decoder(frames, features, latents, anchors)  # type: ignore[no-any-return]
        each = [slice(row, row + 1) for row in range(len(anchors.clip))]
        return Draft.joined(
            [self.decoder(frames, features, [latent[one] for latent in latents], anchors[one]) for one in each]
        )

    def _latents(self, features: Tensor, seen: Windows, anchors: Anchors) -> list[Tensor]:
        """The states of A's and of B's side at each query; zero where a side has no frame."""
        if self.context is None:
            return []
        n, query = seen.neighbours, seen.query.flatten()
        window = seen.gather(features)  # (G, 2N, F, h, w)
        # The side after the query runs in negated time, so that it too runs towards the query.
        times = torch.cat([seen.times[:, :n], -seen.times[:, n:].flip(1)])
        present = torch.cat([seen.present[:, :n], seen.present[:, n:].flip(1)])
        sides = torch.cat([window[:, :n], window[:, n:].flip(1)])
        sides = sides if self.context_encoder is None else with_time(sides, times - times[:, -1:])
        state = self._by_rows(self.context, sides, times, present)  # (2 G, D, h, w)
        return [
            self._at_queries(state, times[:, -1], present[:, -1], side, sign * query)
            for side, sign in ((anchors.side_a, anchors.sign_a), (anchors.side_b, -anchors.sign_a))
        ]

    def _at_queries(self, state: Tensor, start: Tensor, present: Tensor, side: Tensor, query: Tensor) -> Tensor:
        """States (Q, D, h, w) of the rows `side` (Q,), each solved from its anchor to its query."""
        rows = present[side].nonzero()[:, 0]
        channels = state.shape[1] + (self.context_encoder is not None)
        solved = state.new_zeros(len(side), channels, *state.shape[2:])
        if not len(rows):
            return solved
        own = side[rows]
        answer = self._by_rows(self._solve, state[own], start[own], query[rows])
        return solved.to(answer.dtype).index_copy(0, rows, answer)

    def _solve(self, state: Tensor, start: Tensor, query: Tensor) -> Tensor:
        """The context's field from (S, D, h, w) at `start` (S,) to `query` (S,), and how long that is."""
        context = self.context
        assert context is not None
        solved = integrate(lambda _, h: context.field(h), state, start, query[:, None], self.config.solver).states[:, 0]
        return solved if self.context_encoder is None else with_time(solved, query - start)

    def _by_rows(self, function: Callable[..., Tensor], *rows: Tensor) -> Tensor:
        """The function of all rows together, or of one after the other."""
        if not self._alone(rows[0]):
            return function(*rows)
        return torch.cat([function(*row) for row in zip(*(torch.split(value, 1) for value in rows), strict=True)])


def compose(frames: Tensor, draft: Draft, anchors: Anchors) -> Prediction:
    """Frames (Q, C, H, W) of real pixels resampled once, with their parts, from frames (B, T, C, H, W)."""
    to_a, to_b = flows(draft.motion, anchors)
    picture_a, picture_b = anchors.pick(frames)
    warped = torch.stack([warp(picture_a, to_a), warp(picture_b, to_b)], dim=1)  # (Q, 2, C, H, W)
    mask = torch.sigmoid(torch.logit(odds_of_b(anchors)) + draft.mask)
    difference = gate(anchors) * draft.difference
    made = torch.lerp(warped[:, 0], warped[:, 1], mask) + difference
    return Prediction(made, flow=torch.stack([to_a, to_b], dim=1), mask=mask, difference=difference, warped=warped)


class AnchoredObjective(Objective):
    """Charbonnier's robust distance of the frame and, at lower weight, of the drafts that the coarser scales make.

    To it is added the square of the error: where either anchor may be right, the robust distance is content with
    either, and the square asks for their mean.

    Where the true flow is known, its distance in pixels is added. A frame tells little of a flow that is far
    off: in fine texture it looks no better for being nearly right.

    Where there is a critic, it tells true frames from made ones, as Vid-ODE's image critic does: what is painted and
    not resampled is blurred without it.
    """

    SQUARE_WEIGHT = 4.0
    DRAFT_WEIGHT = 0.2
    FLOW_WEIGHT = 0.01

    def __init__(self, config: AnchoredVidOdeConfig) -> None:
        super().__init__()
        self.weight, self.work_side = config.objective.image, config.work_side
        self.image = PatchCritic(config.channels, config.objective.width) if self.weight else None

    def critic_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The term `image` of the critic."""
        if self.image is None:
            return {}
        real, fake = (frames.flatten(0, 1) for frames in (example.target, prediction.frames.detach()))
        return {"image": self.weight * losses.critic(self.image(real), self.image(fake))}

    def model_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The terms `reconstruction`, `square`, `drafts` while training, `flow` where it is known, and `image`.

        Raises `InvalidInput` where the flow is known of frames that are reduced or padded to be worked on.
        """
        terms = {
            "reconstruction": charbonnier(prediction.frames, example.target),
            "square": self.SQUARE_WEIGHT * F.mse_loss(prediction.frames, example.target),
        }
        if prediction.drafts:
            target = work_frames(example.target, self.work_side).flatten(0, 1)  # drafts cover its padding, too
            apart = [
                charbonnier(x, _pooled(target, x)) for x in (draft.frames.flatten(0, 1) for draft in prediction.drafts)
            ]
            terms["drafts"] = self.DRAFT_WEIGHT * torch.stack(apart).sum()
        if example.flow is not None:
            self._require_whole(example.target)
            fields = [part.flow for part in (prediction, *(prediction.drafts or [])) if part.flow is not None]
            away = [flow_distance(field, example.flow) for field in fields]
            terms["flow"] = self.FLOW_WEIGHT * torch.stack(away).sum()
        if self.image is not None:
            with frozen(self):
                terms["image"] = self.weight * losses.deception(self.image(prediction.frames.flatten(0, 1)))
        return terms

    def _require_whole(self, target: Tensor) -> None:
        """Raise `InvalidInput` where drafts cover more than the frame: there is no true flow of the rest."""
        if self.work_side or any(side % COARSEST for side in target.shape[-2:]):
            raise InvalidInput(
                f"frames are {tuple(target.shape[-2:])} with work_side {self.work_side}; to learn the true flow,"
                f" expected sides that are multiples of {COARSEST}, and work_side 0"
            )


def flow_distance(flow: Tensor, true: Tensor) -> Tensor:
    """Mean of |F - F*| / (1 + |F*| / 10), so that the fastest scenes do not outweigh the others.

    flow: (B, K, 2, 2, H, W) pixels. true: the same at h and w; both are brought to the smaller of the sizes.
    """
    flow, true = flow.flatten(0, 2), true.flatten(0, 2)
    small = min(flow, true, key=lambda field: field.shape[-1])
    small, true = _pooled(flow, small), _pooled(true, small)
    apart = (small - true).square().sum(dim=1).add(1e-6).sqrt()
    return torch.mean(apart / (1 + true.square().sum(dim=1).sqrt() / 10))


def unfolded(prediction: Prediction, shape: torch.Size) -> Prediction:
    """The parts with Q = B K queries folded as (B, K, ...) again."""

    def unfold(value: Any) -> Any:
        return [unfolded(part, shape) for part in value] if isinstance(value, list) else value.unflatten(0, shape)

    return Prediction(**{name: unfold(value) for name, value in vars(prediction).items() if value is not None})


def _pooled(x: Tensor, like: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, (like.shape[-2], like.shape[-1]))
