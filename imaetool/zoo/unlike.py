"""One warning where pictures are unlike what the model was made for, and which packaged model suits them better."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate

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
_COMPARED = 16  # by every model that may fit better
_GRID = 64  # height and width on which models of different sizes are compared
_UNLIKE = 0.5  # more than this share of the pictures beyond the limit is unlike


def _some(paths: Sequence[Path], most: int) -> Sequence[Path]:
    return paths[:: max(1, len(paths) // most)][:most]


def _pictures(paths: Sequence[Path], options: dict, invert: bool = False) -> np.ndarray:
    """The readable ones among ``paths``, (N, C, H, W) uint8, read with ``options``."""
    options = options | {"invert": options.get("invert", False) ^ invert}
    found = []
    for path in paths:
        try:
            found.append(read(path, **options))
        except UnreadableImage:
            continue
    return np.stack(found) if found else np.empty((0, options["channels"], *options["size"]), np.uint8)


@torch.no_grad()
def _lost(model: Model, images: np.ndarray, originals: np.ndarray) -> float:
    """Mean squared error of the decoded mean codes against the pictures in colour, both on one grid."""
    codes = model.encode(images)
    decoded = model.decode(codes.mu, model.one_hot(*codes.categories)).float().cpu()  # (N, C, H, W)
    decoded = interpolate(decoded, size=originals.shape[2:], mode="bilinear", antialias=True)
    return float((decoded.expand(originals.shape) - torch.from_numpy(originals) / 255).square().mean())


def better_model(paths: Sequence[Path], besides: Path | None = None) -> str | None:
    """The name of the packaged model that keeps most of the pictures, among those that find most of them usual.

    Asked are the models in the package, and of those in the source tree's weights/ the first of each dataset.
    """
    lost, known = {}, set()
    paths = _some(paths, _COMPARED)
    originals = _pictures(paths, {"channels": 3, "size": (_GRID, _GRID)})
    for name, row in read_manifest().items():
        path, dataset = packaged_file(name), row.data.get("name")
        first_of_its_data = dataset not in known
        known.add(dataset)
        if path is None or path == besides or not (row.bundled or first_of_its_data):
            continue
        try:
            model = load(path)
            images = _pictures(paths, read_options(model))
            share = share_unlike(model, images)
        except UserError:
            continue
        if share is not None and share <= _UNLIKE:
            lost[name] = _lost(model, images, originals)
    return min(lost, key=lost.get, default=None)


def unlike_warning(model: Model, paths: Sequence[Path], source: Path | None = None) -> str | None:
    """The warning for pictures at ``paths`` that ``model`` was not made for, or None where it suits them.

    ``source`` is the folder or archive that they came from.
    """
    some, options = _some(paths, min(_LOOKED_AT, images_at_once(model.shape))), read_options(model)
    images = _pictures(some, options)
    share = share_unlike(model, images)
    if share is None or share <= _UNLIKE:
        return None
    kind = model.record.get("dataset", {}).get("name", "other pictures")
    what = "this picture is" if len(images) == 1 else f"{round(100 * share)} % of these pictures are"
    if (share_unlike(model, _pictures(some, options, invert=True)) or 0) <= _UNLIKE:
        advice = "with --invert, dark and light exchanged, they fit"
    elif better := better_model(paths, model.path):
        advice = f"--model {better} fits better"
    else:
        folder = (source or paths[0].parent) if len(paths) > 1 else "images/"
        advice = f"train on your own:  imaetool train --data {folder}"
    return f"{what} unlike the {kind} images that this model was made for, so its codes mean little: {advice}"
