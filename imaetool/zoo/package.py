"""From a finished run to a model of the zoo: weights in half precision, figures measured on those very weights, a row."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from imaetool.data import ImageData, open_data
from imaetool.data.catalogue import DATASETS
from imaetool.evaluation.evaluate import Evaluation, Settings, Subject, measure
from imaetool.evaluation.summary import summarise
from imaetool.training import checkpoint
from imaetool.zoo.manifest import Figure, Model

__all__ = ["figures_of", "package", "tolerance"]

_SHARE = 0.002  # a figure recomputed elsewhere may differ by this share of itself
_FITTED = {"steps": 0.1, "components": 0.02}  # the same where it fits a network or a mixture, which rounding leads elsewhere: by a setting it has
_FLOOR = {"fraction": 0.002, "nats": 0.01, "units": 0.5}  # and by so much at least, by the figure's unit


def tolerance(value: float, unit: str, n: int, settings: Iterable[str] = ()) -> float:
    """How far a recomputed figure of n images may be from the one kept: 0.2 % of it, or two images, or the last digit.

    ``settings``: the names of the estimator's. One that trains a network (a critic, a reader of images) has
    ``steps``, and 10 %; one that fits a mixture of Gaussians has ``components``, and 2 %.
    """
    share = max((_FITTED[name] for name in settings if name in _FITTED), default=_SHARE)
    return max(share * abs(value), _FLOOR.get(unit, 0.002), 2 / n if unit == "fraction" else 0.0)


def figures_of(
    model: checkpoint.Model, data: ImageData, metrics: Sequence[str], settings: Mapping[str, Any], split: str = "test",
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> tuple[Figure, ...]:
    """The figures of ``metrics`` on one split; ``settings`` as imaetool.evaluation.subject.Settings has them."""
    chosen = Settings(**{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})
    found: Evaluation = measure(Subject(model, data, split, 0, chosen, progress), list(metrics))
    return tuple(
        Figure(r.metric, r.variant, round(r.value, 6), r.unit, r.n, split, round(tolerance(r.value, r.unit, r.n, r.settings), 6), dict(settings))
        for r in found.results
    )


def package(
    run: Path, row: Model, *, folder: Path, metrics: Sequence[str], settings: Mapping[str, Any] | None = None,
    data_root: str = "", progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Model:
    """Write the weights of the finished ``run`` to ``folder`` and return ``row`` with all that is measured filled in.

    The figures are those of the stored weights, in half precision where every one of them stays within its
    tolerance of what the run's own full-precision weights give; else in full. What only concerned the machine
    (where the data lay) is left out.
    """
    model = checkpoint.load(run / "model.safetensors")
    config = model.config
    data = open_data(replace(config.data, root=data_root) if config.data.name != "folder" else config.data)
    seconds = model.record.get("training_seconds", 0)
    record = summarise(model, data, seed=config.training.seed).record | {
        key: model.record[key] for key in ("versions", "seed", "trained", "training_seconds", "dataset") if key in model.record
    }
    known = DATASETS.get(config.data.name)
    source = known.source if known else "own images"
    record["dataset"] = {**record.get("dataset", {}), "source": source}
    shipped = replace(config, data=replace(config.data, root=""))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{row.name}.safetensors"
    split = "test" if len(data.test) else "train"

    def measured(dtype: torch.dtype) -> tuple[Figure, ...]:
        checkpoint.save_model(path, model, shipped, record, dtype=dtype)
        return figures_of(checkpoint.load(path), data, metrics, settings or {}, split, progress)

    full, figures, dtype = measured(torch.float32), measured(torch.float16), torch.float16
    if any(abs(one.value - half.value) > one.tolerance for one, half in zip(full, figures, strict=True)):
        dtype = torch.float32
        checkpoint.save_model(path, model, shipped, record, dtype=dtype)
        figures = full
    content = path.read_bytes()
    return replace(
        row, status="ready", recipe=row.recipe or config.name, file=path.name, size=len(content), sha256=hashlib.sha256(content).hexdigest(),
        dtype=str(dtype).removeprefix("torch."), repo="", revision="", figures=figures,
        data={"name": data.name, "source": source, "licence": data.licence, "checksum": data.checksum},
        training={
            "command": row.training.get("command") or f"imaetool train --recipe {config.name} --seed {config.training.seed}",
            "seed": config.training.seed, "machine": _machine(config.training), "seconds": seconds,
            "versions": model.record.get("versions", {}),
        },
    )  # fmt: skip


def _machine(training: Any) -> str:
    device = torch.cuda.get_device_name() if training.device.startswith("cuda") and torch.cuda.is_available() else platform.machine()
    return f"{training.device.partition(':')[0]} ({device}), {training.precision}"
