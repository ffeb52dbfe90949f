"""A training run as a program of its own: run.py FOLDER CONFIG.yaml SECONDS, slowed down by so many seconds a step."""

import sys
import time
from pathlib import Path

import torch

import tiny
from vidode import training
from vidode.training.examples import Steps
from vidode.training.learner import Learner


def main(folder: Path, config: Path, pause: float) -> None:
    prepare = Steps.__getitem__

    def slowly(steps, step):
        time.sleep(pause)
        return prepare(steps, step)

    def leave_weights(learner):
        torch.save(learner.model.state_dict(), folder / f"rank-{learner.global_rank}.pt")

    Steps.__getitem__ = slowly
    Learner.on_train_end = leave_weights
    with tiny.joined():
        training.train(training.read_config(config), folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
