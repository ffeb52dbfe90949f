"""Unsupervised Video Interpolation (Reda et al., ICCV 2019): Super SloMo that learns from its own cycle.

The network (Jiang et al., CVPR 2018) makes the frame at the share t of the gap from I_0 to I_1:

    F_01, F_10     = U-Net of (I_0, I_1)                                            flow between the two, in pixels
    F^_t0, F^_t1   = -(1 - t) t F_01 + t^2 F_10,  (1 - t)^2 F_01 - t (1 - t) F_10   from the time t, straight on
    dF, V          = U-Net of (I_0, I_1, W(I_0, F^_t0), F^_t0, W(I_1, F^_t1), F^_t1), and F = F^ + dF
    I_t            = ((1 - t) V W(I_0, F_t0) + t (1 - V) W(I_1, F_t1)) / ((1 - t) V + t (1 - V) + 1e-10)

with W(x, F)(p) = x(p + F(p)), zero outside. It learns without a frame that was not observed: of three successive
observations, A = I_t of (I_0, I_1) and B = I_t of (I_1, I_2) are made, and I^_1 between A and B must be I_1. t is
j / (times + 1), j drawn from 1 ... times. Where gaps differ, I_1 is asked at its own share of the way from A to B,
which is the paper's 1 - t where they are equal. The terms, with the mean over elements |.|:

    pixel        |I^_1 - I_1|
    perceptual   mean (phi(I^_1) - phi(I_1))^2, phi = VGG16 up to conv4_3
    warping      |W(A, F^) - I_1| + |W(B, F^) - I_1|, and for each of (A, B), (I_0, I_1), (I_1, I_2), say (X, Y):
                 |W(Y, F_XY) - X| + |W(X, F_YX) - Y|
    smoothness   the total variation of the six flows F
    pseudo       |A - A*| + |B - B*|, with A* and B* those of a teacher that learned from true frames

All of it, networks and terms, sees pixels as their weights were found for: 255 x - mean, zero being the mean colour.
Sides are padded to a multiple of 32. Choices: no teacher, as in the comparison of Vid-ODE, which calls the model
unsupervised; one triplet of each clip at a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vidode import losses
from vidode.blocks.frames import pad_to_multiple
from vidode.blocks.pairs import pairs_of
from vidode.blocks.triplets import triplets
from vidode.blocks.vgg import Vgg, load_vgg
from vidode.blocks.warp import warp
from vidode.clip import Batch, InvalidInput
from vidode.configuration import require_at_least
from vidode.models import Example, Objective, OptimiserConfig, Prediction, VideoModel, model_name, require_tasks
from vidode.timing import TimeScale
from vidode.windows import windows

CLOCK = TimeScale(kind="absolute", per_unit=1.0)
"""Only ratios of times count here."""
MEAN = (109.93, 109.167, 101.455)
"""Red, green and blue of the mean colour, of 255; their mean where channels are not colours."""
KERNELS = (7, 5, 3, 3, 3)
"""Of the two convolutions before each halving."""
SLOPE = 0.1
"""Of the leaky rectifiers."""


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is minimised: the module's terms with their weights; a weight of 0 leaves a term out.

    learn: from the "cycle" of observed frames, or from the true "frames" that are asked (supervised, with four warping
    terms and two flows a frame), which is how a teacher is made. times: at which a gap may be cut. reversal: the
    probability that a triplet runs backward in time. perceptual: 0.005 in the original; 0 here, since it needs weights
    learned on ImageNet, which are never shipped. vgg: their file (see `vidode.blocks.vgg`), else that of VIDODE_VGG16.
    teacher: the model.safetensors of a saved model of the same sizes; the pseudo term counts only with it.
    """

    learn: Literal["cycle", "frames"] = "cycle"
    times: int = 7
    reversal: float = 0.5
    pixel: float = 0.8
    perceptual: float = 0.0
    warping: float = 0.4
    smoothness: float = 1.0
    pseudo: float = 0.8
    vgg: str | None = None
    teacher: str | None = None

    def __post_init__(self) -> None:
        if min(self.pixel, self.perceptual, self.warping, self.smoothness, self.pseudo) < 0 or self.times < 1:
            raise InvalidInput(f"{self}; expected weights of at least 0 and at least 1 of times")
        if not 0 <= self.reversal <= 1:
            raise InvalidInput(f"reversal is {self.reversal}; expected a probability between 0 and 1")
        if self.teacher is not None and self.learn == "frames":
            raise InvalidInput('learn is "frames" with a teacher; expected "cycle": true frames need no teacher')


