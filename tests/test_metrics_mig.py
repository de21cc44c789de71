"""MIG on codes whose gaps are known, and against plain float64 sums."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score

from codes import grid
from imaetool.metrics._inputs import sample_codes
from imaetool.metrics._mixture import fit
from imaetool.metrics.mig import factor_information, mig_binned, mig_chen, mig_exact, mig_from_information

NARROW = -8.0  # log sigma^2 of a code that wastes nothing


def perfect(factors, spacing=1.0, log_var=NARROW, extra=0):
    """One unit per factor, ``extra`` collapsed units after them."""
    mu = torch.cat([factors.double() * spacing, torch.zeros(len(factors), extra).double()], 1)
    spread = torch.full_like(mu, log_var)
    spread[:, factors.shape[1] :] = 0.0
    return mu, spread


def noisy(n, units, sizes, seed=0):
    """A middling code: the first units follow the factors with noise, the next mix two, the rest are noise."""
    g = torch.Generator().manual_seed(seed)
    factors = torch.stack([torch.randint(0, size, (n,), generator=g) for size in sizes], 1)
    mu = 0.3 * torch.randn(n, units, generator=g, dtype=torch.float64)
    mu[:, : len(sizes)] += 3 * factors / torch.tensor(sizes)
    mu[:, len(sizes)] += factors[:, 0] / sizes[0] - factors[:, 1] / sizes[1]
    return mu, -2.5 + 0.3 * torch.randn(n, units, generator=g, dtype=torch.float64), factors


def direct(mu, log_var, factors, draws, seed):
    """The estimator as a loop over draws in float64: densities of all images, marginal and conditional."""
    mu, sd = mu.double(), (0.5 * log_var.double()).exp()
    images, z, _ = sample_codes(mu, sd**2, draws, seed)
    information = torch.zeros(mu.shape[1], factors.shape[1]).double()
    for i, point in zip(images.tolist(), z, strict=True):
        log_p = torch.distributions.Normal(mu, sd).log_prob(point)  # (N, K)
        marginal = log_p.logsumexp(0) - math.log(len(mu))
        for f in range(factors.shape[1]):
            same = factors[:, f] == factors[i, f]
            information[:, f] += log_p[same].logsumexp(0) - math.log(same.sum()) - marginal
    return information / draws


def test_perfect_code_has_gap_one():
    factors = grid(3, 4, 5)
    codes = perfect(factors, extra=2)
    assert mig_exact(*codes, factors).value == pytest.approx(1, abs=1e-6)
    assert mig_chen(*codes, factors, draws=600).value == pytest.approx(1, abs=1e-6)
    information = factor_information(*codes, factors)
    expected = torch.zeros(5, 3).double()
    expected[:3] = torch.tensor([3.0, 4.0, 5.0]).double().log().diag()
    assert torch.allclose(information, expected, atol=1e-6)


def test_perfect_code_with_wide_posteriors_loses_what_they_blur():
    # Two levels at distance 2a under unit noise: I = log 2 - E[log(1 + exp(-2 a (a + n)))], n normal.
    a = 1.0
    factors = grid(2, 2)
    found = factor_information(*perfect(factors, 2 * a, 0.0), factors)
    n = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    weight = torch.exp(-0.5 * n * n) / math.sqrt(2 * math.pi) * (n[1] - n[0])
    expected = math.log(2) - (weight * torch.log1p(torch.exp(-2 * a * (a + n)))).sum().item()
    assert found[0, 0].item() == pytest.approx(expected, abs=1e-7) and 0.1 < expected < 0.6
    assert found[0, 1].item() == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("case", ["few cells", "every code its own cell"])
def test_chen_equals_direct_evaluation_on_3000_images(case):
    mu, log_var, factors = noisy(3000, 4, (3, 5))
    log_var = log_var * (1 if case == "few cells" else 4)  # with few cells the series is used, else every term
    assert len(fit(mu[:, 0], log_var[:, 0].exp()).weight) == (16 if case == "few cells" else 1)
    expected = direct(mu, log_var, factors, 200, seed=4)
    result = mig_chen(mu, log_var, factors, draws=200, seed=4)
    assert (torch.tensor(result.details["information"]) - expected).abs().max() < 1e-5
    gap = mig_from_information(expected, torch.tensor(list(result.details["entropy"].values()))).mean().item()
    assert result.value == pytest.approx(gap, abs=1e-5)


def test_chen_and_exact_agree_within_sampling_error():
    mu, log_var, factors = noisy(20_000, 5, (3, 6))
    exact = mig_exact(mu, log_var, factors)
    values = [mig_chen(mu, log_var, factors, draws=4000, seed=seed) for seed in range(3)]
    for result in values:
        assert abs(result.value - exact.value) < 4 * result.error
        assert 0 < result.error < 0.02
    assert len({result.value for result in values}) == 3 and 0.1 < exact.value < 0.9
    assert mig_chen(mu, log_var, factors, draws=4000, seed=0).value == values[0].value


def test_noise_has_a_small_gap_and_the_bias_that_theory_gives():
    g = torch.Generator().manual_seed(0)
    n, bins, values = 5000, 20, 8
    mu, factors = torch.rand(n, 40, generator=g), torch.randint(0, values, (n, 1), generator=g)
    result = mig_binned(mu, factors)
    bias = (bins - 1) * (values - 1) / (2 * n)  # Miller-Madow
    mean = np.mean(result.details["information"])
    assert mean == pytest.approx(bias, rel=0.15) and result.value < 0.01
    wide = mig_exact(mu[:, :4], torch.full((n, 4), -2.0), factors)
    assert 0 <= wide.value < 0.002 and min(min(row) for row in wide.details["information"]) > 0  # small, never below 0


@pytest.mark.parametrize("metric", ["exact", "chen", "binned"])
def test_rotated_and_duplicated_codes_have_no_gap(metric):
    factors = grid(8, 8)
    run = {
        "exact": lambda mu, lv: mig_exact(mu, lv, factors),
        "chen": lambda mu, lv: mig_chen(mu, lv, factors, draws=6400),
        "binned": lambda mu, lv: mig_binned(mu, factors),
    }[metric]
    mu, log_var = perfect(factors, log_var=-3.0)
    mu = mu - mu.mean(0)
    rotated = torch.stack([mu[:, 0] + mu[:, 1], mu[:, 0] - mu[:, 1]], 1) / math.sqrt(2)
    tolerance = {"exact": 1e-7, "chen": 0.02, "binned": 1e-7}[metric]
    assert run(rotated, log_var).value == pytest.approx(0, abs=tolerance)
    twice = torch.cat([mu, mu], 1), torch.cat([log_var, log_var], 1)
    assert run(*twice).value == pytest.approx(0, abs=tolerance)
    assert run(mu, log_var).value > 0.5


@pytest.mark.parametrize("metric", ["exact", "chen", "binned"])
def test_order_sign_and_scale_of_units_do_not_matter(metric):
    mu, log_var, factors = noisy(4000, 4, (3, 5))
    run = {
        "exact": lambda m, v: mig_exact(m, v, factors).value,
        "chen": lambda m, v: mig_chen(m, v, factors, draws=20_000).value,
        "binned": lambda m, v: mig_binned(m, factors).value,
    }[metric]
    before, tolerance = run(mu, log_var), {"exact": 1e-6, "chen": 0.015, "binned": 1e-9}[metric]
    order = torch.tensor([2, 0, 3, 1])
    assert run(mu[:, order], log_var[:, order]) == pytest.approx(before, abs=tolerance)
    scale = torch.tensor([-1.0, 2.0, -0.5, 100.0]).double()
    assert run(mu * scale + 3, log_var + 2 * scale.abs().log()) == pytest.approx(before, abs=tolerance)


def test_one_outlier_ruins_the_bins_and_only_them():
    mu, log_var, factors = noisy(4000, 4, (3, 5))
    far = mu.clone()
    far[0] = 1e4
    assert mig_exact(far, log_var, factors).value == pytest.approx(mig_exact(mu, log_var, factors).value, abs=2e-3)
    assert mig_chen(far, log_var, factors).value == pytest.approx(mig_chen(mu, log_var, factors).value, abs=2e-3)
    assert mig_binned(far, factors).value < 0.02 < 0.2 < mig_binned(mu, factors).value


def test_binned_equals_the_published_recipe():
    mu, _, factors = noisy(3000, 4, (3, 25, 5))
    mu[:, 3] = factors[:, 1]  # values that fall on the edges of bins
    gaps = []
    for f in range(3):
        scores = []
        for k in range(4):
            edges = np.histogram(mu[:, k].numpy(), 20)[1]
            scores.append(mutual_info_score(factors[:, f].numpy(), np.digitize(mu[:, k].numpy(), edges[:-1])))
        scores.sort()
        gaps.append((scores[-1] - scores[-2]) / mutual_info_score(factors[:, f].numpy(), factors[:, f].numpy()))
    assert mig_binned(mu, factors).value == pytest.approx(np.mean(gaps), abs=1e-9)


def test_perfect_dsprites_code_scores_0_9_in_20_bins():
    # 40 and 32 levels share 20 bins: the entropies of the merged levels, worked out here, over log 40 and log 32.
    def merged(levels):
        counts = np.histogram(np.arange(levels), 20)[0] / levels
        return -(counts * np.log(counts)).sum() / math.log(levels)

    factors = grid(3, 6, 40, 32)  # the second 32-level factor would repeat the first
    result = mig_binned(factors.double(), factors, factor_names=["shape", "scale", "orientation", "x"])
    assert result.details["gap"]["orientation"] == pytest.approx(merged(40), abs=1e-6) == pytest.approx(0.812, abs=1e-3)
    assert result.details["gap"]["x"] == pytest.approx(merged(32), abs=1e-6)
    assert (2 + merged(40) + 2 * merged(32)) / 5 == pytest.approx(0.90, abs=0.01)
    assert any("more values than the 20 bins" in note and "orientation, x" in note for note in result.notes)


def test_factors_are_named_excluded_and_dropped_when_they_have_one_value():
    factors = grid(3, 4, 1)
    mu, log_var = perfect(factors)
    names = ["shape", "scale", "colour"]
    for result in (
        mig_chen(mu, log_var, factors, factor_names=names, draws=100),
        mig_exact(mu, log_var, factors, factor_names=names),
        mig_binned(mu, factors, factor_names=names),
    ):
        assert list(result.details["gap"]) == ["shape", "scale"]
        assert "factor `colour` has one value: left out" in result.notes
        assert any(note == "dead units (mu is constant): 2" for note in result.notes)
    only = mig_exact(mu, log_var, factors, factor_names=names, exclude=["shape"])
    assert list(only.details["gap"]) == ["scale"] and "factor `shape` was excluded" in only.notes
    assert mig_exact(mu, log_var, factors, exclude=[0]).settings["factors"] == ["factor1"]
    with pytest.raises(ValueError, match="shape, scale, colour"):
        mig_binned(mu, factors, factor_names=names, exclude=["size"])
    with pytest.raises(ValueError, match="no factor"):
        mig_binned(mu, factors, exclude=[0, 1])


def test_unequal_frequencies_normalise_by_the_entropy_in_the_data():
    factors = torch.tensor([0] * 90 + [7] * 10)[:, None]
    h = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    result = mig_exact(factors.double(), torch.full((100, 1), NARROW), factors)
    assert result.details["entropy"]["factor0"] == pytest.approx(h)
    assert result.value == pytest.approx(1, abs=1e-6) and any("one unit" in note for note in result.notes)


def test_negative_informations_are_noted():
    mu, _, factors = noisy(400, 3, (2, 2))
    result = mig_chen(0.001 * mu, torch.zeros(400, 3), factors, draws=100)
    negative = sum(v < -1e-12 for row in result.details["information"] for v in row)
    assert negative and any(f"{negative} of the 6 informations are below 0" in note for note in result.notes)


def test_variants_are_named_apart():
    mu, log_var, factors = noisy(200, 3, (2, 2))
    results = mig_chen(mu, log_var, factors, draws=10), mig_exact(mu, log_var, factors), mig_binned(mu, factors)
    assert [result.variant for result in results] == ["chen", "chen, integrated", "binned-20"]


@pytest.mark.parametrize("bad", ["length", "names", "fractions"])
def test_bad_factors_are_refused(bad):
    mu = torch.zeros(4, 2)
    factors = {"length": torch.zeros(3, 2), "names": torch.zeros(4, 2), "fractions": torch.full((4, 2), 0.5)}[bad]
    with pytest.raises(ValueError):
        mig_chen(mu, mu, factors, factor_names=["a"] if bad == "names" else None)
