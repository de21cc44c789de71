"""Codes of many images, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

import numpy as np
import torch
from torch import Tensor

from imaetool.data.views import ImageRows
from imaetool.model import Autoencoder, Codes
from imaetool.training.batches import to_float

__all__ = ["batches_of", "encode_images", "images_at_once", "take"]

_PIXELS = 1 << 24  # of a batch: some 64 MB, and a few times that in a network's layers


def images_at_once(shape: tuple[int, int, int]) -> int:
    """How many images of this shape to hand to a network at a time."""
    return max(1, _PIXELS // prod(shape))


def take(images: np.ndarray | ImageRows, rows: np.ndarray | slice, model: Autoencoder) -> Tensor:
    """The images numbered ``rows`` as floats (B, C, H, W) in [0, 1] on the model's device."""
    device = next(model.parameters()).device
    return to_float(torch.from_numpy(np.ascontiguousarray(images[rows])).to(device))


def batches_of(images: np.ndarray | ImageRows, model: Autoencoder, size: int = 1000) -> Iterator[Tensor]:
    """uint8 images (N, C, H, W) as float batches on the model's device, in order; of large images fewer than ``size``."""
    size = min(size, images_at_once(model.shape))
    for start in range(0, len(images), size):
        yield take(images, slice(start, start + size), model)


@torch.no_grad()
def encode_images(
    model: Autoencoder, images: np.ndarray | ImageRows, progress: Callable[[int, int], None] = lambda done, total: None
) -> Codes:
    """Codes of images (N, C, H, W) uint8, on the CPU: mu and log_var (N, K1), logits (N, K2) each."""
    units, device = model.latents.continuous, torch.device("cpu")
    whole = Codes(
        torch.empty(len(images), units, device=device),
        torch.empty(len(images), units, device=device),
        tuple(torch.empty(len(images), size, device=device) for size in model.latents.categories),
    )  # one place for all: small results kept from each batch would scatter over the heap and hold it open
    done = 0
    for x in batches_of(images, model):
        codes, rows = model.encode(x), slice(done, done + len(x))
        whole.mu[rows], whole.log_var[rows] = codes.mu, codes.log_var
        for kept, logits in zip(whole.category_logits, codes.category_logits, strict=True):
            kept[rows] = logits
        done += len(x)
        progress(done, len(images))
    return whole
