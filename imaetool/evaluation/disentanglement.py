"""Codes against ground-truth factors: the metrics of the disentanglement literature."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from imaetool.evaluation.errorbars import bootstrap, over_seeds
from imaetool.evaluation.subject import Measurement, NotApplicable, Subject
from imaetool.metrics import beta_vae, dci as trees, factor_vae as votes, mig as gap, modularity as modular, sap as separated
from imaetool.metrics.result import Result

__all__ = [
    "FACTOR_METRICS", "beta_vae_score", "dci", "explicitness", "factor_vae_score", "mig", "mig_binned", "mig_chen", "mig_exact",
    "modularity", "sap",
]

FACTOR_METRICS = (
    "mig", "mig-chen", "mig-exact", "mig-binned", "sap", "dci", "factor-vae", "beta-vae", "modularity", "explicitness",
)


def _mig_chen(subject: Subject) -> Result:
    if "mig-chen" not in subject.cache:
        codes = subject.units()
        subject.cache["mig-chen"] = gap.mig_chen(
            codes.mu, codes.log_var, **subject.factors(), draws=subject.settings.draws, seed=subject.seed
        )
    return subject.cache["mig-chen"]


def mig(subject: Subject) -> list[Measurement]:
    """MIG as Chen et al. define it, by 10,000 draws, and beside it the same quantity integrated."""
    return mig_chen(subject) + mig_exact(subject)


def mig_chen(subject: Subject) -> list[Measurement]:
    """MIG by the mixture estimator."""
    return [subject.measured(_mig_chen(subject), "mig-chen", "samples", "Monte Carlo draws")]


def mig_exact(subject: Subject) -> list[Measurement]:
    """MIG integrated. Its error is that of the images: the spread of one draw over the root of N, which bounds it."""
    sampled, codes = _mig_chen(subject), subject.units()
    result = gap.mig_exact(codes.mu, codes.log_var, **subject.factors())
    error = sampled.error * math.sqrt(subject.settings.draws / subject.n)
    kind = "upper bound of the error over images, from the draws of mig-chen; the integral itself has none"
    return [subject.measured(result, "mig-exact", "samples", kind, error=error)]


def mig_binned(subject: Subject) -> list[Measurement]:
    """MIG of the means in 20 bins: another quantity than mig-chen."""
    return _resampled(subject, "mig-binned", gap.mig_binned)


def modularity(subject: Subject) -> list[Measurement]:
    """Whether each unit follows one factor."""
    _two_factors(subject)
    return _resampled(subject, "modularity", modular.modularity_score)


def sap(subject: Subject) -> list[Measurement]:
    """Best minus second best unit at predicting each factor."""
    result = separated.sap_score(subject.units().mu, **subject.factors(), seed=subject.seed)
    top = torch.tensor(result.details["scores"]).topk(min(2, subject.model.latents.continuous), dim=0).values
    error = float((top * (1 - top) / result.settings["test"]).sum().sqrt()) / top.shape[1]
    kind = "binomial over test codes, scores taken as independent"
    return [subject.measured(result, "sap", "means", kind, error=error)]


def dci(subject: Subject) -> list[Measurement]:
    """Disentanglement, completeness and informativeness: random forests on three sets of 5,000 codes."""
    _two_factors(subject)
    mu, factors = subject.units().mu, subject.factors()
    if subject.settings.trees == "gradient-boosting":
        result = trees.dci_score(mu, **factors, trees="gradient-boosting", seed=subject.seed)
        notes = ("one fit, as published, which takes minutes: no error bar",)
        return [subject.measured(result, "dci", "means", notes=notes)]

    def once(seed: int) -> Result:
        subject.progress("fitting random forests", seed - subject.seed, 3)
        return trees.dci_score(mu, **factors, trees="random-forest", train=5_000, test=2_500, seed=seed)

    result, kind = over_seeds(once, subject.seed, 3)
    notes = ("random forests are quick and not the benchmark's gradient boosting (--trees gradient-boosting)",)
    return [subject.measured(result, "dci", "means", kind, notes=notes)]


def factor_vae_score(subject: Subject) -> list[Measurement]:
    """Which unit stands still when one factor is fixed."""
    _two_factors(subject)
    result = votes.factor_vae_score(subject.units().mu, **subject.factors(), seed=subject.seed)
    return [subject.measured(result, "factor-vae", "means", "binomial over votes")]


def beta_vae_score(subject: Subject) -> list[Measurement]:
    """Whether a linear classifier tells which factor two codes share."""
    _two_factors(subject)
    result = beta_vae.beta_vae_score(subject.units().mu, **subject.factors(), seed=subject.seed)
    return [subject.measured(result, "beta-vae", "means", "binomial over test points")]


def explicitness(subject: Subject) -> list[Measurement]:
    """How well a linear classifier reads the factors off all units."""
    mu, factors = subject.units().mu, subject.factors()
    result, kind = over_seeds(lambda seed: modular.explicitness_score(mu, **factors, seed=seed), subject.seed, 3)
    return [subject.measured(result, "explicitness", "means", kind)]


def _two_factors(subject: Subject) -> None:
    given = subject.factors()
    if len(given["factor_names"]) - len(given["exclude"]) < 2:
        raise NotApplicable("compares factors, and one is left")


def _resampled(subject: Subject, name: str, score: Callable[..., Result]) -> list[Measurement]:
    mu, given = subject.units().mu, subject.factors()
    table = torch.as_tensor(given["factors"])

    def once(rows: torch.Tensor) -> float:
        some: dict[str, Any] = {**given, "factors": table[rows]}
        return score(mu[rows], **some).value

    error, kind = bootstrap(once, subject.n, seed=subject.seed)
    return [subject.measured(score(mu, **given), name, "means", kind, error=error)]
