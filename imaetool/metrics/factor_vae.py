"""The FactorVAE score: which unit stands still when one factor is fixed?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from imaetool.metrics._inputs import Factors, dead_units, read_factors, rows
from imaetool.metrics._partners import Partners, draw_factors, single_values
from imaetool.metrics.result import Result

__all__ = ["factor_vae_from_votes", "factor_vae_score"]

_CHUNK = 512  # votes gathered together


def factor_vae_from_votes(train: Tensor, test: Tensor) -> float:
    """Accuracy on the votes ``test`` (F, K) of the majority rule learnt on the votes ``train`` (F, K).

    Entry (f, k) counts how often unit k moved least when factor f was fixed.
    """
    rule = train.argmax(0)  # each unit's factor
    return float(test[rule, torch.arange(test.shape[1])].sum() / test.sum())


def factor_vae_score(
    mu,
    factors,
    *,
    factor_names: Sequence[str] | None = None,
    exclude: Iterable = (),
    train: int = 10_000,
    test: int = 5_000,
    batch: int = 64,
    least_deviation: float = 0.05,
    seed: int = 0,
) -> Result:
    """Accuracy of reading the fixed factor off the unit of least normalised variance.

    One vote: a factor drawn uniformly, a value of it drawn by its frequency, ``batch`` codes with
    that value; the unit whose variance over them, divided by its variance over all codes, is least.
    Units whose standard deviation over all codes is below ``least_deviation`` do not vote; with no
    unit left the score is 0. mu: (N, K); factors: (N, F) whole numbers. Codes with the value are
    drawn from those given, so the data must hold many codes per value (best: the complete grid);
    values that only one code has are left out. ValueError for a factor with no other.
    Source: Kim and Mnih 2018, settings of Locatello et al. 2019. Chance is about 1/F.
    """
    if batch < 2 or train < 1 or test < 1:
        raise ValueError("batch must be at least 2, train and test at least 1")
    means = rows(mu, "mu")
    kept = read_factors(factors, len(means), factor_names, exclude)
    variance = means.var(0, unbiased=True) if len(means) > 1 else torch.zeros(means.shape[1], dtype=means.dtype)
    active = variance.sqrt() >= least_deviation
    notes, value, votes = kept.notes + dead_units(means), 0.0, {}
    if active.any():
        generator = torch.Generator().manual_seed(seed)
        sets = [_votes(means, kept, variance, active, points, batch, generator) for points in (train, test)]
        value, votes = factor_vae_from_votes(*sets), {"votes_train": sets[0].tolist(), "votes_test": sets[1].tolist()}
    else:
        notes += ("no unit moves enough to vote: the score is 0 by definition",)
    columns = zip(kept.names, kept.values.T, strict=True)
    scarce = [name for name, column in columns if int(torch.bincount(column).min()) < batch]
    if scarce:
        notes += (f"fewer than {batch} codes for some value, drawn repeatedly: {', '.join(scarce)}",)
    notes += single_values(kept)
    return Result(
        metric="factor-vae",
        variant="majority vote on least normalised variance",
        value=value,
        n=len(means),
        unit="fraction",
        estimator=f"{train} votes to learn, {test} to measure, {batch} codes each",
        error=(value * (1 - value) / test) ** 0.5,
        settings={
            "train": train,
            "test": test,
            "batch": batch,
            "least_deviation": least_deviation,
            "seed": seed,
            "factors": list(kept.names),
        },
        details={**votes, "active": active.nonzero().squeeze(1).tolist()},
        notes=notes,
    )


def _votes(
    mu: Tensor, factors: Factors, variance: Tensor, active: Tensor, points: int, batch: int, generator: torch.Generator
) -> Tensor:
    """Votes (F, K) of ``points`` experiments."""
    table = torch.zeros(len(factors.sizes), mu.shape[1], dtype=torch.int64)
    for f, count in enumerate(draw_factors(factors, points, generator)):
        partners = Partners(factors.values[:, f], factors.sizes[f])
        paired = partners.paired()
        first = paired[torch.randint(len(paired), (count,), generator=generator)]
        for some in first.split(_CHUNK):
            spread = mu[partners.like(some, batch, generator)].var(1, unbiased=True) / variance  # (M, K)
            winner = torch.where(active, spread, torch.inf).argmin(1)
            table[f] += torch.bincount(winner, minlength=mu.shape[1])
    return table
