"""I(x; z_k) and I(x; y) on channels whose information is known."""

import math

import pytest
import torch

from imaetool.metrics.information import (
    category_information, information, proposition_2_radius, unit_information, unit_information_exact,
)


def gaussian_channel(n, signal, noise):
    """Codes whose means are the n normal quantiles: z ~ N(0, signal^2 + noise^2) almost exactly."""
    quantiles = torch.special.ndtri((torch.arange(n).double() + 0.5) / n)
    mu = torch.stack([quantiles * s for s in signal], 1)
    return mu, torch.log(torch.tensor(noise).double() ** 2).expand(n, len(noise))


def test_gaussian_channel_has_its_capacity():
    mu, log_var = gaussian_channel(5000, [1.0, 0.3, 2.0], [0.5, 1.0, 0.1])
    capacity = 0.5 * torch.log1p(mu.var(0, unbiased=False) / log_var.exp()[0])
    assert torch.allclose(unit_information_exact(mu, log_var), capacity, atol=2e-3)
    result = information(mu, log_var, draws=8000)
    for name in ("upper_bound", "lower_bound"):
        assert torch.allclose(torch.tensor(result.details[name]), capacity.float(), atol=1e-5)
    found, error = (torch.tensor(result.details[key]) for key in ("information", "information_error"))
    assert ((found - capacity).abs() < 4 * error + 1e-3).all() and (error < 0.02).all()
    assert result.details["ranking"] == [2, 0, 1]
    assert result.value == pytest.approx(found.sum().item())


def test_monte_carlo_equals_a_plain_loop_over_the_same_draws():
    g = torch.Generator().manual_seed(3)
    mu, log_var = torch.randn(300, 2, generator=g), torch.randn(300, 2, generator=g) - 2
    found = unit_information(mu, log_var, draws=300, seed=7)
    g = torch.Generator().manual_seed(7)
    torch.randperm(300, generator=g)
    noise = torch.randn(300, 2, generator=g, dtype=torch.float64)
    mu, sd = mu.double(), (0.5 * log_var.double()).exp()
    z = mu + sd * noise
    for k in range(2):
        total = 0.0
        for i in range(300):
            own = torch.distributions.Normal(mu[i, k], sd[i, k]).log_prob(z[i, k])
            all_ = torch.logsumexp(torch.distributions.Normal(mu[:, k], sd[:, k]).log_prob(z[i, k]), 0) - math.log(300)
            total += (own - all_).item()
        assert found[k].item() == pytest.approx(total / 300, abs=1e-9)


def test_separate_codes_reach_log_n_and_the_cap_is_noted():
    mu = torch.arange(50.0)[:, None] * 10
    result = information(mu, torch.zeros(50, 1), draws=100)
    assert result.value == pytest.approx(math.log(50), abs=1e-6)
    assert any("capped by log N = 3.912" in note for note in result.notes)
    assert any("within 0.5 nats" in note for note in result.notes)


def test_two_clusters_carry_log_two_where_eq_5_is_no_lower_bound():
    mu = torch.tensor([[-9.0], [9.0]]).repeat(40, 1)
    result = information(mu, torch.zeros(80, 1))
    assert result.details["information_exact"][0] == pytest.approx(math.log(2), abs=1e-6)
    assert result.details["lower_bound"][0] > 2  # eq. 5 presumes a Gaussian marginal: hence the note
    assert any("only where q(z_k) is Gaussian" in note for note in result.notes)


def test_a_collapsed_unit_carries_nothing_and_is_named():
    mu = torch.stack([torch.linspace(-2, 2, 200), torch.zeros(200)], 1)
    result = information(mu, torch.full((200, 2), -2.0))
    assert result.details["information"][1] == pytest.approx(0, abs=1e-12)
    assert result.details["information_exact"][1] == pytest.approx(0, abs=1e-8)
    assert any("dead units" in note and "1" in note for note in result.notes)


def test_negative_estimates_never_pass_unnoted():
    mu = 0.01 * torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    for seed in range(3):
        result = information(mu, torch.zeros(500, 8), draws=50, seed=seed)
        negative = [k for k, v in enumerate(result.details["information"]) if v < -1e-12]
        assert bool(negative) == any("below 0 by sampling noise" in note for note in result.notes)
    assert min(result.details["information_exact"]) >= 0


