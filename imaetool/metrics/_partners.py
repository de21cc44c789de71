"""Drawing rows of a data set that share a factor's value."""

from __future__ import annotations

import torch
from torch import Tensor

from imaetool.metrics._inputs import Factors

__all__ = ["Partners", "draw_factors", "single_values"]


class Partners:
    """Random rows by value of one factor: rows sorted by value, so that a draw is one look-up."""

    def __init__(self, values: Tensor, size: int):
        """values: (N,) int64 in 0..size-1, every value present."""
        self.values = values
        self.order = values.argsort(stable=True)
        self.count = torch.bincount(values, minlength=size)
        self.start = self.count.cumsum(0) - self.count
        self.rank = torch.empty_like(self.order)
        self.rank[self.order] = torch.arange(len(values)) - self.start[values[self.order]]  # place among its value's rows

    def paired(self) -> Tensor:
        """The row numbers (M,) that share their value with another row. ValueError where there is none."""
        found = (self.count[self.values] > 1).nonzero().squeeze(1)
        if not len(found):
            raise ValueError("a factor has no value that two codes share: leave it out")
        return found

    def other(self, row: Tensor, generator: torch.Generator) -> Tensor:
        """For every row number (M,), all of them ``paired``, another row with its value: (M,)."""
        value = self.values[row]
        others = self.count[value] - 1
        place = (torch.rand(len(row), generator=generator, dtype=torch.float64) * others).long()
        return self.order[self.start[value] + place + (place >= self.rank[row])]

    def like(self, row: Tensor, each: int, generator: torch.Generator) -> Tensor:
        """For every row number (M,), ``each`` rows with its value, with replacement: (M, each)."""
        value = self.values[row]
        place = torch.rand(len(row), each, generator=generator, dtype=torch.float64) * self.count[value][:, None]
        return self.order[self.start[value][:, None] + place.long()]


def single_values(factors: Factors) -> tuple[str, ...]:
    """A note naming the factors with values that a single code has, which ``paired`` leaves out."""
    columns = zip(factors.names, factors.values.T, strict=True)
    named = [name for name, column in columns if int(torch.bincount(column).min()) == 1]
    return (f"values that only one code has are left out: {', '.join(named)}",) if named else ()


def draw_factors(factors: Factors, points: int, generator: torch.Generator) -> list[int]:
    """How many of ``points`` experiments fall on each factor, each chosen uniformly."""
    chosen = torch.randint(len(factors.sizes), (points,), generator=generator)
    return torch.bincount(chosen, minlength=len(factors.sizes)).tolist()
