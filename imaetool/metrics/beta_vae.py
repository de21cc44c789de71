"""The beta-VAE score: can a linear classifier tell which factor two codes share?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from imaetool.metrics._inputs import Factors, dead_units, read_factors, rows
from imaetool.metrics._partners import Partners, draw_factors, single_values
from imaetool.metrics.result import Result

__all__ = ["beta_vae_score"]

_CHUNK = 512  # points gathered together


def beta_vae_score(
    mu,
    factors,
    *,
    factor_names: Sequence[str] | None = None,
    exclude: Iterable = (),
    train: int = 10_000,
    test: int = 5_000,
    batch: int = 64,
    seed: int = 0,
) -> Result:
    """Accuracy of logistic regression from mean abs(mu_1 - mu_2) to the factor that each pair shares.

    One point: a factor drawn uniformly, ``batch`` pairs of codes that agree in it (and in general in
    nothing else), and the absolute difference averaged over the pairs, (K,). Values that only one
    code has are left out.
    mu: (N, K); factors: (N, F) whole numbers, at least two factors. Chance is 1/F. ValueError for fewer,
    or for a factor with no value that two codes share.
    Source: Higgins et al. 2017, settings of Locatello et al. 2019.
    """
    if batch < 1 or train < 2 or test < 1:
        raise ValueError("batch and test must be at least 1, train at least 2")
    means = rows(mu, "mu")
    kept = read_factors(factors, len(means), factor_names, exclude)
    if len(kept.sizes) < 2:
        raise ValueError("the beta-VAE score tells factors apart: at least two with two values are needed")
    generator = torch.Generator().manual_seed(seed)
    x, y = _points(means, kept, train, batch, generator)
    held_x, held_y = _points(means, kept, test, batch, generator)
    model = LogisticRegression(max_iter=1000).fit(x.numpy(), y.numpy())
    value = float(model.score(held_x.numpy(), held_y.numpy()))
    return Result(
        metric="beta-vae",
        variant="logistic regression on mean absolute differences",
        value=value,
        n=len(means),
        unit="fraction",
        estimator=f"{train} points to learn, {test} to measure, {batch} pairs each",
        error=(value * (1 - value) / test) ** 0.5,
        settings={"train": train, "test": test, "batch": batch, "seed": seed, "factors": list(kept.names)},
        details={"train_accuracy": float(model.score(x.numpy(), y.numpy()))},
        notes=kept.notes + dead_units(means) + single_values(kept),
    )


def _points(mu: Tensor, factors: Factors, points: int, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Features (points, K) and the shared factor (points,)."""
    features, labels = [], []
    for f, count in enumerate(draw_factors(factors, points, generator)):
        partners = Partners(factors.values[:, f], factors.sizes[f])
        paired = partners.paired()
        for first in range(0, count, _CHUNK):
            size = min(_CHUNK, count - first)
            one = paired[torch.randint(len(paired), (size * batch,), generator=generator)]
            two = partners.other(one, generator)  # a code is never its own partner: a difference of 0 would tell the factor
            features.append((mu[one] - mu[two]).abs().view(size, batch, -1).mean(1))
            labels.append(torch.full((size,), f))
    return torch.cat(features), torch.cat(labels)
