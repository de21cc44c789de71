"""Categories against labels: how well an unsupervised y finds the classes."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn import metrics as sk
from torch import Tensor

from imaetool.metrics._inputs import integers
from imaetool.metrics.result import Result

__all__ = ["accuracy", "accuracy_majority", "ari", "confusion", "nmi"]


def confusion(categories, labels) -> tuple[Tensor, list[int], list[int]]:
    """Counts (A, L) with the categories (A) and labels (L) that occur, both sorted.

    categories, labels: (N,) whole numbers.
    """
    categories = integers(categories, "categories")
    labels = integers(labels, "labels", len(categories))
    found, row = torch.unique(categories, return_inverse=True)
    known, column = torch.unique(labels, return_inverse=True)
    counts = torch.bincount(row * len(known) + column, minlength=len(found) * len(known))
    return counts.view(len(found), len(known)), found.tolist(), known.tolist()


def accuracy(categories, labels) -> Result:
    """Fraction right under the best one-to-one map from categories to labels.

    categories, labels: (N,) whole numbers, in any numbering. With more categories than labels the
    categories left over count as wrong; with fewer, so do the labels left over.
    Source: the "unsupervised clustering accuracy" of Xie et al. 2016; the assignment is Kuhn's.
    """
    counts, found, known = confusion(categories, labels)
    row, column = linear_sum_assignment(counts.numpy(), maximize=True)
    right = int(counts.numpy()[row, column].sum())
    mapping = {found[r]: known[c] for r, c in zip(row.tolist(), column.tolist(), strict=True)}
    notes = []
    if len(found) > len(known):
        left = [str(k) for k in found if k not in mapping]
        notes.append(f"{len(found)} categories for {len(known)} labels: categories {', '.join(left)} count as wrong")
    elif len(found) < len(known):
        left = [str(label) for label in known if label not in mapping.values()]
        notes.append(
            f"only {len(found)} categories occur for {len(known)} labels: labels {', '.join(left)} are never named"
        )
    return _fraction("one-to-one (Hungarian)", right, counts, found, known, mapping, notes)


def accuracy_majority(categories, labels) -> Result:
    """Fraction right when each category is read as its most frequent label ("purity").

    categories, labels: (N,) whole numbers. Several categories may name one label, so the value
    rises with the number of categories and reaches 1 when every image has its own.
    """
    counts, found, known = confusion(categories, labels)
    best, column = counts.max(1)
    mapping = {found[r]: known[c] for r, c in enumerate(column.tolist())}
    notes = []
    if len(found) > len(known):
        notes.append(f"{len(found)} categories for {len(known)} labels: majority vote favours many categories")
    return _fraction("majority vote", int(best.sum()), counts, found, known, mapping, notes)


def _fraction(variant: str, right: int, counts: Tensor, found: list, known: list, mapping: dict, notes: list) -> Result:
    n = int(counts.sum())
    value = right / n
    return Result(
        metric="accuracy",
        variant=variant,
        value=value,
        n=n,
        unit="fraction",
        estimator="exact count; categories mapped to labels on the images evaluated",
        error=float(np.sqrt(value * (1 - value) / n)),
        details={
            "confusion": counts.tolist(),
            "categories": found,
            "labels": known,
            "mapping": {str(k): v for k, v in mapping.items()},
        },
        notes=tuple(notes),
    )


def nmi(categories, labels) -> Result:
    """Normalised mutual information 2 I(y; label) / (H(y) + H(label)), in [0, 1].

    categories, labels: (N,) whole numbers. Source: arithmetic mean normalisation, as in scikit-learn.
    """
    return _agreement("nmi", "arithmetic mean of the entropies", sk.normalized_mutual_info_score, categories, labels)


def ari(categories, labels) -> Result:
    """Adjusted Rand index: 1 for equal partitions, 0 on average for random ones, may be negative.

    categories, labels: (N,) whole numbers. Source: Hubert and Arabie 1985.
    """
    return _agreement("ari", "Hubert-Arabie", sk.adjusted_rand_score, categories, labels)


def _agreement(metric: str, variant: str, score, categories, labels) -> Result:
    counts, found, known = confusion(categories, labels)
    single = [name for name, values in (("category", found), ("label", known)) if len(values) == 1]
    return Result(
        metric=metric,
        variant=variant,
        value=float(score(integers(labels, "labels").numpy(), integers(categories, "categories").numpy())),
        n=int(counts.sum()),
        estimator="exact count",
        details={"confusion": counts.tolist(), "categories": found, "labels": known},
        notes=tuple(f"only one {name} occurs" for name in single),
    )
