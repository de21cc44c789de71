"""One contract for every objective; what each must equal; what is said of the methods with a critic."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from imaetool import objectives, registry
from imaetool.config import Config, Latents, Smoothness, Training
from imaetool.errors import UserError
from imaetool.information.densities import bernoulli_nll, gaussian_log_density
from imaetool.information.marginals import category_information
from imaetool.model import Autoencoder, Codes, Outputs
from imaetool.networks.mlp import Heads
from imaetool.objectives import infomax_vae, vmi_vae
from imaetool.objectives.beta_tcvae import loss as beta_tcvae
from imaetool.objectives.beta_vae import loss as beta_vae
from imaetool.objectives.infovae import loss as infovae
from imaetool.objectives.jointvae import loss as jointvae
from imaetool.objectives.vae import loss as vae
from imaetool.training import checkpoint
from imaetool.training.batches import Batches, to_float
from imaetool.training.loop import Progress, Trainer

NAMES = sorted(registry.OBJECTIVES)
SHAPE = (1, 6, 6)
KINDS = {"gaussian": Latents(3, ()), "hybrid": Latents(3, (4,))}
COUPLED = {"infovae", "infomax-vae"}  # re-paired or unbiased over pairs: repeating an image is not neutral


class TinyEncoder(nn.Module):
    def __init__(self, units, categories):
        super().__init__()
        self.features = nn.Sequential(nn.Flatten(), nn.Linear(36, 32), nn.ReLU())
        self.heads = Heads(32, units, categories)

    def forward(self, x):
        h = self.features(x)
        return self.heads(h, h)


def tiny(shape, units, categories):
    return TinyEncoder(units, categories), nn.Sequential(
        nn.Linear(units + categories, 32), nn.ReLU(), nn.Linear(32, 36), nn.Unflatten(1, shape)
    )


@pytest.fixture(autouse=True)
def _tiny_network(monkeypatch):
    monkeypatch.setitem(registry.NETWORKS, "tiny", f"{__name__}:tiny")


def images(count=64):
    rng = np.random.default_rng(5)
    kinds = rng.random((4, *SHAPE)) < 0.4
    flips = rng.random((count, *SHAPE)) < 0.05
    return np.where(kinds[rng.integers(0, 4, count)] ^ flips, 255, 0).astype(np.uint8)


def make(name, latents, *, settings=None, seed=3, batch=16, lr=1e-2, smoothness=Smoothness()):
    objective = {"name": name, **(settings or {})}
    training = Training(seed=seed, batch_size=batch, lr=lr, device="cpu", precision="fp32")
    config = Config(network="tiny", objective=objective, latents=latents, training=training, smoothness=smoothness)
    torch.manual_seed(seed)
    model = checkpoint.Model("tiny", SHAPE, latents)
    return Trainer(config, model, Batches(images(), batch, seed, torch.device("cpu")))


def train(trainer, steps):
    """``steps`` steps as Trainer.run makes them."""
    while trainer.progress.step < steps:
        epoch, start = divmod(trainer.progress.step, len(trainer.batches))
        x = next(trainer.batches.epoch(epoch, start))
        values = trainer.step(x)
        trainer.progress.step += 1
    return {k: v.item() for k, v in values.items()}


def batch_loss(trainer, x, seed=9):
    torch.manual_seed(seed)
    return trainer.terms(trainer.model(x), x)


def mapped(outputs, f):
    """``outputs`` with every tensor passed through f."""
    codes = Codes(f(outputs.codes.mu), f(outputs.codes.log_var), tuple(map(f, outputs.codes.category_logits)))
    return Outputs(codes, f(outputs.z), tuple(map(f, outputs.y)), f(outputs.logits), outputs.predict)


def in_float64(trainer, count=12):
    """A batch's outputs and images in float64, the critic too."""
    x = to_float(torch.from_numpy(images(count)))
    torch.manual_seed(1)
    outputs = mapped(trainer.model(x), torch.Tensor.double).detach()
    if "critic" in trainer.modules:
        trainer.modules["critic"].double()
    return outputs, x.double()


contract = pytest.mark.parametrize("kind", KINDS)
every = pytest.mark.parametrize("name", NAMES)


@contract
@every
def test_loss_and_gradients_are_finite(name, kind):
    trainer = make(name, KINDS[kind])
    x = next(trainer.batches.epoch(0))
    terms = batch_loss(trainer, x)
    assert "loss" in terms and "reconstruction" in terms
    assert all(v.dim() == 0 and torch.isfinite(v) for v in terms.values())
    terms["loss"].backward()
    for part, p in trainer.model.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), part
        assert p.grad.abs().sum() > 0, part


@contract
@every
def test_order_in_the_batch_is_nothing(name, kind, monkeypatch):
    trainer = make(name, KINDS[kind])
    outputs, x = in_float64(trainer)
    pairing = torch.arange(12).roll(5)
    monkeypatch.setattr(infomax_vae, "shuffle", lambda z: z[pairing])
    before = trainer.terms(outputs, x)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2))
    back = order.argsort()
    monkeypatch.setattr(infomax_vae, "shuffle", lambda z: z[back[pairing[order]]])  # the same pairs of images
    after = trainer.terms(mapped(outputs, lambda t: t[order]), x[order])
    for term in before:
        assert after[term].item() == pytest.approx(before[term].item(), rel=1e-12, abs=1e-12), term


