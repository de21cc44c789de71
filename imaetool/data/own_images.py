"""Anybody's own folder of images as a dataset; what the datasets made of picture files share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imaetool.data import ImageData, Split
from imaetool.data.folder import FolderImages, load_folder
from imaetool.data.progress import report
from imaetool.data.labels import read_factors, read_labels
from imaetool.data.views import ImageRows
from imaetool.errors import UserError
from imaetool.images import shown

__all__ = ["as_data", "load", "read_pictures"]

_NAMED = 200  # unreadable files named one by one; `imaetool data verify PATH` names all


def load(config: Any) -> ImageData:
    """Every readable image under the folder or archive ``config.root``, split 90/10 by content.

    Size and channels are chosen from the images where config has 0, and a note says so. Labels come from
    ``config.labels``, else from class sub-folders; factors from ``config.factors``. Raises UserError for a
    missing folder, one with no image, one in which none can be read, or a table that does not fit.
    """
    if not config.root:
        raise UserError("no folder given: imaetool train --data path/to/images/")
    found = read_pictures(config.root, config)
    labels, label_names, notes = found.labels, found.label_names, []
    if config.labels:
        labels, label_names, note = read_labels(config.labels, found.paths)
        notes.append(note)
    factors, factor_names, factor_values = None, (), ()
    if config.factors:
        factors, factor_names, factor_values, note = read_factors(config.factors, found.paths)
        notes.append(note)
    return as_data(
        found, name=Path(config.root).resolve().name or "folder", is_test=found.is_test, labels=labels, factors=factors,
        label_names=label_names, factor_names=factor_names, factor_values=factor_values,
        source=str(config.root), licence="your own images", notes=notes,
    )


def read_pictures(path: str | Path, config: Any, *, size: int = 0, channels: int = 0, window: float = 0.0) -> FolderImages:
    """The pictures under ``path`` as ``config`` asks; ``size`` and ``channels`` where config leaves them open."""
    def progress(done: int, total: int) -> None:
        report(f"decoding {shown(path)}", done, total)

    try:
        return load_folder(
            path, size=config.size or size or None, channels=config.channels or channels or None, crop=config.crop,
            invert=config.invert, background=config.background, window=window, progress=progress,
        )
    except (FileNotFoundError, ValueError) as error:
        raise UserError(str(error)) from error


def as_data(
    found: FolderImages, *, is_test: np.ndarray, labels: np.ndarray | None = None, factors: np.ndarray | None = None,
    notes: Sequence[str] = (), **facts: Any,
) -> ImageData:
    """Pictures as a dataset, its two splits reading from the same memory map."""
    if is_test.all():
        is_test = np.zeros_like(is_test)
    whole = Split(ImageRows(found.images), labels, factors)
    told = [found.chosen, found.note, *notes]
    told += [f"left out {shown(name)}: {reason}" for name, reason in found.unreadable[:_NAMED]]
    if len(found.unreadable) > _NAMED:
        told.append(f"and {len(found.unreadable) - _NAMED} more unreadable files: imaetool data verify PATH names them")
    return ImageData(
        train=whole.select(~is_test), test=whole.select(is_test), checksum=found.checksum,
        notes=tuple(note for note in told if note), unreadable=found.unreadable, **facts,
    )
