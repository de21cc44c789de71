"""MNIST and Fashion-MNIST, through torchvision's readers and mirrors."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from imaetool.data import ImageData, Split
from imaetool.data.paths import data_root
from imaetool.data.resize import to_shape
from imaetool.errors import UserError

__all__ = ["load_fashion_mnist", "load_mnist"]

_FASHION = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


def load_mnist(config) -> ImageData:
    """70,000 handwritten digits, 28x28, official split."""
    return _load("MNIST", config, tuple("0123456789"), "CC BY-SA 3.0")


def load_fashion_mnist(config) -> ImageData:
    """70,000 pictures of clothes, 28x28, official split."""
    return _load("FashionMNIST", config, _FASHION, "MIT")


def _load(name: str, config, label_names: tuple[str, ...], licence: str) -> ImageData:
    from torchvision import datasets

    root = data_root(config.root)
    splits = [_read(getattr(datasets, name), root, name, train) for train in (True, False)]
    digest = hashlib.sha256()
    for images, labels in splits:
        digest.update(images.tobytes() + labels.tobytes())
    train, test = (Split(to_shape(images[:, None], config), labels) for images, labels in splits)
    return ImageData(
        name={"MNIST": "mnist", "FashionMNIST": "fashion-mnist"}[name],
        train=train, test=test, label_names=label_names, source=str(Path(root) / name / "raw"),
        licence=licence, checksum=digest.hexdigest(),
    )


def _read(dataset, root: str, name: str, train: bool) -> tuple[np.ndarray, np.ndarray]:
    raw = Path(root) / name / "raw"
    try:
        split = dataset(root, train=train, download=False)
    except (RuntimeError, FileNotFoundError):
        split = _download(dataset, root, raw, train)
    except (ValueError, OSError) as error:
        raise UserError(f"{name} files in {raw} cannot be read ({error}): remove them to fetch them again") from error
    return split.data.numpy(), split.targets.numpy().astype(np.int64)


def _download(dataset, root: str, raw: Path, train: bool):
    try:
        return dataset(root, train=train, download=True)
    except Exception as error:  # torchvision raises whatever its mirrors make it raise
        names = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte"
        raise UserError(
            f"{dataset.__name__} is not in {raw} and cannot be downloaded ({str(error).splitlines()[0]}): "
            f"put {names} (or their .gz) there, or say where they are with --data-root"
        ) from error
