"""Fetching a dataset's files to where its reader looks for them, and verifying those that are there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from imaetool.data.archives import extract, gunzip
from imaetool.data.catalogue import Dataset, File
from imaetool.data.download import checksum_of, fetch, wrong_checksum
from imaetool.data.paths import roots, writable_root
from imaetool.errors import UserError

__all__ = ["fetch_dataset", "verify_dataset"]


def fetch_dataset(entry: Dataset, root: str = "") -> list[Path]:
    """Fetch what is missing of a dataset's files, checked and unpacked; the paths. Files already there stay.

    Raises DownloadError naming what to put where, or UserError for a dataset that has nothing to fetch.
    """
    if not entry.files:
        raise UserError(f"{entry.name} has nothing to fetch: it is {entry.made or 'already here'}")
    folder = writable_root(root)
    return [_fetched(file, folder) for file in entry.files]


def _fetched(file: File, folder: Path) -> Path:
    path, kept = folder / file.path, folder / (file.unpacked or file.path)
    if kept.exists():
        return kept
    fetch(file.urls, path, sha256=file.sha256, md5=file.md5, size=file.size)
    if not file.unpacked:
        return path
    try:
        if file.path == f"{file.unpacked}.gz":
            gunzip(path, kept)
        else:
            _unpack(path, kept)
    except OSError:
        if not kept.exists():  # else another process has unpacked it, and removed what it was packed in
            raise
    path.unlink(missing_ok=True)
    return kept


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive whose files lie in one folder, whatever that is called, as ``folder``."""
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", suffix=".tmp", dir=folder.parent) as place:
        whole = Path(place) / "all"
        extract(archive, whole, max_total=4 << 30, max_files=1000)
        inside = list(whole.iterdir())
        (inside[0] if len(inside) == 1 and inside[0].is_dir() else whole).replace(folder)


def verify_dataset(entry: Dataset, root: str = "") -> Iterator[tuple[Path, str, str]]:
    """(path, state, details) of each of a dataset's files that is there: "right", "wrong" or "unchecked"."""
    for folder in roots(root):
        for file in entry.files:
            packed, kept = folder / file.path, folder / file.unpacked
            if packed.is_file():
                wrong = wrong_checksum(packed, file.sha256, file.md5)
                yield packed, *_judged(wrong, file.sha256 or file.md5, packed)
            if file.unpacked and kept.is_file():
                yield kept, *_judged(wrong_checksum(kept, file.unpacked_sha256), file.unpacked_sha256, kept)
            elif file.unpacked and kept.is_dir():
                yield kept, "unchecked", "unpacked from a checked archive"


def _judged(wrong: str, known: str, path: Path) -> tuple[str, str]:
    if wrong:
        return "wrong", wrong
    if known:
        return "right", "checksum as published"
    return "unchecked", f"no checksum is known; its sha256 is {checksum_of(path, 'sha256')}"
