"""CIFAR-10 and CIFAR-100 from the official binary version: plain bytes, no pickle; CIFAR-10 from a tar of JPEGs too."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imaetool.data import ImageData, Split
from imaetool.data.archives import extract
from imaetool.data.catalogue import Dataset, absent, find, lookup
from imaetool.data.fetching import fetch_dataset
from imaetool.data.own_images import as_data, read_pictures
from imaetool.data.paths import cache_dir
from imaetool.data.resize import to_shape
from imaetool.errors import UserError

__all__ = ["load_cifar10", "load_cifar100", "read_binary"]

_FILES = {
    "cifar10": (tuple(f"data_batch_{n}.bin" for n in range(1, 6)), ("test_batch.bin",)),
    "cifar100": (("train.bin",), ("test.bin",)),
}
_PICKLED = ("cifar-10-batches-py", "cifar-10-python.tar.gz", "cifar-100-python", "cifar-100-python.tar.gz")


def load_cifar10(config: Any) -> ImageData:
    """60,000 photographs 3x32x32, official split; from JPEGs where only those are there, and the source says so."""
    return _load("cifar10", config)


def load_cifar100(config: Any) -> ImageData:
    """60,000 photographs 3x32x32, official split, the 100 fine classes as labels."""
    return _load("cifar100", config)


def _load(name: str, config: Any) -> ImageData:
    entry = lookup(name)
    place = find(entry, config.root) or (fetch_dataset(entry, config.root) and find(entry, config.root))
    if place is None:
        raise absent(entry, config.root)
    says, path = place[0].says, place[1]
    if says.startswith("JPEG"):
        return _from_pictures(entry, config, says, path)
    folder = path if path.is_dir() else _unpacked(entry, path)
    label_bytes, classes = (1, 10) if name == "cifar10" else (2, 100)
    parts = [[read_binary(folder / file, label_bytes, classes) for file in files] for files in _FILES[name]]
    digest, splits = hashlib.sha256(), []
    for part in parts:
        images, labels = (np.concatenate(arrays) for arrays in zip(*part))
        digest.update(images)
        digest.update(labels)
        splits.append(Split(to_shape(images, config), labels))
    return ImageData(
        name=name, train=splits[0], test=splits[1], label_names=_label_names(entry, folder), source=f"{says}: {path}",
        licence=entry.licence, checksum=digest.hexdigest(),
    )


def read_binary(path: Path, label_bytes: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """One file of records: ``label_bytes`` of labels (the last one counts), then 3,072 of pixels.

    Returns images uint8 (N, 3, 32, 32) and labels int64 (N,). Raises UserError for any other file.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    if not len(data) or len(data) % (label_bytes + 3072):
        raise UserError(f"{path} is not a CIFAR binary file: {len(data):,} bytes is no multiple of {label_bytes + 3072:,}")
    records = data.reshape(-1, label_bytes + 3072)
    labels = records[:, label_bytes - 1].astype(np.int64)
    if labels.max() >= classes:
        raise UserError(f"{path} is not a CIFAR binary file: it has the label {labels.max()}, over {classes - 1}")
    return np.ascontiguousarray(records[:, label_bytes:]).reshape(-1, 3, 32, 32), labels


def _unpacked(entry: Dataset, archive: Path) -> Path:
    """The folder of a binary archive that lies alone: unpacked to the cache, once."""
    info = archive.stat()
    folder = cache_dir() / "unpacked" / f"{entry.name}-{info.st_size}-{info.st_mtime_ns}"
    if not folder.is_dir():
        extract(archive, folder, wanted=lambda name: name.endswith((".bin", ".txt")), max_total=1 << 30, max_files=100)
    inside = [file.parent for file in folder.rglob("*.bin")]
    if not inside:
        raise UserError(f"{archive} holds no .bin file: it is not the binary version")
    return inside[0]


def _label_names(entry: Dataset, folder: Path) -> tuple[str, ...]:
    if entry.name == "cifar10":
        return entry.labels
    try:
        names = tuple((folder / "fine_label_names.txt").read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError):
        names = ()
    return names if len(names) == 100 else entry.labels


def _from_pictures(entry: Dataset, config: Any, says: str, path: Path) -> ImageData:
    found = read_pictures(path, config, size=32, channels=3)
    sides, classes = _sides(found.paths, entry.labels, path)
    return as_data(
        found, is_test=sides, labels=classes, name=entry.name, label_names=entry.labels,
        source=f"{says}: {path}", licence=entry.licence, notes=[f"{entry.name}: {says}; not the official pixels"],
    )


def _sides(paths: Sequence[str], names: Sequence[str], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(which images are of the test part, the class of each) from .../train/<class>/NNNN.jpg."""
    numbers = {name: number for number, name in enumerate(names)}
    parts = [("", "", *image.split("/"))[-3:-1] for image in paths]
    for image, (side, kind) in zip(paths, parts):
        if side not in ("train", "test") or kind not in numbers:
            raise UserError(f"{path}: {image} is not train/<class>/ or test/<class>/ with a class of CIFAR-10")
    return np.array([side == "test" for side, _ in parts]), np.array([numbers[kind] for _, kind in parts], np.int64)
