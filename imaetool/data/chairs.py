"""3D Chairs (Aubry et al., 2014): rendered chairs, with azimuth and elevation read from the file names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from imaetool.data import ImageData
from imaetool.data.catalogue import absent, find, lookup
from imaetool.data.own_images import as_data, read_pictures
from imaetool.errors import UserError
from imaetool.images import shown

__all__ = ["directions", "load"]

_NAME = re.compile(r"_p(\d{3})_t(\d{3})_r\d{3}\.")


def load(config: Any) -> ImageData:
    """The renders, grey and 64 x 64 unless config says otherwise; factors azimuth and elevation in degrees."""
    entry = lookup("chairs")
    place = find(entry, config.root)
    if place is None:
        raise absent(entry, config.root)
    says, path = place[0].says, place[1]
    found = read_pictures(path, config, size=64, channels=1)
    degrees = directions(found.paths)
    columns = [np.unique(column, return_inverse=True) for column in degrees.T]
    return as_data(
        found, is_test=found.is_test, name="chairs", source=f"{says}: {path}", licence=entry.licence,
        factors=np.stack([indices.reshape(-1) for _, indices in columns], axis=1).astype(np.int64),
        factor_names=("azimuth", "elevation"), factor_values=tuple(values for values, _ in columns),
        notes=[f"chairs: {says}; split 90/10 by content"],
    )


def directions(paths: Sequence[str]) -> np.ndarray:
    """Azimuth and elevation in degrees, int64 (N, 2), from names such as image_013_p030_t263_r096.png.

    >>> directions(["a/renders/image_013_p030_t263_r096.png"]).tolist()
    [[263, 30]]
    """
    found = [_NAME.search(path.rpartition("/")[2]) for path in paths]
    if None in found:
        raise UserError(f"{shown(paths[found.index(None)])}: the name gives no direction, as image_013_p030_t263_r096.png does")
    return np.array([(int(match[2]), int(match[1])) for match in found], np.int64)
