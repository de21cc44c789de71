"""Objectives with a second network: who steps when, what the critic reads, what it cannot be asked."""

import math
from dataclasses import replace

import pytest
import torch

from imaetool import objectives, registry
from imaetool.errors import UserError
from imaetool.objectives import vmi_vae
from imaetool.training.loop import Progress
from tiny import KINDS, NETWORK, batch, critic_of, make, mapped, train


@pytest.fixture(autouse=True)
def _tiny_network(monkeypatch):
    monkeypatch.setitem(registry.NETWORKS, "tiny", NETWORK)


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
    found = vmi_vae.loss(outputs, x, critic=critic, weight=3.0)
    assert torch.allclose(found["category_loss"], found["kl_y"] - 3 * (log_q + entropy), rtol=1e-6)


def test_vmi_entropy_of_the_batch_sees_a_shared_category():
    outputs, x = batch()
    critic = critic_of(vmi_vae, "hybrid")
    same = replace(outputs, codes=replace(outputs.codes, category_logits=(torch.eye(4).double()[[0] * 8] * 20,)))
    assert critic.entropy(same, "batch").item() < 1e-6 < critic.entropy(outputs, "batch").item() < math.log(4)
    assert critic.entropy(same, "prior") == pytest.approx(math.log(4))
    told = vmi_vae.loss(same, x, critic=critic, code_entropy="prior")["information"]
    assert (told <= 1e-6).all(), "a bound on I, which is 0 here, whatever H(c) the loss takes"


@pytest.mark.parametrize("name, latents, settings, said", [
    ("vmi-vae", KINDS["gaussian"], {"target": "categories"}, "the code has none"),
    ("vmi-vae", KINDS["hybrid"], {"target": "units", "target_units": 4}, "the code has 3 units"),
    ("vmi-vae", KINDS["hybrid"], {"target": "words"}, "auto or categories or units"),
    ("vmi-vae", KINDS["hybrid"], {"code_entropy": "none"}, "must be prior or batch"),
    ("infomax-vae", KINDS["hybrid"], {"bound": "fdual"}, "must be f-dual or dv"),
    ("infomax-vae", KINDS["hybrid"], {"critic_rate": 1.0}, "critic_lr"),
    ("vmi-vae", KINDS["hybrid"], {"critic_lr": -1.0}, "critic_lr = -1.0: must be 0 or more"),
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
