"""Pictures from a folder or an archive to pixels, in threads, in order, in constant memory."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from imaetool.data.archives import read_members
from imaetool.images import FOREIGN, SUFFIXES, UnreadableImage, peek, picture, shown

__all__ = ["Archived", "Files", "NoPictures", "Pictures", "Reader", "content_draw"]

_CHUNK = 32  # pictures that a thread decodes before it hands them over
_SAMPLE = 200  # pictures of an archive that are looked at to choose a format
_SAMPLE_BYTES = 1 << 28  # but no more than fill this
_CHUNK_BYTES, _WAITING_BYTES = 1 << 25, 1 << 28  # of an archive's contents: in one thread's hands, and in all that wait


class NoPictures(FileNotFoundError):
    """An archive without a picture."""


class Pictures:
    """Some pictures, each with a name: what Files and Archived have in common.

    root: the folder or the archive. total: how many there are; 0 where that is not known. To be used in a ``with``.
    """

    root: Path
    total = 0

    def __enter__(self) -> Pictures:
        return self

    def __exit__(self, *_) -> None: ...

    def on_disk(self) -> Iterable[tuple[str, Path]]:
        """(name, path) of the files whose size and time tell whether anything has changed."""
        raise NotImplementedError

    def sample(self) -> Sequence[Path]:
        """Files to look at; all, or some of an archive."""
        raise NotImplementedError

    def items(self) -> Iterable[tuple[str, Path | bytes]]:
        """(name, path or content) of each picture, in order."""
        raise NotImplementedError

    def as_file(self, item: Path | bytes) -> Path:
        """The file to read ``item`` from, until this thread asks for the next."""
        return item

    def decode(self, reader: Reader, workers: int | None = None) -> Iterator[tuple[list[tuple[str, str | int]], bytes]]:
        """A few pictures at a time, in order: (name, content_draw) or (name, why not) of each, and the pixels as bytes."""
        workers = workers or min(16, _processors() + 1)  # one more than can run: the others wait for Python at times

        def work(chunk):
            results, pixels = [], []
            for name, item in chunk:
                try:
                    pixels.append(reader(self.as_file(item)))
                    results.append((name, None))
                except UnreadableImage as error:
                    results.append((name, error.reason))
            images = reader.finish(pixels)
            draws = map(content_draw, images)
            return [(name, next(draws) if why is None else why) for name, why in results], images.tobytes()

        pool, pending, waiting = ThreadPoolExecutor(workers), deque(), 0
        try:
            for chunk, size in _chunks(self.items()):
                pending.append((pool.submit(work, chunk), size))
                waiting += size
                del chunk
                while len(pending) >= 4 * workers or (waiting > _WAITING_BYTES and pending):
                    done, size = pending.popleft()
                    waiting -= size
                    yield done.result()
            while pending:
                yield pending.popleft()[0].result()
        finally:
            pool.shutdown(cancel_futures=True)


def _chunks(items: Iterable[tuple[str, Path | bytes]]) -> Iterator[tuple[list[tuple[str, Path | bytes]], int]]:
    """Up to _CHUNK items at a time, fewer where their contents are large; and how many bytes those are."""
    chunk, size = [], 0
    for name, item in items:
        chunk.append((name, item))
        size += len(item) if isinstance(item, bytes) else 0
        if len(chunk) == _CHUNK or size > _CHUNK_BYTES:
            yield chunk, size
            chunk, size = [], 0
    if chunk:
        yield chunk, size


class Files(Pictures):
    """Picture files under a folder."""

    def __init__(self, files: Sequence[Path], root: Path) -> None:
        self.files, self.root, self.total = files, root, len(files)

    def on_disk(self):
        return self.items()

    def sample(self):
        return self.files

    def items(self):
        start = len(self.root.parts)
        return (("/".join(file.parts[start:]), file) for file in self.files)


class Archived(Pictures):
    """The pictures in a zip or tar archive, read one after the other; thousands of small files are never written.

    A picture's bytes go to one file for each thread, in memory where the system has a folder there.
    """

    def __init__(self, archive: Path) -> None:
        self.root, self._slots = archive, threading.local()

    def __enter__(self):
        memory = Path("/dev/shm")
        usable = memory.is_dir() and os.access(memory, os.W_OK)
        self._stage = tempfile.TemporaryDirectory(prefix="imaetool-", dir=memory if usable else None)
        self._slots = threading.local()
        return self

    def __exit__(self, *_):
        self._stage.cleanup()

    def on_disk(self):
        return [(self.root.name, self.root)]

    def sample(self):
        files, size = [], 0
        for number, (_, content) in enumerate(islice(self.items(), _SAMPLE)):
            size += len(content)
            if files and size > _SAMPLE_BYTES:
                break
            files.append(Path(self._stage.name) / f"sample-{number}")
            files[-1].write_bytes(content)
        return files

    def items(self):
        found = False
        for name, content in read_members(self.root, wanted=is_picture):
            found = True
            yield name.removeprefix("./"), content
        if not found:
            raise NoPictures(f"no image found in {shown(self.root)} (looked for {' '.join(sorted(SUFFIXES - FOREIGN))})")

    def as_file(self, item):
        if not hasattr(self._slots, "path"):
            handle, name = tempfile.mkstemp(dir=self._stage.name)
            os.close(handle)
            self._slots.path = Path(name)
        with open(self._slots.path, "r+b") as file:
            file.write(item)
            file.truncate()
        return self._slots.path


def is_picture(name: str) -> bool:
    parts = name.removeprefix("./").split("/")
    return Path(name).suffix.lower() in SUFFIXES and not any(part.startswith((".", "__MACOSX")) for part in parts)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def content_draw(image: np.ndarray | bytes, seed: int = 0) -> int:
    """A number from 0 to 2^64 - 1 that depends on the image's bytes and the seed alone."""
    salt = seed.to_bytes(8, "little", signed=True)
    content = image if isinstance(image, bytes) else np.ascontiguousarray(image)
    return int.from_bytes(hashlib.blake2b(content, digest_size=8, key=salt).digest(), "little")


class Reader:
    """Called with a file: its pixels as bytes (H, W, C), after the cut of a middle square if ``window`` is set."""

    def __init__(self, pictures: Pictures, *, window: float, invert: bool, **options) -> None:
        self.options, self.invert, self.size, self.cut = options, invert, options["size"], None
        self.channels = options["channels"]
        if window:
            height, width = _first_size(pictures)
            side = round(window * width)
            top, left = (height - side + 1) // 2, (width - side + 1) // 2
            self.cut = (left, top, left + side, top + side)
            self.options = {**options, "size": (height, width), "crop": "center"}

    def __call__(self, file: Path) -> bytes:
        found = picture(file, **self.options)
        if self.cut:
            found = found.crop(self.cut).resize(self.size[::-1], Image.Resampling.BILINEAR)
        return found.tobytes()

    def finish(self, pixels: Sequence[bytes]) -> np.ndarray:
        """uint8 (N, C, H, W) of what calls returned; a few at once take less time than one by one."""
        images = np.frombuffer(b"".join(pixels), np.uint8).reshape(-1, *self.size, self.channels)
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        return 255 - images if self.invert else images


def _first_size(pictures: Pictures) -> tuple[int, int]:
    """(height, width) of the first picture whose header can be read."""
    for file in pictures.sample():
        try:
            width, height, *_ = peek(file)
            return height, width
        except UnreadableImage:
            continue
    return 1, 1
