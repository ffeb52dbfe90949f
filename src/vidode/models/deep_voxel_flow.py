"""Deep Voxel Flow (Liu et al., ICCV 2017): one flow and one mask resample two frames into the frame asked for.

    v, d     = 1/2 tanh, 1/2 (1 + tanh) of an encoder-decoder of the frames         flow and weight of the older frame
    X^(p)    = d X_0(p + F_0) + (1 - d) X_1(p + F_1)                                bilinear, the border going on

    between:   F_0 = -2 tau v,  F_1 = 2 (1 - tau) v        tau, the share of the gap from X_0 to X_1 that is over
    beyond:    F_0 = -2 v,      F_1 = -v                   one gap after X_1; then on from X_1 and the frame made

v counts in half sides of the frame (corners at -1 and 1), so that |v| <= 1/2 is 32 pixels at 128. At tau = 1/2 the
first rule is the paper's, X_0(p - v) and X_1(p + v); the paper has no other times, and its straight motion is what
carries over to them. Beyond, the model gives the next frames of a regular sequence, each from the two before, as its
author suggests. The two tasks are two sets of weights.

It learns from true frames, also in interpolation: a random triplet of successive frames of what is observed and asked
together, whose middle is asked from the outer two, or whose last from the first two. In a regular window the gaps of
a triplet are equal, as in the paper. `SamplingConfig(scheme="regular", supervised=True)` asks for the frames between.

Choices: the network is that of the co-author's release (with skip connections, as in the paper's figure; the first
official code has none) at one scale. Batch normalisation moves at the usual 0.1: the release's 0.0003 would not
arrive within the comparison's updates. The release lets biases learn twice as fast and without decay; not done here,
where an optimiser has one learning rate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidode import losses
from vidode.blocks.frames import pad_to_multiple
from vidode.blocks.pairs import first_repeated, pairs_of
from vidode.blocks.regular import continuation
from vidode.blocks.triplets import triplets
from vidode.blocks.warp import warp
from vidode.clip import Batch, InvalidInput
from vidode.models import (
    TASKS,
    Example,
    Objective,
    OptimiserConfig,
    Prediction,
    Task,
    VideoModel,
    model_name,
    require_tasks,
)
from vidode.timing import TimeScale
from vidode.windows import windows

CLOCK = TimeScale(kind="absolute", per_unit=1.0)
"""Only ratios of times count here."""
COARSEST = 8
"""Frames are padded to a multiple of the coarsest scale."""


@dataclass(frozen=True)
class DeepVoxelFlowConfig:
    """What is asked of the network, and what it is made of. Defaults are the paper's.

    task: the one that the weights are for. neighbours: observations seen on each side of a query. inputs: frames that
    the network reads, 2 or more: the two that are resampled and those before them (where a clip has fewer, its first
    is repeated). In interpolation the one after the query is the last of them. width: channels of the first map. loss:
    Charbonnier's, with the variations of flow and mask at their weights; the co-author's release has "squared" alone
    (set both weights to 0).
    """

    channels: int = 3
    task: Task = "interpolation"
    neighbours: int = 5
    inputs: int = 2
    width: int = 64
    loss: Literal["charbonnier", "squared"] = "charbonnier"
    flow_variation: float = 0.01
    mask_variation: float = 0.005

    def __post_init__(self) -> None:
        if not 2 <= self.inputs <= self.neighbours:
            raise InvalidInput(
                f"inputs is {self.inputs} with {self.neighbours} neighbours; expected 2 to that number of neighbours"
            )
        if min(self.flow_variation, self.mask_variation) < 0:
            raise InvalidInput(f"{self}; expected weights of at least 0")


@dataclass(frozen=True, kw_only=True)
class VoxelFlow(Prediction):
    """The answer, with the tanh that it is made of (B, K, 3, H, W): flow x and y, and mask.

    flow and warped hold the older frame, then the newer; mask is the weight of the older. target: (B, K, C, H, W) the
    true frames of what was drawn to learn from; only while training.
    """

    voxel: Tensor
    target: Tensor | None = None


class DeepVoxelFlow(VideoModel):
    """Frames between two observed ones at any time, or the next ones of a regular sequence; see the module."""

    tasks = TASKS
    any_time = False
    supervised: ClassVar[bool] = True
    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig(
        name="adam", learning_rate=1e-4, weight_decay=1e-4, schedule="steps"
    )
    config: DeepVoxelFlowConfig

    def __init__(self, config: DeepVoxelFlowConfig) -> None:
        super().__init__()
        self.config = config
        self.tasks = (config.task,)
        self.any_time = config.task == "interpolation"
        self.network = VoxelNetwork(config.inputs * config.channels, config.width)

    def forward(self, observed: Batch, query: Tensor) -> VoxelFlow:
        """See `VideoModel.forward`. Raises `InvalidInput` for what the weights are not for."""
        parts = self._between(observed, query) if self.config.task == "interpolation" else self._beyond(observed, query)
        return VoxelFlow(**parts)  # type: ignore[arg-type]

    def objective(self) -> Objective:
        """Distance to the true frame, and the variation of flow and mask."""
        return VoxelObjective(self.config)

    def _between(self, observed: Batch, query: Tensor) -> dict[str, Tensor]:
        seen = windows(observed, query, self.config.neighbours, CLOCK)
        require_tasks(self, seen)
        pairs = pairs_of(seen, observed.frames, model_name(self), self.config.inputs)
        voxel = self.network(pairs.frames)[pairs.of_query]  # (Q, 3, H, W)
        reach = torch.stack([-2 * pairs.share, 2 * (1 - pairs.share)], dim=1)  # (Q, 2)
        parts = sampled(pairs.frames[pairs.of_query, -2:], voxel, reach)
        return {name: part.view(*query.shape, *part.shape[1:]) for name, part in parts.items()}

    def _beyond(self, observed: Batch, query: Tensor) -> dict[str, Tensor]:
        known = continuation(observed, query, self.config.neighbours, model_name(self), least=2)
        rows = torch.arange(len(query), device=query.device)[:, None]
        frames = known.frames[rows, first_repeated(known.present)[:, -self.config.inputs :]]  # (B, N, C, H, W)
        reach = torch.tensor([-2.0, -1.0], device=query.device)
        steps = []
        for _ in range(int(known.steps.max())):
            steps.append(sampled(frames[:, -2:], self.network(frames), reach))
            frames = torch.cat([frames[:, 1:], steps[-1]["frames"][:, None]], dim=1)
        return {name: known.of_query(torch.stack([step[name] for step in steps], dim=1)) for name in steps[0]}


def sampled(pair: Tensor, voxel: Tensor, reach: Tensor) -> dict[str, Tensor]:
    """The frames (Q, C, H, W) that the tanh of the network (Q, 3, H, W) makes of the pair (Q, 2, C, H, W), with parts.

    reach: (2,) or (Q, 2), what the flow is multiplied by for each of the pair.
    """
    height, width = pair.shape[-2:]
    pixels = voxel.new_tensor([(width - 1) / 2, (height - 1) / 2])[:, None, None]  # half sides
    flow = reach[..., None, None, None] * (0.5 * pixels * voxel[:, :2])[:, None]  # (Q, 2, 2, H, W)
    warped = warp(pair.flatten(0, 1), flow.flatten(0, 1)).view_as(pair)
    mask = 0.5 * (1 + voxel[:, 2:])
    frames = mask * warped[:, 0] + (1 - mask) * warped[:, 1]
    return {"frames": frames, "flow": flow, "mask": mask, "warped": warped, "voxel": voxel}


class VoxelNetwork(nn.Module):
    """The encoder-decoder: N frames in [0, 1] of each sample (Q, N, C, H, W) to a tanh (Q, 3, H, W)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            [
                convolution(inputs, width, 5),
                convolution(width, 2 * width, 5),
                convolution(2 * width, 4 * width, 3),
            ]
        )
        self.bottom = convolution(4 * width, 4 * width, 3)
        self.up = nn.ModuleList(
            [
                convolution(8 * width, 4 * width, 3),
                convolution(6 * width, 2 * width, 5),
                convolution(3 * width, width, 5),
            ]
        )
        self.head = nn.Conv2d(width, 3, 5, padding=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, frames: Tensor) -> Tensor:
        """See the class. Any size: the frames are padded for the network."""
        height, width = frames.shape[-2:]
        x = pad_to_multiple(2 * frames.flatten(1, 2) - 1, COARSEST)
        skips = []
        for layer in self.down:
            skips.append(layer(x))
            x = F.max_pool2d(skips[-1], kernel_size=2)
        x = self.bottom(x)
        for layer, skip in zip(self.up, reversed(skips), strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = layer(torch.cat([x, skip], dim=1))
        return torch.tanh(self.head(x).float())[..., :height, :width]


def convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """A convolution that keeps the size, with batch normalisation and ReLU."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


class VoxelObjective(Objective):
    """Charbonnier's distance, or the squared one, and the variation of the tanh flow and of the mask.

    The variation is of the flow before it is halved, and the distance of frames in [-1, 1], for which the weights were
    found.
    """

    def __init__(self, config: DeepVoxelFlowConfig) -> None:
        super().__init__()
        self.config = config

    def answer(self, model: VideoModel, example: Example) -> VoxelFlow:
        """What the model makes of one random triplet of each clip."""
        observed, query, target = lesson(example, self.config.task)
        return replace(cast(VoxelFlow, model(observed, query)), target=target)

    def model_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The terms reconstruction, flow_variation and mask_variation."""
        made = cast(VoxelFlow, prediction)
        target = example.target if made.target is None else made.target
        distance = losses.charbonnier if self.config.loss == "charbonnier" else F.mse_loss
        terms = {"reconstruction": distance(2 * made.frames, 2 * target)}  # as far apart as in [-1, 1]
        if self.config.flow_variation:
            varied = losses.variation(made.voxel[:, :, :2], losses.charbonnier)
            terms["flow_variation"] = self.config.flow_variation * varied
        if self.config.mask_variation:
            varied = losses.variation(cast(Tensor, made.mask), losses.charbonnier)
            terms["mask_variation"] = self.config.mask_variation * varied
        return terms


def lesson(example: Example, task: Task) -> tuple[Batch, Tensor, Tensor]:
    """What is observed, asked (B, 1) and true there (B, 1, C, H, W) in one random triplet of each clip.

    Frames before the triplet stay observed, in interpolation every second one, as far apart as its outer two.
    """
    clips = together(example)
    triplet = triplets(clips.seen)  # (B, 3)
    rank = clips.seen.cumsum(dim=1)
    back = rank.gather(1, triplet[:, 2:]) - rank  # frames from each to the last of the triplet
    shown = (back >= 0) & (back % 2 == 0) if task == "interpolation" else back >= 1
    asked = triplet[:, 1:2] if task == "interpolation" else triplet[:, 2:]
    rows = torch.arange(len(asked), device=asked.device)[:, None]
    return replace(clips, seen=clips.seen & shown), clips.times.gather(1, asked), clips.frames[rows, asked]


def together(example: Example) -> Batch:
    """The observed and the asked frames of each clip in order of time; one that stands there twice is seen once."""
    observed = example.observed
    times = torch.cat([torch.where(observed.seen, observed.times, torch.inf), example.query], dim=1)
    times, order = times.sort(dim=1, stable=True)
    rows = torch.arange(len(order), device=order.device)[:, None]
    frames = torch.cat([observed.frames, example.target], dim=1)[rows, order]
    repeated = F.pad(times.diff(dim=1) == 0, (1, 0))
    seen = torch.isfinite(times) & ~repeated
    return Batch(frames, torch.where(seen, times, times[:, :1]), seen)
