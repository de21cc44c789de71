"""The first categorical variable against the labels: accuracy twice, NMI, ARI."""

from __future__ import annotations

import torch

from imaetool.evaluation.errorbars import bootstrap
from imaetool.evaluation.subject import Measurement, NotApplicable, Subject
from imaetool.metrics import clustering

__all__ = ["accuracy", "ari", "nmi"]


def _partitions(subject: Subject) -> tuple[torch.Tensor, torch.Tensor]:
    """Categories and labels, (N,) each."""
    if not subject.model.latents.categories:
        raise NotApplicable("needs a categorical variable, and this model has none")
    labels = subject.labels()
    return subject.codes.categories[0], labels


def accuracy(subject: Subject) -> list[Measurement]:
    """Agreement of the categories with the labels: one-to-one first, then majority."""
    partitions = _partitions(subject)
    found = [clustering.accuracy(*partitions), clustering.accuracy_majority(*partitions)]
    return [subject.measured(r, "accuracy", "categories", "binomial over images") for r in found]


def _agreement(subject: Subject, name: str, score) -> list[Measurement]:
    categories, labels = _partitions(subject)
    error, kind = bootstrap(lambda rows: score(categories[rows], labels[rows]).value, subject.n, seed=subject.seed)
    return [subject.measured(score(categories, labels), name, "categories", kind, error=error)]


def nmi(subject: Subject) -> list[Measurement]:
    """Normalised mutual information of categories and labels."""
    return _agreement(subject, "nmi", clustering.nmi)


def ari(subject: Subject) -> list[Measurement]:
    """Adjusted Rand index of categories and labels."""
    return _agreement(subject, "ari", clustering.ari)
