"""Codes of many images, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from imaetool.model import Autoencoder, Codes
from imaetool.training.batches import to_float

__all__ = ["batches_of", "encode_images"]


def batches_of(images: np.ndarray, model: Autoencoder, size: int = 1000) -> Iterator[Tensor]:
    """uint8 images (N, C, H, W) as float batches on the model's device, in order."""
    device = next(model.parameters()).device
    for start in range(0, len(images), size):
        part = np.ascontiguousarray(images[start : start + size])
        yield to_float(torch.from_numpy(part).to(device))


@torch.no_grad()
def encode_images(model: Autoencoder, images: np.ndarray) -> Codes:
    """Codes of images (N, C, H, W) uint8, on the CPU: mu and log_var (N, K1), logits (N, K2) each."""
    parts = [model.encode(x) for x in batches_of(images, model)]
    variables = range(len(model.latents.categories))
    return Codes(
        torch.cat([c.mu for c in parts]).cpu(),
        torch.cat([c.log_var for c in parts]).cpu(),
        tuple(torch.cat([c.category_logits[v] for c in parts]).cpu() for v in variables),
    )
