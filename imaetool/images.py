"""Reading pictures from files that nobody vouches for. One that cannot be read raises `UnreadableImage`, whatever Pillow raised."""
import errno
import functools
import os
import random
import stat
import threading
import warnings
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, UnidentifiedImageError

from imaetool.errors import plain
from imaetool.pixels import Refused, draft, eight_bits, fit, orientation, upright

__all__ = ["MAX_PIXELS", "SUFFIXES", "UnreadableImage", "choose_format", "list_images", "peek", "picture", "read",
           "read_many", "shown"]

FOREIGN = frozenset(".heic .heif .jp2 .j2k .jxl".split())              # found, so that they can be named
SUFFIXES = FOREIGN | frozenset(".jpg .jpeg .jpe .jfif .png .apng .webp .bmp .dib .tif .tiff .gif .avif "
                               ".pbm .pgm .ppm .pnm".split())
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # MAX_PIXELS is told as an error
MAX_PIXELS = 100_000_000
CROPS = ("center", "pad", "stretch")

_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM", "AVIF")  # no other decoder runs
_GREY = {"1", "L", "LA", "La", "I", "F"}                                  # and I;16, I;16B, ...
_BIG = 25_000_000               # pictures with more pixels than this are decoded one at a time
_one_big = threading.Lock()


class UnreadableImage(Exception):
    """A file that cannot be read as a picture: its `path` and, in a few words, the `reason`."""

    def __init__(self, path, reason: str):
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{shown(self.path)}: {self.reason}"


def shown(path) -> str:
    """The path as one printable line, whatever bytes its name holds."""
    return plain(os.fsencode(path).decode("utf-8", "backslashreplace")).replace("\n", "\\n")


# Finding

def list_images(path) -> list[Path]:
    """The picture files under a folder at any depth, sorted; or the one file given.

    Hidden names are skipped. Links to folders are followed, each folder once. A broken link or a pipe named
    like a picture is listed, so that `read` can say why it was left out.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no such file or folder: {shown(path)}")
    if not path.is_dir():
        return [path]
    found = [file for file in _walk(path) if file.suffix.lower() in SUFFIXES]
    if not found:
        raise FileNotFoundError(f"no image found in {shown(path)} (looked for {' '.join(sorted(SUFFIXES - FOREIGN))})")
    return sorted(found, key=lambda file: file.parts)


def _walk(root: Path):
    folders, links, seen = [root], [], set()        # real folders first: a link never hides the folder it points to
    while folders or links:
        folder = folders.pop() if folders else links.pop()
        try:
            info = os.stat(folder)
            if (info.st_dev, info.st_ino) in seen:
                continue
            seen.add((info.st_dev, info.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            warnings.warn(f"skipped the folder {shown(folder)}: {_reason(error)}", stacklevel=2)
            continue
        for entry in entries:
            path = Path(entry.path)
            if entry.name.startswith("."):
                continue
            if not os.path.isdir(path):
                yield path
            else:
                (links if entry.is_symlink() else folders).append(path)


# Opening

@contextmanager
def _opened(path, max_pixels: int):
    """The Pillow image with only its header read. Any failure in the block becomes UnreadableImage."""
    try:
        info = os.stat(path)                        # before opening: opening a pipe waits for ever
        if not stat.S_ISREG(info.st_mode):
            raise Refused("not a regular file")
        if info.st_size == 0:
            raise Refused("0 bytes")
        with open(path, "rb") as file:
            try:
                image = Image.open(file, formats=_formats())
                width, height = image.size
            except Image.DecompressionBombError:    # Pillow's own limit, which hides the size
                width, height = _header_size(file)
                max_pixels = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))
            except UnidentifiedImageError:
                raise Refused(_unknown(file)) from None
            if width * height > max_pixels:
                raise Refused(f"{width} x {height} = {width * height / 1e6:.4g} MP, "
                               f"over the limit of {max_pixels / 1e6:.4g} MP")
            with image:
                yield image
    except Exception as error:
        raise UnreadableImage(path, _reason(error)) from error


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _header_size(file) -> tuple[int, int]:
    file.seek(0)
    prefix = file.read(16)
    for name in _formats():
        reader, accepts = Image.OPEN[name]
        if accepts is None or accepts(prefix):
            file.seek(0)
            return reader(file, "").size
    raise Refused("too many pixels")


def _unknown(file) -> str:
    file.seek(4)
    ending = Path(os.fsdecode(file.name)).suffix.lower()
    kind = ".heic" if file.read(8) in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1") else ending
    return f"{kind[1:].upper()}, which is not supported: convert it to JPEG" if kind in FOREIGN else "not an image"


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, Refused):
        return text
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels"
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, EOFError) or any(word in text.lower() for word in ("truncat", "unexpected end")):
        return "truncated"
    if isinstance(error, OSError) and error.errno in errno.errorcode:
        return os.strerror(error.errno).lower()
    return f"damaged ({text[:80] or type(error).__name__})"


def _is_grey(mode: str) -> bool:
    return mode in _GREY or mode.startswith("I;")


# Reading

def peek(path, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int, int, str]:
    """(width, height, channels, Pillow's mode) from the header alone; channels is 1 for a grey mode, else 3."""
    with _opened(path, max_pixels) as image:
        width, height = image.size
        if orientation(image) >= 5 and image.format != "TIFF":      # there Pillow has done it
            width, height = height, width
        return width, height, 1 if _is_grey(image.mode) else 3, image.mode


def read(path, *, channels: int, size: tuple[int, int], crop: str = "center", background: str = "black",
         invert: bool = False, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """One picture as uint8 (channels, height, width), turned upright, its first frame or page.

    Arguments:
        channels: 1 (grey) or 3 (RGB).
        size: (height, width) of the result.
        crop: "center" cuts the sides that do not fit, "pad" fills what is left with the background,
            "stretch" changes the proportions.
        background: colour behind transparent pixels and around a padded picture.
        invert: exchange dark and light, as the very last step.
        max_pixels: a picture whose header announces more is refused before it is decoded.
    """
    check_options(channels=channels, size=size, crop=crop, background=background)
    pixels = np.array(picture(path, channels=channels, size=size, crop=crop, background=background,
                              max_pixels=max_pixels))           # (H, W) or (H, W, 3)
    pixels = pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
    return 255 - pixels if invert else pixels


def picture(path, *, channels: int, size: tuple[int, int], crop: str = "center", background: str = "black",
            max_pixels: int = MAX_PIXELS) -> Image.Image:
    """As `read`, but a Pillow image of mode L or RGB, and the options are taken unchecked."""
    grey = channels == 1
    with _opened(path, max_pixels) as image:
        draft(image, "L" if grey else "RGB", size)
        with _one_big if image.width * image.height > _BIG else nullcontext():
            image.load()
            return fit(upright(eight_bits(image, grey), orientation(image)), size, crop, background)


def check_options(*, channels=1, size=(1, 1), crop="center", background="black", invert=False, max_pixels=1) -> None:
    """ValueError for an option that `read` would not take."""
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, not {channels!r}")
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"size must be (height, width), both at least 1, not {size!r}")
    if crop not in CROPS:
        raise ValueError(f"crop must be one of {', '.join(CROPS)}, not {crop!r}")
    ImageColor.getrgb(background)


def read_many(paths, *, workers: int | None = None, **options):
    """Iterator of (path, array or UnreadableImage) in the order of `paths`, decoded by `workers` threads.

    At most four pictures per worker are under way or waiting, however many there are. Closing the iterator
    stops the threads. The other options are those of `read`.
    """
    check_options(**options)
    workers = workers or _processors()
    _formats()
    return _read_in_order(paths, workers, options)


def _read_in_order(paths, workers: int, options: dict):
    pool, pending = ThreadPoolExecutor(workers), deque()
    try:
        for path in paths:
            pending.append((path, pool.submit(_attempt, path, options)))
            if len(pending) >= 4 * workers:
                path, result = pending.popleft()
                yield path, result.result()
        while pending:
            path, result = pending.popleft()
            yield path, result.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _attempt(path, options: dict):
    try:
        return read(path, **options)
    except UnreadableImage as error:
        return UnreadableImage(path, error.reason)  # without the traceback, which would keep the pixels alive


def _processors() -> int:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, 16)


