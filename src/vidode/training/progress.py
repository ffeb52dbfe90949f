"""A bar with the time to go, where someone can see it."""

from __future__ import annotations

from typing import Any

import lightning
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from vidode.training.learner import Learner


class Bar(lightning.Callback):
    """Steps taken, the time to go and the loss, on standard error; nothing where that is not a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.progress: Progress | None = None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Show it."""
        if not (trainer.is_global_zero and self.console.is_terminal and isinstance(pl_module, Learner)):
            return
        columns = [
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("to go"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[loss]}"),
        ]
        self.progress = Progress(*columns, console=self.console, speed_estimate_period=120, refresh_per_second=4)
        name = pl_module.config.model.name
        self.progress.add_task(f"training {name}", total=pl_module.config.steps, completed=pl_module.done, loss="")
        self.progress.start()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, *unused: Any
    ) -> None:
        """One step further. The loss is read rarely, as reading it waits for the device."""
        if self.progress is None or not isinstance(pl_module, Learner):
            return
        bar = self.progress.task_ids[0]
        self.progress.update(bar, advance=1)
        if pl_module.done % 10 == 0:
            self.progress.update(bar, loss=f"loss {float(outputs['loss']):.4f}")

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Leave it as it is."""
        self._stop()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Give the terminal back."""
        self._stop()

    def _stop(self) -> None:
        if self.progress is not None:
            self.progress.stop()
            self.progress = None
