"""Fully connected encoders and decoders of the papers.

A network is a function ``(shape, units, categories) -> (encoder, decoder)``. The encoder maps images
(B, C, H, W) to mu (B, units), log_var (B, units) and category logits (B, categories); the decoder
maps the code (B, units + categories) to pixel logits (B, C, H, W). ``categories`` is the total over
all categorical variables, and may be 0, as may ``units``.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

__all__ = ["BranchedEncoder", "Heads", "category_head", "mlp_imae", "mlp_imae_64", "mlp_narrow_64"]

Shape = tuple[int, int, int]


def category_head(inputs: int, categories: int) -> nn.Linear:
    """A linear head that starts near zero, so that p(y|x) starts uniform and no category is born dead."""
    head = nn.Linear(inputs, categories)
    if categories:
        if not head.weight.is_meta:  # where only shapes are wanted; there this one function costs a second of imports
            nn.init.normal_(head.weight, std=1e-3)
        nn.init.zeros_(head.bias)
    return head


class Heads(nn.Module):
    """Features for z (B, F) and for y (B, F) to mu, log_var and category logits."""

    def __init__(self, features: int, units: int, categories: int) -> None:
        super().__init__()
        self.units = units
        self.gaussian = nn.Linear(features, 2 * units) if units else None
        self.category = category_head(features, categories) if categories else None

    def forward(self, for_z: Tensor, for_y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        empty = for_z.new_zeros(for_z.shape[0], 0)
        mu, log_var = self.gaussian(for_z).split(self.units, dim=1) if self.gaussian else (empty, empty)
        return mu, log_var, self.category(for_y) if self.category else empty


def _layers(widths: list[int], *, norm: bool = False) -> nn.Sequential:
    """FC, optional BatchNorm, ReLU, for each step from one width to the next."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:]):
        layers.append(nn.Linear(inputs, outputs))
        if norm:
            layers.append(nn.BatchNorm1d(outputs))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class BranchedEncoder(nn.Module):
    """A shared trunk, then one branch for z and one for y, each with its head."""

    def __init__(self, trunk: nn.Module, branch_z: nn.Module, branch_y: nn.Module, heads: Heads) -> None:
        super().__init__()
        self.trunk, self.branch_z, self.branch_y, self.heads = trunk, branch_z, branch_y, heads

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        shared = self.trunk(x.flatten(1))
        return self.heads(self.branch_z(shared), self.branch_y(shared))


def _decoder(widths: list[int], shape: Shape) -> nn.Sequential:
    return nn.Sequential(_layers(widths), nn.Linear(widths[-1], prod(shape)), nn.Unflatten(1, shape))


def _branched(shape: Shape, units: int, categories: int, trunk: list[int], width: int, norm: bool) -> nn.Module:
    widths = [prod(shape), *trunk]
    branch_z, branch_y = (
        _layers([widths[-1], width], norm=norm) if wanted else nn.Identity() for wanted in (units, categories)
    )
    return BranchedEncoder(_layers(widths, norm=norm), branch_z, branch_y, Heads(width, units, categories))


def mlp_imae(shape: Shape, units: int, categories: int) -> tuple[nn.Module, nn.Module]:
    """The paper's network for 28x28 digits, on any image shape.

    Encoder FC 500 BN ReLU, FC 2x500 BN ReLU (one 500-unit branch feeds z, the other y), heads;
    decoder FC 500 ReLU, FC 500 ReLU, FC pixels. Source: imae_iclr2019 table 1.
    """
    encoder = _branched(shape, units, categories, [500], 500, norm=True)
    return encoder, _decoder([units + categories, 500, 500], shape)


def mlp_imae_64(shape: Shape, units: int, categories: int) -> tuple[nn.Module, nn.Module]:
    """The paper's network for 64x64 sprites, on any image shape.

    Encoder FC 1200 ReLU twice, FC 2x1200 ReLU (a branch each for z and y), heads; decoder FC 1200
    ReLU three times, FC pixels (the paper prints 28x28 there, a slip). Source: imae_iclr2019 table 2.
    """
    encoder = _branched(shape, units, categories, [1200, 1200], 1200, norm=False)
    return encoder, _decoder([units + categories, 1200, 1200, 1200], shape)


def mlp_narrow_64(shape: Shape, units: int, categories: int) -> tuple[nn.Module, nn.Module]:
    """mlp-imae-64 with 512 where that has 1200: a third of the weights and of the time. Source: ours."""
    encoder = _branched(shape, units, categories, [512, 512], 512, norm=False)
    return encoder, _decoder([units + categories, 512, 512, 512], shape)
