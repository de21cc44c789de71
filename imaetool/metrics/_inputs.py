"""Reading what a metric is given: codes, categories and factors, as checked CPU tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "Factors",
    "dead_units",
    "integers",
    "one_unit",
    "probability_table",
    "read_factors",
    "read_gaussians",
    "rows",
    "sample_codes",
    "split_rows",
]


def _cpu(values) -> Tensor:
    if isinstance(values, Tensor):
        return values.detach().cpu()
    return torch.as_tensor(np.asarray(values))


def rows(values, name: str) -> Tensor:
    """Any real (N, D) array, or (N,) taken as (N, 1), as a finite float64 CPU tensor (N, D)."""
    tensor = _cpu(values)
    if tensor.ndim == 1:
        tensor = tensor[:, None]
    if tensor.ndim != 2 or 0 in tensor.shape:
        raise ValueError(f"{name} must have shape (N, D) with N and D at least 1, not {tuple(tensor.shape)}")
    tensor = tensor.to(torch.float64)
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name} holds NaN or infinite values")
    return tensor


def integers(values, name: str, n: int | None = None) -> Tensor:
    """A vector of whole numbers as an int64 CPU tensor (N,); floats pass only when whole."""
    tensor = _cpu(values)
    if tensor.ndim != 1 or len(tensor) == 0:
        raise ValueError(f"{name} must have shape (N,) with N at least 1, not {tuple(tensor.shape)}")
    if n is not None and len(tensor) != n:
        raise ValueError(f"{name} has {len(tensor)} entries for {n} codes")
    if tensor.is_floating_point() and not torch.equal(tensor, tensor.round()):  # NaN fails this too
        raise ValueError(f"{name} must hold whole numbers")
    return tensor.to(torch.int64)


def read_gaussians(mu, log_var) -> tuple[Tensor, Tensor]:
    """Means and variances of q(z|x), float64 (N, K) each, from mu and log sigma^2."""
    mu, log_var = rows(mu, "mu"), rows(log_var, "log_var")
    if mu.shape != log_var.shape:
        raise ValueError(f"mu has shape {tuple(mu.shape)} but log_var has {tuple(log_var.shape)}")
    variance = log_var.exp()
    if (variance < 1e-200).any() or (variance > 1e200).any():
        raise ValueError("log_var lies outside [-460, 460]: the densities of such codes cannot be computed")
    return mu, variance


def probability_table(values, name: str, n: int | None = None) -> Tensor:
    """p(y|x) as float64 (N, K2); every row must be non-negative and sum to 1 within 0.01."""
    table = rows(values, name)
    if n is not None and len(table) != n:
        raise ValueError(f"{name} has {len(table)} rows for {n} codes")
    if (table < 0).any() or ((table.sum(1) - 1).abs() > 1e-2).any():
        raise ValueError(f"{name} must hold probabilities: rows non-negative and summing to 1")
    return table / table.sum(1, keepdim=True)


@dataclass(frozen=True)
class Factors:
    """Ground-truth factors kept for a metric: values relabelled 0..sizes[f]-1, and why others were left out."""

    values: Tensor  # (N, F) int64
    sizes: tuple[int, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...]

    def entropy(self) -> Tensor:
        """H(v_f) in nats from the frequencies in the data, (F,)."""
        entropies = []
        for f, size in enumerate(self.sizes):
            p = torch.bincount(self.values[:, f], minlength=size).double() / len(self.values)
            entropies.append(-(p * p.log()).sum())
        return torch.stack(entropies)


def read_factors(factors, n: int, names: Sequence[str] | None = None, exclude: Iterable = ()) -> Factors:
    """Check factors (N, F), relabel each by its sorted values, drop excluded and one-valued ones.

    ``exclude`` holds factor names or column numbers. Raises ValueError on a wrong shape, an
    unknown name, or when no factor is left.
    """
    table = _cpu(factors)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or table.shape[1] == 0:
        raise ValueError(f"factors must have shape (N, F), not {tuple(table.shape)}")
    names = [f"factor{f}" for f in range(table.shape[1])] if names is None else [str(name) for name in names]
    if len(names) != table.shape[1]:
        raise ValueError(f"{len(names)} factor names for {table.shape[1]} factors")
    dropped = set()
    for item in [exclude] if isinstance(exclude, (str, int)) else exclude:
        if isinstance(item, str) and item not in names or not isinstance(item, str) and not 0 <= item < len(names):
            raise ValueError(f"cannot exclude {item!r}: the factors are {', '.join(names)}")
        dropped.add(names.index(item) if isinstance(item, str) else int(item))
    columns, sizes, kept, notes = [], [], [], []
    for f, name in enumerate(names):
        if f in dropped:
            notes.append(f"factor `{name}` was excluded")
            continue
        found, column = torch.unique(integers(table[:, f], f"factor `{name}`", n), return_inverse=True)
        if len(found) == 1:
            notes.append(f"factor `{name}` has one value: left out")
            continue
        columns.append(column)
        sizes.append(len(found))
        kept.append(name)
    if not columns:
        raise ValueError("no factor with two or more values is left to measure")
    return Factors(torch.stack(columns, 1), tuple(sizes), tuple(kept), tuple(notes))


def sample_codes(mu: Tensor, variance: Tensor, draws: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images drawn evenly (draws,), z of each from its own q(z|x) (draws, K), and the noise in it (draws, K).

    Every image comes floor or ceil(draws / N) times; z = mu + sigma noise.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, not {draws}")
    n, generator = len(mu), torch.Generator().manual_seed(seed)
    images = torch.cat([*[torch.arange(n)] * (draws // n), torch.randperm(n, generator=generator)[: draws % n]])
    noise = torch.randn(draws, mu.shape[1], generator=generator, dtype=torch.float64)
    return images, mu[images] + variance[images].sqrt() * noise, noise


def split_rows(n: int, train: int, test: int, seed: int) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Two disjoint random sets of row numbers, shrunk in proportion (and said so) where n is too small."""
    if n < 4:
        raise ValueError(f"{n} codes cannot be split into training and test codes")
    notes = ()
    if train + test > n:
        train = min(max(2, round(n * train / (train + test))), n - 2)
        test = n - train
        notes = (f"only {n} codes: {train} to train on and {test} to test on",)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return order[:train], order[train : train + test], notes


def dead_units(mu: Tensor) -> tuple[str, ...]:
    """A note naming the units whose mean never moves. mu: (N, K)."""
    dead = [str(k) for k, still in enumerate((mu == mu[0]).all(0).tolist()) if still]
    return (f"dead units (mu is constant): {', '.join(dead)}",) if dead else ()


def one_unit(count: int) -> tuple[str, ...]:
    """A note for codes in which no second unit competes."""
    return () if count > 1 else ("the code has one unit: the second highest score is taken as 0",)
