"""Anybody's own folder of images as a dataset."""

from __future__ import annotations

import hashlib
from pathlib import Path

from imaetool.data import ImageData, Split
from imaetool.data.folder import load_folder, split_by_content
from imaetool.errors import UserError

__all__ = ["load"]


def load(config) -> ImageData:
    """Every readable image under the folder config.root, split 90/10 by content.

    Size and channels are chosen from the images where config has 0, and a note says so. Raises
    UserError for a missing folder, one with no image, or one in which none can be read.
    """
    if not config.root:
        raise UserError("no folder given: imaetool train --data path/to/images/")
    try:
        found = load_folder(
            config.root, size=config.size or None, channels=config.channels or None,
            crop=config.crop, invert=config.invert, background=config.background,
        )
    except (FileNotFoundError, ValueError) as error:
        raise UserError(str(error)) from error
    is_test = split_by_content(found.images)
    if is_test.all():
        is_test[:] = False
    labels = found.labels
    parts = [
        Split(found.images if not is_test.any() else found.images[chosen], None if labels is None else labels[chosen])
        for chosen in (~is_test, is_test)
    ]
    if not is_test.any():
        parts[1] = Split(found.images[:0], None if labels is None else labels[:0])
    digest = hashlib.sha256(repr(found.images.shape).encode())
    for start in range(0, len(found.images), 4096):
        digest.update(found.images[start : start + 4096].tobytes())
    notes = [note for note in (found.chosen, found.note) if note]
    if found.unreadable:
        notes.append(f"left out {len(found.unreadable)} unreadable files, the first: {': '.join(found.unreadable[0])}")
    return ImageData(
        name=Path(config.root).resolve().name or "folder",
        train=parts[0], test=parts[1], label_names=found.label_names, source=str(config.root),
        licence="your own images", checksum=digest.hexdigest(), notes=tuple(notes), unreadable=found.unreadable,
    )
