"""Modularity (does a unit follow one factor?) and explicitness (can a linear classifier read it?)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor

from imaetool.metrics._histogram import binned_information
from imaetool.metrics._inputs import dead_units, read_factors, rows, split_rows
from imaetool.metrics.result import Result

__all__ = ["explicitness_score", "modularity_from_information", "modularity_score"]


def modularity_from_information(information: Tensor) -> Tensor:
    """Modularity of every unit, (K,), from I(z_k; v_f) (K, F) with F >= 2.

    1 - sum over the other factors of I^2 / (I_max^2 (F - 1)): 1 where a unit follows one factor,
    0 where it follows all alike, and by definition 0 where it follows none.
    """
    if information.ndim != 2 or information.shape[1] < 2:
        raise ValueError("modularity compares factors: at least two are needed")
    square = information**2
    top = square.amax(1)
    rest = (square.sum(1) - top) / (top * (information.shape[1] - 1))
    return torch.where(top > 0, 1 - rest, 0.0)


def modularity_score(
    mu, factors, *, factor_names: Sequence[str] | None = None, exclude: Iterable = (), bins: int = 20
) -> Result:
    """Mean modularity of the units, from the means cut into ``bins`` equal bins.

    mu: (N, K); factors: (N, F) whole numbers. Source: Ridgeway and Mozer 2018, with the bins of
    Locatello et al. 2019 (there on 10,000 codes; here on all given). A unit of pure noise has small,
    alike and non-zero I by chance, so it does not count as 0 exactly.
    """
    means = rows(mu, "mu")
    kept = read_factors(factors, len(means), factor_names, exclude)
    information = binned_information(means, kept, bins)
    information = torch.where(information > 1e-12, information, 0.0)  # rounding is no preference
    per_unit = modularity_from_information(information)
    silent = [str(k) for k, v in enumerate(information.amax(1).tolist()) if v == 0]
    note = (f"units that follow no factor count as 0: {', '.join(silent)}",) if silent else ()
    return Result(
        metric="modularity",
        variant=f"binned-{bins}",
        value=float(per_unit.mean()),
        n=len(means),
        estimator=f"histograms of mu in {bins} equal bins",
        settings={"bins": bins, "factors": list(kept.names)},
        details={"per_unit": per_unit.tolist(), "information": information.tolist()},
        notes=kept.notes + note + dead_units(means),
    )


def explicitness_score(
    mu,
    factors,
    *,
    factor_names: Sequence[str] | None = None,
    exclude: Iterable = (),
    train: int = 10_000,
    test: int = 5_000,
    seed: int = 0,
) -> Result:
    """Mean area under the ROC curve of one logistic regression per factor, each value against the rest.

    mu: (N, K); factors: (N, F) whole numbers. Fitted on ``train`` codes, measured on ``test`` others;
    0.5 is chance. Units are standardised. Source: Ridgeway and Mozer 2018 as in Locatello et al. 2019.
    """
    means = rows(mu, "mu")
    kept = read_factors(factors, len(means), factor_names, exclude)
    fitted, held, notes = split_rows(len(means), train, test, seed)
    spread = means[fitted].std(0, unbiased=False)
    x = ((means - means[fitted].mean(0)) / torch.where(spread > 0, spread, 1.0)).numpy()
    scores, skipped = {}, []
    for name, values in zip(kept.names, kept.values.T.numpy(), strict=True):
        if len(np.unique(values[fitted])) < 2:
            skipped.append(f"factor `{name}` has one value among the training codes: left out")
            continue
        model = LogisticRegression(max_iter=1000).fit(x[fitted], values[fitted])
        scores[name] = _area(model.classes_, values[held], model.predict_proba(x[held]))
    if not scores:
        raise ValueError("no factor has two values among the training codes")
    return Result(
        metric="explicitness",
        variant="logistic regression, mean ROC area (chance 0.5)",
        value=float(np.mean(list(scores.values()))),
        n=len(fitted) + len(held),
        estimator=f"fitted on {len(fitted)} codes, measured on {len(held)}",
        settings={"train": len(fitted), "test": len(held), "seed": seed, "factors": list(scores)},
        details={"per_factor": scores},
        notes=kept.notes + notes + tuple(skipped) + dead_units(means),
    )


def _area(classes: np.ndarray, truth: np.ndarray, probability: np.ndarray) -> float:
    """Mean ROC area over the values that occur, and do not always occur, among the test codes."""
    areas = [
        roc_auc_score(truth == value, probability[:, column])
        for column, value in enumerate(classes)
        if 0 < (truth == value).sum() < len(truth)
    ]
    return float(np.mean(areas)) if areas else float("nan")
