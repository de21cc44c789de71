"""Separated attribute predictability: how much better the best unit predicts a factor than the second best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from sklearn.svm import LinearSVC
from torch import Tensor

from imaetool.metrics._inputs import dead_units, one_unit, read_factors, rows, split_rows
from imaetool.metrics.result import Result

__all__ = ["sap_from_scores", "sap_score"]

_ESTIMATORS = ("svc", "correlation")


def sap_from_scores(scores: Tensor) -> Tensor:
    """Best minus second best of every factor, (F,), from scores (K, F); SAP is their mean."""
    top = scores.topk(min(2, len(scores)), dim=0).values
    return top[0] - (top[1] if len(top) > 1 else 0)


def sap_score(
    mu,
    factors,
    *,
    factor_names: Sequence[str] | None = None,
    exclude: Iterable = (),
    estimator: str = "svc",
    train: int = 10_000,
    test: int = 5_000,
    seed: int = 0,
) -> Result:
    """SAP with scores by one of two published definitions, named in the variant.

    ``svc``: factors are classes; the score is the test accuracy of a linear support vector machine
    on the one unit (C = 0.01, balanced classes). ``correlation``: factors are numbers; the score is
    the squared correlation with the unit over the ``train`` codes, 0 where the unit is constant.
    mu: (N, K); factors: (N, F) whole numbers.
    Source: Kumar et al. 2018; settings of Locatello et al. 2019, who use ``svc`` for all factors.
    """
    if estimator not in _ESTIMATORS:
        raise ValueError(f"estimator must be one of {', '.join(_ESTIMATORS)}, not {estimator!r}")
    means = rows(mu, "mu")
    kept = read_factors(factors, len(means), factor_names, exclude)
    fitted, held, notes = split_rows(len(means), train, test, seed)
    if estimator == "svc":
        scores, how = _accuracies(means, kept.values, fitted, held), f"fitted on {len(fitted)} codes, measured on {len(held)}"
    else:  # the numbers themselves, not their ranks
        numbers = rows(factors, "factors")[:, _columns(factors, kept.names, factor_names)]
        scores, how = _squared_correlations(means[fitted], numbers[fitted]), f"over {len(fitted)} codes"
    gaps = sap_from_scores(scores)
    return Result(
        metric="sap",
        variant="linear SVC, factors as classes" if estimator == "svc" else "squared correlation, factors as numbers",
        value=float(gaps.mean()),
        n=len(fitted) + (len(held) if estimator == "svc" else 0),
        estimator=how,
        settings={"train": len(fitted), "test": len(held), "seed": seed, "factors": list(kept.names)},
        details={"gap": dict(zip(kept.names, gaps.tolist(), strict=True)), "scores": scores.tolist()},
        notes=kept.notes + notes + one_unit(means.shape[1]) + dead_units(means),
    )


def _columns(factors, kept: Sequence[str], names: Sequence[str] | None) -> list[int]:
    width = rows(factors, "factors").shape[1]
    names = [f"factor{f}" for f in range(width)] if names is None else list(names)
    return [names.index(name) for name in kept]


def _squared_correlations(mu: Tensor, factors: Tensor) -> Tensor:
    """Squared correlation of every unit with every factor, (K, F)."""
    mu, factors = mu - mu.mean(0), factors - factors.mean(0)
    covariance = mu.T @ factors / (len(mu) - 1)
    variance, spread = (mu**2).sum(0) / (len(mu) - 1), (factors**2).sum(0) / (len(mu) - 1)
    scores = covariance**2 / (variance[:, None] * spread)
    return torch.where((variance[:, None] > 1e-12) & (spread > 0), scores, 0.0)


def _accuracies(mu: Tensor, factors: Tensor, fitted: Tensor, held: Tensor) -> Tensor:
    """Test accuracy of a linear support vector machine for every unit and factor, (K, F)."""
    scores = torch.zeros(mu.shape[1], factors.shape[1], dtype=torch.float64)
    for f, values in enumerate(factors.T.numpy()):
        for k, unit in enumerate(mu.T.numpy()):
            if len(np.unique(values[fitted])) < 2:
                scores[k, f] = float(np.mean(values[held] == values[fitted][0]))
                continue
            model = LinearSVC(C=0.01, class_weight="balanced", random_state=0)
            model.fit(unit[fitted][:, None], values[fitted])
            scores[k, f] = float(np.mean(model.predict(unit[held][:, None]) == values[held]))
    return scores
