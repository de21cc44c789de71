"""Writing files whole or not at all. Standard library only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["replace_file", "writing"]


@contextmanager
def writing(path: str | os.PathLike, mode: str = "wb", **options) -> Iterator[IO]:
    """Open a temporary file beside ``path``; rename it to ``path`` if the block succeeds, else remove it.

    Raises OSError naming ``path`` where the folder cannot be written or the disk is full.
    """
    path = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:40]}-", suffix=".part", dir=path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        with os.fdopen(handle, mode, **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def replace_file(path: str | os.PathLike, content: bytes) -> None:
    """Write ``content`` to ``path`` in one step: readers see the old file or the new one."""
    with writing(path) as file:
        file.write(content)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
