"""The contract of an experiment of the paper: the jobs it shares with others, and what it writes of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from vidode.experiments.reproduction.jobs import Job, Places
from vidode.experiments.reproduction.outcomes import Outcomes
from vidode.experiments.reproduction.scales import DataChoice, Role, Scale
from vidode.models import Task

FLOORS = ("copy_last", "blend", "optical_flow")


class Experiment(ABC):
    """A table or a figure; one file in `experiments/paper/`, named after it."""

    title: ClassVar[str]
    shows_learning: ClassVar[bool] = False
    """Whether its page ends with the curves of its trainings, as one with claims does."""

    @abstractmethod
    def jobs(self, scale: Scale) -> list[Job]:
        """What it needs trained and measured, at a scale. A scale without its data has none."""

    def keep(self, job: Job, scale: Scale, places: Places) -> None:  # noqa: B027 - most have no pictures of models
        """Have what its pictures show of one of its jobs made and kept, while the model is at hand."""

    @abstractmethod
    def present(self, outcomes: Outcomes, scale: Scale, places: Places) -> str:
        """The Markdown of its page. Pictures are written beside it, into `places.results`."""


def columns(scale: Scale, role: Role, task: Task) -> list[tuple[Task, DataChoice]]:
    """Of a table: the data sets of a role."""
    return [(task, data) for data in scale.data.get(role, ())]


def labels(scale: Scale, role: Role) -> list[str]:
    """Of the data sets of a role."""
    return [data.label for data in scale.data.get(role, ())]


def picture(places: Places, name: str) -> Path:
    """Where a picture of this name goes."""
    places.results.mkdir(parents=True, exist_ok=True)
    return places.results / name


def one_of(scale: Scale, role: Role) -> DataChoice | None:
    """The first data set of a role, if the scale has any."""
    return next(iter(scale.data.get(role, ())), None)
