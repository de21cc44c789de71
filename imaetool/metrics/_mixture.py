r"""One-dimensional Gaussian mixtures with very many components, fast and with controlled error.

The aggregate posterior of a unit over a data set, q(z) = mean_j N(z; mu_j, sigma_j^2), and its
conditional on each value of each factor are mixtures of the same N Gaussians. Gaussians whose
(mu, sigma) fall into one small cell are replaced by a series about the cell's centre (c, s^2):

    N(z; mu, sigma^2) = 1/s sum_n a_n He_n(u) phi(u),   u = (z - c)/s,
    n a_n = d a_{n-1} + t a_{n-2},   d = (mu - c)/s,   t = (sigma^2 - s^2)/s^2,

because moving the mean is exp(d D) and widening the variance is exp(t D^2 / 2) for the same
D = d/dmu (the heat equation), and exp(d x + t x^2/2) generates the a_n. Only the sums of a_n over
the members of a cell are kept, one per conditional, so evaluation costs cells and not images.
With |d| <= 1, |t| <= 0.15 and 16 terms the error is below 1e-6 of the density's peak; a member
alone in its cell is exact. Where cells would not save work every component is its own cell.

Source: the fast Gauss transform, Greengard and Strain 1991, widened here to unequal sigmas.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["REACH", "Mixture", "density", "fit"]

REACH = 8.5  # a component is taken as 0 beyond this many sigmas: phi(8.5) = 8e-17
_ORDER = 16  # terms of the series
_WIDTH = 2.0  # width of a cell in sigmas, so |d| <= 1
_RATIO = 1.15  # largest sigma over smallest in a cell, so |t| <= 0.15
_BLOCK = 512  # points evaluated together; fewer where cells are many, so that few of them are near
_BUDGET = 1 << 20  # doubles in one block of basis functions (8 MiB)


@dataclass(frozen=True)
class Mixture:
    """V mixtures over the same cells; each integrates to one."""

    centre: Tensor  # (C,)
    scale: Tensor  # (C,)
    left: Tensor  # (C,) where the cell's density begins, ascending
    right: Tensor  # (C,) where it ends
    weight: Tensor  # (P, C, V) sums of a_n sqrt(n!), each mixture divided by its count

    @property
    def columns(self) -> int:
        return self.weight.shape[2]


def fit(mu: Tensor, variance: Tensor, groups: Sequence[tuple[Tensor, int]] = ()) -> Mixture:
    """Build the marginal (column 0) and the conditional of every group value (the next columns).

    mu, variance: (N,) float64. groups: pairs (index (N,) int64 in 0..size-1, size), one per factor.
    """
    n = len(mu)
    cell, count = _cells(mu, variance)
    order = _ORDER
    if count * order >= n:  # too sparse to be worth a series
        cell, count, order = torch.arange(n), n, 1
    low, high = _extent(mu, cell, count)
    least, most = _extent(variance, cell, count)
    centre, scale = (low + high) / 2, ((least + most) / 2).sqrt()
    left, place = (low - REACH * scale).sort()
    cell = place.argsort()[cell]  # cells renumbered from left to right
    centre, scale, right = centre[place], scale[place], (high + REACH * scale)[place]
    terms = _series((mu - centre[cell]) / scale[cell], variance / scale[cell] ** 2 - 1, order)  # P of (N,)
    everything = (torch.zeros_like(cell), 1)
    weight = torch.empty(order, count, 1 + sum(size for _, size in groups), dtype=torch.float64)
    first = 0
    for index, size in (everything, *groups):
        _sum_into(weight[:, :, first : first + size], terms, cell * size + index)
        weight[:, :, first : first + size] /= torch.bincount(index, minlength=size).clamp_min(1)
        first += size
    return Mixture(centre, scale, left, right, weight)


def density(mixture: Mixture, z: Tensor) -> Tensor:
    """Every mixture's density at the points z (M,), as (M, V); never below 1e-300."""
    out = torch.empty(len(z), mixture.columns, dtype=torch.float64)
    order = z.argsort()
    farthest = mixture.right.cummax(0).values
    for places in order.split(max(32, min(_BLOCK, (1 << 19) // len(mixture.centre)))):
        points = z[places]
        first = torch.searchsorted(farthest, points[0])
        last = torch.searchsorted(mixture.left, points[-1], right=True)
        near = (mixture.right[first:last] >= points[0]).nonzero().squeeze(1) + first
        out[places] = _density_block(mixture, points, near)
    return out.clamp_min_(1e-300)


def _sum_into(out: Tensor, terms: Sequence[Tensor], joint: Tensor) -> None:
    """out (P, C, size): each term (N,) summed over the members of every (cell, group value)."""
    place = joint.numpy()  # numpy's bincount is three times as fast as torch's
    for sums, term in zip(out, terms, strict=True):
        sums.copy_(torch.from_numpy(np.bincount(place, term.numpy(), sums.numel())).view(sums.shape))


def _density_block(mixture: Mixture, z: Tensor, near: Tensor) -> Tensor:
    """The densities at z (M,) from the cells numbered in ``near``, (M, V)."""
    total = torch.zeros(len(z), mixture.columns, dtype=torch.float64)
    for cells in near.split(max(1, _BUDGET // len(z))):
        scale = mixture.scale[cells]
        u = (z[:, None] - mixture.centre[cells]) / scale  # (M, C')
        before, basis = torch.zeros_like(u), torch.exp(-0.5 * u * u) / (scale * math.sqrt(2 * math.pi))
        for p, weight in enumerate(mixture.weight):
            if p > 0:  # He_p / sqrt(p!) from the two before, a stable recurrence
                before, basis = basis, (u * basis).sub_(before, alpha=math.sqrt(p - 1)).div_(math.sqrt(p))
            total.addmm_(basis, weight[cells])
    return total


def _series(d: Tensor, t: Tensor, order: int) -> list[Tensor]:
    """a_n(d, t) sqrt(n!) for n < order, each (N,)."""
    terms = [torch.ones_like(d)]
    if order > 1:
        terms.append(d.clone())
    for p in range(2, order):
        terms.append((d * terms[-1] + math.sqrt(p - 1) * t * terms[-2]) / math.sqrt(p))
    return terms


def _cells(mu: Tensor, variance: Tensor) -> tuple[Tensor, int]:
    """The cell of every component (N,) and the number of cells."""
    level = torch.floor(0.5 * variance.log() / math.log(_RATIO))
    place = torch.floor(mu / (_WIDTH * torch.exp(level * math.log(_RATIO))))
    level, place = level - level.min(), place - place.min()
    span = place.max() + 1
    if (level.max() + 1) * span > 2.0**53:  # such spread is no cell at all
        return torch.arange(len(mu)), len(mu)
    found, cell = torch.unique((level * span + place).to(torch.int64), return_inverse=True)
    return cell, len(found)


def _extent(values: Tensor, cell: Tensor, count: int) -> tuple[Tensor, Tensor]:
    start = torch.empty(count, dtype=values.dtype)
    low = start.scatter_reduce(0, cell, values, "amin", include_self=False)
    return low, start.scatter_reduce(0, cell, values, "amax", include_self=False)
