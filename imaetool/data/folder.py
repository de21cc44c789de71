"""Any folder of pictures, or an archive of them, as one uint8 array, with labels when its folders look like classes.

The decoded pixels are kept in the cache (see paths.cache_dir) and mapped into memory, so that pictures are decoded
once and may be larger than memory. A file that is added, removed or changed, or another option, makes a new entry,
and the stale one is removed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from imaetool.data.archives import is_archive
from imaetool.data.decoding import Archived, Files, NoPictures, Pictures, Reader, content_draw
from imaetool.data.entries import open_entry, write_entry
from imaetool.data.paths import cache_dir
from imaetool.images import check_options, choose_format, list_images, shown

__all__ = ["FolderImages", "load_folder", "split_by_content"]

VERSION = 2  # raise it when the same files would be decoded to other pixels


@dataclass(frozen=True)
class FolderImages:
    """What was found in a folder.

    images: uint8 (N, C, H, W), perhaps a private memory map: writing to it never changes the cache.
    paths: N names relative to the folder, with forward slashes.
    is_test: bool (N,), split_by_content(images).
    checksum: sha256 of the pixels and their shape, computed when they were decoded.
    labels, label_names: int64 (N,) and the classes by number, or None and () without class sub-folders.
    unreadable: (name, reason) of each file left out.
    chosen: why this size and number of channels; "" where both were given.
    note: what the user should know about the cache; "" most of the time.
    """

    images: np.ndarray
    paths: tuple[str, ...]
    is_test: np.ndarray
    checksum: str
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    chosen: str = ""
    note: str = ""


def load_folder(
    path: str | os.PathLike, *, size: int | tuple[int, int] | None = None, channels: int | None = None,
    crop: str = "center", invert: bool = False, background: str = "black", window: float = 0.0,
    workers: int | None = None, progress: Callable[[int, int], None] | None = None,
) -> FolderImages:
    """Every readable picture under ``path`` (a folder, an archive, or one file), at one size.

    Arguments:
        size: side, or (height, width); chosen from the pictures when None.
        channels: 1 or 3; chosen from the pictures when None.
        crop, invert, background: as in ``imaetool.images.read``.
        window: cut the middle square first, its side this share of the first picture's width; 0 for no cut.
        workers: decoding threads.
        progress: called as progress(done, total) while there is something to decode.

    Raises FileNotFoundError for a missing path or a folder without pictures, ValueError when none can be read,
    ArchiveError for an archive that is refused.
    """
    path = Path(path)
    size = (size, size) if isinstance(size, int) else size and tuple(size)
    check_options(channels=channels or 1, size=size or (1, 1), crop=crop, background=background)
    options = dict(size=size, channels=channels, crop=crop, invert=invert, background=background, window=window)
    packed = path.is_file() and is_archive(path)
    pictures = Archived(path) if packed else Files(list_images(path), path if path.is_dir() else path.parent)

    def decode(sink) -> dict:
        with pictures:
            return _decode(pictures, sink, options, workers, progress)

    note, (place, content) = "", _fingerprint(pictures, options)
    entry = cache_dir() / "folders" / f"{place}-{content}"
    try:
        images, facts = open_entry(entry) or write_entry(entry, decode)
    except NoPictures:
        raise
    except OSError as error:
        note = f"the cache {shown(entry.parent)} cannot be used ({error.strerror or error}): decoded in memory"
        sink = BytesIO()
        facts = decode(sink)
        images = np.frombuffer(sink.getbuffer(), np.uint8).reshape(facts["shape"])
    if not facts["paths"]:
        name, reason = facts["unreadable"][0]
        count = len(facts["unreadable"])
        raise ValueError(f"none of the {count} images in {shown(path)} can be read; the first: {shown(name)}: {reason}")
    is_test = np.unpackbits(np.frombuffer(bytes.fromhex(facts["test"]), np.uint8), count=len(images)).astype(bool)
    labels, names = _labels(facts["paths"], packed)
    unreadable = tuple((name, reason) for name, reason in facts["unreadable"])
    return FolderImages(
        images, tuple(facts["paths"]), is_test, facts["checksum"], labels, names, unreadable, facts["chosen"], note
    )


def split_by_content(images: Sequence[np.ndarray], test_fraction: float = 0.1, seed: int = 0) -> np.ndarray:
    """True for the images of the test set, bool (N,), decided for each image by a hash of its own pixels.

    Equal images fall on the same side, and an image stays on its side when others are added or removed. The fraction
    holds on average: a handful of images may give an empty side.
    """
    if not 0 <= test_fraction <= 1:
        raise ValueError(f"test_fraction must be from 0 to 1, not {test_fraction!r}")
    return np.fromiter((content_draw(image, seed) < test_fraction * 2**64 for image in images), bool, len(images))


def _decode(pictures: Pictures, sink, options: dict, workers, progress) -> dict:
    """Append the pixels of each readable picture to ``sink``, and return the facts about them."""
    size, channels, chosen = options["size"], options["channels"], ""
    if size is None or channels is None:
        side, own_channels, chosen = choose_format(pictures.sample())
        size, channels = size or (side, side), channels or own_channels
    reader = Reader(pictures, **{**options, "size": size, "channels": channels})
    paths, unreadable, is_test, checksum = [], [], [], hashlib.sha256()
    done = 0
    for results, pixels in pictures.decode(reader, workers):
        sink.write(pixels)
        checksum.update(pixels)
        for name, result in results:
            if isinstance(result, str):
                unreadable.append((name, result))
            else:
                paths.append(name)
                is_test.append(result < 0.1 * 2**64)
            done += 1
            if progress is not None:
                progress(done, pictures.total)
    shape = (len(paths), channels, *size)
    checksum.update(repr(shape).encode())
    return {
        "shape": shape, "paths": paths, "unreadable": unreadable, "chosen": chosen,
        "checksum": checksum.hexdigest(), "test": np.packbits(np.array(is_test, bool)).tobytes().hex(),
    }  # fmt: skip


def _fingerprint(pictures: Pictures, options: dict) -> tuple[str, str]:
    """(which folder, read how) and (what is in it), as two short hashes."""
    content = hashlib.sha256()
    for name, file in pictures.on_disk():
        try:
            info = os.stat(file)
            facts = (info.st_size, info.st_mtime_ns, os.access(file, os.R_OK))
        except OSError:
            facts = None
        content.update(f"{name}\0{facts}\0".encode("utf-8", "surrogateescape"))
    place = repr((VERSION, os.path.realpath(pictures.root), sorted(options.items()))).encode("utf-8", "surrogateescape")
    return hashlib.sha256(place).hexdigest()[:16], content.hexdigest()[:32]


def _labels(paths, packed: bool) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Class numbers and names, where every path is class/file and the classes are as many as classes are."""
    parts = [path.split("/") for path in paths]
    if packed and len({first for first, *_ in parts}) == 1:
        parts = [part[1:] for part in parts]  # the one folder that an archive often holds
    names = tuple(sorted({folder for folder, *_ in parts if folder}))
    if any(len(part) != 2 for part in parts) or not 2 <= len(names) <= 1000 or len(paths) < 2 * len(names):
        return None, ()
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers[folder] for folder, _ in parts], np.int64), names
