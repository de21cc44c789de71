"""Densities and minibatch marginals against loops in float64, closed forms and autograd."""

import math

import pytest
import torch
from scipy import stats

from imaetool.information import densities as d
from imaetool.information import marginals as m


@pytest.fixture
def batch():
    g = torch.Generator().manual_seed(3)
    mu, log_var, eps = (torch.randn(7, 3, generator=g, dtype=torch.float64) for _ in range(3))
    log_var = log_var * 0.5 - 0.3
    return mu + (0.5 * log_var).exp() * eps, mu, log_var


def loop_densities(z, mu, log_var):
    """[i][j][k] = N(z_ik; mu_jk, sigma_jk), by scipy, one number at a time."""
    B, K = z.shape
    return [
        [[stats.norm.pdf(z[i, k], mu[j, k], math.exp(0.5 * log_var[j, k])) for k in range(K)] for j in range(B)]
        for i in range(B)
    ]


def test_gaussian_log_density_is_scipys(batch):
    z, mu, log_var = batch
    expected = stats.norm.logpdf(z, mu, (0.5 * log_var).exp())
    torch.testing.assert_close(d.gaussian_log_density(z, mu, log_var), torch.as_tensor(expected), rtol=1e-12, atol=1e-12)


def test_gaussian_kl_is_torchs(batch):
    _, mu, log_var = batch
    q = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    p = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    torch.testing.assert_close(d.gaussian_kl(mu, log_var), torch.distributions.kl_divergence(q, p))


def test_categorical_entropy_and_kl(batch):
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0]], dtype=torch.float64)
    p = logits.softmax(1)
    expected = torch.tensor([-sum(v * math.log(v) for v in row) for row in p.tolist()], dtype=torch.float64)
    torch.testing.assert_close(d.categorical_entropy(logits), expected)
    torch.testing.assert_close(d.categorical_kl(logits), math.log(3) - expected)


def test_bernoulli_nll_sums_over_pixels():
    logits = torch.tensor([[[[0.3, -2.0]]], [[[1.0, 40.0]]]], dtype=torch.float64)
    x = torch.tensor([[[[1.0, 0.25]]], [[[0.0, 0.0]]]], dtype=torch.float64)
    p = logits.sigmoid()
    first = -math.log(p[0, 0, 0, 0]) - 0.25 * math.log(p[0, 0, 0, 1]) - 0.75 * math.log(1 - p[0, 0, 0, 1])
    second = -math.log(1 - p[1, 0, 0, 0]) + 40.0
    torch.testing.assert_close(d.bernoulli_nll(logits, x), torch.tensor([first, second], dtype=torch.float64))


def test_gumbel_samples_follow_the_logits():
    torch.manual_seed(0)
    logits = torch.tensor([1.0, 0.0, -1.0]).log_softmax(0)
    y = d.sample_categorical(logits.expand(60_000, 3), 0.67)
    torch.testing.assert_close(y.sum(1), torch.ones(60_000))
    frequencies = torch.bincount(y.argmax(1), minlength=3) / 60_000
    torch.testing.assert_close(frequencies, logits.exp(), atol=0.01, rtol=0)


def test_plain_marginals_are_the_loops(batch):
    z, mu, log_var = batch
    n = loop_densities(*batch)
    B, K = z.shape
    each = [[math.log(sum(n[i][j][k] for j in range(B)) / B) for k in range(K)] for i in range(B)]
    joint = [math.log(sum(math.prod(n[i][j]) for j in range(B)) / B) for i in range(B)]
    log_pz, log_pz_k = m.log_marginals(z, mu, log_var)
    torch.testing.assert_close(log_pz_k, torch.tensor(each, dtype=torch.float64))
    torch.testing.assert_close(log_pz, torch.tensor(joint, dtype=torch.float64))
    expected_tc = [joint[i] - sum(each[i]) for i in range(B)]
    torch.testing.assert_close(m.total_correlation(log_pz, log_pz_k), torch.tensor(expected_tc, dtype=torch.float64))
    expected_kl = [sum(each[i][k] - stats.norm.logpdf(float(z[i, k])) for k in range(K)) for i in range(B)]
    torch.testing.assert_close(m.dimension_wise_kl(z, log_pz_k), torch.tensor(expected_kl, dtype=torch.float64))


def test_dimension_wise_kl_with_another_prior_variance(batch):
    z, mu, log_var = batch
    _, log_pz_k = m.log_marginals(z, mu, log_var)
    expected = (log_pz_k - torch.as_tensor(stats.norm.logpdf(z, 0, 2.0))).sum(1)
    torch.testing.assert_close(m.dimension_wise_kl(z, log_pz_k, prior_var=4.0), expected)


