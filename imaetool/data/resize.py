"""Bringing a whole array of images to the size and channels that a configuration asks for."""

from __future__ import annotations

import numpy as np

__all__ = ["to_shape"]


def to_shape(images: np.ndarray, config) -> np.ndarray:
    """(N, C, H, W) uint8 to the size and channels of ``config``, 0 for the images' own."""
    channels, size = config.channels or images.shape[1], config.size or images.shape[2]
    if channels == 3 and images.shape[1] == 1:
        images = np.repeat(images, 3, axis=1)
    elif channels == 1 and images.shape[1] == 3:
        images = np.rint(images.astype(np.float32).transpose(0, 2, 3, 1) @ [0.299, 0.587, 0.114])[:, None]
        images = images.astype(np.uint8)
    if (size, size) != images.shape[2:]:
        import torch
        import torch.nn.functional as F

        parts = [
            F.interpolate(torch.from_numpy(np.ascontiguousarray(part)).float(), (size, size), mode="bilinear", antialias=True)
            for part in np.array_split(images, max(1, len(images) // 4096))
        ]
        images = torch.cat(parts).round().clamp(0, 255).to(torch.uint8).numpy()
    return 255 - images if config.invert else images
