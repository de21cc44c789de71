"""Decoded images in the cache: one folder per entry, with the pixels and the facts about them, whole or not there."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

__all__ = ["LEFTOVER_AGE", "open_entry", "write_entry"]

LEFTOVER_AGE = 86_400  # seconds after which an unfinished entry must come from a process that died


def open_entry(entry: Path) -> tuple[np.ndarray, dict] | None:
    """(images, facts) of a finished entry, or None where there is none or it is damaged.

    The images are a private memory map: writing to it never changes the cache.
    """
    try:
        facts = json.loads((entry / "facts.json").read_bytes())
        shape = tuple(facts["shape"])
        if (entry / "pixels").stat().st_size != int(np.prod(shape)):
            return None
        if not shape[0]:
            return np.empty(shape, np.uint8), facts  # an empty file cannot be mapped
        return np.memmap(entry / "pixels", np.uint8, "c", shape=shape), facts
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_entry(entry: Path, decode: Callable) -> tuple[np.ndarray, dict]:
    """Make the entry with ``decode(file) -> facts`` and open it; entries of the same name up to the "-" are replaced.

    It is written under another name and renamed when it is whole. Raises OSError where the cache cannot be used.
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    unfinished = entry.parent / f"{secrets.token_hex(8)}.tmp"
    unfinished.mkdir()
    try:
        with open(unfinished / "pixels", "wb") as sink:
            facts = decode(sink)
        (unfinished / "facts.json").write_text(json.dumps(facts))
        for stale in entry.parent.glob(f"{entry.name.partition('-')[0]}-*"):
            shutil.rmtree(stale, ignore_errors=True)
        with suppress(OSError):  # another process was first, with the same pixels
            os.replace(unfinished, entry)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    for leftover in entry.parent.glob("*.tmp"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > LEFTOVER_AGE:
                shutil.rmtree(leftover, ignore_errors=True)
    found = open_entry(entry)
    if found is None:
        raise OSError("the entry just written is gone")
    return found
