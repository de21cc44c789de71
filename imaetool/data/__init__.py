"""Datasets: images as uint8 with what is known of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["ImageData", "Split", "open_data"]


@dataclass(frozen=True)
class Split:
    """Part of a dataset: images (N, C, H, W) uint8, labels (N,) or None, factors (N, F) or None."""

    images: np.ndarray
    labels: np.ndarray | None = None
    factors: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class ImageData:
    """A dataset brought to one shape. ``notes`` are sentences that the user should see."""

    name: str
    train: Split
    test: Split
    label_names: tuple[str, ...] = ()
    factor_names: tuple[str, ...] = ()
    source: str = ""
    licence: str = ""
    checksum: str = ""
    notes: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = field(default=())  # (path, reason)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        return tuple(int(n) for n in self.train.images.shape[1:])


def open_data(config: Any) -> ImageData:
    """The dataset that ``config`` (imaetool.config.Data) names; UserError if it cannot be had."""
    from imaetool.registry import resolve

    return resolve("dataset", config.name)(config)
