"""Disentanglement, completeness and informativeness from the importance of each unit for each factor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from torch import Tensor

from imaetool.metrics._inputs import Factors, dead_units, read_factors, rows, split_rows
from imaetool.metrics.result import Result

__all__ = ["dci_from_importance", "dci_score", "importance_matrix"]

_TREES = {
    "gradient-boosting": lambda seed: GradientBoostingClassifier(random_state=seed),
    "random-forest": lambda seed: RandomForestClassifier(max_features=None, min_samples_leaf=2, random_state=seed, n_jobs=-1),
}


def dci_from_importance(importance) -> dict:
    """Disentanglement and completeness from a non-negative importance matrix R (K units, F factors).

    A unit's disentanglement is 1 - H(its row, normalised) / log F, averaged with weights sum_f R_kf;
    a factor's completeness is 1 - H(its column, normalised) / log K, averaged with weights
    sum_k R_kf. An all-zero row or column counts as even (score 0, weight 0).
    Source: Eastwood and Williams 2018. Raises ValueError on negative entries.
    """
    r = rows(importance, "importance")
    if (r < 0).any():
        raise ValueError("importance must not be negative")
    per_unit, per_factor = 1 - _evenness(r), 1 - _evenness(r.T)
    total = r.sum()
    unit_weight = r.sum(1) / total if total > 0 else torch.full((len(r),), 1 / len(r), dtype=r.dtype)
    factor_weight = r.sum(0) / total if total > 0 else torch.full((r.shape[1],), 1 / r.shape[1], dtype=r.dtype)
    return {
        "disentanglement": float(unit_weight @ per_unit),
        "completeness": float(factor_weight @ per_factor),
        "disentanglement_per_unit": per_unit.tolist(),
        "completeness_per_factor": per_factor.tolist(),
        "unit_weight": unit_weight.tolist(),
        "factor_weight": factor_weight.tolist(),
    }


def _evenness(r: Tensor) -> Tensor:
    """Entropy of each row over its greatest possible value, in [0, 1]; 1 for a row of zeros."""
    if r.shape[1] == 1:
        return torch.zeros(len(r), dtype=r.dtype)  # nothing to spread over
    total = r.sum(1, keepdim=True)
    share = torch.where(total > 0, r / total, 1 / r.shape[1])
    return torch.special.entr(share).sum(1) / math.log(r.shape[1])


def dci_score(
    mu,
    factors,
    *,
    factor_names: Sequence[str] | None = None,
    exclude: Iterable = (),
    trees: str = "gradient-boosting",
    train: int = 10_000,
    test: int = 5_000,
    seed: int = 0,
) -> Result:
    """DCI with tree importances; the value is disentanglement, all three are in ``details``.

    One classifier per factor is fitted on ``train`` codes; informativeness is its accuracy on
    ``test`` others, averaged. ``gradient-boosting`` is the choice of Locatello et al. 2019 and grows
    slow with many factor values (one tree per value and round); ``random-forest`` is quicker and is
    another variant, not comparable. mu: (N, K); factors: (N, F) whole numbers.
    """
    if trees not in _TREES:
        raise ValueError(f"trees must be one of {', '.join(_TREES)}, not {trees!r}")
    means = rows(mu, "mu")
    kept = read_factors(factors, len(means), factor_names, exclude)
    fitted, held, notes = split_rows(len(means), train, test, seed)
    importance, train_accuracy, test_accuracy = importance_matrix(means, kept, fitted, held, trees, seed)
    scores = dci_from_importance(importance)
    return Result(
        metric="dci",
        variant=f"disentanglement, {trees} importances",
        value=scores["disentanglement"],
        n=len(fitted) + len(held),
        estimator=f"fitted on {len(fitted)} codes, informativeness on {len(held)}",
        settings={"train": len(fitted), "test": len(held), "seed": seed, "trees": trees, "factors": list(kept.names)},
        details={
            **scores,
            "informativeness": sum(test_accuracy) / len(test_accuracy),
            "informativeness_train": sum(train_accuracy) / len(train_accuracy),
            "informativeness_per_factor": dict(zip(kept.names, test_accuracy, strict=True)),
            "importance": importance.tolist(),
        },
        notes=kept.notes + notes + dead_units(means) + _alone(importance),
    )


def _alone(importance: Tensor) -> tuple[str, ...]:
    """Notes where a score is 1 whatever the code: nothing to spread over."""
    units, factors = importance.shape
    one_factor = ("disentanglement is 1 by definition with one factor",) if factors == 1 else ()
    return one_factor + (("completeness is 1 by definition with one unit",) if units == 1 else ())


def importance_matrix(
    mu: Tensor, factors: Factors, fitted: Tensor, held: Tensor, trees: str = "gradient-boosting", seed: int = 0
) -> tuple[Tensor, list[float], list[float]]:
    """Importance of each unit for each factor (K, F), and accuracies on the fitted and the held codes (F each)."""
    columns, seen, unseen = [], [], []
    for values in factors.values.T.numpy():
        if len(set(values[fitted].tolist())) < 2:
            raise ValueError("a factor has one value among the training codes: give more codes or exclude it")
        model = _TREES[trees](seed).fit(mu[fitted].numpy(), values[fitted])
        if trees == "random-forest":
            model.n_jobs = 1  # votes summed in one order, so that ties fall alike every time
        columns.append(torch.from_numpy(model.feature_importances_).abs())
        seen.append(float(model.score(mu[fitted].numpy(), values[fitted])))
        unseen.append(float(model.score(mu[held].numpy(), values[held])))
    return torch.stack(columns, 1), seen, unseen
