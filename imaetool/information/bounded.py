"""A clamp that a value can come back from."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["bounded"]


class _Bounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.range = low, high
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (x,), (low, high) = ctx.saved_tensors, ctx.range
        kept = ((x >= low) | (gradient < 0)) & ((x <= high) | (gradient > 0))
        return gradient * kept, None, None


def bounded(x: Tensor, low: float, high: float) -> Tensor:
    """x clamped to [low, high], of any shape; outside, a gradient that leads back in passes and one that leads away is 0.

    A plain clamp has none at all there: a log-variance that strays out would stay for good, whatever the KL says.

    >>> x = torch.tensor([-5.0, 0.0, 5.0], requires_grad=True)
    >>> bounded(x, -1, 1).square().sum().backward()
    >>> x.grad  # descent raises the first, lowers the last
    tensor([-2.,  0.,  2.])
    """
    return _Bounded.apply(x, low, high)