@contract
@pytest.mark.parametrize("name", [n for n in NAMES if n not in COUPLED])
def test_a_batch_twice_is_the_batch(name, kind):
    trainer = make(name, KINDS[kind])
    outputs, x = in_float64(trainer)
    once, twice = trainer.terms(outputs, x), trainer.terms(mapped(outputs, lambda t: torch.cat([t, t])), torch.cat([x, x]))
    for term in once:
        assert twice[term].item() == pytest.approx(once[term].item(), rel=1e-12, abs=1e-12), term


@contract
@every
def test_loss_falls_in_50_steps(name, kind):
    trainer = make(name, KINDS[kind], lr=3e-3)
    x = to_float(torch.from_numpy(images()))
    before = batch_loss(trainer, x)["loss"].item()
    train(trainer, 50)
    after = batch_loss(trainer, x)["loss"].item()
    assert after < before - 1.0


@contract
@every
def test_same_seed_same_bits_and_a_resumed_run_too(name, kind):
    def bits(trainer):
        return {k: v.clone() for k, v in trainer.state().items()}

    first, again, stopped, other = (make(name, KINDS[kind], seed=s) for s in (3, 3, 3, 4))
    for trainer in (first, again, other):
        train(trainer, 7)
    train(stopped, 3)
    resumed = make(name, KINDS[kind], seed=3)
    resumed.restore(bits(stopped), Progress(step=3))
    train(resumed, 7)
    expected = bits(first)
    for trainer in (again, resumed):
        found = bits(trainer)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[k], expected[k]) for k in expected)
    assert not all(torch.equal(v, expected[k]) for k, v in bits(other).items())


@contract
@every
def test_saved_and_loaded_gives_the_same_outputs(name, kind, tmp_path):
    trainer = make(name, KINDS[kind])
    train(trainer, 2)
    checkpoint.save_model(tmp_path / "m.safetensors", trainer.model, trainer.config, {})
    loaded, x = checkpoint.load(tmp_path / "m.safetensors"), to_float(torch.from_numpy(images(5)))
    assert dict(loaded.config.objective)["name"] == name
    torch.manual_seed(0)
    a = trainer.model.eval()(x)
    torch.manual_seed(0)
    b = loaded(x)
    assert torch.equal(a.logits, b.logits) and torch.equal(a.codes.mu, b.codes.mu) and torch.equal(a.z, b.z)


@pytest.mark.parametrize("latents", [Latents(0, (4,)), Latents(0, (3, 2)), Latents(2, (3, 2)), Latents(1, ())], ids=str)
@every
def test_any_latents(name, latents):
    terms = train(make(name, latents, smoothness=Smoothness(affine=1.0)), 3)
    assert all(map(math.isfinite, terms.values()))


# --- what each objective must equal, to float64 rounding ---


def batch(kind="hybrid"):
    g = torch.Generator().manual_seed(7)
    latents = KINDS[kind]
    def randn(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)
    codes = Codes(randn(8, 3), 0.5 * randn(8, 3), tuple(randn(8, k) for k in latents.categories))
    z = codes.mu + (0.5 * codes.log_var).exp() * randn(8, 3)
    outputs = Outputs(codes, z, tuple((3 * v).softmax(1) for v in codes.category_logits), randn(8, *SHAPE), lambda x: ())
    return outputs, torch.rand(8, *SHAPE, generator=g, dtype=torch.float64)


def total(terms):
    return terms["loss"].mean().item()


def critic_of(module, kind, **settings):
    torch.manual_seed(0)
    return module.Critic(SHAPE, KINDS[kind], **settings).double()


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


# --- critics ---


@pytest.mark.parametrize("bound", ["f-dual", "dv"])
def test_infomax_with_alpha_above_beta_does_not_blow_up(bound):
    trainer = make("infomax-vae", KINDS["gaussian"], settings={"alpha": 20.0, "beta": 1.0, "bound": bound}, lr=3e-3)
    terms = train(trainer, 300)
    assert terms["information"] < math.log(64) + 1 and terms["kl_z"] < 60 and terms["reconstruction"] < 25


