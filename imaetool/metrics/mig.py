"""The mutual information gap: does each factor live in one unit? Three definitions, never comparable.

MIG = mean over factors of (I_1 - I_2) / H(v), with I_1 >= I_2 the two largest I(z_k; v).
`mig_chen` and `mig_exact` are the same quantity, by sampling and by integration: the information
that the *sampled* z carries. `mig_binned` uses the means in 20 bins, and its I cannot exceed log 20.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from imaetool.metrics import _mixture, _quadrature
from imaetool.metrics._histogram import binned_information
from imaetool.metrics._inputs import Factors, dead_units, one_unit, read_factors, read_gaussians, rows, sample_codes
from imaetool.metrics.result import Result

__all__ = ["factor_information", "mig_binned", "mig_chen", "mig_exact", "mig_from_information"]


def mig_from_information(information: Tensor, entropy: Tensor) -> Tensor:
    """The gap of every factor, (F,): (I_1 - I_2) / H from I(z_k; v_f) (K, F) and H(v_f) (F,), in nats.

    A code of one unit has I_2 = 0. MIG is the mean of the gaps.
    """
    top = information.topk(min(2, len(information)), dim=0).values
    return (top[0] - (top[1] if len(top) > 1 else 0)) / entropy


def mig_chen(
    mu,
    log_var,
    factors,
    *,
    factor_names: Sequence[str] | None = None,
    draws: int = 10_000,
    exclude: Iterable = (),
    seed: int = 0,
) -> Result:
    """MIG by the mixture estimator, I(z_k; v) = H(z_k) - H(z_k|v) over ``draws`` samples of q(z|x).

    The marginal is q(z_k) = mean of N(z_k; mu_jk, sigma_jk^2) over the whole data set, the
    conditional q(z_k|v=c) the mean over the images with v = c; both are evaluated at the same
    draws, each image's z against its own value of v.
    mu, log_var: (N, K); factors: (N, F) whole numbers; ``exclude``: factor names or columns.
    Source: Chen et al. 2018, section 4.1 and appendix C. Raises ValueError on wrong shapes or
    values, or if no factor has two values.
    """
    means, variance = read_gaussians(mu, log_var)
    kept = read_factors(factors, len(means), factor_names, exclude)
    samples = _information_draws(means, variance, kept, draws, seed)  # (M, K, F)
    information, entropy = samples.mean(0), kept.entropy()
    best = information.topk(min(2, len(information)), dim=0).indices  # (1 or 2, F)
    column = torch.arange(len(kept.sizes))
    gaps = samples[:, best[0], column] - (samples[:, best[1], column] if len(best) > 1 else 0)
    error = (gaps / entropy).mean(1).std(unbiased=False) / math.sqrt(draws)
    return _report(
        "chen",
        information,
        kept,
        means,
        estimator=f"mixture over all {len(means)} codes, {draws} draws",
        error=float(error),
        settings={"draws": draws, "seed": seed},
    )


def mig_exact(mu, log_var, factors, *, factor_names: Sequence[str] | None = None, exclude: Iterable = ()) -> Result:
    """The quantity of `mig_chen` with no sampling noise: every H(z_k) and H(z_k|v=c) integrated on a grid.

    mu, log_var: (N, K); factors: (N, F) whole numbers. Raises ValueError as `mig_chen` does.
    """
    means, variance = read_gaussians(mu, log_var)
    kept = read_factors(factors, len(means), factor_names, exclude)
    return _report(
        "chen, integrated",
        factor_information(mu, log_var, factors, factor_names=factor_names, exclude=exclude),
        kept,
        means,
        estimator=f"mixture over all {len(means)} codes, Gauss-Legendre panels",
        error=None,
        settings={},
    )


def mig_binned(
    mu, factors, *, factor_names: Sequence[str] | None = None, exclude: Iterable = (), bins: int = 20
) -> Result:
    """MIG of the means cut into equal bins, from the joint frequencies of bin and factor value.

    mu: (N, K); factors: (N, F) whole numbers. A factor with more values than bins cannot reach 1,
    even for a perfect code. Source: Locatello et al. 2019 (there on 10,000 codes; here on all given).
    """
    means = rows(mu, "mu")
    kept = read_factors(factors, len(means), factor_names, exclude)
    wide = [name for name, size in zip(kept.names, kept.sizes, strict=True) if size > bins]
    note = (f"more values than the {bins} bins, so even a perfect code stays below 1: {', '.join(wide)}",) if wide else ()
    return _report(
        f"binned-{bins}",
        binned_information(means, kept, bins),
        kept,
        means,
        estimator=f"histograms of mu in {bins} equal bins",
        error=None,
        settings={"bins": bins},
        notes=note,
    )


def factor_information(mu, log_var, factors, *, factor_names: Sequence[str] | None = None, exclude: Iterable = ()) -> Tensor:
    """I(z_k; v_f) in nats of the sampled code, integrated on a grid, (K, F)."""
    means, variance = read_gaussians(mu, log_var)
    kept = read_factors(factors, len(means), factor_names, exclude)
    information = torch.empty(means.shape[1], len(kept.sizes), dtype=torch.float64)
    for k in range(means.shape[1]):
        entropies = _quadrature.entropies(_mixture.fit(means[:, k], variance[:, k], _groups(kept)))
        first = 1
        for f, size in enumerate(kept.sizes):
            share = torch.bincount(kept.values[:, f], minlength=size).double() / len(means)
            information[k, f] = entropies[0] - share @ entropies[first : first + size]
            first += size
    return information.clamp_min(0.0)  # below 0 only by rounding, about 1e-9


def _information_draws(mu: Tensor, variance: Tensor, factors: Factors, draws: int, seed: int) -> Tensor:
    """log q(z_k|v_f) - log q(z_k) at every draw, (draws, K, F)."""
    images, z, _ = sample_codes(mu, variance, draws, seed)
    start = torch.tensor([1, *factors.sizes]).cumsum(0)[:-1]  # each factor's first column
    own = factors.values[images] + start  # (draws, F)
    samples = torch.empty(draws, mu.shape[1], len(factors.sizes), dtype=torch.float64)
    for k in range(mu.shape[1]):
        log_density = _mixture.density(_mixture.fit(mu[:, k], variance[:, k], _groups(factors)), z[:, k]).log_()
        samples[:, k] = log_density.gather(1, own) - log_density[:, :1]
    return samples


def _groups(factors: Factors) -> list[tuple[Tensor, int]]:
    return [(factors.values[:, f], size) for f, size in enumerate(factors.sizes)]


def _report(
    variant: str,
    information: Tensor,
    factors: Factors,
    mu: Tensor,
    *,
    estimator: str,
    error: float | None,
    settings: dict,
    notes: tuple[str, ...] = (),
) -> Result:
    entropy = factors.entropy()
    gaps = mig_from_information(information, entropy)
    below = int((information < -1e-12).sum())
    negative = ()
    if below:
        negative = (f"{below} of the {information.numel()} informations are below 0 by sampling noise: read them as 0",)
    return Result(
        metric="mig",
        variant=variant,
        value=float(gaps.mean()),
        n=len(mu),
        estimator=estimator,
        error=error,
        settings={**settings, "factors": list(factors.names)},
        details={
            "gap": dict(zip(factors.names, gaps.tolist(), strict=True)),
            "best_unit": dict(zip(factors.names, information.argmax(0).tolist(), strict=True)),
            "entropy": dict(zip(factors.names, entropy.tolist(), strict=True)),
            "information": information.tolist(),
        },
        notes=factors.notes + notes + negative + one_unit(mu.shape[1]) + dead_units(mu),
    )
