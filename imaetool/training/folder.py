"""A run's folder: its name, its files, and which stopped run is the newest."""

from __future__ import annotations

import csv
import io
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import imaetool
from imaetool.config import Config, to_dict
from imaetool.errors import UserError
from imaetool.files import replace_file

__all__ = ["CHECKPOINT", "FILES", "MODEL", "held", "new_folder", "newest_unfinished", "versions", "write_config", "write_history"]

MODEL, CHECKPOINT, LOCK = "model.safetensors", "checkpoint.safetensors", ".lock"
FILES = (MODEL, "config.toml", "history.csv", "samples.png", "traversals.png")  # what a finished run holds


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    found = {"imaetool": imaetool.__version__, "python": platform.python_version(), "torch": torch.__version__}
    for name in ("torchvision", "numpy", "pillow", "safetensors"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            pass
    return found


def new_folder(config: Config, output: str | None) -> Path:
    """The run's folder, made: ``output`` if given, else the first free runs/<name>-<n>.

    Raises UserError if ``output`` holds something already.
    """
    if output:
        folder = Path(output)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} exists already: choose another --output, or resume it with --resume {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    base = Path("runs")
    base.mkdir(exist_ok=True)
    number = 1
    while True:
        folder = base / f"{config.name}-{number}"
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep ``folder`` for this process while the block runs; UserError where another process trains there."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"{folder} is being trained by another process: wait until it ends, or stop it first") from None
    except NotImplementedError:  # a file system without locks
        yield
        return
    try:
        yield
    finally:
        lock.release()
        (folder / LOCK).unlink(missing_ok=True)


def newest_unfinished(base: str | Path = "runs") -> Path:
    """The newest stopped run under ``base``; UserError if there is none."""
    stopped = [p for p in Path(base).glob(f"*/{CHECKPOINT}") if not (p.parent / MODEL).exists()]
    if not stopped:
        raise UserError(f"no stopped run under {base}/: give its folder, --resume DIR")
    return max(stopped, key=lambda p: p.stat().st_mtime_ns).parent


def write_config(folder: Path, config: Config, dataset: dict[str, Any]) -> None:
    """config.toml: every setting resolved, with the versions and the dataset; a recipe in itself."""
    import tomli_w

    text = tomli_w.dumps({**to_dict(config), "record": {"versions": versions(), "dataset": dataset}})
    replace_file(folder / "config.toml", text.encode("utf-8", "backslashreplace"))


def write_history(folder: Path, history: Iterable[tuple[int, str, float]]) -> None:
    """history.csv: one tidy row for each epoch and term, in nats."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["epoch", "term", "nats"])
    rows.writerows((epoch, term, repr(value)) for epoch, term, value in history)
    replace_file(folder / "history.csv", text.getvalue().encode())
