"""MNIST and Fashion-MNIST: idx files in torchvision's layout, read by torchvision's readers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from imaetool.data import ImageData, Split
from imaetool.data.catalogue import absent, find, lookup
from imaetool.data.fetching import fetch_dataset
from imaetool.data.resize import to_shape
from imaetool.errors import UserError

__all__ = ["load_fashion_mnist", "load_mnist"]


def load_mnist(config: Any) -> ImageData:
    """70,000 handwritten digits, 28x28, official split."""
    return _load("mnist", config)


def load_fashion_mnist(config: Any) -> ImageData:
    """70,000 pictures of clothes, 28x28, official split."""
    return _load("fashion-mnist", config)


def _load(name: str, config: Any) -> ImageData:
    entry = lookup(name)
    place = find(entry, config.root) or (fetch_dataset(entry, config.root) and find(entry, config.root))
    if place is None:
        raise absent(entry, config.root)
    raw, digest, splits = place[1].parent, hashlib.sha256(), []
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        images, labels = _read(raw, part, count)
        digest.update(images.tobytes() + labels.tobytes())
        splits.append(Split(to_shape(images[:, None], config), labels))
    return ImageData(
        name=name, train=splits[0], test=splits[1], label_names=entry.labels, source=str(raw), licence=entry.licence,
        checksum=digest.hexdigest(),
    )


def _read(raw: Path, part: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 28, 28) and labels int64 (N,) of one part."""
    from torchvision.datasets.mnist import read_image_file, read_label_file

    try:
        images = read_image_file(str(raw / f"{part}-images-idx3-ubyte")).numpy()
        labels = read_label_file(str(raw / f"{part}-labels-idx1-ubyte")).numpy().astype(np.int64)
    except Exception as error:  # the reader asserts, indexes and reshapes; any failure means the same
        reason = str(error).splitlines()[0] if str(error) else "cut short or damaged"
        raise UserError(f"the {part} files in {raw} cannot be read ({reason}): remove them to fetch them again") from error
    if images.shape != (count, 28, 28) or labels.shape != (count,) or not 0 <= labels.min() <= labels.max() <= 9:
        raise UserError(f"the {part} files in {raw} are not {count:,} images of 28x28 with labels 0 to 9: remove them")
    return images, labels
