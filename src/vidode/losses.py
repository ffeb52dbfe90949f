"""The terms that models are trained for, one equation each. All means run over every element."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def reconstruction(predicted: Tensor, target: Tensor) -> Tensor:
    """L_recon of Vid-ODE: mean |X^ - X|. The released code calls it MSE but takes absolute values."""
    return (predicted - target).abs().mean()


def difference(predicted: Tensor, target: Tensor, previous: Tensor) -> Tensor:
    """L_diff of Vid-ODE: mean |D_i - (X_i - X_(i-1))|, with the frame `previous` to each target."""
    return (predicted - (target - previous)).abs().mean()


def critic(real: Tensor, fake: Tensor) -> Tensor:
    """The least-squares critic of Eqs. 3 and 4: 1/2 (mean (D(real) - 1)^2 + mean D(fake)^2), minimised.

    The paper prints a maximum over D, which is a slip: the released code minimises this.
    """
    return 0.5 * ((real - 1).square().mean() + fake.square().mean())


def deception(fake: Tensor) -> Tensor:
    """What the model minimises in Eqs. 3 and 4: mean (D(fake) - 1)^2."""
    return (fake - 1).square().mean()


def charbonnier(predicted: Tensor, target: Tensor, smooth: float = 1e-3) -> Tensor:
    """Charbonnier's distance, mean sqrt((X^ - X)^2 + smooth^2): |X^ - X| with a finite curvature at zero."""
    return torch.sqrt((predicted - target).square() + smooth**2).mean()


def variation(maps: Tensor, distance: Callable[[Tensor, Tensor], Tensor] = reconstruction) -> Tensor:
    """Total variation of maps (..., H, W): the mean distance of horizontal neighbours plus that of vertical ones."""
    return distance(maps[..., 1:], maps[..., :-1]) + distance(maps[..., 1:, :], maps[..., :-1, :])
