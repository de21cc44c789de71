"""CelebA: aligned faces, from the official archive, its folder, or any folder of aligned images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imaetool.data import ImageData
from imaetool.data.catalogue import absent, find, lookup
from imaetool.data.own_images import as_data, read_pictures
from imaetool.data.paths import first_time
from imaetool.errors import UserError
from imaetool.images import shown

__all__ = ["attributes", "load", "partition"]

WINDOW = 148 / 178  # the side of the centre crop, of the width of an aligned image
TRAIN, VALIDATION = 162_770, 182_637  # the last image numbers of the official training and validation parts


def load(config: Any) -> ImageData:
    """Aligned faces, the centre 148 x 148 of 178 x 218 resized to 64 x 64 (or config.size).

    At half size that is the centre 74 x 74 of 89 x 109. With crop = pad or stretch the whole image is used.
    """
    entry = lookup("celeba")
    place = find(entry, config.root)
    if place is None:
        raise absent(entry, config.root)
    says, path = place[0].says, place[1]
    centre = config.crop == "center"
    found = read_pictures(path, config, size=64, channels=3, window=WINDOW if centre else 0.0)
    is_test, kept = partition(found.paths)
    official = is_test is not None and is_test.any() and kept[~is_test].any()
    split = "official split by image number" if official else "no official test image here: split 90/10 by content"
    factors, names = attributes(path, found.paths)
    data = as_data(
        found, is_test=is_test if official else found.is_test, factors=factors, name="celeba", factor_names=names,
        factor_values=((0, 1),) * len(names), source=f"{says}: {path}", licence=entry.licence,
        notes=[f"celeba: {says}, {'centre crop of 148/178 of the width, ' if centre else ''}resized; {split}"]
        + ([f"licence: {entry.terms}"] if first_time("celeba-licence") else []),
    )
    if official and not kept.all():
        data = replace(data, train=data.train.select(kept[~is_test]))
    return data


def partition(paths: Sequence[str]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(which are official test images, which are not validation images), bool (N,), by the numbers in the names.

    (None, None) where a name is not a number.
    """
    stems = [Path(path).stem for path in paths]
    if not all(re.fullmatch(r"\d{6}", stem) for stem in stems):
        return None, None
    numbers = np.array([int(stem) for stem in stems])
    return numbers > VALIDATION, (numbers <= TRAIN) | (numbers > VALIDATION)


def attributes(path: Path, images: Sequence[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The 40 attributes as 0/1, int64 (N, 40), with their names, from list_attr_celeba.txt near ``path``; else None."""
    places = [folder / "list_attr_celeba.txt" for folder in (path, path.parent, path.parent.parent)]
    table = next((place for place in places if place.is_file()), None)
    if table is None:
        return None, ()
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
        names, rows = tuple(lines[1].split()), {}
        for line in lines[2:]:
            name, *values = line.split()
            rows[Path(name).stem] = values
        picked = np.array([rows[Path(image).stem] for image in images], dtype=np.int64)
        if picked.shape[1] != len(names):
            raise ValueError("columns")
        return (picked > 0).astype(np.int64), names
    except KeyError as error:
        raise UserError(f"{shown(table)} has no line for image {error}") from error
    except (ValueError, IndexError, OSError) as error:
        raise UserError(f"{shown(table)} is not CelebA's list of attributes: remove it or replace it") from error
