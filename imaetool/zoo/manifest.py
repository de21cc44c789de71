"""weights_manifest.json: every model of the zoo, where its weights are, how they came about and what they reach.

The file is read and written here alone. Standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from imaetool.errors import UserError, unknown_name
from imaetool.files import replace_file

__all__ = ["BUNDLED", "PATH", "SCHEMA", "Figure", "Model", "lookup", "read_manifest", "source_weights", "write_manifest"]

SCHEMA = 1  # version of the file's layout: docs/zoo.md
PATH = Path(__file__).with_name("weights_manifest.json")
BUNDLED = Path(__file__).with_name("weights")  # in the wheel
STATUS = ("ready", "recipe only")


@dataclass(frozen=True)
class Figure:
    """One evaluation figure: how it is asked for, what it was, and how far a recomputation may be from it."""

    metric: str  # as `imaetool eval --metric` names it
    variant: str
    value: float
    unit: str
    n: int
    split: str
    tolerance: float  # absolute
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the evaluation, where not the defaults


@dataclass(frozen=True)
class Model:
    """A row of the manifest. ``repo`` and ``revision`` are empty until the weights are published."""

    name: str
    status: str
    recipe: str
    summary: str  # one sentence: what the model is and is for
    file: str = ""  # a bare file name
    size: int = 0  # bytes
    sha256: str = ""
    dtype: str = ""
    bundled: bool = False
    repo: str = ""
    revision: str = ""
    data: Mapping[str, str] = field(default_factory=dict)  # name, source, licence, checksum
    training: Mapping[str, Any] = field(default_factory=dict)  # command, seed, machine, seconds, versions
    figures: tuple[Figure, ...] = ()
    notes: str = ""  # e.g. how the seed was chosen


def _model(name: str, row: Any, path: Path) -> Model:
    try:
        known = {f.name for f in fields(Model)} - {"name"}
        if row.keys() - known:
            raise ValueError(f"unknown key {sorted(row.keys() - known)[0]!r}")
        figures = tuple(Figure(**figure) for figure in row.get("figures", ()))
        model = Model(name=name, **{**row, "figures": figures})
        if model.status not in STATUS:
            raise ValueError(f"status {model.status!r}: one of {', '.join(STATUS)}")
        if model.status == "ready":
            if not re.fullmatch(r"[0-9a-f]{64}", model.sha256) or not model.size > 0:
                raise ValueError("a model that is ready needs its size and sha256")
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors", model.file):
                raise ValueError(f"file {model.file!r}: a bare name ending in .safetensors")
        return model
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: model {name!r}: {error}") from error


def read_manifest(path: Path = PATH) -> dict[str, Model]:
    """The models by name, in the file's order. UserError where the file is not one that this version reads."""
    try:
        content = json.loads(path.read_text("utf-8"))
        schema, rows = content["schema"], content["models"].items()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is not a weights manifest: {type(error).__name__} {error}") from error
    if schema != SCHEMA:
        raise UserError(f"{path} has schema {schema!r}, this imaetool reads {SCHEMA}: update imaetool")
    return {name: _model(name, row, path) for name, row in rows}


def write_manifest(models: Mapping[str, Model], path: Path = PATH) -> None:
    """Write the manifest in one step, the rows in the order given."""
    rows = {}
    for name, model in models.items():
        row = asdict(replace(model, name=name))
        row.pop("name")
        rows[name] = {key: value for key, value in row.items() if value not in ("", 0, (), {}) or key in ("status", "bundled")}
    text = json.dumps({"schema": SCHEMA, "models": rows}, indent=2, ensure_ascii=False)
    replace_file(path, (text + "\n").encode())


def lookup(name: str, models: Mapping[str, Model] | None = None) -> Model:
    """The manifest's row of that name; UserError naming the nearest ones."""
    models = read_manifest() if models is None else models
    if name not in models:
        raise unknown_name("model", name, models)
    return models[name]


def source_weights() -> Path | None:
    """The folder weights/ of the source tree that this package runs from; None where it is installed alone."""
    root = PATH.parents[2]
    return root / "weights" if (root / "pyproject.toml").is_file() else None
