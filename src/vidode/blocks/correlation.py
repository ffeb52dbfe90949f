"""Local correlation of two feature maps: what moved where (Sun et al., PWC-Net, CVPR 2018)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def correlation(a: Tensor, b: Tensor, reach: int) -> Tensor:
    """Cosine of a(p) and b(p + d) for every |d_x|, |d_y| <= reach, row by row of d; zero beyond the border.

    a, b: (N, C, h, w). Returns (N, (2 reach + 1)**2, h, w) float32 in [-1, 1].
    """
    a, b = (F.normalize(x.float(), dim=1, eps=1e-2) for x in (a, b))
    return _Products.apply(a, F.pad(b, [reach] * 4))  # type: ignore[no-any-return, no-untyped-call]


class _Products(torch.autograd.Function):
    """Sum over channels of a times each shift of the padded b.

    Its own gradient: that of indexing would fill and add a whole map for every shift, a quarter of a step.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, padded: Tensor) -> Tensor:
        ctx.save_for_backward(a, padded)
        return torch.stack([(a * shifted).sum(dim=1) for shifted in _shifts(padded, a)], dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        a, padded = ctx.saved_tensors
        of_a, of_padded = torch.zeros_like(a), torch.zeros_like(padded)
        each = gradients[0].unsqueeze(2).unbind(dim=1)
        for gradient, shifted, of_shifted in zip(each, _shifts(padded, a), _shifts(of_padded, a), strict=True):
            of_a.addcmul_(gradient, shifted)
            of_shifted.addcmul_(gradient, a)
        return of_a, of_padded


def _shifts(padded: Tensor, like: Tensor) -> Iterator[Tensor]:
    """Views of the padded map, one for each shift."""
    height, width = like.shape[-2:]
    for row in range(padded.shape[-2] - height + 1):
        for column in range(padded.shape[-1] - width + 1):
            yield padded[..., row : row + height, column : column + width]
