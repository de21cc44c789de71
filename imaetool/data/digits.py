"""The 1,797 handwritten digits, 8x8, that scikit-learn ships: no network needed."""

from __future__ import annotations

import hashlib

import numpy as np

from imaetool.data import ImageData, Split
from imaetool.data.folder import split_by_content
from imaetool.data.resize import to_shape

__all__ = ["load"]


def load(config) -> ImageData:
    """Train and test split 90/10 by content; grey levels 0..16 brought to 0..255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    is_test = split_by_content(images, 0.1, 0)
    checksum = hashlib.sha256(images.tobytes()).hexdigest()
    images = to_shape(images, config)
    labels = digits.target.astype(np.int64)
    return ImageData(
        name="digits",
        train=Split(images[~is_test], labels[~is_test]),
        test=Split(images[is_test], labels[is_test]),
        label_names=tuple("0123456789"),
        source="UCI optical recognition of handwritten digits, as shipped with scikit-learn",
        licence="CC BY 4.0",
        checksum=checksum,
    )
