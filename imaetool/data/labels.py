"""Labels and factors of one's own images, from a CSV file. Standard library and numpy."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imaetool.errors import UserError
from imaetool.images import shown

__all__ = ["read_factors", "read_labels"]

_HEADS = {"path", "file", "filename", "image", "name", "image_id"}


def read_labels(path: str, images: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...], str]:
    """Label numbers int64 (N,) of the images, the label of each number, and a note ("" or what was left over).

    The file has a line ``path,label`` for each image; a first line such as ``path,label`` is taken as a header.
    """
    rows = _rows(path)
    if rows and rows[0][1][0].lower() in _HEADS and rows[0][1][0] not in images:
        rows = rows[1:]
    cells, note = _matched(path, rows, images, columns=2)
    numbers, names = _numbered([row[0] for row in cells])
    return numbers, tuple(map(str, names)), note


def read_factors(path: str, images: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...], tuple[np.ndarray, ...], str]:
    """Factor indices int64 (N, F), the factors' names, the value of each index of each factor, and a note.

    The first line names the columns: ``path,azimuth,elevation``.
    """
    rows = _rows(path)
    if not rows or len(rows[0][1]) < 2 or rows[0][1][0].lower() not in _HEADS:
        raise UserError(f"--factors {path}: the first line must name the columns, for example path,azimuth,elevation")
    names = tuple(rows[0][1][1:])
    if len(set(names)) < len(names) or not all(names):
        raise UserError(f"--factors {path}: each column needs its own name, not {', '.join(names)}")
    cells, note = _matched(path, rows[1:], images, columns=1 + len(names))
    columns = [_numbered([row[i] for row in cells]) for i in range(len(names))]
    return np.stack([numbers for numbers, _ in columns], axis=1), names, tuple(values for _, values in columns), note


def _rows(path: str) -> list[tuple[int, list[str]]]:
    """(line number, cells) of every line that is not empty."""
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            reader = csv.reader(file)
            return [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV file: {error}") from error


def _matched(path: str, rows, images: Sequence[str], columns: int) -> tuple[list[list[str]], str]:
    """The cells after the path for each image, in the order of ``images``, and a note on lines that name no image."""
    known: dict[str, list[str]] = {}
    for line, row in rows:
        if len(row) != columns or not all(row):
            raise UserError(f"{path}, line {line}: {columns} values are needed, and it has {sum(map(bool, row))} of {len(row)}")
        name = row[0].replace("\\", "/").removeprefix("./")
        if known.setdefault(name, row[1:]) != row[1:]:
            raise UserError(f"{path}, line {line}: {shown(name)} was already given other values")
    by_name = known if any("/" in image for image in images) else {Path(name).name: row for name, row in known.items()}
    found, missing, used = [], [], set()
    ends = [Path(image).name for image in images]
    unique = len(set(ends)) == len(ends)
    for image, end in zip(images, ends):
        key = next((k for k in (image, end) if k in by_name and (k == image or unique)), None)
        if key is None:
            missing.append(image)
        else:
            found.append(by_name[key])
            used.add(key)
    if missing:
        raise UserError(f"{path} has no line for {len(missing)} of {len(images)} images, the first: {shown(missing[0])}")
    left = len(by_name) - len(used)
    return found, f"{path}: {left} lines name no image that was read" if left else ""


def _numbered(values: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(the index of each value, int64; the values in order): numbers by size, words by the alphabet."""
    try:
        numbers = np.array([float(value) for value in values])
        if np.isfinite(numbers).all():
            whole = (numbers == np.rint(numbers)).all() and (np.abs(numbers) < 2**53).all()
            kinds, indices = np.unique(numbers.astype(np.int64) if whole else numbers, return_inverse=True)
            return indices.reshape(-1).astype(np.int64), kinds
    except ValueError:
        pass
    kinds, indices = np.unique(np.array(values, dtype=np.str_), return_inverse=True)
    return indices.reshape(-1).astype(np.int64), kinds
