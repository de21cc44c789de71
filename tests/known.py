"""A model whose codes are known, the images it reads, and a figure by its name: shared by the tests of evaluation."""

import math

import numpy as np
import torch
from torch import nn

from imaetool.config import Latents
from imaetool.data import ImageData, Split
from imaetool.model import Autoencoder

SIZES, NAMES = (3, 4, 5), ("shape", "scale", "place")
LOG_VAR = -7.0


class Reader(nn.Module):
    """Pixels 0, 1, 2 are the factors: unit k is factor k, standardised; the category is factor 0."""

    def __init__(self, units, categories):
        super().__init__()
        self.units, self.categories = units, categories

    def forward(self, x):
        level = (x.flatten(1) * 255).round()
        spread = torch.tensor([(size**2 - 1) / 12 for size in SIZES]).sqrt()
        mu = (level[:, :3] - (torch.tensor(SIZES) - 1) / 2) / spread
        mu = torch.cat([mu, torch.zeros(len(x), 1)], 1)[:, : self.units]  # a fourth unit is dead
        return mu, torch.full_like(mu, LOG_VAR), 20 * nn.functional.one_hot(level[:, 0].long(), 3).float()[:, : self.categories]


class Known(Autoencoder):
    """An auto-encoder with a given encoder; the decoder is linear, so that every part of the code shows."""

    def __init__(self, units=4, categories=(3,), encoder=None, shape=(1, 4, 4)):
        nn.Module.__init__(self)
        self.network, self.shape, self.latents, self.autocast = "known", shape, Latents(units, categories), False
        self.encoder = encoder or Reader(units, sum(categories))
        torch.manual_seed(0)
        width = units + sum(categories)
        self.decoder = nn.Sequential(nn.Linear(width, math.prod(shape)), nn.Unflatten(1, shape))
        self.decoder[0].weight.data[:width] = 4 * torch.eye(width)[: math.prod(shape)]
        self.eval().requires_grad_(False)


def grid_data(repeats=6, labels=True, factors=True):
    table = np.stack(np.meshgrid(*(np.arange(s) for s in SIZES), indexing="ij"), -1).reshape(-1, 3).repeat(repeats, 0)
    images = np.zeros((len(table), 1, 4, 4), np.uint8)
    images.reshape(len(table), -1)[:, :3] = table
    split = Split(images, table[:, 0].copy() if labels else None, table if factors else None)
    values = tuple(np.arange(s) for s in SIZES)
    return ImageData("grid", split, split, tuple("abc"), NAMES if factors else (), values if factors else (), checksum="c" * 64)


def value(evaluation, metric, variant=""):
    return next(r.value for r in evaluation.results if r.metric == metric and r.variant.startswith(variant))
