"""Integrals of one-dimensional mixture densities with no sampling noise.

The line is cut into panels no wider than the narrowest Gaussian near them, each with a
Gauss-Legendre rule, so that one far or very narrow component costs a few panels and no accuracy.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from imaetool.metrics._mixture import Mixture, density

__all__ = ["entropies", "nodes"]

_NODES = 6  # Gauss-Legendre nodes in one panel
_POINTS = 16384  # points evaluated together


def entropies(mixture: Mixture) -> Tensor:
    """-integral p log p for each of the mixture's V densities, (V,), in nats."""
    total = torch.zeros(mixture.columns, dtype=torch.float64)
    for z, weight in nodes(mixture):
        p = density(mixture, z)
        total -= weight @ (p * p.log())
    return total


def nodes(mixture: Mixture) -> Iterator[tuple[Tensor, Tensor]]:
    """Points and weights of a rule for the whole line, a block at a time, each (M,)."""
    x, w = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(_NODES))
    start, width = _panels(mixture)
    for a, h in zip(start.split(_POINTS // _NODES), width.split(_POINTS // _NODES), strict=True):
        yield (a[:, None] + h[:, None] * (x + 1) / 2).flatten(), (h[:, None] * w / 2).flatten()


def _panels(mixture: Mixture) -> tuple[Tensor, Tensor]:
    """Left ends and widths (Q,) of panels no wider than the narrowest cell that reaches them.

    Halves every panel that is too wide; panels that nothing reaches are dropped on the way.
    """
    octaves = _octaves(mixture)
    start = torch.stack([left[0] for left, _, _ in octaves]).min()[None]
    width = torch.stack([right[-1] for _, right, _ in octaves]).max() - start
    done = []
    while len(start):
        narrowest = torch.full_like(start, torch.inf)
        for left, right, scale in octaves:  # from wide to narrow: the last word is the narrowest
            reached = torch.searchsorted(left, start + width, right=True) > torch.searchsorted(right, start)
            narrowest[reached] = scale
        fine = width <= narrowest
        empty = narrowest == torch.inf
        done.append(torch.stack([start, width], 1)[fine & ~empty])
        half = width[~fine] / 2
        start, width = torch.cat([start[~fine], start[~fine] + half]), half.repeat(2)
    panels = torch.cat(done)
    panels = panels[panels[:, 0].argsort()]
    return panels[:, 0], panels[:, 1]


def _octaves(mixture: Mixture) -> list[tuple[Tensor, Tensor, float]]:
    """Cells grouped by the octave of their scale: sorted left ends, sorted right ends, least scale."""
    octave = torch.floor(mixture.scale.log2())
    groups = []
    for value in octave.unique().flip(0):
        inside = octave == value
        groups.append((mixture.left[inside], mixture.right[inside].sort().values, float(mixture.scale[inside].min())))
    return groups
