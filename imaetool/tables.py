"""Rows of codes written as they come: parquet, npz, csv or JSON lines, in memory that does not grow."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imaetool.errors import UserError
from imaetool.files import writing

__all__ = ["Rows", "Unreadable", "table_writer", "write_unreadable"]


@dataclass(frozen=True)
class Unreadable:
    """A file that could not be encoded, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Rows:
    """Codes of some images: paths (N), mu and sigma (N, K1), one (N, K2) of probabilities per variable."""

    paths: Sequence[str]
    mu: np.ndarray
    sigma: np.ndarray
    probabilities: tuple[np.ndarray, ...]

    @property
    def categories(self) -> tuple[np.ndarray, ...]:
        """The most probable value of each categorical variable, (N,)."""
        return tuple(p.argmax(1) for p in self.probabilities)

    def columns(self) -> dict[str, Sequence]:
        """Flat columns: path, category, p_0..., mu_0..., sigma_0... (category2, p2_0... for a second variable)."""
        flat: dict[str, Sequence] = {"path": self.paths}
        for number, (category, p) in enumerate(zip(self.categories, self.probabilities), 1):
            suffix = "" if number == 1 else str(number)
            flat[f"category{suffix}"] = category
            flat |= {f"p{suffix}_{c}": p[:, c] for c in range(p.shape[1])}
        flat |= {f"mu_{k}": self.mu[:, k] for k in range(self.mu.shape[1])}
        return flat | {f"sigma_{k}": self.sigma[:, k] for k in range(self.sigma.shape[1])}


class _Table(ABC):
    """Takes Rows one after the other into an open file."""

    mode, options = "wb", {}

    def __init__(self, file) -> None:
        self.file = file

    @abstractmethod
    def __call__(self, rows: Rows) -> None: ...

    def close(self) -> None: ...


class _Csv(_Table):
    mode, options = "w", {"newline": "", "encoding": "utf-8"}
    started = False

    def __call__(self, rows: Rows) -> None:
        columns = rows.columns()
        out = csv.writer(self.file)
        if not self.started:
            out.writerow(columns)
            self.started = True
        out.writerows(zip(*(c.tolist() if isinstance(c, np.ndarray) else c for c in columns.values())))


class _JsonLines(_Table):
    mode, options = "w", {"encoding": "utf-8"}

    def __call__(self, rows: Rows) -> None:
        single = len(rows.probabilities) == 1
        for i, path in enumerate(rows.paths):
            row: dict = {"path": path}
            if rows.probabilities:
                values, tables = [int(c[i]) for c in rows.categories], [p[i].tolist() for p in rows.probabilities]
                row |= {"category": values[0] if single else values, "probabilities": tables[0] if single else tables}
            row |= {"mu": rows.mu[i].tolist(), "sigma": rows.sigma[i].tolist()}
            self.file.write(json.dumps(row) + "\n")


class _Parquet(_Table):
    writer = None

    def __call__(self, rows: Rows) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        table = pa.table(dict(rows.columns()))
        if self.writer is None:
            self.writer = parquet.ParquetWriter(self.file, table.schema)
        self.writer.write_table(table)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


class _Npz(_Table):
    """Arrays path, mu, sigma, category, probabilities; grown in temporary files, zipped at the end."""

    def __init__(self, file) -> None:
        super().__init__(file)
        self.parts: dict[str, tuple] = {}  # name -> (file, dtype, row shape)
        self.names: list[bytes] = []
        self.count = 0

    def __call__(self, rows: Rows) -> None:
        arrays = {"mu": rows.mu, "sigma": rows.sigma}
        for number, (category, p) in enumerate(zip(rows.categories, rows.probabilities), 1):
            suffix = "" if number == 1 else str(number)
            arrays |= {f"category{suffix}": category, f"probabilities{suffix}": p}
        for name, array in arrays.items():
            if name not in self.parts:
                self.parts[name] = (tempfile.TemporaryFile(), array.dtype, array.shape[1:])
            self.parts[name][0].write(np.ascontiguousarray(array).tobytes())
        self.names += rows.paths
        self.count += len(rows.paths)

    def close(self) -> None:
        with zipfile.ZipFile(self.file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            with archive.open("path.npy", "w") as member:
                np.lib.format.write_array(member, np.array(self.names, dtype=np.str_), allow_pickle=False)
            for name, (part, dtype, shape) in self.parts.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (self.count, *shape)}
                    np.lib.format.write_array_header_1_0(member, header)
                    part.seek(0)
                    shutil.copyfileobj(part, member)
                part.close()


_TABLES = {".parquet": _Parquet, ".npz": _Npz, ".csv": _Csv, ".jsonl": _JsonLines}


@contextmanager
def _to_file(path: Path, kind: type[_Table]) -> Iterator[_Table]:
    with writing(path, kind.mode, **kind.options) as file:
        table = kind(file)
        yield table
        table.close()


@contextmanager
def _to_stdout() -> Iterator[_Table]:
    yield _JsonLines(sys.stdout)


def table_writer(output: str):
    """A context manager giving a function that takes Rows; ``output`` is a file's name, or - for stdout.

    The file appears whole at the end, or not at all. UserError for a suffix that is not known.
    """
    if output == "-":
        return _to_stdout()
    kind = _TABLES.get(Path(output).suffix.lower())
    if kind is None:
        raise UserError(f"cannot write {output}: its name must end in {', '.join(_TABLES)} (or be - for stdout)")
    if not Path(output).parent.is_dir():
        raise UserError(f"cannot write {output}: there is no folder {Path(output).parent}")
    return _to_file(Path(output), kind)


def write_unreadable(path: Path, found: Sequence[Unreadable]) -> None:
    """The sidecar: a csv of path and reason."""
    with writing(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "reason"])
        rows.writerows((u.path, u.reason) for u in found)
