"""Drawing rows of a data set that share a factor's value."""

from __future__ import annotations

import torch
from torch import Tensor

from imaetool.metrics._inputs import Factors

__all__ = ["Partners", "draw_factors"]


class Partners:
    """Random rows by value of one factor: rows sorted by value, so that a draw is one look-up."""

    def __init__(self, values: Tensor, size: int):
        """values: (N,) int64 in 0..size-1, every value present."""
        self.values = values
        self.order = values.argsort(stable=True)
        self.count = torch.bincount(values, minlength=size)
        self.start = self.count.cumsum(0) - self.count

    def like(self, row: Tensor, each: int, generator: torch.Generator) -> Tensor:
        """For every row number (M,), ``each`` rows with its value, with replacement: (M, each)."""
        value = self.values[row]
        place = torch.rand(len(row), each, generator=generator, dtype=torch.float64) * self.count[value][:, None]
        return self.order[self.start[value][:, None] + place.long()]


def draw_factors(factors: Factors, points: int, generator: torch.Generator) -> list[int]:
    """How many of ``points`` experiments fall on each factor, each chosen uniformly."""
    chosen = torch.randint(len(factors.sizes), (points,), generator=generator)
    return torch.bincount(chosen, minlength=len(factors.sizes)).tolist()