# Choosing

def choose_format(paths, sample: int = 200) -> tuple[int, int, str]:
    """(size, channels, the sentence that says why) for square pictures, from a seeded sample of `paths`."""
    paths = list(paths)
    seen, first_error = [], None
    for path in random.Random(0).sample(paths, len(paths)):
        try:
            seen.append((path, *peek(path)))
        except UnreadableImage as error:
            first_error = first_error or error
        if len(seen) == sample:
            break
    if not seen:
        raise ValueError(f"none of the {len(paths)} images can be read; the first: {first_error}" if paths
                         else "no images to choose a format for")
    channels, colour = _choose_channels(seen)
    size, sides = _choose_size(seen)
    return size, channels, (f"{size} x {size} x {channels}: of {len(seen)} images looked at, {sides} and {colour}")


def _choose_channels(seen: list) -> tuple[int, str]:
    coloured = [path for path, _, _, channels, _ in seen if channels == 3]
    tried = [pixels for _, pixels in read_many(coloured[:40], channels=3, size=(64, 64), crop="stretch")
             if isinstance(pixels, np.ndarray)]
    equal = sum(int(np.ptp(pixels.astype(np.int16), axis=0).max()) <= 6 for pixels in tried)   # JPEG is not exact
    grey = 1 - len(coloured) / len(seen) * (1 - equal / max(len(tried), 1))
    verdict = "all are grey" if grey == 1 else "none is grey" if grey == 0 else f"{100 * grey:.0f} % are grey"
    return (1 if grey >= 0.95 else 3), verdict


def _choose_size(seen: list) -> tuple[int, str]:
    shapes = {(width, height) for _, width, height, _, _ in seen}
    width, height = next(iter(shapes))
    if len(shapes) == 1 and width == height <= 64:
        return width, f"all measure {width} x {height}"
    short = float(np.median([min(width, height) for _, width, height, _, _ in seen]))
    return (64 if short >= 48 else 32), f"the median short side is {short:g} pixels"
