"""Which example stands at which place of a run: a function of the seed, the step and the position alone.

So a resumed run needs no state of a loader, and several workers and processes share one stream of examples.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vidode.augmentation import augment
from vidode.datasets import VideoDataset
from vidode.models import Example, Task
from vidode.sampling import Sample, anchors, collate, draw, draw_task, first_window, generator_for
from vidode.training.config import TrainingConfig


class Steps(Dataset[Example]):
    """Item s is this process's part of the batch of step s."""

    def __init__(self, dataset: VideoDataset, config: TrainingConfig, rank: int = 0) -> None:
        share = config.batch_size // config.run.processes
        self.dataset = dataset
        self.config = config
        self.positions = range(rank * share, (rank + 1) * share)

    def __getitem__(self, step: int) -> Example:
        """The example of a step. Every process draws the same task."""
        return self.example(step, draw_task(self.config.sampling, generator_for(self.config.seed, "task", step)))

    def example(self, step: int, task: Task) -> Example:
        """The example of a step where this task is drawn. Raises `InvalidInput` for data that cannot give it."""
        config, degrade = self.config, self.dataset.degrade if self.config.degrade else None
        samples = []
        for position in self.positions:
            generator = generator_for(config.seed, "example", step, position)
            index = clip_at(config.seed, step * config.batch_size + position, len(self.dataset))
            window = self.dataset.window(index, config.sampling.length(task), generator)
            if config.augmentation is not None:
                window = augment(window, config.augmentation, generator)
            sample = draw(window, config.sampling, task, generator, degrade=degrade)
            samples.append(replace(sample, flow=self._flow(index, sample)) if config.flow else sample)
        return collate(samples, task)

    def _flow(self, index: int, sample: Sample) -> Tensor:
        """(K, 2, 2, h, w): see `Example.flow`."""
        ends = sample.observed.times[anchors(sample.observed.times, sample.query)]
        pairs = zip(sample.query.tolist(), ends, strict=True)
        return torch.stack([self.dataset.flow(index, start, end) for start, end in pairs])


class Stream(lightning.LightningDataModule):
    """The examples of the steps from `start` to the end, in order, for whichever process asks."""

    def __init__(self, dataset: VideoDataset, config: TrainingConfig, start: int) -> None:
        super().__init__()
        self.dataset = dataset
        self.config = config
        self.start = start

    def train_dataloader(self) -> DataLoader[Example]:
        """A loader of whole batches, each made by one worker."""
        rank = self.trainer.global_rank if self.trainer is not None else 0
        workers = self.config.run.workers
        return DataLoader(
            Steps(self.dataset, self.config, rank),
            sampler=range(self.start, self.config.steps),
            batch_size=None,
            num_workers=workers,
            worker_init_fn=_leave_interrupts_to_the_main_process if workers else None,
        )


def validation_examples(dataset: VideoDataset, config: TrainingConfig) -> list[Example]:
    """The first clips of a split, each from its start, in batches: the same in every run of one seed."""
    count = min(config.run.validation_clips, len(dataset))
    return [
        _validation_example(dataset, config, task, list(indices))
        for task in config.sampling.tasks
        for indices in _chunks(range(count), config.batch_size)
    ]


def steps_per_epoch(dataset: VideoDataset, config: TrainingConfig) -> int:
    """The declared number, or as many as show every clip once."""
    return config.steps_per_epoch or -(-len(dataset) // config.batch_size)


def _validation_example(dataset: VideoDataset, config: TrainingConfig, task: Task, indices: list[int]) -> Example:
    samples = []
    for index in indices:
        window = first_window(dataset.clip(index), config.sampling, task)
        generator = generator_for(config.seed, "validation", index)
        samples.append(draw(window, config.sampling, task, generator, test=True))
    return collate(samples, task)


def _chunks(indices: range, size: int) -> Iterator[range]:
    return (indices[i : i + size] for i in range(0, len(indices), size))


def clip_at(seed: int, number: int, clips: int) -> int:
    """The clip that the number-th example of a run shows: every epoch shows every clip once, in an order of its own."""
    epoch, place = divmod(number, clips)
    return int(_order(seed, epoch, clips)[place])


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, clips: int) -> Tensor:
    return torch.randperm(clips, generator=generator_for(seed, "order", epoch))


def _leave_interrupts_to_the_main_process(worker: int) -> None:
    """Ctrl-C reaches the whole process group; a worker that dies of it would keep the run from ending cleanly."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