@dataclass(frozen=True)
class UnsupervisedInterpolationConfig:
    """What the network is made of. Defaults are the paper's.

    neighbours: observations seen on each side of a query, of which the nearest is used. width: channels of the first
    map; the deepest has 16 times as many. flow_scale: frames are made so many times smaller for the flow between
    them; the original takes 2 at high resolution.
    """

    channels: int = 3
    neighbours: int = 5
    width: int = 32
    flow_scale: int = 1
    objective: ObjectiveConfig = ObjectiveConfig()

    def __post_init__(self) -> None:
        require_at_least(self, channels=1, neighbours=1, width=1, flow_scale=1)


@dataclass(frozen=True, kw_only=True)
class Interpolated(Prediction):
    """The answer, and what the terms need of how it was made; frames as pixels (see `to_pixels`).

    flow and warped hold the frame before, then the one after; mask is the weight of the first. pair: (B, K, 2, C, H, W)
    those two frames. between: (B, K, 2, 2, H, W) F_01 and F_10. rough: (B, K, 2, C, H, W) both, brought by F^.
    """

    pair: Tensor
    between: Tensor
    rough: Tensor


@dataclass(frozen=True, kw_only=True)
class Cycle(Interpolated):
    """I^_1, made from A and B. target: (B, 1, C, H, W) I_1. halves: A and B. taught: (B, 2, C, H, W) A* and B*."""

    target: Tensor
    halves: Interpolated
    taught: Tensor | None


