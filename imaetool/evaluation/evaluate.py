"""Measuring a model on a dataset: names in, results with all that a reader needs to trust them out."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

from imaetool.data import ImageData, Split
from imaetool.errors import UserError
from imaetool.evaluation.encode import encode_images
from imaetool.metrics.result import Result
from imaetool.model import Autoencoder, Codes
from imaetool.registry import resolve

__all__ = ["SCHEMA", "Subject", "evaluate", "report"]

SCHEMA = 1  # version of the JSON that report() gives


@dataclass
class Subject:
    """What a metric is computed on: a model and one split of a dataset. Codes are computed once."""

    model: Autoencoder
    data: ImageData
    split_name: str = "test"
    seed: int = 0
    settings: dict = field(default_factory=dict)

    @property
    def split(self) -> Split:
        return getattr(self.data, self.split_name)

    @cached_property
    def codes(self) -> Codes:
        return encode_images(self.model, self.split.images)


def evaluate(
    model: Autoencoder, data: ImageData, metrics: Iterable[str], *, split: str = "test", seed: int = 0
) -> list[Result]:
    """Compute the named ``metrics`` on one split; a metric may give several results.

    Raises UserError for an unknown metric, or one that needs what the model or the data lack.
    """
    if split not in ("train", "test"):
        raise UserError(f"unknown split {split!r}: train or test")
    functions = [resolve("metric", name) for name in metrics]
    if data.shape != model.shape:
        raise UserError(f"the model reads images of shape {model.shape}, {data.name} has {data.shape}")
    subject = Subject(model, data, split, seed)
    if not len(subject.split):
        raise UserError(f"the {split} split of {data.name} is empty")
    results = []
    for function in functions:
        began = time.perf_counter()
        found = function(subject)
        seconds = round(time.perf_counter() - began, 3)
        results += [replace(r, settings={**r.settings, "seconds": seconds}) for r in found]
    return results


def report(results: list[Result], model_name: str, data: ImageData, split: str, seed: int = 0) -> dict:
    """The results as one JSON-ready dictionary (docs/metrics.md describes the schema)."""
    return {
        "schema": SCHEMA,
        "model": model_name,
        "data": data.name,
        "data_checksum": data.checksum,
        "split": split,
        "seed": seed,
        "results": [r.as_dict() for r in results],
    }
