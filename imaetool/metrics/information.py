"""How much each unit and each category of a code tells about the image, in nats."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from imaetool.metrics import _mixture, _quadrature
from imaetool.metrics._inputs import dead_units, probability_table, read_gaussians, sample_codes
from imaetool.metrics._joint import NEAR_CAP
from imaetool.metrics.result import Result

__all__ = ["category_error", "category_information", "information", "proposition_2_radius", "unit_information", "unit_information_exact"]


def unit_information(mu, log_var, *, draws: int = 10_000, seed: int = 0) -> Tensor:
    """I(x; z_k) in nats by Monte Carlo against the aggregate posterior of all N codes, (K,).

    I = E[log q(z_k|x) - log q(z_k)], q(z_k) = mean_j N(z_k; mu_jk, sigma_jk^2) over ALL N.
    mu, log_var: (N, K). Each draw takes an image and z from its own q(z|x). At most log N plus noise.
    """
    return _unit_draws(*read_gaussians(mu, log_var), draws, seed).mean(0)


def unit_information_exact(mu, log_var) -> Tensor:
    """I(x; z_k) in nats by integrating q(z_k) on a grid, no sampling noise, (K,).

    I = H(z_k) - mean_j H(z_k|x_j). mu, log_var: (N, K).
    """
    mu, variance = read_gaussians(mu, log_var)
    marginal = [_quadrature.entropies(_mixture.fit(mu[:, k], variance[:, k]))[0] for k in range(mu.shape[1])]
    conditional = 0.5 * (variance.log() + math.log(2 * math.pi * math.e)).mean(0)
    return (torch.stack(marginal) - conditional).clamp_min(0.0)  # below 0 only by rounding, about 1e-9


def _unit_draws(mu: Tensor, variance: Tensor, draws: int, seed: int) -> Tensor:
    """log q(z_k|x) - log q(z_k) at each draw, (draws, K)."""
    images, z, noise = sample_codes(mu, variance, draws, seed)
    own = -0.5 * (noise**2 + variance[images].log() + math.log(2 * math.pi))
    every = [_mixture.density(_mixture.fit(mu[:, k], variance[:, k]), z[:, k])[:, 0].log() for k in range(mu.shape[1])]
    return own - torch.stack(every, 1)


def category_information(probabilities, *, delta: float = 0.05) -> dict:
    """I(x; y) = H(mean p(y|x)) - mean H(p(y|x)) of one categorical code, with its radius.

    probabilities: (N, K2), rows summing to 1. Source: imae eq. 7 and proposition 2.
    """
    p = probability_table(probabilities, "probabilities")
    marginal = p.mean(0)
    entropy = float(torch.special.entr(marginal).sum())
    conditional = float(torch.special.entr(p).sum(1).mean())
    return {
        "information": max(entropy - conditional, 0.0),  # Jensen: below 0 only by rounding
        "entropy": entropy,
        "conditional_entropy": conditional,
        "marginal": marginal.tolist(),
        "radius": proposition_2_radius(float(marginal.min()), p.shape[1], len(p), delta),
        "constant": 1 / (p.shape[1] * float(marginal.min())) if marginal.min() > 0 else None,
        "categories": p.shape[1],
    }


def category_error(tables: Sequence[Tensor]) -> float:
    """One standard error over images of the sum of I(x; y), by the delta method.

    tables: p(y|x) (N, K2) each. I is the mean over images of KL(p(y|x) || mean p(y|x)), and to first
    order the mean distribution's own noise does not matter.
    """
    terms = sum((torch.xlogy(p, p) - torch.xlogy(p, p.mean(0))).sum(1) for p in tables)
    return float(terms.std(unbiased=False)) / math.sqrt(len(terms))


def proposition_2_radius(least: float, categories: int, n: int, delta: float = 0.05) -> float | None:
    """Radius of imae proposition 2: the empirical I(x; y) is this near with probability 1 - 2 delta.

    radius = K2 (max{log(C K2) - 1, 1} + e) sqrt(log(2 K2 / delta) / (2 N)), where every marginal
    probability is at least 1/(C K2). ``least`` is the smallest one seen, so C = 1/(K2 least) is
    read from the data where the proposition takes it as known. None if a category is never used.
    (The proof's e can be 1/e, its summand lying in [-1/e, 0]; the printed radius is kept.)
    """
    if not 0 < delta < 1:
        raise ValueError(f"delta must lie in (0, 1), not {delta}")
    if least <= 0:
        return None
    slope = max(-math.log(least) - 1, 1.0) + math.e
    return categories * slope * math.sqrt(math.log(2 * categories / delta) / (2 * n))


def information(
    mu, log_var, probabilities: Sequence | None = None, *, draws: int = 10_000, seed: int = 0, delta: float = 0.05
) -> Result:
    """Information in nats of every unit z_k and every categorical code y about the image.

    mu, log_var: (N, K) of q(z|x). probabilities: one (N, K2) table of p(y|x) per categorical code,
    or None. The value is I(x; y), summed over the categorical codes, or where there are none the
    sum over k of I(x; z_k); everything else is in ``details``: per unit I by Monte Carlo with its
    standard error and by quadrature, the upper bound of imae eq. 4, eq. 5 (a lower bound where
    q(z_k) is Gaussian), E[sigma^2], Var[mu], KL_k, and the units ranked by I.
    Source: imae (ICLR 2019 submission) eqs. 4, 5, 7 and proposition 2.
    """
    means, variance = read_gaussians(mu, log_var)
    n, cap = len(means), math.log(len(means))
    samples = _unit_draws(means, variance, draws, seed)
    monte_carlo, error = samples.mean(0), samples.std(0, unbiased=False) / math.sqrt(draws)
    exact = unit_information_exact(mu, log_var)
    noise, spread = variance.mean(0), means.var(0, unbiased=False)
    given = [] if probabilities is None else [probabilities] if getattr(probabilities, "ndim", 0) == 2 else list(probabilities)
    tables = [probability_table(p, "probabilities", n) for p in given]
    categorical = [category_information(p, delta=delta) for p in tables]
    details = {
        "information": monte_carlo.tolist(),
        "information_error": error.tolist(),
        "information_exact": exact.tolist(),
        "upper_bound": (0.5 * ((noise + spread).log() - variance.log().mean(0))).tolist(),
        "lower_bound": (0.5 * torch.log1p(spread / noise)).tolist(),
        "mean_variance": noise.tolist(),
        "variance_of_mean": spread.tolist(),
        "kl": (0.5 * (means**2 + variance - variance.log() - 1)).mean(0).tolist(),
        "ranking": monte_carlo.argsort(descending=True).tolist(),
        "total_z": float(monte_carlo.sum()),
        "log_n": cap,
        "y": categorical,
    }
    total_error = float((samples.sum(1)).std(unbiased=False) / math.sqrt(draws))
    return Result(
        metric="information",
        variant="I(x;y), empirical" if tables else "sum of I(x;z_k), mixture",
        value=sum(item["information"] for item in categorical) if tables else details["total_z"],
        n=n,
        unit="nats",
        estimator=f"y: imae eq. 7 on {n} images; z: aggregate posterior of all {n} codes, {draws} draws",
        error=category_error(tables) if tables else total_error,
        settings={"draws": draws, "seed": seed, "delta": delta},
        details=details,
        notes=_notes(monte_carlo, cap, n, categorical, delta) + dead_units(means),
    )


def _notes(monte_carlo: Tensor, cap: float, n: int, categorical: list[dict], delta: float) -> tuple[str, ...]:
    notes = [f"each I(x;z_k) is capped by log N = {cap:.3f} nats (N = {n})"]
    near = [str(k) for k, value in enumerate(monte_carlo.tolist()) if value > cap - NEAR_CAP]
    if near:
        notes.append(f"units {', '.join(near)} are within {NEAR_CAP} nats of the cap: their true information may be larger")
    below = [str(k) for k, value in enumerate(monte_carlo.tolist()) if value < -1e-12]
    if below:
        notes.append(f"units {', '.join(below)} came out below 0 by sampling noise: read them as 0")
    notes.append("imae eq. 5 (lower_bound) is a bound only where q(z_k) is Gaussian")
    if len(categorical) > 1:
        notes.append("the value sums I(x;y) over the categorical codes")
    for item in categorical:
        if item["radius"] is None:
            notes.append("a category is never used: proposition 2 gives no radius")
        elif item["radius"] >= math.log(item["categories"]):
            notes.append(f"{n} images are too few for imae proposition 2 to say how near I(x;y) is to its value on unlimited images")
        else:
            sure, constant = 1 - 2 * delta, item["constant"]
            notes.append(
                f"I(x;y) is within {item['radius']:.3g} nats of its value on unlimited images with probability "
                f"{sure:g} (imae proposition 2, C = {constant:.3g} read from the data)"
            )
    return tuple(notes)
