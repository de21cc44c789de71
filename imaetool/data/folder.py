"""Any folder of pictures as one uint8 array, with its labels when the sub-folders look like classes.

The decoded pixels are kept in the cache folder ($IMAETOOL_CACHE, else $XDG_CACHE_HOME/imaetool, else
~/.cache/imaetool) and mapped into memory, so a folder is decoded once and may be larger than memory. A file that is
added, removed or changed, or another option, makes a new entry, and the stale one is removed.
"""
import hashlib
import json
import os
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from imaetool.images import UnreadableImage, check_options, choose_format, list_images, read_many, shown

__all__ = ["FolderImages", "cache_folder", "load_folder", "split_by_content"]

VERSION = 1             # raise it when the same files would be decoded to other pixels
LEFTOVER_AGE = 86_400   # seconds after which an unfinished entry must come from a process that died


@dataclass(frozen=True)
class FolderImages:
    """What was found in a folder.

    images: uint8 (N, C, H, W), perhaps a private memory map: writing to it never changes the cache.
    paths: N names relative to the folder, with forward slashes.
    labels, label_names: int64 (N,) and the classes by number, or None and () without class sub-folders.
    unreadable: (name, reason) of each file left out.
    chosen: why this size and number of channels; "" where both were given.
    note: what the user should know about the cache; "" most of the time.
    """
    images: np.ndarray
    paths: tuple[str, ...]
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    chosen: str = ""
    note: str = ""


def load_folder(path, *, size: int | tuple[int, int] | None = None, channels: int | None = None, crop: str = "center",
                invert: bool = False, background: str = "black", workers: int | None = None,
                progress=None) -> FolderImages:
    """Every readable picture under `path` (a folder, or one file), at one size.

    Arguments:
        size: side, or (height, width); chosen from the pictures when None.
        channels: 1 or 3; chosen from the pictures when None.
        crop, invert, background: as in `imaetool.images.read`.
        workers: decoding threads.
        progress: called as progress(done, total) after each file, only when there is something to decode.

    Raises FileNotFoundError for a missing path or a folder without pictures, ValueError when none can be read.
    """
    path = Path(path)
    size = (size, size) if isinstance(size, int) else size and tuple(size)
    check_options(channels=channels or 1, size=size or (1, 1), crop=crop, background=background)
    files = list_images(path)
    root = path if path.is_dir() else path.parent
    options = dict(size=size, channels=channels, crop=crop, invert=invert, background=background)

    def decode(sink) -> dict:
        return _decode(files, root, sink, options, workers, progress)

    note, (place, content) = "", _fingerprint(files, root, options)
    entry = cache_folder() / "folders" / f"{place}-{content}"
    try:
        images, facts = _open_entry(entry) or _write_entry(entry, decode)
    except OSError as error:
        note = f"the cache {shown(entry.parent)} cannot be used ({error.strerror or error}): decoded in memory"
        sink = BytesIO()
        facts = decode(sink)
        images = np.frombuffer(sink.getbuffer(), np.uint8).reshape(facts["shape"])
    if not facts["paths"]:
        name, reason = facts["unreadable"][0]
        raise ValueError(f"none of the {len(files)} images in {shown(path)} can be read; "
                         f"the first: {shown(name)}: {reason}")
    labels, names = _labels(facts["paths"])
    return FolderImages(images, tuple(facts["paths"]), labels, names,
                        tuple((name, reason) for name, reason in facts["unreadable"]), facts["chosen"], note)


def split_by_content(images: np.ndarray, test_fraction: float = 0.1, seed: int = 0) -> np.ndarray:
    """True for the images of the test set, bool (N,), decided for each image by a hash of its own pixels.

    Equal images fall on the same side, and an image stays on its side when others are added or removed. The fraction
    holds on average: a handful of images may give an empty side.
    """
    if not 0 <= test_fraction <= 1:
        raise ValueError(f"test_fraction must be from 0 to 1, not {test_fraction!r}")
    salt = seed.to_bytes(8, "little", signed=True)
    draws = (int.from_bytes(hashlib.blake2b(np.ascontiguousarray(image), digest_size=8, key=salt).digest(), "little")
             for image in images)
    return np.fromiter((draw < test_fraction * 2 ** 64 for draw in draws), bool, len(images))