def test_weighted_is_plain_less_log_of_dataset_size(batch):
    plain, weighted = m.log_marginals(*batch), m.log_marginals(*batch, estimator="weighted", dataset_size=50)
    for p, w in zip(plain, weighted):
        torch.testing.assert_close(w, p - math.log(50))


def test_stratified_estimate_of_the_marginal_is_unbiased():
    """Over every batch holding the sample's own image, its mean is exactly the dataset's mixture."""
    from itertools import combinations

    g = torch.Generator().manual_seed(0)
    N, B = 6, 3
    mu, log_var = (torch.randn(N, 2, generator=g, dtype=torch.float64) for _ in range(2))
    z = mu[:1] + 0.4
    total, count = torch.zeros(1, dtype=torch.float64), 0
    for others in combinations(range(1, N), B - 1):
        rows = [0, *others]
        zs = z.expand(B, 2)
        joint, _ = m.log_marginals(zs, mu[rows], log_var[rows], estimator="stratified", dataset_size=N)
        total += joint[0].exp()
        count += 1
    exact = d.gaussian_log_density(z, mu, log_var).sum(1).exp().mean()
    torch.testing.assert_close(total[0] / count, exact, rtol=1e-12, atol=0)


def test_stratified_on_the_whole_dataset_is_plain(batch):
    for p, s in zip(m.log_marginals(*batch), m.log_marginals(*batch, estimator="stratified", dataset_size=7)):
        torch.testing.assert_close(s, p)


@pytest.mark.parametrize("arguments, message", [
    ({"estimator": "exact"}, "unknown estimator"),
    ({"estimator": "weighted"}, "needs dataset_size"),
    ({"estimator": "stratified", "dataset_size": 3}, "needs dataset_size"),
])
def test_marginals_refuse_what_makes_no_sense(batch, arguments, message):
    with pytest.raises(ValueError, match=message):
        m.log_marginals(*batch, **arguments)


def _aggregate(covariance, n):
    """Codes whose aggregate posterior is N(0, covariance): mu spread, a little posterior noise."""
    torch.manual_seed(1)
    noise = 0.05
    own = covariance - noise * torch.eye(len(covariance), dtype=torch.float64)
    mu = torch.distributions.MultivariateNormal(torch.zeros(len(covariance), dtype=torch.float64), own).sample((n,))
    log_var = torch.full_like(mu, math.log(noise))
    return mu + math.sqrt(noise) * torch.randn_like(mu), mu, log_var


def test_total_correlation_of_independent_gaussians_is_zero():
    z, mu, log_var = _aggregate(torch.eye(2, dtype=torch.float64), 3000)
    tc = m.total_correlation(*m.log_marginals(z, mu, log_var, estimator="stratified", dataset_size=10**9))
    assert abs(tc.mean()) < 0.03


@pytest.mark.parametrize("rho", [0.5, 0.9])
def test_total_correlation_of_correlated_gaussians_is_minus_half_log_det(rho):
    R = torch.tensor([[1.0, rho], [rho, 1.0]], dtype=torch.float64)
    z, mu, log_var = _aggregate(R, 3000)
    tc = m.total_correlation(*m.log_marginals(z, mu, log_var, estimator="stratified", dataset_size=10**9))
    assert tc.mean().item() == pytest.approx(-0.5 * math.log(torch.det(R)), abs=0.04)


def test_category_information_of_known_codes():
    one_hot = torch.eye(5, dtype=torch.float64).repeat(4, 1) * 200
    entropy, conditional = m.category_information(one_hot)
    assert (entropy - conditional.mean()).item() == pytest.approx(math.log(5), abs=1e-9)
    constant = torch.tensor([[0.3, -1.0, 2.0]], dtype=torch.float64).expand(9, 3)
    entropy, conditional = m.category_information(constant)
    assert (entropy - conditional.mean()).item() == pytest.approx(0.0, abs=1e-12)


def test_category_information_is_the_loop():
    logits = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    p = logits.softmax(1).tolist()
    mean = [sum(row[c] for row in p) / 6 for c in range(4)]
    H = -sum(v * math.log(v) for v in mean)
    H_given = [-sum(v * math.log(v) for v in row) for row in p]
    entropy, conditional = m.category_information(logits)
    assert entropy.item() == pytest.approx(H, abs=1e-12)
    assert conditional.tolist() == pytest.approx(H_given, abs=1e-12)


