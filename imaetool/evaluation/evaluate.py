"""Measuring a model on a dataset: names in, results with all that a reader needs to trust them out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import imaetool
from imaetool.data import ImageData
from imaetool.errors import UserError
from imaetool.evaluation.subject import Measurement, NotApplicable, Settings, Subject
from imaetool.model import Autoencoder
from imaetool.registry import METRICS, resolve

__all__ = ["SCHEMA", "Evaluation", "Settings", "Subject", "evaluate", "measure", "report"]

SCHEMA = 1  # version of the JSON that report() gives: docs/eval-schema.md
PARTS = ("mig-chen", "mig-exact")  # what "all" already has in another metric


@dataclass(frozen=True)
class Evaluation:
    """Results in the order asked for, and for each metric left out the reason, to be read after its name."""

    results: list[Measurement]
    left_out: dict[str, str]


def evaluate(
    model: Autoencoder, data: ImageData, metrics: Iterable[str] = ("all",), *, split: str = "test", seed: int = 0, **settings: Any
) -> list[Measurement]:
    """Compute the named ``metrics`` on one split; a metric may give several results, "all" what applies.

    ``settings`` are those of imaetool.evaluation.subject.Settings: draws, samples, images, factors,
    exclude, trees. Raises UserError for an unknown metric, or one that needs what the model or the data lack.
    """
    return measure(Subject(model, data, split, seed, Settings(**settings)), list(metrics)).results


def measure(subject: Subject, names: list[str], started: Callable[[str, int, int], None] = lambda name, i, total: None) -> Evaluation:
    """Compute the metrics ``names`` of ``subject``; among them "all" stands for every one that applies.

    What cannot be computed is left out, with the reason; asked for alone it raises UserError. ``started`` is
    told of each metric.
    """
    everything = "all" in names
    wanted = [name for name in METRICS if name not in PARTS or name in names] if everything else names
    functions = {name: resolve("metric", name) for name in [*names, *wanted] if name != "all"}
    results, left_out = [], {}
    subject.codes  # encoded first, so that no metric is charged for it
    for number, name in enumerate(wanted, 1):
        started(name, number, len(wanted))
        began = time.perf_counter()
        try:
            found = functions[name](subject)
        except (NotApplicable, ValueError) as error:
            if len(wanted) == 1:
                raise UserError(f"metric {name} {_reason(error)}") from error
            left_out[name] = _reason(error)
            continue
        seconds = time.perf_counter() - began
        results += [subject.timed(r, seconds) for r in found]
    return Evaluation(results, left_out)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, NotApplicable) else f"cannot be computed: {error}"


def report(evaluation: Evaluation, subject: Subject, model_name: str) -> dict[str, Any]:
    """The evaluation as one strict JSON-ready dictionary (docs/eval-schema.md)."""
    config = getattr(subject.model, "config", None)
    return {
        "schema": SCHEMA,
        "imaetool": imaetool.__version__,
        "model": model_name,
        "model_checksum": subject.checksum,
        "recipe": config.name if config else None,
        "objective": dict(config.objective) if config else None,
        "network": subject.model.network,
        "latents": {"continuous": subject.model.latents.continuous, "categories": list(subject.model.latents.categories)},
        "data": subject.data.name,
        "data_checksum": subject.data.checksum,
        "data_source": subject.data.source,
        "label_names": list(subject.data.label_names),
        "factor_names": list(subject.data.factor_names),
        "split": subject.split_name,
        "n": subject.n,
        "seed": subject.seed,
        "settings": {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(subject.settings).items()},
        "results": [r.as_dict() for r in evaluation.results],
        "left_out": evaluation.left_out,
    }
