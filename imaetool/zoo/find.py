"""From what a user calls a model to its file: a path, a run, a packaged model, the Hub."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from imaetool.errors import UserError
from imaetool.training import checkpoint
from imaetool.training.checkpoint import Model, read_header
from imaetool.zoo.manifest import BUNDLED, read_manifest, source_weights
from imaetool.zoo.manifest import Model as Row

__all__ = ["find_model", "finished_runs", "load", "newest_with_factors", "packaged_file", "row_file"]

MODEL, CHECKPOINT = "model.safetensors", "checkpoint.safetensors"  # of a run's folder: finished, and on the way
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
        return path, "packaged" if path.parent == BUNDLED else "from weights/"
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

    None: the newest run, or where there is none the packaged model ``default``. A name under runs/ is never one on the Hub.
    Raises UserError saying what to do if there is none.
    """
    if name is None:
        return _newest(default)
    folders = [folder for folder in (Path(name), Path("runs") / name) if folder.is_dir()]
    for folder in folders:
        if (folder / MODEL).is_file():
            return folder / MODEL, "as given"
        if (folder / CHECKPOINT).is_file():
            raise UserError(f"{folder} holds no {MODEL}: the run is not finished; go on with  imaetool train --resume {folder}")
    if not folders and Path(name).exists():
        return Path(name), "as given"
    rows = read_manifest()
    if name in rows:
        path, how = row_file(rows[name])
        return path, f"{name}, {how}"
    if folders:
        raise _no_run(folders[0])
    from imaetool.zoo import hub

    if not _is_under_runs(name) and (place := hub.split_name(name)) is not None:
        return hub.fetch(*place), "from the Hub"
    raise _unknown(name, rows)


def _newest(default: str) -> tuple[Path, str]:
    """The newest finished run, else the packaged model ``default``; UserError where there is neither."""
    if runs := finished_runs():
        return runs[0], "the newest finished run"
    if (path := packaged_file(default)) is not None:
        return path, f"{default}, packaged; there is no finished run under runs/"
    raise UserError("no finished run under runs/: train one with  imaetool train  or give --model PATH")


def _is_under_runs(name: str | os.PathLike) -> bool:
    """Whether a path, there or not, lies in the folder of runs.

    >>> _is_under_runs("runs/imae-mnist-1"), _is_under_runs("someone/runs")
    (True, False)
    """
    parts = Path(name).parts
    return len(parts) > 1 and parts[0] == "runs"


def _no_run(folder: Path) -> UserError:
    """The error for a folder that is none of a run's: often it holds the pictures to train on."""
    advice = "" if _is_under_runs(folder) else f"; to train on pictures in it:  imaetool train --data {folder}"
    return UserError(f"{folder} is not a run's folder: it holds neither {MODEL} nor {CHECKPOINT}{advice}")


_MANY = 12  # models named in an error


def _unknown(name: str, rows: Mapping[str, Row]) -> UserError:
    """The error for a name that is no model's: names the nearest one, and what there is."""
    runs = [path.parent.name for path in finished_runs()]
    ready = [other for other, row in rows.items() if row.status == "ready"]
    near = get_close_matches(Path(name).name, [*runs, *ready], n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    what = f"no such run {name!r}: " if _is_under_runs(name) else f"no model {name!r}: "
    known = list(dict.fromkeys([*runs[:5], *ready]))
    some = f", or one of {', '.join(known[:_MANY])}" if known else ""
    more = f" and {len(known) - _MANY} more (imaetool zoo list)" if len(known) > _MANY else ""
    return UserError(f"{what}{hint}give a .safetensors file, a run's folder, OWNER/REPO on the Hub{some}{more}")
