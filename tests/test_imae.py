"""IMAE: the objective against its equations, smoothness against finite differences."""

import math

import pytest
import torch
from torch import nn

from imaetool.config import Latents
from imaetool.information import vat
from imaetool.model import Autoencoder, Codes, Outputs
from imaetool.objectives.imae import loss


@pytest.fixture
def outputs_and_x():
    g = torch.Generator().manual_seed(11)
    B, K = 6, 3
    def randn(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)
    codes = Codes(randn(B, K), randn(B, K) * 0.3, (randn(B, 4), randn(B, 2)))
    z = codes.mu + (0.5 * codes.log_var).exp() * randn(B, K)
    outputs = Outputs(codes, z, tuple(l.softmax(1) for l in codes.category_logits), randn(B, 1, 2, 2), lambda x: ())
    return outputs, torch.rand(B, 1, 2, 2, generator=g, dtype=torch.float64)


def literal(outputs, x, smoothness, beta, gamma, entropy):
    """Equation 8 with equation 9, number by number: mean over the batch of what is minimised."""
    z, mu, log_var = outputs.z.tolist(), outputs.codes.mu.tolist(), outputs.codes.log_var.tolist()
    B, K = len(z), len(z[0])

    def n(i, j, k):
        s2 = math.exp(log_var[j][k])
        return math.exp(-((z[i][k] - mu[j][k]) ** 2) / (2 * s2)) / math.sqrt(2 * math.pi * s2)

    total = 0.0
    for i in range(B):
        rec = 0.0
        for l, v in zip(outputs.logits[i].flatten().tolist(), x[i].flatten().tolist()):
            q = 1 / (1 + math.exp(-l))
            rec += v * math.log(q) + (1 - v) * math.log(1 - q)
        p_z = sum(math.prod(n(i, j, k) for k in range(K)) for j in range(B)) / B
        p_zk = [sum(n(i, j, k) for j in range(B)) / B for k in range(K)]
        r = [math.exp(-z[i][k] ** 2 / 2) / math.sqrt(2 * math.pi) for k in range(K)]
        tc = math.log(p_z) - sum(math.log(v) for v in p_zk)
        kl = sum(math.log(a) - math.log(b) for a, b in zip(p_zk, r))
        total += rec - beta * kl - gamma * tc - beta * smoothness[i]
    total /= B
    for logits in outputs.codes.category_logits:
        p = logits.softmax(1).tolist()
        mean = [sum(row[c] for row in p) / B for c in range(len(p[0]))]
        H = -sum(v * math.log(v) for v in mean)
        H_given = -sum(v * math.log(v) for row in p for v in row) / B
        total += beta * (entropy * H - H_given)
    return -total


@pytest.mark.parametrize("beta, gamma, entropy", [(1.0, 2.0, 1.0), (3.0, 0.5, 4.0)])
def test_loss_is_equation_8(outputs_and_x, beta, gamma, entropy):
    outputs, x = outputs_and_x
    smoothness = torch.arange(6, dtype=torch.float64) / 7
    terms = loss(outputs, x, smoothness=smoothness, beta=beta, gamma=gamma, entropy=entropy)
    assert terms["loss"].mean().item() == pytest.approx(literal(outputs, x, smoothness.tolist(), beta, gamma, entropy), rel=1e-12)


def test_gradients_of_every_term_are_finite_differences(outputs_and_x):
    outputs, x = outputs_and_x
    leaves = [outputs.z, outputs.codes.mu, outputs.codes.log_var, *outputs.codes.category_logits, outputs.logits]

    def total(z, mu, log_var, first, second, logits):
        out = Outputs(Codes(mu, log_var, (first, second)), z, (), logits, lambda x: ())
        terms = loss(out, x, beta=2.0, gamma=3.0)
        return tuple(v.mean() for v in terms.values())

    assert torch.autograd.gradcheck(total, [t.clone().requires_grad_() for t in leaves])


def classifier(seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.Tanh(), nn.Linear(32, 5)).double()
    with torch.no_grad():
        net[-1].weight *= 4
    return net


def divergence(net, x, eta):
    p, q = net(x).log_softmax(1), net(x + eta).log_softmax(1)
    return (p.exp() * (p - q)).sum(1)


def test_vat_direction_raises_divergence_more_than_random_ones():
    net = classifier().eval()
    x = torch.rand(40, 1, 8, 8, dtype=torch.float64)
    torch.manual_seed(1)
    d = vat.adversarial_direction(net, x, net(x), xi=0.05)
    assert d.flatten(1).norm(dim=1) == pytest.approx(torch.ones(40).numpy(), abs=1e-6)
    found = divergence(net, x, 0.1 * d)
    for seed in range(20):
        torch.manual_seed(100 + seed)
        r = torch.randn_like(x)
        r = r / r.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        assert found.mean() > 2 * divergence(net, x, 0.1 * r).mean()


