"""Does a model of the zoo hold what its row says? The checksum, and every figure computed again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby

from imaetool.config import Data
from imaetool.data import ImageData, dsprites, open_data
from imaetool.data.catalogue import DATASETS, find
from imaetool.data.paths import cache_dir
from imaetool.data.progress import report
from imaetool.errors import UserError
from imaetool.training.checkpoint import load
from imaetool.zoo.find import row_file
from imaetool.zoo.manifest import Figure, Model
from imaetool.zoo.package import figures_of

__all__ = ["Check", "verify"]


@dataclass(frozen=True)
class Check:
    """One thing that was checked. ``result``: "ok", "differs" or "not checked" (and why, in ``found``)."""

    what: str
    expected: str
    found: str
    result: str


def verify(
    row: Model, *, figures: bool = True, data_root: str = "", progress: Callable[[str, int, int], None] = lambda *_: None
) -> list[Check]:
    """The checksum of the model's file, and unless ``figures`` is False each figure again on its dataset.

    A dataset that is not here is not fetched: it leaves its figures "not checked", with the reason.
    UserError where the file is nowhere, or is no model.
    """
    path, _ = row_file(row)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    checks = [Check("sha256", row.sha256, digest, "ok" if digest == row.sha256 else "differs")]
    if checks[0].result == "differs" or not figures:
        return checks
    model = load(path)
    try:
        data = _open_here(replace(model.config.data, root=data_root))
    except UserError as error:
        return checks + [Check(_what(f), f"{f.value:.4f}", str(error), "not checked") for f in row.figures]
    same = data.checksum == row.data.get("checksum")
    checks.append(Check("data checksum", row.data.get("checksum", ""), data.checksum, "ok" if same else "differs"))
    for (settings, split), group in groupby(row.figures, key=lambda f: (dict(f.settings), f.split)):
        kept = list(group)
        metrics = list(dict.fromkeys(f.metric for f in kept))
        again = {(f.metric, f.variant): f for f in figures_of(model, data, metrics, settings, split, progress)}
        checks += [_compared(f, again.get((f.metric, f.variant))) for f in kept]
    return checks


def _open_here(config: Data) -> ImageData:
    """The dataset, without a download; UserError where it is not here. dSprites is drawn where it is not."""
    entry = DATASETS.get(config.name)
    if entry is not None and entry.places and find(entry, config.root) is None:
        if entry.name != "dsprites":
            raise UserError(f"{entry.name} is not here (--data-root)")
        dsprites.open_packed(cache_dir(), lambda done, total: report(f"rendering {entry.title}", done, total))
    return open_data(config)


def _what(figure: Figure) -> str:
    return f"{figure.metric}, {figure.variant}, N = {figure.n:,}"


def _compared(kept: Figure, again: Figure | None) -> Check:
    if again is None:
        return Check(_what(kept), f"{kept.value:.4f}", "no such figure any more", "differs")
    near = abs(again.value - kept.value) <= kept.tolerance and again.n == kept.n
    found = f"{again.value:.4f}" + ("" if again.n == kept.n else f" (N = {again.n:,})")
    return Check(_what(kept), f"{kept.value:.4f} +- {kept.tolerance:.4f}", found, "ok" if near else "differs")
