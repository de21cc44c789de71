"""From what a user calls a model to its file: a path, a run, a packaged model, the Hub."""

from __future__ import annotations

import os
from pathlib import Path

from imaetool.errors import UserError
from imaetool.training import checkpoint
from imaetool.training.checkpoint import Model, read_header
from imaetool.zoo.manifest import BUNDLED, read_manifest, source_weights
from imaetool.zoo.manifest import Model as Row

__all__ = ["find_model", "finished_runs", "load", "newest_with_factors", "packaged_file", "row_file"]

MODEL = "model.safetensors"
DEFAULT, DEFAULT_EVAL, DEFAULT_FACTORS = "imae-mnist", "imae-digits", "imae-dsprites"


def load(name: str | os.PathLike, device: str = "cpu") -> Model:
    """The model of a path, a run, a packaged model's name or OWNER/REPO[:FILE] on the Hub, ready to encode and decode.

    UserError where there is none, or where it is not whole.
    """
    return checkpoint.load(find_model(os.fspath(name))[0], device)


def finished_runs(base: str | os.PathLike = "runs") -> list[Path]:
    """Model files of the finished runs under ``base``, the newest first."""
    found = [p for p in Path(base).glob(f"*/{MODEL}") if p.is_file()]
    return sorted(found, key=lambda p: (p.stat().st_mtime_ns, p.as_posix()), reverse=True)


def newest_with_factors(base: str | os.PathLike = "runs") -> tuple[Path, str]:
    """(file, how it was found): the newest finished run on a dataset with factors, else the packaged model of one."""
    for path in finished_runs(base):
        try:
            data = read_header(path)["config"]["data"]
            if data["name"] == "dsprites" or data.get("factors"):
                return path, "the newest finished run on a dataset with factors"
        except (UserError, KeyError, TypeError, AttributeError):
            continue
    path = packaged_file(DEFAULT_FACTORS)
    if path is None:
        raise UserError(
            f"no finished run under {os.fspath(base)}/ on a dataset with ground-truth factors: train one with  "
            "imaetool train --recipe beta-tcvae-dsprites  or give --model and --data"
        )
    return path, f"packaged; no run on a dataset with factors under {os.fspath(base)}/"


def packaged_file(name: str) -> Path | None:
    """The file of a model that needs no network: bundled, or in the source tree's weights/; None where it is neither."""
    row = read_manifest().get(name)
    if row is None or row.status != "ready":
        return None
    for folder in (BUNDLED, source_weights()):
        if folder is not None and (folder / row.file).is_file():
            return folder / row.file
    return None


def row_file(row: Row) -> tuple[Path, str]:
    """(file, where it was found) of a row of the manifest, fetched from the Hub where it is nowhere here."""
    if row.status != "ready":
        raise UserError(f"{row.name} has a recipe but no weights: train it with  imaetool train --recipe {row.recipe}")
    path = packaged_file(row.name)
    if path is not None:
        return path, "packaged"
    if not row.repo:
        raise UserError(f"the weights of {row.name} are not in this installation and not published yet: {_train(row)}")
    from imaetool.zoo import hub

    held = hub.cached(row.repo, row.file, row.revision) is not None
    path = hub.fetch(row.repo, row.file, revision=row.revision, sha256=row.sha256, size=row.size)
    return path, f"from the {'Hub cache' if held else 'Hub'}, {row.repo}"


def _train(row: Row) -> str:
    return f"train it with  imaetool train --recipe {row.recipe}"


def find_model(name: str | None, default: str = DEFAULT) -> tuple[Path, str]:
    """(file, how it was found) of a model file, a run's folder or name, a model of the zoo, or OWNER/REPO[:FILE].

    None: the newest run, or where there is none the packaged model ``default``.
    Raises UserError saying what to do if there is none.
    """
    if name is None:
        if runs := finished_runs():
            return runs[0], "the newest finished run"
        if (path := packaged_file(default)) is not None:
            return path, f"{default}, packaged; there is no finished run under runs/"
        raise UserError("no finished run under runs/: train one with  imaetool train  or give --model PATH")
    for folder in (Path(name), Path("runs") / name):
        if folder.is_dir():
            if (folder / MODEL).is_file():
                return folder / MODEL, "as given"
            raise UserError(f"{folder} holds no {MODEL}: the run is not finished; go on with  imaetool train --resume {folder}")
    if Path(name).exists():
        return Path(name), "as given"
    rows = read_manifest()
    if name in rows:
        path, how = row_file(rows[name])
        return path, f"{name}, {how}"
    from imaetool.zoo import hub

    if (place := hub.split_name(name)) is not None:
        return hub.fetch(*place), "from the Hub"
    known = [p.parent.name for p in finished_runs()[:5]] + [n for n, row in rows.items() if row.status == "ready"]
    raise UserError(
        f"no model {name!r}: give a .safetensors file, a run's folder, OWNER/REPO on the Hub" + (f", or one of {', '.join(known)}" if known else "")
    )