@pytest.mark.parametrize("name", ["infomax-vae", "vmi-vae"])
def test_the_critic_steps_first_then_the_model_with_the_critic_frozen(name, monkeypatch):
    trainer = make(name, KINDS["hybrid"])
    events, critic = [], trainer.modules["critic"]
    critic_loss, loss = trainer.critic_loss, trainer.loss
    start = {k: v.clone() for k, v in critic.state_dict().items()}

    def on_critic(c, outputs, x, **settings):
        events.append("critic")
        assert not any(t.requires_grad for t in (outputs.z, outputs.logits, outputs.codes.mu, *outputs.y))
        assert all(p.requires_grad for p in c.parameters())
        return critic_loss(c, outputs, x, **settings)

    def on_model(outputs, x, *, critic, **settings):
        events.append("model")
        assert not any(p.requires_grad for p in critic.parameters())
        assert any(not torch.equal(v, start[k]) for k, v in critic.state_dict().items())  # already stepped
        return loss(outputs, x, critic=critic, **settings)

    trainer.critic_loss, trainer.loss = on_critic, on_model
    monkeypatch.setattr(objectives, "accepted", lambda of, settings: {})
    trainer.step(next(trainer.batches.epoch(0)))
    assert events == ["critic", "model"]
    rate = trainer.optimizers["critic_optimizer"].param_groups[0]["lr"]
    assert rate == {"infomax-vae": 1e-4, "vmi-vae": 1e-3}[name]


def test_vmi_reads_the_decoders_output_and_both_forms_pull_on_the_model():
    outputs, x = batch()
    for settings in ({"target": "categories"}, {"target": "units", "target_units": 2}):
        critic = critic_of(vmi_vae, "hybrid", **settings)
        found = mapped(outputs, lambda t: t.clone().requires_grad_())
        information = vmi_vae.loss(found, x, critic=critic)["information"]
        assert torch.equal(information, vmi_vae.loss(found, 1 - x, critic=critic)["information"])  # never the image
        information.mean().backward()
        assert found.logits.grad.abs().sum() > 0  # the decoder's output, and through it the code
        heard, deaf = (found.y[0], found.z) if settings["target"] == "categories" else (found.z, found.y[0])
        assert heard.grad.abs().sum() > 0 and deaf.grad is None
    assert (found.z.grad[:, :2] != 0).all() and (found.z.grad[:, 2:] == 0).all()  # (z1, z2) only


def test_vmi_gaussian_form_is_equation_8():
    outputs, x = batch("gaussian")
    critic = critic_of(vmi_vae, "gaussian", target="units")
    mu, log_var = critic.layers(outputs.logits.sigmoid()).chunk(2, dim=1)
    log_q = torch.distributions.Normal(mu, (0.5 * log_var).exp()).log_prob(outputs.z[:, :2]).sum(1)
    entropy = 2 * torch.distributions.Normal(0.0, 1.0).entropy().item()
    found = vmi_vae.loss(outputs, x, critic=critic)["information"]
    assert torch.allclose(found, log_q + entropy, rtol=1e-6)


def test_vmi_entropy_of_the_batch_sees_a_shared_category():
    outputs, x = batch()
    critic = critic_of(vmi_vae, "hybrid")
    same = replace(outputs, codes=replace(outputs.codes, category_logits=(torch.eye(4).double()[[0] * 8] * 20,)))
    assert critic.entropy(same, "batch").item() < 1e-6 < critic.entropy(outputs, "batch").item() < math.log(4)
    assert critic.entropy(same, "prior") == pytest.approx(math.log(4))


@pytest.mark.parametrize("name, latents, settings, said", [
    ("vmi-vae", KINDS["gaussian"], {"target": "categories"}, "the code has none"),
    ("vmi-vae", KINDS["hybrid"], {"target": "units", "target_units": 4}, "the code has 3 units"),
    ("vmi-vae", KINDS["hybrid"], {"target": "words"}, "auto or categories or units"),
    ("vmi-vae", KINDS["hybrid"], {"code_entropy": "none"}, "must be prior or batch"),
    ("infomax-vae", KINDS["hybrid"], {"bound": "fdual"}, "must be f-dual or dv"),
    ("infomax-vae", KINDS["hybrid"], {"critic_rate": 1.0}, "critic_lr"),
    ("infovae", KINDS["hybrid"], {"divergence": "ot"}, "must be mmd or kl"),
    ("beta-tcvae", KINDS["hybrid"], {"estimator": "exact"}, "must be plain or weighted or stratified"),
    ("beta-vae", KINDS["hybrid"], {"gamma": 1.0}, "unknown setting of objective beta-vae"),
])
def test_settings_that_cannot_be_used_say_why(name, latents, settings, said):
    with pytest.raises(UserError, match=said) as error:
        train(make(name, latents, settings=settings), 1)
    assert "\n" not in str(error.value)


def test_a_batch_of_one_has_no_pairs():
    with pytest.raises(UserError, match="2 or more"):
        train(make("infomax-vae", KINDS["gaussian"], batch=1), 1)


@pytest.mark.parametrize("name", ["infomax-vae", "vmi-vae"])
def test_settings_shared_by_loss_and_critic_have_one_default(name):
    build, critic_loss = objectives.critic(name)
    parts = [objectives._settings(f) for f in (objectives.function(name), build, critic_loss)]
    merged = objectives.defaults(name)
    assert all(merged[k] == v for part in parts for k, v in part.items()) and merged["critic_lr"] == build.lr


def test_a_run_of_another_objective_is_refused():
    trainer, other = make("infomax-vae", KINDS["hybrid"]), make("vae", KINDS["hybrid"])
    train(trainer, 1)
    with pytest.raises(UserError, match="another model or optimiser"):
        other.restore(trainer.state(), Progress())
