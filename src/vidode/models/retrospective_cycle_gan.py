"""Retrospective Cycle GAN (Kwon and Park, CVPR 2019): who predicts well can also tell what came before.

One generator G takes N frames to the next one. With the order of its frames reversed it gives the one before them,
and a prediction is good if, put in the place of a true frame, it leads back to the other end of the sequence:

    x'_(n+1)  = G(x_m, ..., x_n)               x'_m  = G(x_(n+1), x_n, ..., x_(m+1))
    x''_(n+1) = G(x'_m, x_(m+1), ..., x_n)     x''_m = G(x'_(n+1), x_n, ..., x_(m+1))

    L       = L_img + .005 L_LoG + .003 L_frame + .003 L_seq
    L_img   = sum of mean |a - b| over six pairs: (x, x'), (x, x''), (x', x'') at n+1 and at m
    L_LoG   = the same of their edges, which a Laplacian of Gaussian finds
    L_frame = sum of mean (D_A(f) - 1)^2 over the four frames that G made
    L_seq   = sum of mean (D_B(s) - 1)^2 over the four sequences: what G was given, with what it made of it

D_A and D_B are least-squares critics, which learn unweighted from the true frames at n+1 and m, and from the true
sequence in both directions. Gradients flow through x' into x''.

Source: the paper. Left open there, and taken here: reflection padding where its ancestor CycleGAN has it (the 7x7
convolutions and the residual blocks), biases throughout (11.77 million parameters at N = 4 with them, 11.76 without),
256 maps after the last enlargement as its figure prints, the size and width of the Laplacian of Gaussian (its values
are those of the formula: the integer kernel of the textbooks is 483 times as large), and a learning rate that is held
for a fifth of the run and then falls to zero along a line. Vid-ODE's five observed frames are all given: N = 5.

Time: ignored, but for the order of frames. What comes next is rolled out, the oldest frame giving way to the newest.
Inside, frames are in [-1, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidode import losses
from vidode.blocks.critics import PatchCritic
from vidode.blocks.frames import pad_to_multiple
from vidode.blocks.regular import UNEVEN, continuation
from vidode.clip import Batch, InvalidInput
from vidode.configuration import require_at_least
from vidode.models import Example, Objective, OptimiserConfig, Prediction, Task, VideoModel, frozen, scaled

NAME = "retrospective_cycle_gan"
SHRINKS = 4
"""Pixels to a cell of the residual blocks."""
LEAST = 2 * SHRINKS
"""Pixels of a side, at least: reflection and instance normalisation need two cells."""
LEAST_SHOWN = 24
"""Pixels of a side that the critics need."""
FAKES = 4
"""Frames that the generator makes of a sequence."""


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is minimised: L_img + laplacian L_LoG + frame L_frame + sequence L_seq; a critic of weight 0 is left out.

    kernel, sigma: side (odd) and deviation of the Laplacian of Gaussian, in pixels. width: first maps of the critics.
    """

    laplacian: float = 0.005
    frame: float = 0.003
    sequence: float = 0.003
    kernel: int = 9
    sigma: float = 1.4
    width: int = 64

    def __post_init__(self) -> None:
        if min(self.laplacian, self.frame, self.sequence) < 0 or self.width < 1:
            raise InvalidInput(f"{self}; expected weights of at least 0 and a width of at least 1")
        if self.kernel < 3 or self.kernel % 2 == 0 or not self.sigma > 0:
            raise InvalidInput(f"{self}; expected an odd kernel of at least 3 pixels and a positive sigma")


@dataclass(frozen=True)
class RetrospectiveCycleGanConfig:
    """What the network is made of. Defaults are Vid-ODE's use of it at 128 pixels; its own paper has 4 neighbours.

    neighbours: N, the frames that it goes on from; earlier ones are not seen. width: channels of the first maps, the
    residual blocks have twice as many. blocks: residual ones.
    """

    channels: int = 3
    neighbours: int = 5
    width: int = 128
    blocks: int = 9
    objective: ObjectiveConfig = ObjectiveConfig()

    def __post_init__(self) -> None:
        require_at_least(self, channels=1, neighbours=1, width=1, blocks=1)


