"""Total correlation: how far the units are from independent, in nats."""

from __future__ import annotations

import math

import torch

from imaetool.metrics import _mixture
from imaetool.metrics._inputs import read_gaussians, rows
from imaetool.metrics._joint import NEAR_CAP, own_and_joint
from imaetool.metrics.result import Result

__all__ = ["gaussian_total_correlation", "mixture_total_correlation"]


def gaussian_total_correlation(mu) -> Result:
    """-1/2 log det of the correlation matrix of mu (N, K): the total correlation if mu were Gaussian.

    Blind to dependence beyond correlation. Constant units are left out and named; linearly
    dependent units give infinity. Source: Locatello et al. 2019.
    """
    means = rows(mu, "mu")
    centred = means - means.mean(0)
    live = (means != means[0]).any(0)
    unit = centred[:, live] / centred[:, live].norm(dim=0)
    eigenvalues = torch.linalg.eigvalsh(unit.T @ unit)
    dependent = bool((eigenvalues < 1e-12).any())
    still = [str(k) for k in (~live).nonzero().squeeze(1).tolist()]
    notes = (f"constant units left out: {', '.join(still)}",) if still else ()
    if dependent:
        notes += ("some units are linear combinations of others: the total correlation is infinite",)
    return Result(
        metric="total-correlation",
        variant="Gaussian, of mu",
        value=math.inf if dependent else max(float(-0.5 * eigenvalues.log().sum()), 0.0),
        n=len(means),
        unit="nats",
        estimator="closed form from the correlation matrix",
        details={"units": live.nonzero().squeeze(1).tolist()},
        notes=notes,
    )


def mixture_total_correlation(mu, log_var, *, draws: int = 2_000, seed: int = 0) -> Result:
    """KL(q(z) || prod_k q(z_k)) of the aggregate posterior of all N codes, by Monte Carlo.

    TC = E[log q(z) - sum_k log q(z_k)], z drawn from q(z|x) of a random image, both densities
    mixtures over ALL N codes. mu, log_var: (N, K). It equals sum_k I(x;z_k) - I(x;z), and I(x;z) is
    capped by log N, so with rich codes and few images it overstates the dependence; a note and
    ``details["overstated"]`` say so where I(x;z) comes within half a nat of that.
    Source: imae eq. 3; Chen et al. 2018.
    """
    means, variance = read_gaussians(mu, log_var)
    z, own, samples = own_and_joint(means, variance, draws, seed)
    information, cap = float((own - samples).mean()), math.log(len(means))
    for k in range(means.shape[1]):
        samples = samples - _mixture.density(_mixture.fit(means[:, k], variance[:, k]), z[:, k])[:, 0].log()
    value = float(samples.mean())
    overstated = information > cap - NEAR_CAP
    notes = (f"I(x;z) of all units together is {information:.3f} nats, capped by log N = {cap:.3f}",)
    if overstated:
        notes += ("overstated, for I(x;z) is at its cap: read it as an upper bound, that only more images bring down",)
    if value < 0:
        notes += ("below 0 by sampling noise: read it as 0",)
    return Result(
        metric="total-correlation",
        variant="mixture, of sampled z",
        value=value,
        n=len(means),
        unit="nats",
        estimator=f"aggregate posterior of all {len(means)} codes, {draws} draws",
        error=float(samples.std(unbiased=False)) / math.sqrt(draws),
        settings={"draws": draws, "seed": seed},
        details={"information": information, "log_n": cap, "overstated": overstated},
        notes=notes,
    )
