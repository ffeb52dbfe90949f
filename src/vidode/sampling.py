"""Which frames of a window are seen and which are asked.

Schemes, each for both tasks (S = frames_in + frames_out, W = window):

regular       Extrapolation: frames_in successive frames are seen, the next frames_out asked. Interpolation: of
              2 frames_in successive frames every second one is seen; training asks for the seen ones again, as the
              paper does (auto-encoding), a test asks for those between them.
irregular     Of W frames. Extrapolation: the first and frames_in - 1 others of the first half are seen, the last and
              frames_out - 1 others of the second half asked. Interpolation: the first, the last and S - 2 others are
              seen; training asks for the seen ones, a test for all the hidden ones.
withheld      Of W frames, some are hidden at random and `queries` of them asked. Interpolation: runs of 1 to
              max_hidden frames are hidden between seen ones, the same length throughout in half of the clips. Runs in
              which nothing is asked are shown in half of the cases, so that what surrounds a query varies too.
              Extrapolation: the clip ends early, in half of the cases with nothing hidden, and is asked for frames
              1 to max_beyond after its end.

sparse        Extrapolation alone. Of the first W - frames_out frames, the first, the last and frames_in - 2 others are
              seen, no two of them farther apart than max_gap frames; the frames_out after them are asked. With
              least_span, what is seen spans fewer frames, from so many up to all of those: training then meets every
              rate of sampling. A test spans them all.

Of what these ask, training may take fewer frames at random (`ask`), or, in extrapolation, none: `within` asks for the
last frame that is seen, out of the others, so that nothing beyond the inputs is ever shown.

With a stride s, a window has s times as many frames, and the scheme sees every sth of them alone.

Regular and irregular windows are those of Vid-ODE (AAAI 2021, section 4.1), sparse ones what it says of its climate
data (five frames at random, gaps of up to 48 hours, and the five that regularly follow). Its released irregular windows
zero what is not seen and still encode it; here what is not seen is not in the batch. They also never draw the last
window.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Generator, Tensor

from vidode.clip import Batch, Clip, InvalidInput
from vidode.configuration import require_at_least
from vidode.models import Example, Task

Degrade = Callable[[Clip, Generator], Clip]
"""What is done to the frames that are seen and not to those that are asked, such as noise."""


@dataclass(frozen=True)
class SamplingConfig:
    """See the module for the schemes.

    interpolation: share of the batches, 0 to 1, that are interpolated; the others are extrapolated.
    frames_in, frames_out: of the regular, irregular and sparse schemes. window: frames of the others than the regular.
    queries, max_hidden, max_beyond: of the withheld scheme. max_gap, least_span: of the sparse one; a least_span of 0
    is all that the window has. ask, within: see the module; an `ask` of 0 is all.
    supervised: interpolation of the regular and irregular schemes asks for the hidden frames in training too, as in a
    test; the paper's training asks for the observed ones. A configuration file that does not say takes the model's own.
    """

    scheme: Literal["regular", "irregular", "withheld", "sparse"] = "regular"
    interpolation: float = 0.0
    frames_in: int = 5
    frames_out: int = 5
    window: int = 20
    queries: int = 2
    max_hidden: int = 3
    max_beyond: int = 3
    max_gap: int = 16
    least_span: int = 0
    stride: int = 1
    ask: int = 0
    within: bool = False
    supervised: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.interpolation <= 1:
            raise InvalidInput(f"interpolation is {self.interpolation}; expected a share of the batches from 0 to 1")
        counts = ("frames_in", "frames_out", "queries", "max_hidden", "max_beyond", "max_gap", "stride")
        require_at_least(self, **dict.fromkeys(counts, 1), ask=0)
        if self.within and (self.interpolation > 0 or self.scheme == "withheld"):
            raise InvalidInput(
                f"within is true of the {self.scheme} scheme with interpolation {self.interpolation}; expected one of"
                " the others, and 0"
            )
        least = _least_window(self)
        if self.window < least:
            raise InvalidInput(f"window is {self.window}; expected at least {least} for what is seen and asked of it")

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that are drawn."""
        drawn: list[Task] = ["interpolation"] if self.interpolation > 0 else []
        return (*drawn, "extrapolation") if self.interpolation < 1 else tuple(drawn)

    def length(self, task: Task) -> int:
        """L, the successive frames that a window of this task needs."""
        if self.scheme != "regular":
            count = self.window
        else:
            count = 2 * self.frames_in if task == "interpolation" else self.frames_in + self.frames_out
        return (count - 1) * self.stride + 1


@dataclass(frozen=True)
class Selection:
    """Frames of one window, in order of time. seen: (T,) and asked: (K,) indices."""

    seen: Tensor
    asked: Tensor


