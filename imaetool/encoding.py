"""Pictures in files to codes: a few given ones, or a stream of any length."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imaetool.data import binary
from imaetool.data.archives import extract, is_archive
from imaetool.data.decoding import is_picture
from imaetool.errors import UserError
from imaetool.evaluation.encode import encode_images, images_at_once
from imaetool.images import UnreadableImage, list_images, read, read_many, shown
from imaetool.model import Codes
from imaetool.tables import Rows, Unreadable

if TYPE_CHECKING:
    from imaetool.training.checkpoint import Model

__all__ = ["encode_files", "encode_pictures", "pictures_at", "read_options", "read_pictures"]


def read_options(model: Model) -> dict:
    """The options of images.read with which ``model``'s own data was read."""
    channels, height, width = model.shape
    data = model.config.data
    return {
        "channels": channels, "size": (height, width), "crop": data.crop,
        "background": data.background, "invert": data.invert,
    }


def _as_trained(model: Model, images: Sequence[np.ndarray]) -> np.ndarray:
    """Images as one array, made binary where the model was trained on such."""
    stacked = np.stack(images)
    return binary(stacked) if model.config.data.binarize else stacked


def read_pictures(model: Model, paths: Sequence[Path]) -> np.ndarray:
    """The pictures at ``paths`` as (N, C, H, W) uint8; UserError for one that cannot be read."""
    try:
        return _as_trained(model, [read(path, **read_options(model)) for path in paths])
    except UnreadableImage as error:
        raise UserError(str(error)) from error


def encode_pictures(model: Model, paths: Sequence[Path]) -> Codes:
    """Codes of the pictures at ``paths``, on the CPU."""
    return encode_images(model, read_pictures(model, paths))


def printable(path: object) -> str:
    """A path as text that any file can hold; bytes that are not text are shown as \\udcXX."""
    return str(path).encode("utf-8", "backslashreplace").decode()


@contextmanager
def pictures_at(images: Path) -> Iterator[tuple[list[Path], Callable[[Path], Path]]]:
    """The picture files at ``images``, and the name by which to call each of them.

    A folder's and a single file's are their paths. An archive is unpacked to a temporary folder while the
    block runs; its pictures are called ARCHIVE/MEMBER. Raises UserError where there is none.
    """
    if not (images.is_file() and is_archive(images)):
        try:
            paths = list_images(images)
        except (FileNotFoundError, ValueError) as error:
            raise UserError(str(error)) from error
        yield paths, lambda path: path
        return
    with tempfile.TemporaryDirectory(prefix="imaetool-") as folder:
        inside = Path(folder) / "pictures"
        if not extract(images, inside, wanted=is_picture):
            raise UserError(f"no image found in {shown(images)}")
        yield list_images(inside), lambda path: images / path.relative_to(inside)


def encode_files(
    model: Model,
    paths: Iterable[Path],
    table: Callable[[Rows], None],
    *,
    on_unreadable: Callable[[Unreadable], None],
    called: Callable[[Path], Path] = lambda path: path,
    batch_size: int = 256,
    workers: int = 0,
) -> int:
    """Encode the images at ``paths`` in order, handing rows to ``table``; the number encoded.

    A file that cannot be read goes to ``on_unreadable`` and is skipped; rows and reports name a file
    as ``called`` does. Memory holds a few batches,
    however many files there are.
    """
    done, names, arrays = 0, [], []
    batch_size = min(batch_size, images_at_once(model.shape))

    def flush() -> None:
        if names:
            table(_rows(model, list(names), _as_trained(model, arrays)))
            names.clear()
            arrays.clear()

    for path, found in read_many(paths, workers=workers or None, **read_options(model)):
        name = printable(called(path))
        if isinstance(found, UnreadableImage):
            on_unreadable(Unreadable(name, found.reason))
            continue
        names.append(name)
        arrays.append(found)
        done += 1
        if len(names) == batch_size:
            flush()
    flush()
    return done


def _rows(model: Model, names: list[str], images: np.ndarray) -> Rows:
    codes = encode_images(model, images)
    sigma = (0.5 * codes.log_var).exp()
    return Rows(names, codes.mu.numpy(), sigma.numpy(), tuple(p.numpy() for p in codes.probabilities))