class RetrospectiveCycleGan(VideoModel):
    """The next frames of a regular sequence; the module's docstring holds the equations."""

    tasks: tuple[Task, ...] = ("extrapolation",)
    any_time = False
    optimiser: ClassVar[OptimiserConfig] = OptimiserConfig(
        name="adam", learning_rate=3e-4, betas=(0.5, 0.999), schedule="linear", hold=0.2, floor=0.0
    )
    config: RetrospectiveCycleGanConfig

    def __init__(self, config: RetrospectiveCycleGanConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = Generator(config)

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        """See `VideoModel.forward`. Raises `InvalidInput` as `continuation` does."""
        count = self.config.neighbours
        found = continuation(observed, query, count, NAME, least=count)
        made = self.roll_out(_signed(found.frames), int(found.steps.max()))
        return Prediction(_unsigned(found.of_query(made)))

    def roll_out(self, frames: Tensor, steps: int) -> Tensor:
        """The next frames (B, S, C, H, W) of sequences (B, N, C, H, W), all in [-1, 1]."""
        made: list[Tensor] = []
        for _ in range(steps):
            made.append(self.generator(frames))
            frames = torch.cat([frames[:, 1:], made[-1][:, None]], dim=1)
        return torch.stack(made, dim=1)

    def cycle(self, run: Tensor) -> Cycle:
        """What the generator makes of N + 1 successive frames (B, N + 1, C, H, W) in [0, 1], there and back."""
        true = torch.stack([_signed(run), _signed(run).flip(1)])  # (2, B, N + 1, C, H, W)
        once = self._next(true[:, :, :-1])  # x'_(n+1), x'_m
        replaced = torch.cat([once.flip(0)[:, :, None], true[:, :, 1:-1]], dim=2)
        given, made = torch.cat([true[:, :, :-1], replaced]), torch.cat([once, self._next(replaced)])
        return Cycle(_unsigned(once[0])[:, None], true=true, given=given, made=made)

    def objective(self) -> Objective:
        """The six pairs, their edges, and the critics of frames and of sequences."""
        return RetrospectiveObjective(self.config)

    @classmethod
    def sized(cls, share: float, size: tuple[int, int]) -> dict[str, Any]:
        """See `VideoModel.sized`. The critics are as much narrower."""
        return {
            **scaled(RetrospectiveCycleGanConfig(), share, "width"),
            "objective": scaled(ObjectiveConfig(), share, "width"),
        }

    def _next(self, sequences: Tensor) -> Tensor:
        """(D, B, C, H, W) out of sequences (D, B, N, C, H, W)."""
        made: Tensor = self.generator(sequences.flatten(0, 1))
        return made.reshape(*sequences.shape[:2], *made.shape[1:])


class Generator(nn.Module):
    """G: N frames in their order (B, N, C, H, W) -> the next one (B, C, H, W), in [-1, 1], at any size."""

    def __init__(self, config: RetrospectiveCycleGanConfig) -> None:
        super().__init__()
        width, wide = config.width, 2 * config.width
        self.layers = nn.Sequential(
            nn.Conv2d(config.neighbours * config.channels, width, 7, padding=3, padding_mode="reflect"),
            *_normalised(nn.Conv2d(width, width, 3, stride=2, padding=1)),
            *_normalised(nn.Conv2d(width, wide, 3, stride=2, padding=1)),
            *(ResidualBlock(wide) for _ in range(config.blocks)),
            *_normalised(nn.ConvTranspose2d(wide, width, 3, stride=2, padding=1, output_padding=1)),
            *_normalised(nn.ConvTranspose2d(width, wide, 3, stride=2, padding=1, output_padding=1)),
            nn.Conv2d(wide, config.channels, 7, padding=3, padding_mode="reflect"),
            nn.Tanh(),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """The frame after the last one given."""
        height, width = frames.shape[-2:]
        made: Tensor = self.layers(pad_to_multiple(frames.flatten(1, 2), SHRINKS, LEAST))
        return made[..., :height, :width].float()


class ResidualBlock(nn.Module):
    """x + IN(conv(ReLU(IN(conv(x))))), 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = (nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect") for _ in range(2))
        self.layers = nn.Sequential(*_normalised(first), second, nn.InstanceNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the same shape."""
        return x + self.layers(x)  # type: ignore[no-any-return]


@dataclass(frozen=True, kw_only=True)
class Cycle(Prediction):
    """The passes of the generator over sequences of N + 1 frames, in [-1, 1]; `frames` is x'_(n+1) in [0, 1].

    true: (2, B, N + 1, C, H, W) the sequence, and the same reversed. given: (4, B, N, C, H, W) what the generator was
    shown for each of made: (4, B, C, H, W), which are x'_(n+1), x'_m, x''_(n+1) and x''_m.
    """

    true: Tensor
    given: Tensor
    made: Tensor

    @property
    def aims(self) -> Tensor:
        """(2, B, C, H, W): x_(n+1) and x_m."""
        return self.true[:, :, -1]

    @property
    def fakes(self) -> Tensor:
        """(4, B, N + 1, C, H, W): the sequences of L_seq. The last two hold two frames that were made."""
        return torch.cat([self.given, self.made[:, :, None]], dim=2)

    @property
    def apart(self) -> Tensor:
        """(6, B, C, H, W): the differences of the six pairs."""
        once, twice = self.made.chunk(2)
        return torch.cat([self.aims - once, self.aims - twice, once - twice])


class RetrospectiveObjective(Objective):
    """L_img, L_LoG, and the least-squares terms of the critics D_A of frames and D_B of sequences."""

    kernel: Tensor

    def __init__(self, config: RetrospectiveCycleGanConfig) -> None:
        super().__init__()
        self.neighbours, self.weights = config.neighbours, config.objective
        self.register_buffer("kernel", laplacian_of_gaussian(self.weights.kernel, self.weights.sigma), persistent=False)
        frames = {"frame": 1, "sequence": config.neighbours + 1}
        self.critics = nn.ModuleDict(
            {
                name: PatchCritic(count * config.channels, self.weights.width, scores=1, margin=1, bias=True)
                for name, count in frames.items()
                if getattr(self.weights, name)
            }
        )

    def answer(self, model: VideoModel, example: Example) -> Cycle:
        """The passes over a random run of N + 1 frames of each clip."""
        return cast(RetrospectiveCycleGan, model).cycle(random_run(example, self.neighbours + 1))

    def model_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The terms image, laplacian, frame and sequence. The critics get no gradient."""
        cycle = cast(Cycle, prediction)
        # The filter is linear: what it finds of a difference is how far apart the edges are.
        edges = filtered(cycle.apart.flatten(0, 1), self.kernel).view_as(cycle.apart)
        terms = {"image": _of_each(cycle.apart), "laplacian": self.weights.laplacian * _of_each(edges)}
        with frozen(self):
            for name, critic in self.critics.items():
                weight = FAKES * getattr(self.weights, name)  # a sum over the fakes
                terms[name] = weight * losses.deception(critic(_shown(cycle, name)[1]))
        return terms

    def critic_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        """The terms frame and sequence of the critics, unweighted."""
        shown = {name: _shown(cast(Cycle, prediction), name) for name in self.critics}
        return {
            name: FAKES * losses.critic(critic(shown[name][0]), critic(shown[name][1].detach()))
            for name, critic in self.critics.items()
        }


def random_run(example: Example, count: int) -> Tensor:
    """(B, count, C, H, W): successive frames of each clip, observed and asked ones together, from a random place.

    Raises `InvalidInput` for a clip that has no such run at even gaps.
    """
    observed = example.observed
    times = torch.cat([observed.times.where(observed.seen, torch.inf), example.query.double()], dim=1)
    times, order = times.sort(dim=1)
    gaps = F.pad(times, (0, count), value=torch.inf).unfold(1, count, 1).diff(dim=2)  # (B, places, count - 1)
    mean = gaps.mean(dim=2, keepdim=True)
    even = ((gaps - mean).abs() < UNEVEN * mean).all(dim=2)  # never where a time is infinite or repeated
    if not bool(even.any(dim=1).all()):
        raise InvalidInput(
            f"a clip has no {count} successive frames at even gaps, observed and asked ones together;"
            f" {NAME} learns from a regular sequence: sample longer ones, or set neighbours to fewer than {count - 1}"
        )
    start = torch.multinomial(even.double(), 1)  # (B, 1)
    place = order.gather(1, start + torch.arange(count, device=order.device))
    clip = torch.arange(len(place), device=place.device)[:, None]
    return torch.cat([observed.frames, example.target], dim=1)[clip, place]


def laplacian_of_gaussian(size: int, sigma: float) -> Tensor:
    """(size, size): (r^2 / (2 sigma^2) - 1) exp(-r^2 / (2 sigma^2)) / (pi sigma^4), less its mean: it sums to zero."""
    away = torch.arange(size, dtype=torch.float64) - size // 2
    r = (away[:, None].square() + away.square()) / (2 * sigma**2)
    kernel = (r - 1) * torch.exp(-r) / (math.pi * sigma**4)
    return (kernel - kernel.mean()).float()


def filtered(images: Tensor, kernel: Tensor) -> Tensor:
    """Each channel of (N, C, H, W) under a kernel, the border going on for ever outside."""
    padded = F.pad(images, [len(kernel) // 2] * 4, mode="replicate")
    return F.conv2d(padded.flatten(0, 1)[:, None], kernel[None, None]).view_as(images)


def _normalised(convolution: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    return [convolution, nn.InstanceNorm2d(convolution.out_channels), nn.ReLU()]


def _of_each(differences: Tensor) -> Tensor:
    """The sum over pairs (P, B, C, H, W) of mean |a - b|."""
    return differences.abs().mean(dim=(1, 2, 3, 4)).sum()


def _shown(cycle: Cycle, critic: str) -> tuple[Tensor, Tensor]:
    """True and made images (2 B and 4 B, ., H, W) for a critic, at a size that it can take."""
    pair = (cycle.aims, cycle.made) if critic == "frame" else (cycle.true.flatten(2, 3), cycle.fakes.flatten(2, 3))
    true, made = (pad_to_multiple(images.flatten(0, 1), 1, LEAST_SHOWN) for images in pair)
    return true, made


def _signed(frames: Tensor) -> Tensor:
    """From [0, 1] to [-1, 1]."""
    return 2 * frames - 1


def _unsigned(frames: Tensor) -> Tensor:
    """From [-1, 1] to [0, 1]."""
    return (frames + 1) / 2
