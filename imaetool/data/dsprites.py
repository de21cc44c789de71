"""dSprites without a download: 737,280 frames drawn from their geometry.

    index = (((shape * 6 + scale) * 40 + orientation) * 32 + pos_x) * 32 + pos_y

A sprite is a polygon, scaled, turned, moved, snapped to 1/256 pixel and filled by the even-odd
rule at pixel centres, all in integers. An edge from a to b crosses row r, at p = 256 r + 128,
when (a_y < p) differs from (b_y < p), and toggles every pixel of the row from column

    ceil((a_x + (p - a_y) (b_x - a_x) / (b_y - a_y) - 128) / 256)

to the right end. So 64 pixels are one 64-bit word, the xor of the row's crossings. Which edges
cross which rows depends on pos_y alone: `render_packed` finds it once for 32 images.

References
----------
Matthey, Higgins, Hassabis, Lerchner, "dSprites: Disentanglement testing Sprites dataset", 2017.
"""

from __future__ import annotations

import os
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = [
    "COUNT", "FACTORS", "OFFICIAL_NAME", "factor_indices", "factor_values", "index_of",
    "official_npz", "open_packed", "packed_path", "render", "render_packed", "source",
    "unpack", "unpack_torch",
]  # fmt: skip

FACTORS = {"shape": 3, "scale": 6, "orientation": 40, "pos_x": 32, "pos_y": 32}
SIZES = tuple(FACTORS.values())
COUNT = 737_280  # images: the product of SIZES
PACKED = 512  # bytes of one 64 x 64 frame at one bit a pixel
OFFICIAL_NAME = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"

_SCALES = np.linspace(0.5, 1, 6)
_ANGLES = np.linspace(0, 2 * np.pi, 40)  # both ends: index 39 draws what index 0 draws
_CENTRES = 16 + 32 * np.arange(32) / 31  # pixels, for both axes
_BLOCK = 32 * 32  # images of one shape, scale and orientation
# _MASKS[c]: pixels c..63 set, in the byte order of np.packbits whatever the machine's own.
_MASKS = np.packbits(np.arange(64) >= np.arange(65)[:, None], axis=1).view(np.uint64)[:, 0]

Progress = Callable[[int, int], None]  # called with the images done and the images in all


def factor_indices(indices: Iterable[int]) -> np.ndarray:
    """Flat indices (N,) in 0..737279 to factor indices, int64 (N, 5), columns as in FACTORS."""
    indices = _integers(indices, "indices")
    if indices.ndim != 1:
        raise ValueError(f"indices must be one row of integers (N,), not {indices.shape}")
    if indices.size and not (indices.min() >= 0 and indices.max() < COUNT):
        raise ValueError(f"index out of range: dSprites has the indices 0..{COUNT - 1}")
    return np.stack(np.unravel_index(indices, SIZES), axis=1)


def factor_values(indices: Iterable[int]) -> np.ndarray:
    """Flat indices (N,) to the official latent values, float64 (N, 5).

    Shape 1, 2, 3 (square, ellipse, heart); scale 0.5..1; orientation 0..2 pi; positions 0..1.
    """
    position = np.linspace(0, 1, 32)
    values = (np.arange(1.0, 4.0), _SCALES, _ANGLES, position, position)
    factors = factor_indices(indices)
    return np.stack([value[factors[:, i]] for i, value in enumerate(values)], axis=1)


def index_of(factors: Iterable) -> np.ndarray:
    """Factor indices (N, 5) or (5,) to flat indices, int64 (N,) or ()."""
    factors = _integers(factors, "factor indices")
    if factors.ndim not in (1, 2) or factors.shape[-1] != len(SIZES):
        raise ValueError(f"factor indices must be (N, 5) or (5,), not {factors.shape}")
    if ((factors < 0) | (factors >= SIZES)).any():
        raise ValueError(f"factor indices out of range: the sizes are {FACTORS}")
    return np.asarray(np.ravel_multi_index(tuple(factors.T), SIZES))