@dataclass(frozen=True)
class Sample:
    """One clip of an `Example`: what is observed, query (K,) float64, target (K, C, H, W) in [0, 1], and its flow."""

    observed: Clip
    query: Tensor
    target: Tensor
    flow: Tensor | None = None


def generator_for(seed: int, *place: int | str) -> Generator:
    """A generator that depends on the seed and a place (what for, step, ...) alone, whatever was drawn before."""
    digest = hashlib.blake2b(repr((seed, *place)).encode(), digest_size=8).digest()
    return Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def draw_task(config: SamplingConfig, generator: Generator) -> Task:
    """The task of a batch."""
    return "interpolation" if float(torch.rand((), generator=generator)) < config.interpolation else "extrapolation"


def select(config: SamplingConfig, task: Task, generator: Generator, test: bool = False) -> Selection:
    """Draw what is seen and asked in a window of `config.length(task)` frames. K is the same at every draw."""
    choose = {"regular": _regular, "irregular": _irregular, "withheld": _withheld, "sparse": _sparse}[config.scheme]
    seen, asked = choose(config, task, generator, test)
    if not test:
        seen, asked = (seen[:-1], seen[-1:]) if config.within else (seen, asked)
        asked = asked[_subset(range(len(asked)), config.ask, generator)] if config.ask else asked
    return Selection(seen * config.stride, asked * config.stride)


def cut(window: Clip, selection: Selection) -> Sample:
    """The observed clip, the query times and the frames there."""
    window = window.normalised()
    target = window.frames[selection.asked]
    if window.valid is not None:
        target = torch.where(window.valid[selection.asked], target, torch.zeros(()))
    return Sample(_remeasured(window[selection.seen]), window.times[selection.asked], target)


def collate(samples: Sequence[Sample], task: Task) -> Example:
    """Samples of one task and one K, padded together."""
    return Example(
        observed=Batch.collate([sample.observed for sample in samples]),
        query=torch.stack([sample.query for sample in samples]),  # (B, K)
        target=torch.stack([sample.target for sample in samples]),  # (B, K, C, H, W)
        task=task,
        flow=torch.stack([sample.flow for sample in samples if sample.flow is not None])
        if all(sample.flow is not None for sample in samples)
        else None,
    )


def anchors(times: Tensor, query: Tensor) -> Tensor:
    """(K, 2) indices into the observed times (T,) that `Example.flow` leads to from each query (K,).

    As in `windows`: a query at the last observation lies between the last two.
    """
    last = len(times) - 1
    beyond = query > times[-1]
    after = torch.searchsorted(times, query, right=True).clamp(1, max(last, 1))
    return torch.stack(
        [torch.where(beyond, last, after - 1), torch.where(beyond, max(last - 1, 0), after.clamp(max=last))], dim=1
    )


def draw(
    window: Clip,
    config: SamplingConfig,
    task: Task,
    generator: Generator,
    test: bool = False,
    degrade: Degrade | None = None,
) -> Sample:
    """One sample from a window of `config.length(task)` frames, deterministic given the generator.

    test: interpolation asks for hidden frames only. Raises `InvalidInput` for a window of
    another length.
    """
    if len(window) != config.length(task):
        raise InvalidInput(f"window has {len(window)} frames; {task} expects {config.length(task)}")
    sample = cut(window, select(config, task, generator, test))
    return replace(sample, observed=degrade(sample.observed, generator)) if degrade else sample


def first_window(clip: Clip, config: SamplingConfig, task: Task) -> Clip:
    """The window that a test reads: from the start of the clip. Raises `InvalidInput` where the clip is shorter."""
    length = config.length(task)
    if len(clip) < length:
        raise InvalidInput(f"clip has {len(clip)} frames; a test of {task} expects at least {length}")
    return clip[:length]


def _sparse(config: SamplingConfig, task: Task, generator: Generator, test: bool) -> tuple[Tensor, Tensor]:
    last = config.window - config.frames_out - 1
    spare = 0 if test or not config.least_span else last + 1 - config.least_span
    first = _below(spare + 1, generator) if spare else 0
    while True:  # a draw with a longer gap is drawn again, so that every other set stays equally likely
        inner = _subset(range(first + 1, last), config.frames_in - 2, generator)
        seen = torch.tensor([first, *inner, last])
        if int(seen.diff().max()) <= config.max_gap:
            return seen, torch.arange(last + 1, config.window)


def _regular(config: SamplingConfig, task: Task, generator: Generator, test: bool) -> tuple[Tensor, Tensor]:
    if task == "extrapolation":
        frames = torch.arange(config.frames_in + config.frames_out)
        return frames[: config.frames_in], frames[config.frames_in :]
    seen = torch.arange(0, 2 * config.frames_in, 2)
    return seen, seen[:-1] + 1 if test or config.supervised else seen


