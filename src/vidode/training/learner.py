"""One step of learning, for any model: prediction, critics, model, and the moving average of its weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import lightning
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from vidode.models import Example, OptimiserConfig, Progress, VideoModel, frozen
from vidode.sampling import generator_for
from vidode.training.config import TrainingConfig

OPTIMISERS = {"adamax": torch.optim.Adamax, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class Learner(lightning.LightningModule):
    """A model, what it is trained for, and how far it is. `done` counts the steps that were taken."""

    def __init__(self, config: TrainingConfig, steps_per_epoch: int) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.done = 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model = config.build_model()
            self.objective = self.model.objective()
        self.optimiser = config.optimiser_of(self.model)
        self.average = _averaged(self.model, config.average) if config.average is not None else None

    @property
    def result(self) -> VideoModel:
        """The model that is measured and saved: the average where there is one."""
        return self.model if self.average is None else self.average.module  # type: ignore[return-value]

    def configure_optimizers(self) -> list[Optimizer]:
        """One optimiser for the model and, where there are critics, one for them."""
        groups = [list(self.model.parameters()), list(self._critics())]
        kind, own = OPTIMISERS[self.optimiser.name], self.optimiser
        return [
            kind(group, lr=own.learning_rate, betas=own.betas, weight_decay=own.weight_decay)
            for group in groups
            if group
        ]

    def training_step(self, example: Example, batch_idx: int) -> dict[str, Tensor]:
        """Forward once; the critics step on what was predicted, then the model on what the new critics say.

        In this order since a critic that steps between the model's forward and backward pass would change weights
        that its graph has saved. Returns every term and reading, detached.
        """
        torch.manual_seed(generator_for(self.config.seed, "model", self.done, self.global_rank).initial_seed())
        model_optimiser, *critic_optimisers = self._optimisers()
        self.objective.progress = Progress(self.done, self.config.steps, self.done // self.steps_per_epoch)
        prediction = self.objective.answer(self.model, example)
        terms: dict[str, Tensor] = {}
        for optimiser in critic_optimisers:
            critic_terms = self.objective.critic_terms(example, prediction)
            if critic_terms:
                self._step(optimiser, critic_terms, self._critics())
            terms |= {f"critic_{name}": term.detach() for name, term in critic_terms.items()}
        with frozen(self.objective):
            model_terms = self.objective.model_terms(example, prediction)
            loss = self._step(model_optimiser, model_terms, self.model.parameters())
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.done += 1
        with torch.no_grad():
            readings = self.objective.readings(example, prediction)
        return {"loss": loss} | {name: term.detach() for name, term in model_terms.items()} | terms | readings

    @torch.no_grad()
    def predict(self, example: Example) -> Tensor:
        """What the result answers, in evaluation mode, clamped to [0, 1]: (B, K, C, H, W)."""
        model, example = self.result, example.to(self.device)
        learning = model.training
        model.eval()
        try:
            return model(example.observed, example.query).frames.clamp(0, 1)  # type: ignore[no-any-return]
        finally:
            model.train(learning)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the place. Lightning's own counters are left out: the place is all that a run goes on from."""
        checkpoint["done"] = self.done
        del checkpoint["loops"]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from the place."""
        self.done = checkpoint["done"]

    def learning_rate(self, step: int) -> float:
        """Of a step, counted from zero."""
        return self.optimiser.learning_rate * schedule(self.optimiser, step, self.config.steps, self.steps_per_epoch)

    def _optimisers(self) -> list[LightningOptimizer]:
        optimisers = self.optimizers()
        found = optimisers if isinstance(optimisers, list) else [optimisers]
        for optimiser in found:
            for group in optimiser.param_groups:
                group["lr"] = self.learning_rate(self.done)
        return found

    def _critics(self) -> Iterable[nn.Parameter]:
        return (weight for weight in self.objective.parameters() if weight.requires_grad)

    def _step(self, optimiser: LightningOptimizer, terms: dict[str, Tensor], weights: Iterable[nn.Parameter]) -> Tensor:
        loss = torch.stack(list(terms.values())).sum()
        optimiser.zero_grad()
        self.manual_backward(loss)
        if self.optimiser.clip_norm is not None:
            nn.utils.clip_grad_norm_(weights, self.optimiser.clip_norm)
        optimiser.step()
        return loss.detach()


def schedule(config: OptimiserConfig, step: int, steps: int, steps_per_epoch: int) -> float:
    """What the learning rate of a step is multiplied by; see `OptimiserConfig`."""
    warm = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    if config.schedule == "decay":
        return warm * max(config.decay ** (step // (config.every or steps_per_epoch) + 1), config.floor)
    if config.schedule == "steps":
        reached = [1.0, *(factor for share, factor in config.milestones if step >= share * steps)]
        return warm * reached[-1]
    if config.schedule == "linear":
        left = min(1.0, (1 - step / steps) / (1 - config.hold)) if config.hold < 1 else 1.0
        return warm * (config.floor + (1 - config.floor) * left)
    progress = max(0, step - config.warmup) / max(1, steps - config.warmup)
    return warm * (config.floor + (1 - config.floor) * 0.5 * (1 + math.cos(math.pi * progress)))


def _averaged(model: VideoModel, decay: float) -> AveragedModel:
    """A copy that follows the model; buffers are copied.

    The decay rises to its value as (1 + n) / (10 + n), so that the random start is forgotten early.
    """

    def follow(average: Iterable[Tensor], current: Iterable[Tensor], count: Tensor | int) -> None:
        weight = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        for old, new in zip(average, current, strict=True):
            old.lerp_(new, weight)

    average = AveragedModel(model, multi_avg_fn=follow)
    average.requires_grad_(False)
    return average
