"""One warning where pictures are unlike what the model was made for, and which packaged model suits them better."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imaetool.encoding import read_options
from imaetool.errors import UserError
from imaetool.evaluation.encode import images_at_once
from imaetool.evaluation.likeness import share_unlike
from imaetool.images import UnreadableImage, read
from imaetool.training.checkpoint import Model, load
from imaetool.zoo.find import packaged_file
from imaetool.zoo.manifest import read_manifest

__all__ = ["better_model", "unlike_warning"]

_LOOKED_AT = 64  # fewer of large pictures
_UNLIKE = 0.5  # more than this share of the pictures beyond the limit is unlike


def _pictures(model: Model, paths: Sequence[Path], invert: bool = False) -> np.ndarray:
    """The readable ones among some of ``paths``, as ``model`` would see them."""
    options = read_options(model)
    options["invert"] ^= invert
    found, most = [], min(_LOOKED_AT, images_at_once(model.shape))
    for path in paths[:: max(1, len(paths) // most)][:most]:
        try:
            found.append(read(path, **options))
        except UnreadableImage:
            continue
    return np.stack(found) if found else np.empty((0, *model.shape), np.uint8)


def better_model(paths: Sequence[Path], besides: Path | None = None) -> str | None:
    """The name of the packaged model that finds fewest of the pictures strange, if it finds most of them usual.

    Asked are the models in the package, and of those in the source tree's weights/ the first of each dataset.
    """
    shares, known = {}, set()
    for name, row in read_manifest().items():
        path, dataset = packaged_file(name), row.data.get("name")
        first_of_its_data = dataset not in known
        known.add(dataset)
        if path is None or path == besides or not (row.bundled or first_of_its_data):
            continue
        try:
            model = load(path)
            share = share_unlike(model, _pictures(model, paths))
        except UserError:
            continue
        if share is not None and share <= _UNLIKE:
            shares[name] = (share, sum(model.shape) * -1)  # of two that suit, the one that sees more of the picture
    return min(shares, key=shares.get, default=None)


def unlike_warning(model: Model, paths: Sequence[Path], source: Path | None = None) -> str | None:
    """The warning for pictures at ``paths`` that ``model`` was not made for, or None where it suits them.

    ``source`` is the folder or archive that they came from.
    """
    images = _pictures(model, paths)
    share = share_unlike(model, images)
    if share is None or share <= _UNLIKE:
        return None
    kind = model.record.get("dataset", {}).get("name", "other pictures")
    what = "this picture is" if len(images) == 1 else f"{round(100 * share)} % of these pictures are"
    if (share_unlike(model, _pictures(model, paths, invert=True)) or 0) <= _UNLIKE:
        advice = "with --invert, dark and light exchanged, they fit"
    elif better := better_model(paths, model.path):
        advice = f"--model {better} fits better"
    else:
        folder = (source or paths[0].parent) if len(paths) > 1 else "images/"
        advice = f"train on your own:  imaetool train --data {folder}"
    return f"{what} unlike the {kind} images that this model was made for, so its codes mean little: {advice}"
