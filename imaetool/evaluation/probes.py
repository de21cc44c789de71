"""Classifiers on frozen codes: what labels, or factors, can be read from the units."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from torch import Tensor

from imaetool.data import Split
from imaetool.evaluation.encode import encode_images
from imaetool.evaluation.subject import Measurement, NotApplicable, Subject
from imaetool.metrics import probes
from imaetool.metrics.result import Result

__all__ = ["linear_probe", "mlp_probe"]

_MOST = 60_000  # training codes
_TRAIN, _TEST = 5_000, 5_000  # where one split is both


def linear_probe(subject: Subject) -> list[Measurement]:
    """Accuracy of logistic regression on the means."""
    return _probe(subject, "linear-probe", lambda *given: probes.linear_probe(*given))


def mlp_probe(subject: Subject) -> list[Measurement]:
    """Accuracy of the classifier of infomax_vae table 7 on the means."""
    return _probe(subject, "mlp-probe", lambda *given: probes.mlp_probe(*given, seed=subject.seed))


def _probe(subject: Subject, name: str, fit: Callable[..., Result]) -> list[Measurement]:
    mu = subject.units().mu
    if subject.split.labels is None and subject.split.factors is None:
        raise NotApplicable(f"needs labels or factors, and {subject.data.name} has none")
    train, train_codes, fitted, held, notes = _two_sets(subject, mu)
    found = []
    if subject.split.labels is not None:
        given = (train_codes[fitted], train.labels[fitted], mu[held], subject.split.labels[held])
        result = fit(*given)
        found.append(replace(result, variant=f"{result.variant}, of labels", settings={**result.settings, "target": "labels"}))
    if subject.split.factors is not None:
        found.append(_of_factors(subject, fit, train, train_codes, fitted, held))
    return [subject.measured(r, name, "means", "binomial over test codes", notes=notes) for r in found]


def _two_sets(subject: Subject, mu: Tensor) -> tuple[Split, Tensor, np.ndarray, np.ndarray, tuple[str, ...]]:
    """(training split, its means, rows to fit on, rows of the measured split to test on, notes)."""
    data, random = subject.data, np.random.default_rng([subject.seed, 3])
    if subject.split_name == "test" and data.train is not data.test and len(data.train):
        rows = random.permutation(len(data.train))[:_MOST]
        train = data.train.select(np.isin(np.arange(len(data.train)), rows)) if len(rows) < len(data.train) else data.train
        if "train means" not in subject.cache:
            told = "encoding the training split"
            codes = encode_images(subject.model, train.images, lambda done, total: subject.progress(told, done, total))
            subject.cache["train means"] = codes.mu
        note = () if train is data.train else (f"fitted on {len(train):,} of {len(data.train):,} training codes",)
        return train, subject.cache["train means"], np.arange(len(train)), np.arange(subject.n), note
    order = random.permutation(subject.n)
    test = min(_TEST, subject.n // 3)
    if test < 2:
        raise NotApplicable(f"needs images to fit and to test, and there are {subject.n}")
    note = (f"fitted and tested on disjoint images of the {subject.split_name} split, drawn with seed {subject.seed}",)
    return subject.split, mu, order[test : test + min(_TRAIN, subject.n - test)], order[:test], note


def _of_factors(subject: Subject, fit: Callable[..., Result], train: Split, train_codes: Tensor, fitted, held) -> Result:
    """The mean over the factors, each in ``details``."""
    given, results = subject.factors(), {}
    for column, name in enumerate(given["factor_names"]):
        if name in given["exclude"] or len(np.unique(train.factors[fitted, column])) < 2:
            continue
        subject.progress("probing factors", len(results), len(given["factor_names"]) - len(given["exclude"]))
        values = train.factors[fitted, column], subject.split.factors[held, column]
        results[name] = fit(train_codes[fitted], values[0], subject.codes.mu[held], values[1])
    if not results:
        raise NotApplicable("needs a factor with two values")
    first, count = next(iter(results.values())), len(results)
    details = {
        "per_factor": {name: r.value for name, r in results.items()},
        "chance": {name: 1 / len(r.details["labels"]) for name, r in results.items()},
    }
    return replace(
        first, variant=f"{first.variant}, mean over factors", value=sum(r.value for r in results.values()) / count,
        error=math.sqrt(sum(r.error**2 for r in results.values())) / count,
        settings={**first.settings, "target": "factors", "factors": list(results)}, details=details,
    )
