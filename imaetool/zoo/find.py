"""From what a user calls a model to its file."""

from __future__ import annotations

import os
from pathlib import Path

from imaetool.errors import UserError
from imaetool.training.checkpoint import read_header

__all__ = ["find_model", "finished_runs", "newest_with_factors"]

MODEL = "model.safetensors"


def finished_runs(base: str | os.PathLike = "runs") -> list[Path]:
    """Model files of the finished runs under ``base``, the newest first."""
    found = [p for p in Path(base).glob(f"*/{MODEL}") if p.is_file()]
    return sorted(found, key=lambda p: (p.stat().st_mtime_ns, p.as_posix()), reverse=True)


def newest_with_factors(base: str | os.PathLike = "runs") -> Path:
    """The newest finished run whose dataset has ground-truth factors; UserError saying what to do if there is none."""
    for path in finished_runs(base):
        try:
            data = read_header(path)["config"]["data"]
            if data["name"] == "dsprites" or data.get("factors"):
                return path
        except (UserError, KeyError, TypeError, AttributeError):
            continue
    raise UserError(
        f"no finished run under {os.fspath(base)}/ on a dataset with ground-truth factors: train one with  imaetool train "
        "--recipe beta-tcvae-dsprites  or give --model and --data"
    )


def find_model(name: str | None) -> tuple[Path, str]:
    """(file, how it was found) of a model file, a run's folder, or a run's name; None: the newest run.

    Raises UserError saying what to do if there is none.
    """
    if name is None:
        runs = finished_runs()
        if not runs:
            raise UserError("no finished run under runs/: train one with  imaetool train  or give --model PATH")
        return runs[0], "the newest finished run"
    for folder in (Path(name), Path("runs") / name):
        if folder.is_dir():
            if (folder / MODEL).is_file():
                return folder / MODEL, "as given"
            raise UserError(f"{folder} holds no {MODEL}: the run is not finished; go on with  imaetool train --resume {folder}")
    if Path(name).exists():
        return Path(name), "as given"
    near = ", ".join(p.parent.name for p in finished_runs()[:5])
    raise UserError(f"no model {name!r}: give a .safetensors file, a run's folder" + (f", or one of {near}" if near else ""))
