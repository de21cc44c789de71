"""The fitted upper bound on I(x; z): channels whose information is known, and what the cap log N hides."""

import math

import pytest
import torch

from imaetool.metrics import fitted_information, gaussian_information, mixture_information


def codes(n, k=2, seed=0):
    return torch.randn(n, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_the_truth_on_a_gaussian_channel():
    mix, noise = torch.tensor([[2.0, 0.6], [0.0, 1.5]], dtype=torch.float64), torch.tensor([0.3, 0.8], dtype=torch.float64)
    truth = 0.5 * float(torch.logdet(mix.T @ mix + noise.diag()) - noise.log().sum())
    result = fitted_information(codes(10_000) @ mix, noise.log().expand(10_000, 2))
    assert result.value == pytest.approx(truth, abs=4 * result.error) and 0 < result.error < 0.05
    assert result.n == 10_000 and result.unit == "nats"


def test_it_finds_clusters_that_one_gaussian_does_not():
    """Four far points on a line: I = log 4, where the Gaussian of that spread has far more."""
    mu = torch.arange(4.0, dtype=torch.float64).repeat(500)[:, None] * 40
    result = fitted_information(mu, torch.zeros(2000, 1))
    assert result.value == pytest.approx(math.log(4), abs=0.05) and result.details["components"] >= 4
    assert gaussian_information(mu, torch.zeros(2000, 1)).value > math.log(4) + 2


def test_it_goes_beyond_the_cap_that_the_number_of_images_sets():
    mu, noise = codes(2000, 4), 1e-4
    truth = 4 * 0.5 * math.log(1 + 1 / noise)
    result = fitted_information(mu, torch.full((2000, 4), math.log(noise)))
    assert result.value == pytest.approx(truth, abs=4 * result.error) and truth > 18
    assert mixture_information(mu, torch.full((2000, 4), math.log(noise)), draws=500).value < math.log(2000) + 0.01


def test_it_never_falls_below_a_lower_estimate_on_a_ring():
    """Codes on a circle, which no mixture of 16 fits exactly: still above the truth, and nearer than one Gaussian."""
    angle = 2 * math.pi * torch.rand(6000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mu, log_var = 10 * torch.stack([angle.cos(), angle.sin()], 1), torch.full((6000, 2), -2.0)
    lower = mixture_information(mu, log_var, draws=3000)
    result = fitted_information(mu, log_var)
    assert lower.value - 4 * lower.error < result.value < gaussian_information(mu, log_var).value - 1


def test_codes_that_know_nothing_and_dead_units_give_zero():
    result = fitted_information(torch.zeros(400, 3), torch.zeros(400, 3))
    assert result.value == pytest.approx(0, abs=max(4 * result.error, 0.05))
    mu, log_var = codes(4000, 1), torch.zeros(4000, 1)
    still = fitted_information(torch.cat([mu, torch.full((4000, 1), 1e6)], 1), torch.cat([log_var, torch.full((4000, 1), -200.0)], 1))
    assert still.value == pytest.approx(0.5 * math.log(2), abs=4 * still.error) and still.error < 0.03


def test_the_same_seed_gives_the_same_value_and_another_differs():
    mu, log_var = codes(600), torch.full((600, 2), -1.0)
    assert fitted_information(mu, log_var).value == fitted_information(mu, log_var).value
    assert fitted_information(mu, log_var).value != fitted_information(mu, log_var, seed=1).value


def test_a_part_of_many_images_is_used_and_said():
    assert fitted_information(codes(500), torch.zeros(500, 2), images=100).n == 100


def test_few_codes_are_enough_or_refused_in_one_line():
    assert fitted_information(codes(16, 12), torch.zeros(16, 12), draws=1).details["components"] == 1
    with pytest.raises(ValueError, match="at least 16 of them, and there are 15"):
        fitted_information(codes(15), torch.zeros(15, 2))