def _integers(values: Iterable, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, not {array.dtype}")
    return array.astype(np.int64)


@cache
def _outline(shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices x (V,) and y (V,) of a shape at scale 1, in pixels around its centre, y down."""
    h = 9.6
    if shape == 0:
        return h * np.array([-1.0, 1.0, 1.0, -1.0]), h * np.array([-1.0, -1.0, 1.0, 1.0])
    if shape == 1:
        u = 2 * np.pi * np.arange(100) / 100
        return 1.33 * h * np.cos(u), h / 1.33 * np.sin(u)
    u = 2 * np.pi * np.arange(150) / 150
    lobes = 13 * np.cos(u) - 5 * np.cos(2 * u) - 2 * np.cos(3 * u) - np.cos(4 * u)
    return h * np.sin(u) ** 3, -h * (lobes / 14.5 + 0.15)


def _turned(shape: int, scale: np.ndarray, orientation: np.ndarray) -> tuple:
    """Scaled and turned vertices, float64 x and y (N, V); scale and orientation (N,) indices."""
    x, y = _outline(shape)
    size, angle = _SCALES[scale][:, None], _ANGLES[orientation][:, None]
    cos, sin = np.cos(angle), np.sin(angle)
    return size * (cos * x + sin * y), size * (-sin * x + cos * y)


def _snapped(offsets: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Vertices (N, V) moved to the centre `position` (N,), in 1/256 pixel: int32 (N, V)."""
    return np.rint(256 * (_CENTRES[position][:, None] + offsets)).astype(np.int32)


def _crossings(y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which edges cross which rows, for polygons whose vertices lie at y, int32 (N, V).

    Returns polygon, edge and row, each (K,), ordered by polygon, then row. Edge i runs from
    vertex i to vertex i + 1, and crosses each row with min(y) < 256 row + 128 <= max(y).
    """
    after = np.roll(y, -1, axis=1)
    above = ((np.minimum(y, after) - 128) >> 8).ravel()
    count = ((np.maximum(y, after) - 128) >> 8).ravel() - above
    flat = np.repeat(np.arange(y.size), count)
    start = np.cumsum(count) - count  # where an edge's own crossings begin
    row = above[flat] + 1 + np.arange(flat.size) - start[flat]
    polygon, edge = np.divmod(flat, y.shape[1])
    order = np.argsort(polygon * 64 + row, kind="stable")
    return polygon[order], edge[order], row[order]


def _first_pixel(ax, bx, ay, by, row) -> np.ndarray:
    """First column whose centre is at or right of edge a-b on a row; integers, broadcast."""
    rise = by - ay
    across = (ax - 128) * rise + (256 * row + 128 - ay) * (bx - ax)
    return -(across // (-256 * rise))  # ceil, exact, whichever way the edge runs


def _filled(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Fill N x T polygons, where T that differ in x share their y: packed, uint8 (T, N, 512).

    Vertices in 1/256 pixel: x int32 (N, V, T), y int32 (N, V).
    """
    polygon, a, row = _crossings(y)
    b = (a + 1) % y.shape[1]
    ends = y[polygon, a, None], y[polygon, b, None]
    first = _first_pixel(x[polygon, a], x[polygon, b], *ends, row[:, None])  # (K, T)
    line = polygon * 64 + row
    start = np.flatnonzero(np.diff(line, prepend=-1))
    frames = np.zeros((x.shape[2], len(y) * 64), np.uint64)
    frames[:, line[start]] = np.bitwise_xor.reduceat(_MASKS[first], start, axis=0).T
    return frames.view(np.uint8).reshape(x.shape[2], len(y), PACKED)


def _blocks(progress: Progress | None = None) -> Iterator[np.ndarray]:
    """All packed frames in index order, one (shape, scale, orientation) after another:
    uint8 (1024, 512), 720 times."""
    steps = np.arange(32)
    for number in range(0, COUNT, _BLOCK):
        shape, scale, orientation = factor_indices([number])[:, :3].T
        x, y = _turned(int(shape[0]), scale, orientation)
        x, y = _snapped(x, steps).T, _snapped(y, steps)  # (V, pos_x), (pos_y, V)
        yield _filled(np.broadcast_to(x, (32, *x.shape)), y).reshape(_BLOCK, PACKED)
        if progress is not None:
            progress(number + _BLOCK, COUNT)


def render(indices: Iterable[int]) -> np.ndarray:
    """Draw the images at any flat indices (N,), and no others: uint8 0/1 (N, 64, 64)."""
    factors = factor_indices(indices)
    frames = np.empty((len(factors), 64, 64), np.uint8)
    for start in range(0, len(factors), 4096):
        for shape in range(3):
            chosen = start + np.flatnonzero(factors[start : start + 4096, 0] == shape)
            if chosen.size:
                scale, orientation, pos_x, pos_y = factors[chosen, 1:].T
                x, y = _turned(shape, scale, orientation)
                packed = _filled(_snapped(x, pos_x)[:, :, None], _snapped(y, pos_y))[0]
                frames[chosen] = unpack(packed)[:, 0]
    return frames


def render_packed(out: np.ndarray | None = None, progress: Progress | None = None) -> np.ndarray:
    """Draw all images, one bit a pixel as np.packbits has it: uint8 (737280, 512), 377 MB.

    Fills and returns `out` if given.
    """
    if out is None:
        out = np.empty((COUNT, PACKED), np.uint8)
    if out.shape != (COUNT, PACKED) or out.dtype != np.uint8:
        raise ValueError(f"out must be uint8 {(COUNT, PACKED)}, not {out.dtype} {out.shape}")
    for number, rows in enumerate(_blocks(progress)):
        out[number * _BLOCK : (number + 1) * _BLOCK] = rows
    return out


def unpack(packed: np.ndarray) -> np.ndarray:
    """Packed rows, uint8 (N, 512), to images, uint8 0/1 (N, 1, 64, 64)."""
    if packed.ndim != 2 or packed.shape[1] != PACKED or packed.dtype != np.uint8:
        raise ValueError(f"packed must be uint8 (N, 512), not {packed.dtype} {packed.shape}")
    return np.unpackbits(packed, axis=1).reshape(-1, 1, 64, 64)


def unpack_torch(packed: torch.Tensor, device: torch.device | str | None = None) -> torch.Tensor:
    """Packed rows, uint8 tensor (N, 512), to images, float32 0/1 (N, 1, 64, 64).

    The packed bytes travel to `device` (default: where they are) and are unpacked there.
    """
    import torch

    if packed.ndim != 2 or packed.shape[1] != PACKED or packed.dtype != torch.uint8:
        raise ValueError(f"packed must be uint8 (N, 512), not {packed.dtype} {tuple(packed.shape)}")
    packed = packed.to(packed.device if device is None else device)
    byte = torch.arange(256, device=packed.device)[:, None]
    pixels = ((byte >> torch.arange(7, -1, -1, device=packed.device)) & 1).float()  # (256, 8)
    return pixels.index_select(0, packed.reshape(-1).int()).reshape(-1, 1, 64, 64)


def packed_path(cache_dir: str | os.PathLike | None = None) -> Path:
    """Where the packed dataset lies: in `cache_dir`, else $IMAETOOL_CACHE, else
    $XDG_CACHE_HOME/imaetool, else ~/.cache/imaetool. Touches no disk."""
    if cache_dir is None:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        cache_dir = os.environ.get("IMAETOOL_CACHE") or Path(home) / "imaetool"
    return Path(cache_dir).expanduser() / "dsprites-64x64-packed-v1.u8"


def open_packed(
    cache_dir: str | os.PathLike | None = None, progress: Progress | None = None
) -> np.ndarray:
    """All images as a read-only memory map, uint8 (737280, 512), drawn on first use.

    A file of the wrong size is drawn again. Processes that start together each draw their own;
    the last rename wins, all have equal bytes, and nobody sees half a file.
    """
    path = packed_path(cache_dir)
    if not path.is_file() or path.stat().st_size != COUNT * PACKED:
        _write_atomically(path, _blocks(progress))
    return np.memmap(path, np.uint8, mode="r", shape=(COUNT, PACKED))


def _write_atomically(path: Path, chunks: Iterable[np.ndarray]) -> None:
    """Write the chunks one after another; `path` appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        with open(temporary, "xb") as file:
            for chunk in chunks:
                file.write(chunk)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def source(root: str | os.PathLike) -> str:
    """'official npz' when that file lies in `root`/dsprites or `root`, else 'rendered'."""
    places = (Path(root) / "dsprites" / OFFICIAL_NAME, Path(root) / OFFICIAL_NAME)
    return "official npz" if any(place.is_file() for place in places) else "rendered"


def official_npz(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Read the official file: packed images, uint8 (737280, 512), and factors, int64 (737280, 5).

    The 3 GB of images stream through and never lie in memory. Shapes, types, pixel values and
    the index order are checked; the pickled member `metadata` is never opened.
    """
    factors, packed = factor_indices(np.arange(COUNT)), np.empty((COUNT, PACKED), np.uint8)
    try:
        with zipfile.ZipFile(path) as archive:
            for rows, classes in _chunks(archive, "latents_classes", (COUNT, 6), np.int64):
                if classes[:, 0].any() or not np.array_equal(classes[:, 1:], factors[rows]):
                    raise ValueError("latents_classes is not in the order of the dataset")
            for rows, frames in _chunks(archive, "imgs", (COUNT, 64, 64), np.uint8):
                if frames.max() > 1:
                    raise ValueError("imgs has pixels other than 0 and 1")
                packed[rows] = np.packbits(frames.reshape(_BLOCK, -1), axis=1)
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError) as error:
        raise ValueError(f"{path} is not the official dSprites file: {error}") from error
    return packed, factors


def _chunks(archive: zipfile.ZipFile, name: str, shape: tuple, dtype: type) -> Iterator[tuple]:
    """Stream one plain array of an npz, (rows, 1,024 of its entries) at a time; no pickle."""
    size = _BLOCK * int(np.prod(shape[1:])) * np.dtype(dtype).itemsize
    with archive.open(f"{name}.npy") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name} is not in version 1.0 of the npy format")
        if (header := np.lib.format.read_array_header_1_0(file)) != (shape, False, np.dtype(dtype)):
            raise ValueError(f"{name} is {header}, not {dtype.__name__} {shape}")
        for start in range(0, shape[0], _BLOCK):
            if len(data := file.read(size)) != size:
                raise ValueError(f"{name} is cut short")
            yield slice(start, start + _BLOCK), np.frombuffer(data, dtype).reshape(-1, *shape[1:])
