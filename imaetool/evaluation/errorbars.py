"""Error bars for metrics that have none of their own: resampled images, or several seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from imaetool.metrics.result import Result

__all__ = ["bootstrap", "over_seeds"]


def bootstrap(
    statistic: Callable[[Tensor], float], n: int, *, seed: int = 0, resamples: int = 50, most: int = 20_000
) -> tuple[float | None, str]:
    """(one standard error, what it is) of ``statistic`` of row numbers (M,), the rows drawn from n with replacement.

    Of more than ``most`` rows only so many are drawn each time, and the spread is scaled by
    sqrt(most / n), right where the error falls as one over the root of n. Resamples on which the
    statistic has no value are left out; with fewer than two values there is no error.
    """
    m = min(n, most)
    random, values = np.random.default_rng([seed, n, m]), []
    for _ in range(resamples):
        try:
            value = statistic(torch.from_numpy(random.integers(n, size=m)))
        except ValueError:  # a factor or a label that has one value in this resample
            continue
        if math.isfinite(value):
            values.append(value)
    kind = f"bootstrap over images, {len(values)} resamples"
    if m < n:
        kind += f" of {m:,}, scaled to {n:,}"
    return (float(np.std(values, ddof=1)) * math.sqrt(m / n), kind) if len(values) > 1 else (None, "")


def over_seeds(measure: Callable[[int], Result], seed: int, count: int) -> tuple[Result, str]:
    """(the mean of ``count`` results, what its error is): seeds seed, seed + 1...; details are the first one's."""
    results = [measure(seed + i) for i in range(count)]
    values = [r.value for r in results]
    first = results[0]
    mean = replace(
        first,
        value=float(np.mean(values)),
        error=float(np.std(values, ddof=1)) / math.sqrt(count),
        estimator=f"mean of {count} seeds, each {first.estimator}",
        settings={**first.settings, "seeds": [seed + i for i in range(count)]},
        details={**first.details, "per_seed": values},
    )
    return mean, f"{count} seeds (fits on other codes)"
