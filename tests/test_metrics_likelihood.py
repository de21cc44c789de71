"""Likelihood, total correlation, mutual information and probes on models whose answers are known."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from imaetool.metrics import _joint
from imaetool.metrics._joint import joint_log_density
from imaetool.metrics.likelihood import elbo, importance_bound, log_likelihood_from_weights
from imaetool.metrics.mutual_information import gaussian_information, mixture_information, variational_information
from imaetool.metrics.neural_information import donsker_varadhan, f_dual, neural_information_estimate
from imaetool.metrics.probes import linear_probe, mlp_probe
from imaetool.metrics.total_correlation import gaussian_total_correlation, mixture_total_correlation


def linear_gaussian(samples, n=400, offset=0.2):
    """log weights (samples, n) of z ~ N(0,1), x = 2 z + N(0, 0.5^2), q near but not at the posterior; and log p(x)."""
    g = torch.Generator().manual_seed(0)
    a, s = 2.0, 0.5
    x = math.sqrt(a * a + s * s) * torch.randn(n, generator=g, dtype=torch.float64)
    precision = 1 + a * a / s**2
    q = Normal(a * x / s**2 / precision + offset, 1.3 / math.sqrt(precision))
    z = q.mean + q.stddev * torch.randn(samples, n, generator=g, dtype=torch.float64)
    log_w = Normal(0.0, 1.0).log_prob(z) + Normal(a * z, s).log_prob(x) - q.log_prob(z)
    return log_w, Normal(0.0, math.sqrt(a * a + s * s)).log_prob(x)


# --- likelihood ---

def test_importance_bound_reaches_the_closed_form_likelihood():
    log_w, truth = linear_gaussian(2000)
    assert (importance_bound(log_w) - truth).abs().max() < 0.25
    result = log_likelihood_from_weights(log_w)
    assert result.value == pytest.approx(truth.mean().item(), abs=0.005)
    assert "K = 2000" in result.variant and result.n == 400 and result.unit == "nats"


def test_importance_bound_rises_with_samples_from_the_elbo():
    log_w, truth = linear_gaussian(512)
    values = [log_likelihood_from_weights(log_w[:k]).value for k in (1, 4, 16, 512)]
    assert values[0] < values[1] < values[2] < truth.mean() + 0.01 and values[0] < truth.mean() - 0.1
    assert values[3] == pytest.approx(truth.mean().item(), abs=0.01)
    assert values[0] == pytest.approx(log_w[0].mean().item())


def test_exact_posterior_gives_the_likelihood_from_one_sample():
    g = torch.Generator().manual_seed(1)
    x = math.sqrt(2) * torch.randn(50, generator=g, dtype=torch.float64)
    q = Normal(x / 2, math.sqrt(0.5))
    z = q.mean + q.stddev * torch.randn(3, 50, generator=g, dtype=torch.float64)
    log_w = Normal(0.0, 1.0).log_prob(z) + Normal(z, 1.0).log_prob(x) - q.log_prob(z)
    assert torch.allclose(importance_bound(log_w), Normal(0.0, math.sqrt(2)).log_prob(x))


def test_importance_bound_survives_weights_that_underflow():
    log_w = torch.tensor([[-2000.0], [-2001.0]])
    assert log_likelihood_from_weights(log_w).value == pytest.approx(-2000 + math.log((1 + math.exp(-1)) / 2), abs=1e-9)


def test_collapsed_weights_are_noted():
    log_w = torch.zeros(100, 5)
    log_w[0] = 50
    assert any("outweighs" in note for note in log_likelihood_from_weights(log_w).notes)
    assert not log_likelihood_from_weights(torch.zeros(100, 5)).notes


def test_elbo_is_reconstruction_less_kl():
    result = elbo(torch.tensor([-80.0, -90.0]), torch.tensor([20.0, 25.0]))
    assert result.value == -107.5
    assert result.details == {"reconstruction": -85.0, "kl": 22.5}
    with pytest.raises(ValueError, match="negative"):
        elbo(torch.zeros(2), torch.tensor([1.0, -1.0]))
    with pytest.raises(ValueError, match="shape"):
        elbo(torch.zeros(2), torch.zeros(3))


# --- the joint aggregate posterior ---

@pytest.mark.parametrize("offset, log_var", [(0.0, -1.0), (1e5, -12.0)])
def test_joint_density_equals_the_direct_sum(offset, log_var, monkeypatch):
    monkeypatch.setattr(_joint, "_CODES", 37)
    monkeypatch.setattr(_joint, "_POINTS", 11)
    g = torch.Generator().manual_seed(2)
    mu = torch.randn(200, 3, generator=g, dtype=torch.float64)
    mu[7] += offset  # an outlier forces the careful path
    variance = torch.exp(log_var + torch.randn(200, 3, generator=g, dtype=torch.float64))
    z = mu[:50] + variance[:50].sqrt() * torch.randn(50, 3, generator=g, dtype=torch.float64)
    direct = Normal(mu, variance.sqrt()).log_prob(z[:, None]).sum(-1).logsumexp(1) - math.log(200)
    assert torch.allclose(joint_log_density(mu, variance, z), direct, atol=1e-8)


# --- total correlation ---

def correlated(n, rho, noise=0.0):
    """(n, 2) points whose sample correlation is exactly rho."""
    g = torch.Generator().manual_seed(3)
    raw = torch.randn(n, 2, generator=g, dtype=torch.float64)
    white = torch.linalg.qr(raw - raw.mean(0))[0] * math.sqrt(n)
    return torch.stack([white[:, 0], rho * white[:, 0] + math.sqrt(1 - rho**2) * white[:, 1]], 1)


def test_gaussian_total_correlation_of_two_units():
    for rho in (0.0, 0.5, -0.9):
        expected = -0.5 * math.log(1 - rho**2)
        assert gaussian_total_correlation(correlated(500, rho)).value == pytest.approx(expected, abs=1e-9)


def test_gaussian_total_correlation_is_the_kl_to_the_product():
    g = torch.Generator().manual_seed(4)
    mu = torch.randn(300, 4, generator=g, dtype=torch.float64) @ torch.randn(4, 4, generator=g, dtype=torch.float64)
    cov = torch.cov(mu.T)
    zero = torch.zeros(4, dtype=torch.float64)
    kl = torch.distributions.kl_divergence(MultivariateNormal(zero, cov), MultivariateNormal(zero, cov.diag().diag()))
    assert gaussian_total_correlation(mu).value == pytest.approx(kl.item())
    assert gaussian_total_correlation(mu * torch.tensor([1.0, -5.0, 0.1, 2.0]) + 3).value == pytest.approx(kl.item())


def test_gaussian_total_correlation_of_dead_and_dependent_units():
    mu = torch.cat([correlated(100, 0.5), torch.ones(100, 1)], 1)
    dead = gaussian_total_correlation(mu)
    assert dead.value == pytest.approx(-0.5 * math.log(0.75)) and dead.notes == ("constant units left out: 2",)
    twice = gaussian_total_correlation(torch.cat([mu[:, :1], mu[:, :1]], 1))
    assert math.isinf(twice.value) and "infinite" in twice.notes[0]


def test_mixture_total_correlation_matches_a_gaussian_code():
    mu = correlated(8000, 0.8)
    noise = 0.5
    result = mixture_total_correlation(mu, torch.full_like(mu, math.log(noise)), draws=6000)
    expected = -0.5 * math.log(1 - (0.8 / (1 + noise)) ** 2)
    assert result.value == pytest.approx(expected, abs=4 * result.error + 0.01) and result.error < 0.02


def test_total_correlation_says_when_the_number_of_images_overstates_it():
    """Ten independent units of 1.15 nats each are 11.5 nats, more than log 2,000: the total correlation is 0."""
    mu = torch.randn(2000, 10, generator=torch.Generator().manual_seed(0))
    rich = mixture_total_correlation(mu, torch.full_like(mu, math.log(0.1)), draws=500)
    poor = mixture_total_correlation(mu[:, :2], torch.full((2000, 2), math.log(0.1)), draws=500)
    assert rich.value > 1 and rich.details["overstated"] and any("upper bound" in note for note in rich.notes)
    assert abs(poor.value) < 0.1 and not poor.details["overstated"] and poor.details["information"] == pytest.approx(math.log(11), abs=0.15)


def test_mixture_total_correlation_is_what_the_units_overcount():
    mu, log_var = correlated(600, 0.8), torch.full((600, 2), -2.0)
    tc = mixture_total_correlation(mu, log_var, draws=600, seed=5).value
    whole = mixture_information(mu, log_var, draws=600, seed=5).value
    parts = sum(mixture_information(mu[:, k], log_var[:, k], draws=6000).value for k in range(2))
    assert tc == pytest.approx(parts - whole, abs=0.05)


# --- mutual information ---

def test_mixture_information_of_a_gaussian_channel_and_of_separate_codes():
    mu = correlated(6000, 0.0)
    result = mixture_information(mu, torch.full_like(mu, math.log(0.5)), draws=6000)
    assert result.value == pytest.approx(math.log(3), abs=4 * result.error + 0.01)
    far = mixture_information(torch.arange(64.0)[:, None] * 100, torch.zeros(64, 1), draws=640)
    assert far.value == pytest.approx(math.log(64), abs=1e-9)
    assert "capped by log N = 4.159" in far.notes[0] and "within 0.5 nats" in far.notes[1]


def test_gaussian_information_is_the_truth_on_a_gaussian_channel_and_above_it_elsewhere():
    torch.manual_seed(0)
    mu = torch.randn(200_000, 2, dtype=torch.float64) @ torch.tensor([[2.0, 0.6], [0.0, 1.5]], dtype=torch.float64)
    noise = torch.tensor([0.3, 0.8], dtype=torch.float64)
    cov = torch.tensor([[2.0, 0.6], [0.0, 1.5]], dtype=torch.float64)
    truth = 0.5 * float(torch.logdet(cov.T @ cov + noise.diag()) - noise.log().sum())
    assert gaussian_information(mu, noise.log().expand_as(mu)).value == pytest.approx(truth, abs=0.01)
    two = torch.tensor([-10.0, 10.0], dtype=torch.float64)[:, None]  # two far points: I = log 2
    assert gaussian_information(two, torch.zeros(2, 1)).value == pytest.approx(0.5 * math.log(101))
    assert gaussian_information(torch.zeros(5, 3), torch.zeros(5, 3)).value == pytest.approx(0.0, abs=1e-12)


def test_mixture_information_of_noise_is_zero_or_noted():
    result = mixture_information(torch.zeros(100, 3), torch.zeros(100, 3), draws=300)
    assert result.value == pytest.approx(0, abs=1e-12)
    small = [mixture_information(0.01 * correlated(100, 0.0), torch.zeros(100, 2), draws=20, seed=s) for s in range(8)]
    assert any(r.value < 0 for r in small)
    assert all((r.value < 0) == any("below 0" in note for note in r.notes) for r in small)


def test_variational_bound_is_tight_for_the_true_posterior_and_below_it_otherwise():
    flip = 0.1  # c uniform on 2, seen through a binary symmetric channel
    truth = math.log(2) + flip * math.log(flip) + (1 - flip) * math.log(1 - flip)
    seen = torch.cat([torch.full((900,), 1 - flip), torch.full((100,), flip)]).double()
    assert variational_information(seen.log(), math.log(2)).value == pytest.approx(truth)
    wrong = torch.cat([torch.full((900,), 0.6), torch.full((100,), 0.4)]).double()
    assert 0 < variational_information(wrong.log(), math.log(2)).value < truth
    bad = variational_information(torch.full((10,), -3.0), math.log(2))
    assert bad.value < 0 and "worse than ignoring" in bad.notes[0]


def channel(n, rho, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, generator=g)
    return x, rho * x + math.sqrt(1 - rho**2) * torch.randn(n, 1, generator=g)


def test_dual_forms_are_tight_at_the_true_ratio():
    rho = 0.8
    x, z = channel(40_000, rho)
    other = z[torch.randperm(len(z), generator=torch.Generator().manual_seed(1))]

    def ratio(x, z):
        return (Normal(rho * x, math.sqrt(1 - rho**2)).log_prob(z) - Normal(0.0, 1.0).log_prob(z)).squeeze(1)

    truth = -0.5 * math.log(1 - rho**2)
    assert f_dual(1 + ratio(x, z), 1 + ratio(x, other)).item() == pytest.approx(truth, abs=0.04)
    assert donsker_varadhan(ratio(x, z), ratio(x, other)).item() == pytest.approx(truth, abs=0.04)
    shifted = donsker_varadhan(3 + ratio(x, z), 3 + ratio(x, other))  # a constant does not matter here
    assert shifted.item() == pytest.approx(donsker_varadhan(ratio(x, z), ratio(x, other)).item(), abs=1e-4)
    assert f_dual(ratio(x, z), ratio(x, other)) < truth - 0.2  # but does there


def test_dual_forms_by_hand():
    joint, product = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0])
    assert f_dual(joint, product).item() == pytest.approx(2 - (math.exp(-1) + 1) / 2)
    assert donsker_varadhan(joint, product).item() == pytest.approx(2 - math.log((1 + math.e) / 2))


@pytest.mark.parametrize("form", ["f-dual", "donsker-varadhan"])
def test_neural_estimate_of_a_gaussian_channel(form):
    truth = -0.5 * math.log(1 - 0.9**2)
    result = neural_information_estimate(*channel(6000, 0.9), form=form, hidden=64, steps=500, batch=256)
    assert 0.8 * truth < result.value < 1.1 * truth and form in result.variant


def test_neural_estimate_of_independent_samples_is_near_zero_and_leaves_no_trace():
    x, z = channel(2000, 0.0)
    before = torch.get_rng_state()
    result = neural_information_estimate(x, z, hidden=32, steps=100)
    assert abs(result.value) < 0.03 and torch.equal(before, torch.get_rng_state())
    assert (result.value < 0) == any("below 0" in note for note in result.notes)
    with pytest.raises(ValueError, match="form"):
        neural_information_estimate(x, z, form="kl")
    with pytest.raises(ValueError, match="2000 observations for 5"):
        neural_information_estimate(x, z[:5])


# --- probes ---

def rings(n, seed):
    """Two classes that no line separates: inside and outside a circle; labels 3 and 8."""
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(n, 2, generator=g)
    return z, torch.where(z.norm(dim=1) > 1.18, 8, 3)


def test_mlp_probe_reads_what_the_linear_probe_cannot():
    train, test = rings(1500, 0), rings(800, 1)
    linear = linear_probe(*train, *test)
    before = torch.get_rng_state()
    mlp = mlp_probe(*train, *test, hidden=(64, 32), epochs=15)
    assert torch.equal(before, torch.get_rng_state())
    assert linear.value < 0.62 and mlp.value > 0.93
    assert mlp.details["labels"] == [3, 8] and "64-32" in mlp.variant


def test_linear_probe_on_separable_codes_and_on_unseen_labels():
    x = torch.eye(3).repeat(20, 1)
    y = torch.arange(3).repeat(20) * 10
    assert linear_probe(x, y, x, y).value == 1
    moved = x * torch.tensor([1.0, -50.0, 0.01]) + torch.tensor([4.0, -900.0, 70.0])
    assert linear_probe(moved, y, moved, y).value == 1
    odd = y.clone()
    odd[:6] = 77
    result = linear_probe(x, y, x, odd)
    assert result.value == pytest.approx(54 / 60)
    assert result.notes == ("labels without training codes count as wrong: 77",)
    with pytest.raises(ValueError, match="one value"):
        linear_probe(x, y * 0, x, y)
