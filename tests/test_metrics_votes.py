"""The FactorVAE and beta-VAE scores: a majority rule by hand, and the published loops read literally."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from codes import coded, grid, noise
from imaetool.metrics._partners import Partners
from imaetool.metrics.beta_vae import beta_vae_score
from imaetool.metrics.factor_vae import factor_vae_from_votes, factor_vae_score


# --- FactorVAE ---

def literal_votes(mu, factors, points, batch, rng):
    """The published loop over the complete grid, one vote at a time."""
    mu, factors = mu.numpy(), factors.numpy()
    overall = mu.var(0, ddof=1)
    votes = np.zeros((factors.shape[1], mu.shape[1]), dtype=int)
    for _ in range(points):
        f = rng.integers(factors.shape[1])
        value = factors[rng.integers(len(factors)), f]
        rows = rng.choice(np.flatnonzero(factors[:, f] == value), batch)
        votes[f, (mu[rows].var(0, ddof=1) / overall).argmin()] += 1
    return votes


def test_factor_vae_equals_the_published_loop():
    mu, factors = coded(noise=1.5)
    rng = np.random.default_rng(0)
    train, test = (torch.from_numpy(literal_votes(mu, factors, points, 8, rng)) for points in (1500, 1500))
    expected = factor_vae_from_votes(train, test)
    found = factor_vae_score(mu, factors, train=6000, test=6000, batch=8)
    assert abs(found.value - expected) < 4 * math.sqrt(expected * (1 - expected) / 1500)
    assert 0.4 < expected < 0.95
    shares = torch.tensor(found.details["votes_train"]) / 6000
    assert (shares - train / 1500).abs().max() < 0.05


def test_factor_vae_majority_rule_by_hand():
    train = torch.tensor([[9, 1, 0], [2, 5, 0], [0, 4, 0]])  # unit 0 -> factor 0, unit 1 -> factor 1, unit 2 -> factor 0
    test = torch.tensor([[8, 2, 1], [1, 6, 3], [0, 4, 0]])
    assert factor_vae_from_votes(train, test) == pytest.approx((8 + 6 + 1) / 25)


def test_factor_vae_of_perfect_rotated_dead_and_random_codes():
    factors = grid(5, 5).repeat(4, 1)
    run = lambda mu: factor_vae_score(mu, factors, train=600, test=600, batch=16)  # noqa: E731
    assert run(factors.double()).value == 1
    assert run(factors.double() * torch.tensor([-3.0, 0.5]) + 4).value == 1
    centred = factors.double() - 2
    assert run(torch.stack([centred[:, 0] + centred[:, 1], centred[:, 0] - centred[:, 1]], 1)).value < 0.75
    collapsed = run(1e-3 * factors.double())
    assert collapsed.value == 0 and any("no unit moves enough" in note for note in collapsed.notes)
    assert factor_vae_score(*noise(sizes=(3, 3, 3)), train=2000, test=2000).value < 0.45  # chance 1/3


def test_factor_vae_ignores_dead_units_and_says_when_values_are_scarce():
    factors = grid(5, 5)
    mu = torch.cat([factors.double(), torch.full((25, 1), 3.0).double()], 1)
    result = factor_vae_score(mu, factors, train=300, test=300, batch=16)
    assert result.value == 1 and result.details["active"] == [0, 1]
    assert any("drawn repeatedly" in note for note in result.notes)


# --- beta-VAE ---

def test_beta_vae_of_perfect_codes_and_noise():
    factors = grid(4, 5, 3).repeat(4, 1)
    perfect = beta_vae_score(factors.double(), factors, train=600, test=300, batch=16)
    assert perfect.value > 0.99
    rotated = factors.double() @ torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).double())[0]
    assert beta_vae_score(rotated, factors, train=600, test=300, batch=16).value < perfect.value
    chance = beta_vae_score(*noise(sizes=(3, 3, 3)), train=1500, test=1500)
    assert chance.value == pytest.approx(1 / 3, abs=0.06)


def test_beta_vae_equals_the_published_loop():
    mu, factors = coded(noise=4.0)
    rng = np.random.default_rng(0)

    def points(count):
        x, y = np.zeros((count, 4)), np.zeros(count, dtype=int)
        for i in range(count):
            y[i] = rng.integers(3)
            one = rng.integers(len(mu), size=8)
            two = [rng.choice(np.flatnonzero(factors[:, y[i]].numpy() == factors[j, y[i]].item())) for j in one]
            x[i] = np.abs(mu[one].numpy() - mu[two].numpy()).mean(0)
        return x, y

    model = LogisticRegression().fit(*points(1000))
    expected = model.score(*points(1500))
    found = beta_vae_score(mu, factors, train=4000, test=4000, batch=8)
    assert abs(found.value - expected) < 0.06 and 0.36 < expected < 0.9


def test_beta_vae_needs_two_factors():
    with pytest.raises(ValueError, match="at least two"):
        beta_vae_score(torch.randn(30, 2), torch.arange(30) % 3)


@pytest.mark.parametrize("values", [50, 250, 1000])
def test_beta_vae_of_noise_is_chance_however_few_codes_a_value_has(values):
    """A code paired with itself would betray a factor of few codes per value: differences of 0."""
    mu = torch.randn(1000, 5, generator=torch.Generator().manual_seed(0))
    rare = torch.arange(1000) % values
    rare[-2:] = 0  # where each value has one code: three share one
    factors = torch.stack([torch.arange(1000) % 3, rare], 1)
    factors = factors[torch.randperm(1000, generator=torch.Generator().manual_seed(1))]
    found = beta_vae_score(mu, factors, train=1000, test=500, batch=16)
    assert abs(found.value - 0.5) < 0.12 or values == 1000
    assert (values == 1000) == any("only one code" in note for note in found.notes)


def test_partners_share_the_value_and_are_another_row():
    values = torch.randint(0, 7, (300,), generator=torch.Generator().manual_seed(0))
    values[0] = 7  # alone
    partners, generator = Partners(values, 8), torch.Generator().manual_seed(1)
    rows = partners.paired()
    assert 0 not in rows and len(rows) == 299
    several = rows.repeat(400)
    found = partners.other(several, generator)
    assert (values[found] == values[several]).all() and (found != several).all()
    first = found.view(400, -1)[:, 0]
    assert set(first.tolist()) == set(((values == values[rows[0]]).nonzero().squeeze(1)).tolist()) - {int(rows[0])}, "all others are drawn"


@pytest.mark.parametrize("score", [beta_vae_score, factor_vae_score])
def test_a_factor_whose_values_are_never_shared_is_refused(score):
    mu = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="no value that two codes share"):
        score(mu, torch.stack([torch.arange(20), torch.arange(20) % 2], 1), train=200, test=50)


def test_factor_vae_draws_no_value_that_one_code_has():
    """Their variance of 0 in every unit would vote for the first unit, and tell the factor."""
    mu = torch.randn(1000, 5, generator=torch.Generator().manual_seed(0))
    rare = torch.arange(1000)
    rare[:400] = torch.arange(400) % 2
    found = factor_vae_score(mu, torch.stack([torch.arange(1000) // 2 % 3, rare], 1), train=2000, test=1000)
    assert found.value < 0.75
