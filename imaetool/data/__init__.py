"""Datasets: images as uint8 with what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from imaetool.errors import UserError

if TYPE_CHECKING:
    from imaetool.data.views import ImageRows

__all__ = ["ImageData", "Split", "binary", "open_data"]


@dataclass(frozen=True)
class Split:
    """Part of a dataset: images (N, C, H, W) uint8, labels (N,) or None, factors (N, F) indices or None.

    ``images`` is an array, or an ImageRows where copying them would be a waste: index it, do not convert it.
    """

    images: np.ndarray | ImageRows
    labels: np.ndarray | None = None
    factors: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    def select(self, chosen: np.ndarray) -> Split:
        """The images where the mask ``chosen`` (N,) is True; an ImageRows is not read."""
        images = self.images[chosen] if isinstance(self.images, np.ndarray) else self.images.select(chosen)
        parts = (None if part is None else part[chosen] for part in (self.labels, self.factors))
        return Split(images, *parts)


@dataclass(frozen=True)
class ImageData:
    """A dataset brought to one shape. ``notes`` are sentences that the user should see."""

    name: str
    train: Split
    test: Split
    label_names: tuple[str, ...] = ()
    factor_names: tuple[str, ...] = ()
    factor_values: tuple[Sequence, ...] = ()  # for each factor, the value that each index stands for
    source: str = ""
    licence: str = ""
    checksum: str = ""
    notes: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()  # (path, reason)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        return tuple(int(n) for n in self.train.images.shape[1:])

    @property
    def factor_sizes(self) -> tuple[int, ...]:
        """How many values each factor has."""
        return tuple(len(values) for values in self.factor_values)

    def factors(self, split: str, what: str) -> np.ndarray:
        """Factor indices int64 (N, F) of the train or test split; UserError saying that ``what`` needs them."""
        found = getattr(self, split).factors
        if found is None:
            raise UserError(f"{what} needs ground-truth factors, and {self.name} has none: imaetool data list shows what does")
        return found

    def values(self, split: str) -> list[np.ndarray]:
        """The factors of a split as values (degrees, positions...), one array (N,) for each factor."""
        indices = self.factors(split, "this")
        return [np.asarray(values)[indices[:, i]] for i, values in enumerate(self.factor_values)]


def open_data(config: Any) -> ImageData:
    """The dataset that ``config`` (imaetool.config.Data) names; UserError if it cannot be had."""
    from imaetool.registry import resolve

    data = resolve("dataset", config.name)(config)
    return replace(data, train=_binary(data.train), test=_binary(data.test)) if config.binarize else data


def binary(images: np.ndarray) -> np.ndarray:
    """uint8 images with pixels of 0 and 255 only, by whether they are above half of the range; a copy."""
    return np.where(np.asarray(images) > 127, np.uint8(255), np.uint8(0))


def _binary(split: Split) -> Split:
    return replace(split, images=binary(split.images))
