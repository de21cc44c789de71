"""Are pictures like those that a model was made for? Told by how well the model reconstructs them."""

from __future__ import annotations

import numpy as np
import torch

from imaetool.evaluation.encode import batches_of
from imaetool.information.densities import bernoulli_nll
from imaetool.model import Autoencoder

__all__ = ["LIMIT", "mean_code_nll", "share_unlike", "typical_limit"]

LIMIT = "reconstruction_limit"  # the key of typical_limit in a model's record
_QUANTILE = 0.999


@torch.no_grad()
def mean_code_nll(model: Autoencoder, images: np.ndarray) -> np.ndarray:
    """-log q(x | mean code) of each image, in nats: images uint8 (N, C, H, W) -> (N,)."""
    parts = []
    for x in batches_of(images, model):
        codes = model.encode(x)
        parts.append(bernoulli_nll(model.decode_logits(codes.mu, model.one_hot(*codes.categories), x), x).cpu())
    return torch.cat(parts).numpy()


def typical_limit(nll: np.ndarray | torch.Tensor) -> float:
    """What 99.9 % of the images that a model was made for stay below: (N,) nats -> nats."""
    return float(np.quantile(np.asarray(nll, dtype=np.float64), _QUANTILE))


def share_unlike(model: Autoencoder, images: np.ndarray) -> float | None:
    """The share of images beyond the limit kept with the weights; None where the model keeps none."""
    limit = getattr(model, "record", {}).get(LIMIT)
    if not isinstance(limit, (int, float)) or not len(images):
        return None
    return float((mean_code_nll(model, images) > limit).mean())