@pytest.mark.parametrize("shape", [(4, 6, 3), (5, 5, 1)])
def test_log_mixtures_and_their_gradients_are_those_of_the_definition(shape):
    from imaetool.information.mixtures import log_mixtures

    points, components, units = shape
    generator = torch.Generator().manual_seed(3)

    def draw(*size):
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    z, mu, log_var = draw(points, units), draw(components, units), draw(components, units)
    weights = torch.log_softmax(draw(points, components), dim=1)
    pairs = torch.distributions.Normal(mu[None], torch.exp(0.5 * log_var)[None]).log_prob(z[:, None])
    joint, each = log_mixtures(z, mu, log_var, weights)
    torch.testing.assert_close(joint, torch.logsumexp(pairs.sum(-1) + weights, 1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(each, torch.logsumexp(pairs + weights[..., None], 1), rtol=1e-12, atol=1e-12)
    leaves = [t.requires_grad_() for t in (z, mu, log_var)]
    assert torch.autograd.gradcheck(lambda *t: log_mixtures(*t, weights), leaves)


def test_log_mixtures_in_fp32_stay_close_to_float64_for_sharp_posteriors():
    from imaetool.information.mixtures import log_mixtures

    mu = torch.randn(200, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    log_var = torch.full_like(mu, -9.0)
    z, weight = mu + 0.01, torch.tensor(-5.0)
    exact = log_mixtures(z, mu, log_var, weight.double())
    rough = log_mixtures(z.float(), mu.float(), log_var.float(), weight)
    for a, b in zip(exact, rough):
        torch.testing.assert_close(a, b.double(), rtol=0, atol=0.02)


def test_bernoulli_nll_is_torchs_own_in_value_and_gradient_at_any_logit():
    logits = torch.tensor([[-200.0, -20.0, -1.0], [0.0, 3.0, 150.0]], dtype=torch.float64).reshape(2, 1, 1, 3)
    x = torch.tensor([[0.0, 1.0, 0.25], [0.5, 1.0, 0.0]], dtype=torch.float64).reshape(2, 1, 1, 3)
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    weights = torch.tensor([2.0, -1.0], dtype=torch.float64)
    got = d.bernoulli_nll(ours, x)
    want = torch.nn.functional.binary_cross_entropy_with_logits(theirs, x, reduction="none").flatten(1).sum(1)
    torch.testing.assert_close(got, want)
    (got * weights).sum().backward()
    (want * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_bernoulli_nll_gradients_against_finite_differences():
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 2, 3, dtype=torch.float64, requires_grad=True)
    x = torch.rand(2, 1, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(d.bernoulli_nll, (logits, x))


def test_marginals_with_memory_are_means_over_batch_and_memory():
    torch.manual_seed(0)
    z, mu, past_mu = (torch.randn(n, 3, dtype=torch.float64) for n in (6, 6, 4))
    log_var, past = torch.randn(6, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    joint, each = m.log_marginals(z, mu, log_var, memory=(past_mu, past))
    assert joint.shape == (3,) and each.shape == (3, 3), "the pairs of 6 images, over 10 codes"
    means, variances = torch.cat([mu, past_mu]), torch.cat([log_var, past])
    for i in range(3):
        pairs = [d.gaussian_log_density(z[i], means[j], variances[j]) for j in range(10)]
        assert float(joint[i]) == pytest.approx(math.log(sum(float(p.sum().exp()) for p in pairs) / 10))
        for k in range(3):
            assert float(each[i, k]) == pytest.approx(math.log(sum(float(p[k].exp()) for p in pairs) / 10))


def test_marginals_with_memory_gradients_against_finite_differences():
    torch.manual_seed(0)
    z, mu, log_var = (torch.randn(3, 2, dtype=torch.float64, requires_grad=True) for _ in range(3))
    memory = torch.randn(5, 2, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda *codes: m.log_marginals(*codes, memory=memory), (z, mu, log_var))


def test_marginals_with_an_empty_memory_are_the_batchs_own():
    torch.manual_seed(0)
    z, mu, log_var = (torch.randn(5, 2, dtype=torch.float64) for _ in range(3))
    empty = torch.zeros(0, 2, dtype=torch.float64), torch.zeros(0, 2, dtype=torch.float64)
    for a, b in zip(m.log_marginals(z, mu, log_var, memory=empty), m.log_marginals(z, mu, log_var), strict=True):
        torch.testing.assert_close(a, b)
    with pytest.raises(ValueError, match="plain"):
        m.log_marginals(z, mu, log_var, memory=empty, estimator="weighted", dataset_size=10)


def test_a_memory_sees_information_that_a_batch_cannot():
    torch.manual_seed(0)
    mu = torch.rand(4096, 2, dtype=torch.float64) * 60  # 2 units of 3.4 nats each, independent
    log_var = torch.full_like(mu, -2.0)
    z = mu + math.exp(-1.0) * torch.randn_like(mu)
    batch, past = slice(0, 256), slice(256, 4096)
    alone = m.total_correlation(*m.log_marginals(z[batch], mu[batch], log_var[batch])).mean()
    memory = mu[past], log_var[past]
    helped = m.total_correlation(*m.log_marginals(z[batch], mu[batch], log_var[batch], memory=memory)).mean()
    assert float(alone) > 1.5, "the batch takes independent units for correlated ones"
    assert abs(float(helped)) < 0.4