def cache_folder() -> Path:
    """Where imaetool keeps what it can make again; nothing is created."""
    if os.environ.get("IMAETOOL_CACHE"):
        return Path(os.environ["IMAETOOL_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "imaetool"


def _decode(files, root: Path, sink, options: dict, workers, progress) -> dict:
    """Append the pixels of each readable file to `sink`, and return the facts about them."""
    options, chosen, paths, unreadable = dict(options), "", [], []
    if options["size"] is None or options["channels"] is None:
        side, channels, chosen = choose_format(files)
        options["size"] = options["size"] or (side, side)
        options["channels"] = options["channels"] or channels
    for done, (file, result) in enumerate(read_many(files, workers=workers, **options), 1):
        name = file.relative_to(root).as_posix()
        if isinstance(result, UnreadableImage):
            unreadable.append((name, result.reason))
        else:
            paths.append(name)
            sink.write(result.tobytes())
        if progress is not None:
            progress(done, len(files))
    shape = (len(paths), options["channels"], *options["size"])
    return {"shape": shape, "paths": paths, "unreadable": unreadable, "chosen": chosen}


def _fingerprint(files, root: Path, options: dict) -> tuple[str, str]:
    """(which folder, read how) and (what is in it), as two short hashes."""
    content = hashlib.sha256()
    for file in files:
        try:
            info = os.stat(file)
            facts = (info.st_size, info.st_mtime_ns, os.access(file, os.R_OK))
        except OSError:
            facts = None
        content.update(f"{file.relative_to(root).as_posix()}\0{facts}\0".encode("utf-8", "surrogateescape"))
    place = repr((VERSION, os.path.realpath(root), sorted(options.items()))).encode("utf-8", "surrogateescape")
    return hashlib.sha256(place).hexdigest()[:16], content.hexdigest()[:32]


def _open_entry(entry: Path):
    """(images, facts) of a finished entry, or None where there is none or it is damaged."""
    try:
        facts = json.loads((entry / "facts.json").read_bytes())
        shape = tuple(facts["shape"])
        if (entry / "pixels").stat().st_size != int(np.prod(shape)):
            return None
        if not facts["paths"]:
            return np.empty(shape, np.uint8), facts             # an empty file cannot be mapped
        return np.memmap(entry / "pixels", np.uint8, "c", shape=shape), facts
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_entry(entry: Path, decode):
    """Decode into a folder of another name, rename it when it is whole, and remove what it replaces."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    unfinished = entry.parent / f"{secrets.token_hex(8)}.tmp"
    unfinished.mkdir()
    try:
        with open(unfinished / "pixels", "wb") as sink:
            facts = decode(sink)
        (unfinished / "facts.json").write_text(json.dumps(facts))
        for stale in entry.parent.glob(f"{entry.name.partition('-')[0]}-*"):
            shutil.rmtree(stale, ignore_errors=True)
        with suppress(OSError):                     # another process was first, with the same pixels
            os.replace(unfinished, entry)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    for leftover in entry.parent.glob("*.tmp"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > LEFTOVER_AGE:
                shutil.rmtree(leftover, ignore_errors=True)
    found = _open_entry(entry)
    if found is None:
        raise OSError("the entry just written is gone")
    return found


def _labels(paths) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Class numbers and names, where every path is class/file and the classes are as many as classes are."""
    parts = [path.split("/") for path in paths]
    names = tuple(sorted({folder for folder, *_ in parts}))
    if any(len(part) != 2 for part in parts) or not 2 <= len(names) <= 1000 or len(paths) < 2 * len(names):
        return None, ()
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers[folder] for folder, _ in parts], np.int64), names
