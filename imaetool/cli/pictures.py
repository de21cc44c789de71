"""Reading a few given pictures as a model's data was read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from imaetool.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from imaetool.model import Codes
    from imaetool.training.checkpoint import Model

__all__ = ["encode_pictures", "read_options", "read_pictures"]


def read_options(model: Model) -> dict:
    """The options of images.read with which ``model``'s own data was read."""
    channels, height, width = model.shape
    data = model.config.data
    return {
        "channels": channels, "size": (height, width), "crop": data.crop,
        "background": data.background, "invert": data.invert,
    }


def read_pictures(model: Model, paths: Sequence[Path]) -> np.ndarray:
    """The pictures at ``paths`` as (N, C, H, W) uint8; UserError for one that cannot be read."""
    import numpy as np

    from imaetool.images import UnreadableImage, read

    try:
        return np.stack([read(path, **read_options(model)) for path in paths])
    except UnreadableImage as error:
        raise UserError(str(error)) from error


def encode_pictures(model: Model, paths: Sequence[Path]) -> Codes:
    """Codes of the pictures at ``paths``, on the model's device."""
    from imaetool.evaluation.encode import batches_of

    (batch,) = batches_of(read_pictures(model, paths), model, size=len(paths))
    return model.encode(batch)
