"""Codes of the complete grid of factors, and of nothing: shared by the tests of metrics."""

import torch


def grid(*sizes):
    return torch.cartesian_prod(*(torch.arange(size) for size in sizes))


def coded(seed=0, noise=0.4, sizes=(3, 4, 5), repeat=12):
    """Codes of the complete grid: each of the first units follows a factor, the last mixes two."""
    g = torch.Generator().manual_seed(seed)
    factors = grid(*sizes).repeat(repeat, 1)
    mu = torch.cat([factors.double(), (factors[:, :1] + factors[:, 1:2]).double()], 1)
    return mu + noise * torch.randn(mu.shape, generator=g, dtype=torch.float64), factors


def noise(n=1200, units=4, sizes=(3, 4)):
    g = torch.Generator().manual_seed(9)
    return torch.randn(n, units, generator=g), torch.stack([torch.randint(0, s, (n,), generator=g) for s in sizes], 1)
