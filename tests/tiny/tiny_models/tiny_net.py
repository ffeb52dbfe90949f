"""The last observed frame, changed by a small network: batch normalisation, noise in training, and a critic."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vidode.clip import Batch
from vidode.models import Example, Objective, Prediction, VideoModel


@dataclass(frozen=True)
class TinyNetConfig:
    channels: int = 1
    width: int = 4
    critic: bool = True
    noisy: bool = True  # batch normalisation and noise, for both of which it matters who shares a batch


class TinyNet(VideoModel):
    config: TinyNetConfig

    def __init__(self, config: TinyNetConfig) -> None:
        super().__init__()
        self.config = config
        self.enter = nn.Conv2d(config.channels + 1, config.width, 3, padding=1)
        self.norm = nn.BatchNorm2d(config.width) if config.noisy else nn.Identity()
        self.leave = nn.Conv2d(config.width, config.channels, 3, padding=1)

    def forward(self, observed: Batch, query: Tensor) -> Prediction:
        rows = torch.arange(len(query))
        last = observed.seen.long().cumsum(1).argmax(1)
        start = observed.frames[rows, last][:, None].expand(-1, query.shape[1], -1, -1, -1).flatten(0, 1)
        ahead = (query - observed.times[rows, last][:, None]).float().flatten()[:, None, None, None]
        hidden = self.norm(self.enter(torch.cat([start, ahead.expand_as(start[:, :1])], dim=1))).relu()
        if self.training and self.config.noisy:
            hidden = hidden + 0.1 * torch.randn_like(hidden)
        return Prediction(frames=(start + self.leave(hidden)).unflatten(0, query.shape))

    def objective(self) -> Objective:
        return TinyObjective(self.config)


class TinyObjective(Objective):
    def __init__(self, config: TinyNetConfig) -> None:
        super().__init__()
        self.critic = nn.Conv2d(config.channels, 1, 3) if config.critic else None

    def model_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        terms = {"l1": (prediction.frames - example.target).abs().mean()}
        if self.critic is not None:
            terms["adversarial"] = 0.01 * (self.critic(prediction.frames.flatten(0, 1)) - 1).square().mean()
        return terms

    def critic_terms(self, example: Example, prediction: Prediction) -> dict[str, Tensor]:
        if self.critic is None:
            return {}
        fake, real = self.critic(prediction.frames.detach().flatten(0, 1)), self.critic(example.target.flatten(0, 1))
        return {"frame": 0.5 * (fake.square().mean() + (real - 1).square().mean())}
