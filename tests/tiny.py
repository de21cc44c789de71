"""A tiny network, images it can learn, and batches made by hand: shared by the tests of objectives."""

import numpy as np
import torch
from torch import nn

from imaetool.config import Config, Latents, Smoothness, Training
from imaetool.model import Codes, Outputs
from imaetool.networks.mlp import Heads
from imaetool.training import checkpoint
from imaetool.training.batches import Batches, to_float
from imaetool.training.loop import Trainer

NETWORK = f"{__name__}:tiny"  # what the registry is told
SHAPE = (1, 6, 6)
KINDS = {"gaussian": Latents(3, ()), "hybrid": Latents(3, (4,))}


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
