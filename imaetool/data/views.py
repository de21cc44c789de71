"""Images by index that are never copied whole: part of an array, of a memory map, or of packed bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["ImageRows"]


class ImageRows:
    """uint8 images (N, C, H, W), some rows of ``stored`` in the order of ``rows``.

    Indexing with an integer, a slice, indices or a mask reads those images and no others.

    Arguments:
        stored: (M, ...), an array or a memory map.
        rows: which of them, (N,) indices; all in their order when None.
        decode: stored rows (n, ...) to uint8 (n, C, H, W); None where they are such images.
        to_float: the same as a tensor on any device to float32 (n, C, H, W) in [0, 1], where there is a
            faster way than ``decode``.
    """

    dtype, ndim = np.dtype(np.uint8), 4

    def __init__(
        self, stored: np.ndarray, rows: np.ndarray | None = None, *,
        decode: Callable | None = None, to_float: Callable | None = None,
    ) -> None:
        self.stored, self.decode, self.to_float = stored, decode, to_float
        self.rows = None if rows is None else np.asarray(rows)
        first = stored[:1] if decode is None else decode(np.asarray(stored[:1]))
        self.shape = (len(stored) if rows is None else len(self.rows), *first.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes as stored, which for packed bits is an eighth of the pixels."""
        return len(self) * int(np.prod(self.stored.shape[1:])) * self.stored.dtype.itemsize

    def __getitem__(self, index) -> np.ndarray:
        if isinstance(index, (int, np.integer)):
            if not -len(self) <= index < len(self):
                raise IndexError(f"image {index} of {len(self)}")
            return self[np.array([index])][0]
        if not isinstance(index, slice):
            index = np.asarray(index)
            if index.dtype != bool and index.size == 0:
                index = index.astype(np.int64)
        part = self.stored[index if self.rows is None else self.rows[index]]
        return np.asarray(part) if self.decode is None else self.decode(np.asarray(part))

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype)

    def __repr__(self) -> str:
        return f"ImageRows{self.shape} of {self.nbytes:,} bytes"

    def select(self, chosen: np.ndarray) -> ImageRows:
        """The images at these indices, or where this mask is True; nothing is read."""
        chosen = np.asarray(chosen)
        indices = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        rows = indices if self.rows is None else self.rows[indices]
        return ImageRows(self.stored, rows, decode=self.decode, to_float=self.to_float)
