"""dSprites as a dataset: the official file where it is, else the renderer; one bit a pixel in a memory map."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from imaetool.data import ImageData, Split, dsprites
from imaetool.data.catalogue import File, find, lookup
from imaetool.data.download import DownloadError, fetch, wrong_checksum
from imaetool.data.paths import cache_dir
from imaetool.data.progress import report
from imaetool.data.resize import to_shape
from imaetool.data.views import ImageRows
from imaetool.errors import UserError
from imaetool.files import replace_file

__all__ = ["load"]


def load(config: Any) -> ImageData:
    """All 737,280 images, packed, with the five factors; training and evaluation both use all of them.

    The official npz under config.root or in the cache is used; else it is fetched, the first time; else
    the images are rendered. ``source`` and a note say which.
    """
    entry = lookup("dsprites")
    notes: list[str] = []
    place = find(entry, config.root)
    drawn = dsprites.packed_path(cache_dir())
    path = place[1] if place else None if drawn.is_file() else _fetched(entry.files[0], notes)
    packed, source = _official(path, entry.files[0], notes) if path else (None, "")
    if packed is None:
        packed = dsprites.open_packed(cache_dir(), lambda done, total: report("rendering dSprites", done, total))
        source = "rendered from the measured geometry (docs/dsprites.md says how exact)"
    checksum = _checksum(Path(packed.filename))
    stored = np.memmap(packed.filename, np.uint8, "c", shape=packed.shape)  # private: a tensor may share it
    images = ImageRows(stored, **_decoders(config))
    whole = Split(images, None, dsprites.factor_indices(np.arange(dsprites.COUNT)))
    return ImageData(
        name="dsprites", train=whole, test=whole, factor_names=tuple(dsprites.FACTORS), factor_values=_values(),
        source=source, licence=entry.licence, checksum=checksum,
        notes=(*notes, f"dsprites: {source}; training and evaluation both use all {dsprites.COUNT:,} images"),
    )


def _decoders(config: Any) -> dict[str, Any]:
    """How packed rows become images: on the device where the images are wanted as they are."""
    def decode(rows: np.ndarray) -> np.ndarray:
        return to_shape(dsprites.unpack(np.ascontiguousarray(rows)) * np.uint8(255), config)

    plain = config.size in (0, 64) and config.channels in (0, 1) and not config.invert
    return {"decode": decode, "to_float": dsprites.unpack_torch if plain else None}


def _values() -> tuple[np.ndarray, ...]:
    """The official value of each index of each factor."""
    position = np.linspace(0, 1, 32)
    return (np.array([1.0, 2.0, 3.0]), np.linspace(0.5, 1, 6), np.linspace(0, 2 * np.pi, 40), position, position)


def _fetched(file: File, notes: list[str]) -> Path | None:
    """The official file, fetched to the cache; None, and a note, where it cannot be had."""
    try:
        return fetch(file.urls, cache_dir() / "data" / file.path, md5=file.md5, timeout=10, attempts=2)
    except DownloadError as error:
        notes.append(f"the official dSprites file is not here and cannot be fetched ({str(error).split(';')[0]})")
        return None


def _official(path: Path, file: File, notes: list[str]) -> tuple[np.ndarray | None, str]:
    """The official file's images, packed in the cache on first use, and what to call them."""
    info = path.stat()
    key = hashlib.sha256(f"{path.resolve()}\0{info.st_size}\0{info.st_mtime_ns}".encode()).hexdigest()[:16]
    place = cache_dir() / f"dsprites-official-{key}.u8"
    facts = place.with_suffix(".json")
    if not place.is_file() or place.stat().st_size != dsprites.COUNT * dsprites.PACKED or not facts.is_file():
        wrong = wrong_checksum(path, md5=file.md5)
        try:
            packed, _ = dsprites.official_npz(path)
        except ValueError as error:
            raise UserError(f"{error}: remove it, and the dataset is rendered") from error
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_file(place, packed.data)
        replace_file(facts, json.dumps({"wrong": wrong}).encode())
    wrong = json.loads(facts.read_text())["wrong"]
    if wrong:
        notes.append(f"{path} has the layout of the official file, but {wrong}")
    packed = np.memmap(place, np.uint8, mode="r", shape=(dsprites.COUNT, dsprites.PACKED))
    return packed, f"official npz: {path}" + (" (not its known checksum)" if wrong else "")


def _checksum(path: Path) -> str:
    """The packed file's sha256, kept beside it, so that it is computed once."""
    info, note = path.stat(), path.with_name(path.name + ".sha256")
    stamp = [info.st_size, info.st_mtime_ns]
    try:
        known = json.loads(note.read_text())
        if known["file"] == stamp:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        replace_file(note, json.dumps({"file": stamp, "sha256": found}).encode())
    except OSError:
        pass
    return found
