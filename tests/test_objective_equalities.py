"""What each objective must equal, to float64 rounding."""

import math
from dataclasses import replace

import pytest
import torch

from imaetool.information.densities import bernoulli_nll, gaussian_log_density
from imaetool.information.marginals import category_information
from imaetool.objectives import infomax_vae, vmi_vae
from imaetool.objectives.beta_tcvae import loss as beta_tcvae
from imaetool.objectives.beta_vae import loss as beta_vae
from imaetool.objectives.infovae import loss as infovae
from imaetool.objectives.jointvae import loss as jointvae
from imaetool.objectives.vae import loss as vae
from tiny import KINDS, batch, critic_of, total

contract = pytest.mark.parametrize("kind", KINDS)


@contract
def test_equalities(kind):
    outputs, x = batch(kind)
    plain = pytest.approx(total(vae(outputs, x)), rel=1e-13)
    assert total(beta_vae(outputs, x, beta=1.0)) == plain
    assert total(jointvae(outputs, x, gamma_z=1.0, gamma_y=1.0, capacity_z=0.0, capacity_y=0.0)) == plain
    assert total(vmi_vae.loss(outputs, x, critic=critic_of(vmi_vae, kind), weight=0.0)) == plain
    infomax = infomax_vae.loss(outputs, x, critic=critic_of(infomax_vae, kind), alpha=0.0, beta=3.0)
    assert total(infomax) == pytest.approx(total(beta_vae(outputs, x, beta=3.0)), rel=1e-13)
    assert total(beta_vae(outputs, x, beta=3.0)) != plain


@pytest.mark.parametrize("estimator", ["plain", "weighted", "stratified"])
@contract
def test_beta_tcvae_at_one_is_the_minibatch_elbo(kind, estimator):
    outputs, x = batch(kind)
    z, codes = outputs.z, outputs.codes
    log_ratio = gaussian_log_density(z, codes.mu, codes.log_var).sum(1) - gaussian_log_density(z, 0 * z, 0 * z).sum(1)
    elbo = bernoulli_nll(outputs.logits, x) + log_ratio + vae(outputs, x)["kl_y"]
    found = beta_tcvae(outputs, x, alpha=1.0, beta=1.0, gamma=1.0, estimator=estimator, dataset_size=500)
    assert total(found) == pytest.approx(elbo.mean().item(), rel=1e-12)
    assert total(beta_tcvae(outputs, x, beta=2.0, estimator=estimator, dataset_size=500)) != pytest.approx(total(found), rel=1e-6)


def test_gradients_of_plain_and_weighted_agree():
    outputs, x = batch()
    grads = []
    for estimator in ("plain", "weighted"):
        mu = outputs.codes.mu.clone().requires_grad_()
        found = replace(outputs, codes=replace(outputs.codes, mu=mu))
        beta_tcvae(found, x, alpha=0.5, beta=6.0, estimator=estimator, dataset_size=500)["loss"].mean().backward()
        grads.append(mu.grad)
    assert torch.allclose(*grads, rtol=1e-12)


def test_jointvae_capacity_of_y_is_never_above_log_k():
    outputs, x = batch()
    free = jointvae(outputs, x, capacity_y=math.log(4))
    assert total(jointvae(outputs, x, capacity_y=50.0)) == total(free)
    assert total(jointvae(outputs, x, capacity_y=1.0)) != total(free)
    gaussian, x = batch("gaussian")
    assert total(jointvae(gaussian, x, capacity_y=50.0)) == total(jointvae(gaussian, x, capacity_y=0.0))


def test_jointvae_is_equation_7():
    outputs, x = batch()
    v = {k: t.mean().item() for k, t in vae(outputs, x).items()}
    expected = v["reconstruction"] + 30 * abs(v["kl_z"] - 2.0) + 20 * abs(v["kl_y"] - 0.5)
    found = jointvae(outputs, x, gamma_z=30.0, gamma_y=20.0, capacity_z=2.0, capacity_y=0.5)
    assert total(found) == pytest.approx(expected, rel=1e-13)


def test_infovae_by_mmd_and_by_kl():
    outputs, x = batch()
    p = outputs.codes.category_logits[0].softmax(1).mean(0)
    kl_y = (p * (p * 4).log()).sum().item()
    rec = bernoulli_nll(outputs.logits, x).mean().item()
    kl = infovae(outputs, x, beta=2.0, divergence="kl")
    assert total(kl) == pytest.approx(rec + 2 * (kl["marginal_kl_z"].mean().item() + kl_y), rel=1e-12)
    mmd = infovae(outputs, x, beta=2.0, mmd_scale=10.0)
    assert total(mmd) == pytest.approx(rec + 2 * (10 * mmd["mmd"].item() + kl_y), rel=1e-12)


def test_imae_decomposition_on_a_discrete_example():
    """imae_iclr2019 eq. 18 for any joint, and eq. 3 where y and z are marginally independent."""
    def information(p):  # p(v|x) (N, V), x uniform
        entropy, given_x = category_information(p.log())
        return (entropy - given_x.mean()).item()

    def both_sides(py, pz1, pz2):
        joint = torch.einsum("na,nb,nc->nabc", py, pz1, pz2)
        left = information(joint.flatten(1))
        m, my, m1, m2 = joint.mean(0), py.mean(0), pz1.mean(0), pz2.mean(0)
        sums = information(py) + information(pz1) + information(pz2)
        whole = (m * (m / torch.einsum("a,b,c->abc", my, m1, m2)).log()).sum().item()
        mz = m.sum(0)
        correlation = (mz * (mz / torch.outer(m1, m2)).log()).sum().item()
        return left, sums - whole, sums - correlation

    g = torch.Generator().manual_seed(3)
    p = [torch.rand(6, k, generator=g, dtype=torch.float64).softmax(1) ** 3 for k in (3, 2, 4)]
    left, eq18, eq3 = both_sides(*(v / v.sum(1, keepdim=True) for v in p))
    assert left == pytest.approx(eq18, abs=1e-13) and left != pytest.approx(eq3, abs=1e-6)

    py, pz1, pz2 = (v / v.sum(1, keepdim=True) for v in p)  # x = (i, j): y reads i, z reads j
    independent = py.repeat_interleave(6, 0), pz1.repeat(6, 1), pz2.repeat(6, 1)
    left, eq18, eq3 = both_sides(*independent)
    assert left == pytest.approx(eq18, abs=1e-13) and left == pytest.approx(eq3, abs=1e-13)