def _irregular(config: SamplingConfig, task: Task, generator: Generator, test: bool) -> tuple[Tensor, Tensor]:
    last, half = config.window - 1, config.window // 2
    if task == "extrapolation":
        seen = _subset(range(1, half), config.frames_in - 1, generator)
        asked = _subset(range(half, last), config.frames_out - 1, generator)
        return torch.tensor([0, *seen]), torch.tensor([*asked, last])
    inner = _subset(range(1, last), config.frames_in + config.frames_out - 2, generator)
    seen = [0, *inner, last]
    return torch.tensor(seen), torch.tensor(_without(config.window, seen) if test or config.supervised else seen)


def _withheld(config: SamplingConfig, task: Task, generator: Generator, test: bool) -> tuple[Tensor, Tensor]:
    if task == "extrapolation":
        end = 1 + _below(config.window - 1 - config.max_beyond, generator)
        asked = _subset(range(end + 1, end + 1 + config.max_beyond), config.queries, generator)
        # In half of the clips nothing is hidden: a stream that is continued has all its frames.
        runs = _hidden_runs(end, config.max_hidden, generator) if _below(2, generator) else []
    else:
        end = config.window - 1
        runs = _hidden_runs(end, config.max_hidden, generator)
        asked = _subset([frame for run in runs for frame in run], config.queries, generator)
    hidden = [frame for run in runs if _touches(run, asked) or _below(2, generator) for frame in run]
    return torch.tensor(_without(end + 1, hidden)), torch.tensor(asked)


def _hidden_runs(end: int, longest: int, generator: Generator) -> list[range]:
    """Runs of hidden frames strictly between the seen frames 0 and `end`, with one seen frame between runs."""
    even, top = bool(_below(2, generator)), 1 + _below(longest, generator)
    runs, seen = [], 0
    while seen < end - 1:
        run = top if even else 1 + _below(top, generator)
        runs.append(range(seen + 1, min(seen + 1 + run, end)))
        seen = runs[-1].stop
    return runs


def _touches(run: range, frames: list[int]) -> bool:
    return any(frame in run for frame in frames)


def _without(length: int, frames: list[int]) -> list[int]:
    """The indices below `length` that are not among `frames`."""
    return sorted(set(range(length)) - set(frames))


def _subset(frames: Sequence[int], count: int, generator: Generator) -> list[int]:
    """`count` of the frames, each set equally likely, in order."""
    chosen = torch.randperm(len(frames), generator=generator)[:count]
    return [frames[i] for i in chosen.sort().values.tolist()]


def _below(bound: int, generator: Generator) -> int:
    return int(torch.randint(bound, (), generator=generator))


def _remeasured(observed: Clip) -> Clip:
    """A declared gap belongs to the whole window; of the frames that are left it is measured, if there are two."""
    if len(observed) < 2 or observed.meaning.frame_gap is None:
        return observed
    return replace(observed, meaning=replace(observed.meaning, frame_gap=None))


def _least_window(config: SamplingConfig) -> int:
    if config.scheme == "sparse":
        if config.least_span and not config.frames_in <= config.least_span <= config.window - config.frames_out:
            raise InvalidInput(
                f"least_span is {config.least_span}; expected {config.frames_in} frames that are seen to"
                f" {config.window - config.frames_out} of the window"
            )
        if config.interpolation > 0 or config.frames_in < 2:
            raise InvalidInput(
                f"interpolation is {config.interpolation} and frames_in {config.frames_in} of the sparse scheme;"
                " expected 0 and at least 2"
            )
        if config.window - config.frames_out - 1 > (config.frames_in - 1) * config.max_gap:
            raise InvalidInput(
                f"window is {config.window}; {config.frames_in} frames at most {config.max_gap} apart do not span it"
            )
        return config.frames_in + config.frames_out
    if config.scheme == "irregular":
        inside = config.frames_in + config.frames_out + 1 if config.interpolation > 0 else 0
        beyond = 2 * max(config.frames_in, config.frames_out) if config.interpolation < 1 else 0
        return max(inside, beyond)
    if config.scheme == "withheld":
        # Runs of one frame hide (window - 1) // 2 of them, the least; two frames are seen before the end.
        inside = 2 * config.queries + 1 if config.interpolation > 0 else 0
        beyond = config.max_beyond + 2 if config.interpolation < 1 else 0
        if config.interpolation < 1 and config.queries > config.max_beyond:
            raise InvalidInput(
                f"queries is {config.queries} and max_beyond {config.max_beyond}; expected queries <= max_beyond"
            )
        return max(inside, beyond)
    return 0
