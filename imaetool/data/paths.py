"""Where datasets are looked for, and where decoded images are cached. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path

from imaetool.errors import UserError

__all__ = ["cache_dir", "data_root", "first_time", "roots", "writable_root"]


def cache_dir() -> Path:
    """$IMAETOOL_CACHE, else imaetool under $XDG_CACHE_HOME, else ~/.cache/imaetool. Touches no disk."""
    if own := os.environ.get("IMAETOOL_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "imaetool"


def data_root(given: str = "") -> str:
    """``given`` (--data-root), else $IMAETOOL_DATA, else ``data`` here if there is one, else in the cache."""
    if given or (given := os.environ.get("IMAETOOL_DATA", "")):
        return given
    return "data" if Path("data").is_dir() else str(cache_dir() / "data")


def roots(given: str = "") -> tuple[Path, ...]:
    """The folders in which dataset files are looked for: data_root(given), then the cache."""
    return tuple(dict.fromkeys((Path(data_root(given)), cache_dir() / "data")))


def writable_root(given: str = "") -> Path:
    """The folder that fetched files go to, made if need be; UserError if it cannot be written."""
    root = Path(data_root(given))
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {root} ({error.strerror}): name another with --data-root") from error
    if not os.access(root, os.W_OK):
        raise UserError(f"the folder {root} cannot be written: name another with --data-root")
    return root


def first_time(name: str) -> bool:
    """Whether this is the first call for ``name`` on this machine; a marker in the cache remembers."""
    marker = cache_dir() / "shown" / name
    if marker.exists():
        return False
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    except OSError:
        pass  # without a cache it is shown each time
    return True