def test_vat_direction_is_the_gradient_by_finite_differences():
    net = classifier().eval()
    x = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    torch.manual_seed(7)
    found = vat.adversarial_direction(net, x, net(x), xi=0.3)
    torch.manual_seed(7)
    start = torch.randn_like(x)
    start = 0.3 * start / start.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    numeric = torch.zeros_like(x).flatten(1)
    with torch.no_grad():
        for i in range(64):
            step = torch.zeros(2, 64, dtype=torch.float64)
            step[:, i] = 1e-6
            step = step.view_as(x)
            numeric[:, i] = (divergence(net, x, start + step) - divergence(net, x, start - step)) / 2e-6
    numeric = numeric / numeric.norm(dim=1, keepdim=True)
    torch.testing.assert_close(found.flatten(1).double(), numeric, atol=1e-5, rtol=1e-4)


def test_vat_penalty_is_the_cross_entropy_with_a_detached_target():
    net = classifier().eval()
    x = torch.rand(3, 1, 8, 8, dtype=torch.float64)
    logits = net(x)
    logits.retain_grad()
    torch.manual_seed(2)
    penalty = vat.vat_penalty(net, x, logits, epsilon=0.5, xi=0.1)
    torch.manual_seed(2)
    eta = 0.5 * vat.adversarial_direction(net, x, logits, xi=0.1)
    p, q = logits.softmax(1), net(x + eta).log_softmax(1)
    torch.testing.assert_close(penalty, -(p * q).sum(1))
    penalty.sum().backward()
    assert logits.grad is None, "the target p(y|x) must not be trained by the penalty"


def test_batchnorm_statistics_are_untouched_by_perturbed_passes():
    model = Autoencoder("mlp-imae", (1, 8, 8), Latents()).train()
    with torch.no_grad():
        model.encoder.heads.category.weight.normal_()
    x = torch.rand(16, 1, 8, 8)
    outputs = model(x)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    penalty = vat.vat_penalty(lambda v: outputs.predict(v)[0], x, outputs.codes.category_logits[0], epsilon=1.0, xi=1.0)
    assert penalty.min() > 0
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    model(x)
    assert not torch.equal(model.state_dict()["encoder.trunk.1.running_mean"], before["encoder.trunk.1.running_mean"])


def test_perturbed_passes_normalise_like_training_passes():
    model = Autoencoder("mlp-imae", (1, 8, 8), Latents()).train()
    x = torch.rand(16, 1, 8, 8)
    outputs = model(x)
    torch.testing.assert_close(outputs.predict(x)[0], outputs.codes.category_logits[0])


def test_affine_moves():
    x = torch.zeros(64, 1, 16, 16)
    x[:, :, 4:12, 6:10] = 1
    none = dict(rotate=0.0, shear=0.0, zoom=0.0, shift=0.0, flip=0.0)
    torch.testing.assert_close(vat.random_affine(x, **none), x, atol=1e-5, rtol=0)
    x[:, :, 4:6, 2:6] = 1  # no longer symmetrical
    flipped = vat.random_affine(x, **{**none, "flip": 1.0})
    torch.testing.assert_close(flipped, x.flip(3), atol=1e-5, rtol=0)
    torch.manual_seed(0)
    moved = vat.random_affine(x, **{**none, "shift": 0.1})
    centre = (moved.sum((1, 2)) * torch.arange(16)).sum(1) / moved.sum((1, 2, 3))
    at_rest = (x.sum((1, 2)) * torch.arange(16)).sum(1) / x.sum((1, 2, 3))
    moves = (centre - at_rest).abs()
    assert 0.8 < moves.max() <= 1.6 + 1e-3, "a shift of 0.1 is at most a tenth of 16 pixels"


def test_elastic_moves_bend_each_image_by_control_points():
    column = torch.arange(16.0).expand(4096, 1, 16, 16)  # a ramp: a pixel's value is where it comes from
    none = dict(rotate=0.0, shear=0.0, zoom=0.0, shift=0.0, flip=0.0)
    torch.manual_seed(0)
    bent = vat.random_affine(column, **none, elastic=0.03) - column
    at_points = bent[:, 0, 5:11:5, 5:11:5]  # the inner control points are pixels 5 and 10 of 0 to 15
    assert at_points.std().item() == pytest.approx(0.03 * 16, rel=0.03)
    assert at_points.flatten(1).T.corrcoef().fill_diagonal_(0).abs().max() < 0.1, "control points move independently"
    between = bent[:, 0, 5:7, 5]
    assert torch.corrcoef(between.T)[0, 1] > 0.8, "and what is near a control point moves with it"


def test_decoder_gradient_is_kept_out_of_the_categories():
    for detach in (True, False):
        model = Autoencoder("mlp-imae", (1, 8, 8), Latents(detach_categories=detach))
        model(torch.rand(8, 1, 8, 8)).logits.square().sum().backward()
        gradient = model.encoder.heads.category.weight.grad
        assert (gradient is None or not gradient.any()) == detach
