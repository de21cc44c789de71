"""Batches of images on the training device; which images and in what order depends on the seed alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from imaetool.data.views import ImageRows

__all__ = ["Batches", "seed_of", "to_float"]

_ON_DEVICE = 4 << 30  # bytes of uint8 images that are kept on the device


def to_float(images: Tensor) -> Tensor:
    """uint8 images to float32 in [0, 1]."""
    return images.float() / 255


def seed_of(seed: int, *path: int) -> int:
    """A 63-bit seed for one place in the run, from the run's seed: independent streams, no state."""
    return int(np.random.SeedSequence([seed, *path]).generate_state(2, np.uint32).view(np.uint64)[0] >> 1)


class Batches:
    """The training images, shuffled anew each epoch; only full batches, as batch-coupled terms need.

    Arguments: images (N, C, H, W) uint8, an array, a memory map or an ImageRows; batch_size; seed; device.
    """

    def __init__(self, images: np.ndarray | ImageRows, batch_size: int, seed: int, device: torch.device) -> None:
        self.size = min(batch_size, len(images))
        self.seed, self.device, self.count = seed, device, len(images)
        self._images = images if isinstance(images, ImageRows) else ImageRows(images)
        self._to_float = self._images.to_float or to_float
        self._resident = None  # the rows as they are stored, on the device: on a CPU the memory map itself
        as_stored = self._images.decode is None or self._images.to_float is not None
        if as_stored and self._images.stored.nbytes <= _ON_DEVICE:
            self._resident = torch.from_numpy(np.ascontiguousarray(self._images.stored)).to(device)

    def __len__(self) -> int:
        return self.count // self.size

    def epoch(self, number: int, start: int = 0) -> Iterator[Tensor]:
        """The batches of epoch ``number`` from batch ``start`` on: (B, C, H, W) float32 in [0, 1]."""
        order = np.random.default_rng(seed_of(self.seed, 1, number)).permutation(self.count)
        for index in range(start, len(self)):
            chosen = order[index * self.size : (index + 1) * self.size]
            yield self._take(chosen)

    def _take(self, chosen: np.ndarray) -> Tensor:
        images = self._images
        rows = chosen if images.rows is None else images.rows[chosen]
        if self._resident is not None:
            return self._to_float(self._resident[torch.from_numpy(rows).to(self.device)])
        forwards = np.argsort(chosen)  # a memory map is read faster so
        shuffled = np.argsort(forwards)
        if images.to_float is not None:
            return images.to_float(torch.from_numpy(images.stored[rows[forwards]][shuffled]).to(self.device))
        return to_float(torch.from_numpy(np.ascontiguousarray(images[chosen[forwards]][shuffled])).to(self.device))
