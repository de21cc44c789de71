"""Smoothness of p(y|x): virtual adversarial directions, and agreement under small affine moves.

Both penalties are cross-entropies H(p(y|x); p(y|x')) in nats, the target p(y|x) detached, for an
x' that should keep its category. ``predict`` maps images (B, C, H, W) to category logits (B, K2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["adversarial_direction", "affine_penalty", "frozen_statistics", "random_affine", "vat_penalty"]

Predict = Callable[[Tensor], Tensor]


@contextmanager
def frozen_statistics(module: nn.Module):
    """Within: BatchNorm normalises as before but does not update its running statistics."""
    layers = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [m.track_running_stats for m in layers]
    for layer in layers:
        layer.track_running_stats = not layer.training
    try:
        yield
    finally:
        for layer, value in zip(layers, before):
            layer.track_running_stats = value


def _cross_entropy(target_logits: Tensor, logits: Tensor) -> Tensor:
    """H(p; q) of each row, p from detached target_logits: (B, K2) twice -> (B,)."""
    target = torch.softmax(target_logits.detach(), dim=-1)
    return -(target * F.log_softmax(logits, dim=-1)).sum(-1)


def _unit(d: Tensor) -> Tensor:
    """Each image's d scaled to Euclidean norm 1; a zero gradient stays zero."""
    return d / d.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, *[1] * (d.dim() - 1))


def adversarial_direction(predict: Predict, x: Tensor, logits: Tensor, *, xi: float) -> Tensor:
    """The unit direction in which p(y|x) changes most, roughly, by one power iteration: (B, C, H, W).

    g = grad_d KL(p(y|x) || p(y|x + xi d)) at a random unit d. Source: Miyato et al. 2016, used in
    imae_iclr2019 eq. 11. A smaller ``xi`` comes nearer to the steepest direction, a larger one looks
    further; no paper gives it. KL and cross-entropy differ by a constant of d, so their gradients agree.
    """
    d = (xi * _unit(torch.randn_like(x))).requires_grad_()
    with torch.enable_grad():
        divergence = _cross_entropy(logits, predict(x + d)).sum()
    (gradient,) = torch.autograd.grad(divergence, d)
    return _unit(gradient.float())


def vat_penalty(predict: Predict, x: Tensor, logits: Tensor, *, epsilon: float, xi: float) -> Tensor:
    """max over norm(eta) <= epsilon of H(p(y|x); p(y|x + eta)), approximately: (B,).

    Source: imae_iclr2019 eq. 11 (called eq. 9 in the workshop paper).
    """
    eta = epsilon * adversarial_direction(predict, x, logits, xi=xi)
    return _cross_entropy(logits, predict(x + eta))


def random_affine(
    x: Tensor, *, rotate: float, shear: float, zoom: float, shift: float, flip: float, elastic: float = 0.0, padding: str = "zeros"
) -> Tensor:
    """Each image moved by its own random affine map, bilinear: (B, C, H, W) -> the same.

    ``rotate`` degrees, ``shear`` and ``zoom`` and ``shift`` (a fraction of the image's side) are the
    bounds of uniform draws around no move; ``flip`` is the probability of a left-right mirror. ``elastic``
    bends the image as well: 4 x 4 control points each move by N(0, elastic^2) of the side, the rest between them.
    """
    def uniform(bound: float) -> Tensor:
        return (2 * torch.rand(x.shape[0], device=x.device) - 1) * bound

    angle, slant = uniform(math.radians(rotate)), uniform(shear)
    scale_x, scale_y = 1 + uniform(zoom), 1 + uniform(zoom)
    mirror = 1 - 2 * (torch.rand(x.shape[0], device=x.device) < flip).float()
    cos, sin = torch.cos(angle), torch.sin(angle)
    row_x = [mirror * cos * scale_x, cos * scale_x * slant - sin * scale_y, 2 * uniform(shift)]
    row_y = [mirror * sin * scale_x, sin * scale_x * slant + cos * scale_y, 2 * uniform(shift)]
    theta = torch.stack([torch.stack(row_x, -1), torch.stack(row_y, -1)], dim=1)  # (B, 2, 3)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    if elastic:
        points = torch.randn(x.shape[0], 2, 4, 4, device=x.device) * (2 * elastic)  # the grid runs from -1 to 1
        grid = grid + F.interpolate(points, x.shape[2:], mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def affine_penalty(predict: Predict, x: Tensor, logits: Tensor, **moves) -> Tensor:
    """H(p(y|x); p(y|moved x)) under one random affine move per image: (B,)."""
    return _cross_entropy(logits, predict(random_affine(x, **moves)))