class UnsupervisedInterpolation(VideoModel):
    """Frames at any time between two observed ones; the module's docstring holds the equations."""

    tasks = ("interpolation",)
    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig(
        name="adam", learning_rate=1e-4, schedule="steps", milestones=((0.5, 0.1), (0.9, 0.01))
    )
    config: UnsupervisedInterpolationConfig

    def __init__(self, config: UnsupervisedInterpolationConfig) -> None:
        super().__init__()
        self.config = config
        self.flow_network = UNet(2 * config.channels, 4, config.width)
        self.frame_network = UNet(4 * config.channels + 4, 5, config.width, context=16 * config.width)

    def forward(self, observed: Batch, query: Tensor) -> Interpolated:
        """See `VideoModel.forward`. Raises `InvalidInput` for a query that is not between two observed frames."""
        seen = windows(observed, query, self.config.neighbours, CLOCK)
        require_tasks(self, seen)
        gaps = pairs_of(seen, observed.frames, model_name(self))
        t = gaps.share[:, None, None, None, None]  # (Q, 1, 1, 1, 1)
        pair = to_pixels(gaps.frames)  # (G, 2, C, H, W)
        padded = _pairs(pad_to_multiple(pair.flatten(0, 1), 32 * self.config.flow_scale))  # (G, 2, C, h, w)
        between, deep = self._between(padded)
        pair, padded, between, deep = (part[gaps.of_query] for part in (pair, padded, between, deep))

        straight = _straight(between, t)
        rough = _brought(padded, straight)
        known = torch.cat([padded.flatten(1, 2), torch.cat([rough, straight], dim=2).flatten(1, 2)], dim=1)
        maps = self.frame_network(known, deep).float()  # (Q, 5, h, w)
        size = (..., slice(pair.shape[-2]), slice(pair.shape[-1]))
        flow = (straight + _fields(maps[:, :4]))[size]
        parts = _composed(pair, flow, torch.sigmoid(maps[:, None, 4:])[size], t)
        parts |= {"pair": pair, "between": between[size], "rough": rough[size]}
        shaped = {name: part.view(*query.shape, *part.shape[1:]) for name, part in parts.items()}
        return Interpolated(**shaped)  # type: ignore[arg-type]

    def objective(self) -> Objective:
        """The cycle of observed frames, or the true frames. Raises `InvalidInput` for weights that are not there."""
        return CycleObjective(self.config)

    def _between(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """F_01 and F_10 (G, 2, 2, h, w) of each pair (G, 2, C, h, w), and the deepest features."""
        scale = float(self.config.flow_scale)
        maps, deep = self.flow_network.maps_and_deepest(_resized(frames.flatten(1, 2), 1 / scale))
        return scale * _fields(_resized(maps.float(), scale)), _resized(deep, scale)


class UNet(nn.Module):
    """Maps (N, inputs, H, W) to (N, outputs, H, W), through five halvings; H and W are multiples of 32.

    context: channels of another network's deepest features, which stand beside its own.
    """

    def __init__(self, inputs: int, outputs: int, width: int, context: int = 0) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(len(KERNELS))]
        deepest = widths[-1]
        entering = [inputs, *widths[:-1]]
        self.down = nn.ModuleList(_twice(*sizes) for sizes in zip(entering, widths, KERNELS, strict=True))
        self.bottom = _twice(deepest, deepest, 3)
        # What comes up stands beside the map of its size on the way down, which has as many channels.
        joined = [deepest + context, *(2 * channels for channels in reversed(widths[1:]))]
        leaving = [deepest, *reversed(widths[:-1])]
        self.up = nn.ModuleList(_twice(*sizes, 3) for sizes in zip(joined, leaving, strict=True))
        self.refine = nn.Sequential(nn.Conv2d(2 * width, width, 3, padding=1), nn.LeakyReLU(SLOPE))
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """The maps, with a context (N, D, H / 32, W / 32)."""
        deep, skips = self._descend(x)
        return self._ascend(torch.cat([deep, context], dim=1), skips)

    def maps_and_deepest(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The maps, without a context, and the deepest features (N, D, H / 32, W / 32)."""
        deep, skips = self._descend(x)
        return self._ascend(deep, skips), deep

    def _descend(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips = []
        for layer in self.down:
            skips.append(layer(x))
            x = F.avg_pool2d(skips[-1], kernel_size=2)
        return self.bottom(x), skips

    def _ascend(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for layer, skip in zip(self.up, reversed(skips), strict=True):
            x = torch.cat([layer(_resized(x, 2.0)), skip], dim=1)
        return self.head(self.refine(x))  # type: ignore[no-any-return]


class CycleObjective(Objective):
    """The module's terms, already weighted."""

    def __init__(self, config: UnsupervisedInterpolationConfig) -> None:
        super().__init__()
        self.config = config.objective
        self.vgg: Vgg | None = load_vgg(self.config.vgg) if self.config.perceptual else None
        self.teacher = _taught(config) if self.config.teacher is not None else None

    def answer(self, model: VideoModel, example: Example) -> Prediction:
        """A cycle for a random triplet of each clip; what is asked, where true frames are learned from."""
        if self.config.learn == "frames":
            _require_hidden(example)
            return cast(Prediction, model(example.observed, example.query))
        observed = self._triplet(example.observed)
        drawn = torch.randint(self.config.times, (len(observed.times), 1), device=observed.times.device) + 1
        asked = observed.times[:, :2] + observed.times.diff(dim=1) * drawn / (self.config.times + 1)
        halves = model(observed, asked)
        again = model(Batch(halves.frames, asked, observed.seen[:, :2]), observed.times[:, 1:2])
        with torch.no_grad():
            taught = None if self.teacher is None else self.teacher(observed, asked).frames
        return Cycle(**vars(again), target=observed.frames[:, 1:2], halves=halves, taught=taught)

    def model_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The terms pixel, perceptual, warping, smoothness and pseudo, those that have a weight."""
        weights, made = self.config, cast(Interpolated, prediction)
        cycle = made if isinstance(made, Cycle) else None
        target = to_pixels(example.target if cycle is None else cycle.target)
        frames = to_pixels(made.frames)
        terms = {
            "pixel": losses.reconstruction(frames, target),
            "warping": 2 * losses.reconstruction(made.rough, target[:, :, None]) + unlike(made),
            "smoothness": roughness(made),
        }
        if cycle is not None:  # and the pairs of A and of B
            terms["warping"] = terms["warping"] + 2 * unlike(cycle.halves)
            terms["smoothness"] = terms["smoothness"] + 2 * roughness(cycle.halves)
        if cycle is not None and cycle.taught is not None:
            terms["pseudo"] = 2 * losses.reconstruction(to_pixels(cycle.halves.frames), to_pixels(cycle.taught))
        if self.vgg is not None:
            seen, true = (self.vgg(_as_colours(images.flatten(0, 1)) / 255) for images in (frames, target))
            terms["perceptual"] = F.mse_loss(seen, true)
        return {name: getattr(weights, name) * term for name, term in terms.items() if getattr(weights, name)}

    def _triplet(self, observed: Batch) -> Batch:
        """Three successive frames of each clip, some of them in the mirror of time."""
        index = triplets(observed.seen)  # (B, 3)
        rows = torch.arange(len(index), device=index.device)[:, None]
        times = observed.times.gather(1, index)
        mirrored = torch.rand(len(index), 1, device=index.device) < self.config.reversal
        index = torch.where(mirrored, index.flip(1), index)
        times = torch.where(mirrored, -times.flip(1), times)
        return Batch(observed.frames[rows, index], times, torch.ones_like(index, dtype=torch.bool))


def to_pixels(frames: Tensor) -> Tensor:
    """Frames (..., C, H, W) in [0, 1] as the networks see them: of 255, less the mean colour."""
    return 255 * frames - _mean(frames)


def from_pixels(seen: Tensor) -> Tensor:
    """The inverse of `to_pixels`."""
    return (seen + _mean(seen)) / 255


def unlike(made: Interpolated) -> Tensor:
    """|W(Y, F_XY) - X| + |W(X, F_YX) - Y| of the two frames around each query, mean over queries."""
    x, between = made.pair.flatten(0, 1), made.between.flatten(0, 1)
    return 2 * losses.reconstruction(_brought(x.flip(1), between), x)


def roughness(made: Interpolated) -> Tensor:
    """The total variation of F_01 plus that of F_10, mean over queries."""
    return 2 * losses.variation(made.between)


def _straight(between: Tensor, t: Tensor) -> Tensor:
    """F^_t0 and F^_t1 (Q, 2, 2, h, w), from F_01 and F_10 likewise, at t (Q, 1, 1, 1, 1)."""
    f_01, f_10 = between.chunk(2, dim=1)
    return torch.cat([-(1 - t) * t * f_01 + t**2 * f_10, (1 - t) ** 2 * f_01 - t * (1 - t) * f_10], dim=1)


def _composed(pair: Tensor, flow: Tensor, v: Tensor, t: Tensor) -> dict[str, Tensor]:
    """I_t, in [0, 1], and its parts, from a pair (Q, 2, C, H, W), its flow and the visibility (Q, 1, 1, H, W)."""
    warped = _brought(pair, flow)
    weights = torch.cat([(1 - t) * v, t * (1 - v)], dim=1)  # (Q, 2, 1, H, W)
    weights = weights / (weights.sum(dim=1, keepdim=True) + 1e-10)
    frames = from_pixels((weights * warped).sum(dim=1))
    return {"frames": frames, "flow": flow, "warped": from_pixels(warped), "mask": weights[:, 0]}


def _mean(frames: Tensor) -> Tensor:
    channels = frames.shape[-3]
    colour = MEAN if channels == 3 else (sum(MEAN) / 3,) * channels
    return frames.new_tensor(colour)[:, None, None]


def _brought(frames: Tensor, flow: Tensor) -> Tensor:
    """W of each of a pair (N, 2, C, H, W) by its flow (N, 2, 2, H, W)."""
    return warp(frames.flatten(0, 1), flow.flatten(0, 1), outside="zeros").view_as(frames)


def _pairs(frames: Tensor) -> Tensor:
    """(2 N, C, H, W) as (N, 2, C, H, W)."""
    return frames.view(-1, 2, *frames.shape[1:])


def _fields(maps: Tensor) -> Tensor:
    """(N, 4, H, W) as two flows (N, 2, 2, H, W)."""
    return maps.view(-1, 2, 2, *maps.shape[2:])


def _as_colours(images: Tensor) -> Tensor:
    """Images (N, C, H, W) for a network that sees colours: where there are not three channels, each is a grey image."""
    return images if images.shape[1] == 3 else images.flatten(0, 1)[:, None].expand(-1, 3, -1, -1)


def _twice(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for entering in (inputs, outputs):
        layers += [nn.Conv2d(entering, outputs, kernel, padding=kernel // 2), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


def _resized(x: Tensor, scale: float) -> Tensor:
    return x if scale == 1 else F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)


def _require_hidden(example: Example) -> None:
    observed = torch.where(example.observed.seen, example.observed.times, torch.inf)
    if bool((example.query[:, :, None] == observed[:, None]).any()):
        raise InvalidInput(
            'learn is "frames", and an observed frame is asked for; expected hidden ones: set sampling.supervised to'
            " true, or sample withheld frames"
        )


def _taught(config: UnsupervisedInterpolationConfig) -> UnsupervisedInterpolation:
    """The teacher, frozen. Raises `InvalidInput` for a file that does not hold a model of this configuration."""
    path = Path(cast(str, config.objective.teacher))
    if not path.is_file():
        raise InvalidInput(f"no teacher at {path}; expected the model.safetensors of a saved model")
    teacher = UnsupervisedInterpolation(config)
    try:
        teacher.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise InvalidInput(
            f"{path} does not hold a teacher of this configuration ({str(error).splitlines()[0]}); expected the"
            " model.safetensors of unsupervised_interpolation with the same channels and width"
        ) from error
    return teacher.eval().requires_grad_(False)
