"""One contract for every objective, whatever the latents."""

import math

import pytest
import torch

from imaetool import registry
from imaetool.config import Latents, Smoothness
from imaetool.objectives import infomax_vae
from imaetool.training import checkpoint
from imaetool.training.batches import to_float
from imaetool.training.loop import Progress
from tiny import KINDS, NETWORK, batch_loss, images, in_float64, make, mapped, train

NAMES = sorted(registry.OBJECTIVES)
COUPLED = {"infovae", "infomax-vae"}  # re-paired or unbiased over pairs: repeating an image is not neutral


@pytest.fixture(autouse=True)
def _tiny_network(monkeypatch):
    monkeypatch.setitem(registry.NETWORKS, "tiny", NETWORK)


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
