"""The fast one-dimensional mixture against plain float64 sums, and its integrals against closed forms."""

import math

import pytest
import torch

from imaetool.metrics import _mixture, _quadrature
from imaetool.metrics._mixture import density, fit


def brute(mu, variance, z):
    return (torch.exp(-0.5 * (z[:, None] - mu) ** 2 / variance) / (2 * math.pi * variance).sqrt()).mean(1)


def many(n, spread, seed=0):
    """n Gaussians whose log sigma spreads by ``spread``, and 7 groups."""
    g = torch.Generator().manual_seed(seed)
    mu = torch.randn(n, generator=g, dtype=torch.float64)
    variance = torch.exp(-4 + 2 * spread * torch.randn(n, generator=g, dtype=torch.float64))
    return mu, variance, torch.randint(0, 7, (n,), generator=g)


@pytest.mark.parametrize("spread", [0.0, 0.2, 1.0])
def test_every_conditional_equals_the_direct_sum(spread):
    mu, variance, group = many(30_000, spread)
    mu[0] = 300.0  # one outlier
    mixture = fit(mu, variance, [(group, 7)])
    z = torch.cat([mu[:100] + variance[:100].sqrt(), torch.linspace(-6, 6, 50).double()])
    found = density(mixture, z)
    direct = torch.stack([brute(mu, variance, z)] + [brute(mu[group == v], variance[group == v], z) for v in range(7)], 1)
    assert ((found - direct).abs() <= 1e-6 * direct.max()).all()
    assert found[0, 0].log().item() == pytest.approx(direct[0, 0].log().item(), abs=1e-6)  # the outlier's own draw


def test_the_series_is_used_when_it_saves_work_and_not_otherwise():
    mu, variance, _ = many(60_000, 0.2)
    assert len(fit(mu, variance).centre) * 16 < 60_000
    few = fit(mu[:500], variance[:500])
    assert len(few.centre) == 500 and len(few.weight) == 1  # every component itself, exact
    z = torch.linspace(-3, 3, 64).double()
    assert torch.allclose(density(few, z)[:, 0], brute(mu[:500], variance[:500], z), rtol=1e-12)


def test_order_of_the_points_is_kept_across_blocks():
    mu, variance, _ = many(3000, 0.3)
    z = torch.randn(700, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    assert torch.allclose(density(fit(mu, variance), z)[:, 0], brute(mu, variance, z), atol=1e-9)


def test_blocks_of_cells_do_not_change_the_sum(monkeypatch):
    mu, variance, _ = many(3000, 0.3)
    z = torch.linspace(-4, 4, 300, dtype=torch.float64)
    whole = density(fit(mu, variance), z)
    monkeypatch.setattr(_mixture, "_BUDGET", 512 * 20)
    assert torch.allclose(density(fit(mu, variance), z), whole, rtol=1e-12)


@pytest.mark.parametrize("sigma", [1e-6, 0.03, 1.0, 50.0])
def test_entropy_of_one_gaussian(sigma):
    mixture = fit(*torch.tensor([[2.0], [sigma**2]], dtype=torch.float64))
    assert _quadrature.entropies(mixture).item() == pytest.approx(0.5 * math.log(2 * math.pi * math.e * sigma**2), abs=1e-9)


def test_entropy_of_far_apart_gaussians_of_unlike_widths():
    mu = torch.tensor([0.0, 100.0, 1e4], dtype=torch.float64)
    sigma = torch.tensor([1.0, 0.01, 5.0], dtype=torch.float64)
    expected = math.log(3) + (0.5 * (2 * math.pi * math.e * sigma**2).log()).mean().item()
    assert _quadrature.entropies(fit(mu, sigma**2)).item() == pytest.approx(expected, abs=1e-8)


def test_entropies_agree_with_a_fine_trapezoid():
    mu, variance, group = many(400, 0.8)
    mixture = fit(mu, variance, [(group, 7)])
    z = torch.linspace(-12, 12, 24_001, dtype=torch.float64)
    found = _quadrature.entropies(mixture)
    for column, members in [(0, slice(None)), (1, group == 0), (7, group == 6)]:
        total = 0.0
        for part in z.split(20_000):
            p = brute(mu[members], variance[members], part).clamp_min(1e-300)
            total -= (p * p.log()).sum().item() * 24 / 24_000
        assert found[column].item() == pytest.approx(total, abs=1e-6)


def test_every_density_integrates_to_one():
    mu, variance, group = many(5000, 1.0)
    mixture = fit(mu, variance, [(group, 7)])
    mass = sum(w @ density(mixture, z) for z, w in _quadrature.nodes(mixture))
    assert torch.allclose(mass, torch.ones(8).double(), atol=1e-8)
