"""Where datasets are looked for, and where decoded images are cached."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_dir", "data_root"]


def cache_dir() -> Path:
    """$IMAETOOL_CACHE, else imaetool under $XDG_CACHE_HOME, else ~/.cache/imaetool."""
    if own := os.environ.get("IMAETOOL_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "imaetool"


def data_root(given: str = "") -> str:
    """``given`` (--data-root), else $IMAETOOL_DATA, else ``data`` here if there is one, else in the cache."""
    if given or (given := os.environ.get("IMAETOOL_DATA", "")):
        return given
    return "data" if Path("data").is_dir() else str(cache_dir() / "data")
