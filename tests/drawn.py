"""Pictures drawn by rule, their colours, and the refusal of a bad one: shared by the tests of `imaetool.images`."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from imaetool.images import UnreadableImage, read

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def picture(width=40, height=30, seed=0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def quadrants(side=64) -> Image.Image:
    """Red, green over blue, white."""
    image = Image.new("RGB", (side, side), "red")
    half = side // 2
    image.paste("lime", (half, 0, side, half))
    image.paste("blue", (0, half, half, side))
    image.paste("white", (half, half, side, side))
    return image


def corners(pixels: np.ndarray) -> list[tuple]:
    """The colours near the four corners, in reading order, rounded to 0 or 255."""
    rounded = np.where(pixels > 127, 255, 0)
    height, width = pixels.shape[1:]
    return [tuple(rounded[:, y, x].tolist()) for y in (height // 8, height - 1 - height // 8)
            for x in (width // 8, width - 1 - width // 8)]


def png(width, height, depth, colour, rows: bytes) -> bytes:
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


def refusal(path, **options) -> str:
    with pytest.raises(UnreadableImage) as caught:
        read(path, **{"channels": 3, "size": (8, 8), **options})
    assert caught.value.path == path
    assert "\n" not in str(caught.value)
    return caught.value.reason
