"""Writing files whole or not at all. Standard library only."""

from __future__ import annotations

import os
import secrets
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
    temporary = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        try:
            with open(temporary, mode.replace("w", "x"), **options) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def replace_file(path: str | os.PathLike, content: bytes) -> None:
    """Write ``content`` to ``path`` in one step: readers see the old file or the new one."""
    with writing(path) as file:
        file.write(content)