def test_kl_matches_torch_and_bounds_information():
    g = torch.Generator().manual_seed(1)
    mu, log_var = torch.randn(400, 3, generator=g), torch.randn(400, 3, generator=g) - 1
    result = information(mu, log_var)
    normal = torch.distributions.Normal
    kl = torch.distributions.kl_divergence(normal(mu, (0.5 * log_var).exp()), normal(0.0, 1.0)).mean(0)
    assert torch.allclose(torch.tensor(result.details["kl"]), kl, atol=1e-5)
    exact = torch.tensor(result.details["information_exact"])
    assert (exact <= kl + 1e-6).all() and (exact <= torch.tensor(result.details["upper_bound"]) + 1e-6).all()


def test_category_information_of_known_channels():
    sure = torch.eye(4).repeat(25, 1)
    assert category_information(sure)["information"] == pytest.approx(math.log(4))
    flat = torch.full((100, 4), 0.25)
    assert category_information(flat)["information"] == pytest.approx(0, abs=1e-12)
    flip = 0.1  # binary symmetric channel: log 2 - h(0.1)
    noisy = torch.tensor([[1 - flip, flip], [flip, 1 - flip]]).double().repeat(50, 1)
    h = -(flip * math.log(flip) + (1 - flip) * math.log(1 - flip))
    found = category_information(noisy)
    assert found["information"] == pytest.approx(math.log(2) - h)
    assert found["conditional_entropy"] == pytest.approx(h) and found["entropy"] == pytest.approx(math.log(2))


def test_radius_is_the_printed_formula():
    expected = 10 * (max(math.log(10) - 1, 1) + math.e) * math.sqrt(math.log(2 * 10 / 0.05) / 20_000)
    assert proposition_2_radius(0.1, 10, 10_000) == pytest.approx(expected)
    skewed = 10 * (math.log(1000) - 1 + math.e) * math.sqrt(math.log(400) / 20_000)
    assert proposition_2_radius(0.001, 10, 10_000) == pytest.approx(skewed)
    assert proposition_2_radius(0.0, 10, 100) is None
    result = information(torch.zeros(3, 1), torch.zeros(3, 1), torch.tensor([[1.0, 0.0, 0.0]] * 3))
    assert any("never used" in note for note in result.notes)


def test_several_categorical_codes_are_summed_and_a_bare_table_is_one():
    p = torch.eye(2).repeat(10, 1)
    mu = torch.zeros(20, 1)
    assert information(mu, mu, p).value == pytest.approx(math.log(2))
    double = information(mu, mu, [p, p])
    assert double.value == pytest.approx(2 * math.log(2)) and len(double.details["y"]) == 2
    assert any("sums I(x;y)" in note for note in double.notes)


@pytest.mark.parametrize(
    "mu, log_var, probabilities, message",
    [
        (torch.zeros(3, 2), torch.zeros(3, 1), None, "shape"),
        (torch.full((3, 1), math.nan), torch.zeros(3, 1), None, "NaN"),
        (torch.zeros(3, 1), torch.full((3, 1), -900.0), None, "log_var"),
        (torch.zeros(3, 1), torch.zeros(3, 1), torch.ones(3, 2), "summing to 1"),
        (torch.zeros(3, 1), torch.zeros(3, 1), torch.ones(2, 1), "2 rows for 3"),
    ],
)
def test_bad_codes_are_refused(mu, log_var, probabilities, message):
    with pytest.raises(ValueError, match=message):
        information(mu, log_var, probabilities)


@pytest.mark.parametrize("n, said", [(20, "too few for imae proposition 2"), (200_000, "nats of its value on unlimited images")])
def test_a_radius_wider_than_the_information_can_be_is_not_printed(n, said):
    p = torch.eye(2, dtype=torch.float64).repeat(n // 2, 1)
    result = information(torch.zeros(n, 1), torch.zeros(n, 1), [p], draws=20)
    assert [note for note in result.notes if said in note] and sum("proposition 2 " in note or "proposition 2," in note for note in result.notes) == 1
