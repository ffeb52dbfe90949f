"""The tables and figures of the paper, one file each; its name is what `vidode reproduce` is asked for."""

from __future__ import annotations

import sys

from vidode.configuration import catalog, member
from vidode.experiments.reproduction.experiment import Experiment


def names() -> list[str]:
    """Every experiment's name: the paper's tables, its figures, and what goes beyond it, which takes the longest."""
    kinds = ("table", "figure")
    return sorted(
        catalog(sys.modules[__name__]), key=lambda name: (*(not name.startswith(kind) for kind in kinds), name)
    )


def experiment(name: str) -> Experiment:
    """An experiment by name. Raises `InvalidInput` naming the closest."""
    return member(sys.modules[__name__], name, Experiment, "experiment")()  # type: ignore[type-abstract]
