"""Which frames of a whole clip are hidden and asked for, when a model is measured.

scheme                    seen                                          asked
every-second              frames 0, 2, 4, ...                           frames 1, 3, 5, ... between them
random-40                 60 % at random, first and last among them     the other 40 %
beyond-5                  all up to each of four cuts, at quarters      the next five
regular-interpolation     0, 2, 4, 6, 8 of the first ten                1, 3, 5, 7
regular-extrapolation     0 ... 4 of the first ten                      5 ... 9
long-extrapolation        0 ... 9 of the first twenty                   10 ... 19
irregular-interpolation   first, last and 8 others of the first twenty  the other ten
irregular-extrapolation   first and 4 others of the first ten           5 of the ten after, the last among them
sparse-20 ... sparse-100  5 of the 25 (20 %) ... 5 (100 %) before them  the last five

The last ten are the windows of Vid-ODE (AAAI 2021), which measures one from the start of each clip; the long ones are
those of its bouncing balls, the sparse ones of its climate data. Those lie at the end of a clip, so that at every rate
the same frames are asked for: from its start, a lower rate would ask for later ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from vidode.clip import InvalidInput
from vidode.configuration import closest
from vidode.models import Task
from vidode.sampling import SamplingConfig, generator_for, select

HIDDEN_SHARE = 0.4
STEPS_BEYOND = 5
CUTS = 4


@dataclass(frozen=True)
class Question:
    """What a model sees of a clip and what it is asked: indices of frames, increasing. seen: (T,), asked: (K,)."""

    seen: Tensor
    asked: Tensor

    @property
    def distance(self) -> Tensor:
        """(K,) frames from each asked one to the nearest seen one, 1 or more."""
        return (self.asked[:, None] - self.seen).abs().amin(dim=1)


@dataclass(frozen=True)
class Scheme:
    """A way to hide. ask: from the length of a clip to its questions, none where the clip is too short."""

    task: Task
    ask: Callable[[int, Generator], list[Question]]


def questions(name: str, length: int, seed: int, clip: int) -> list[Question]:
    """The questions on a clip of `length` frames; they depend on the seed and the clip's index, not on other clips."""
    return scheme(name).ask(length, generator_for(seed, clip))


def scheme(name: str) -> Scheme:
    """A scheme by name. Raises `InvalidInput` naming the closest."""
    if name not in SCHEMES:
        raise InvalidInput(f"no hiding scheme is called {name!r}; {closest(name, list(SCHEMES))}")
    return SCHEMES[name]


def _every_second(length: int, generator: Generator) -> list[Question]:
    # The last frame of an even number would lie beyond what is seen; it is left out.
    frames = torch.arange(length - (length + 1) % 2)
    return [Question(frames[::2].contiguous(), frames[1::2])] if len(frames) >= 3 else []


def _random_40(length: int, generator: Generator) -> list[Question]:
    if length < 3:
        return []
    count = min(max(round(HIDDEN_SHARE * length), 1), length - 2)
    hidden = 1 + torch.randperm(length - 2, generator=generator)[:count]
    is_seen = torch.ones(length, dtype=torch.bool)
    is_seen[hidden] = False
    return [Question(is_seen.nonzero()[:, 0], hidden.sort().values)]


def _beyond_5(length: int, generator: Generator) -> list[Question]:
    last = length - STEPS_BEYOND
    ends = sorted({round(k * last / CUTS) for k in range(1, CUTS + 1)})
    return [
        Question(torch.arange(end), torch.arange(end, end + STEPS_BEYOND))
        for end in ends
        if end >= 2  # a motion is seen in two frames
    ]


def _window(config: SamplingConfig, task: Task, at_the_end: bool = False) -> Scheme:
    def ask(length: int, generator: Generator) -> list[Question]:
        start = length - config.length(task)
        if start < 0:
            return []
        selection = select(config, task, generator, test=True)
        start = start if at_the_end else 0
        return [Question(start + selection.seen, start + selection.asked)]

    return Scheme(task, ask)


RATES = (20, 40, 60, 80, 100)
"""Of Vid-ODE's Figure 6: the share of frames that are observed, in percent."""


def sparse(rate: int) -> SamplingConfig:
    """Five frames out of 5 / r successive ones, r being the rate in percent, and the five after them."""
    return SamplingConfig(scheme="sparse", window=round(5 * 100 / rate) + 5, frames_in=5, frames_out=5)


def every_rate(lowest: int) -> SamplingConfig:
    """The same at every rate from 100 % down to the lowest, for training."""
    return replace(sparse(lowest), least_span=5)


REGULAR = SamplingConfig(scheme="regular")
LONG = SamplingConfig(scheme="regular", frames_in=10, frames_out=10)
IRREGULAR = SamplingConfig(scheme="irregular")
SCHEMES: dict[str, Scheme] = {
    "every-second": Scheme("interpolation", _every_second),
    "random-40": Scheme("interpolation", _random_40),
    "beyond-5": Scheme("extrapolation", _beyond_5),
    "regular-interpolation": _window(REGULAR, "interpolation"),
    "regular-extrapolation": _window(REGULAR, "extrapolation"),
    "long-extrapolation": _window(LONG, "extrapolation"),
    "irregular-interpolation": _window(IRREGULAR, "interpolation"),
    "irregular-extrapolation": _window(IRREGULAR, "extrapolation"),
    **{f"sparse-{rate}": _window(sparse(rate), "extrapolation", at_the_end=True) for rate in RATES},
}
