"""log p(x) from importance weights, and the plain ELBO: each under its own name, in nats per image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from imaetool.metrics._inputs import rows
from imaetool.metrics.result import Result

__all__ = ["elbo", "importance_bound", "log_likelihood_from_weights"]


def importance_bound(log_w: Tensor) -> Tensor:
    """log (1/K) sum_k w_k of every image, (N,), from log w = log p(x, z) - log q(z|x) (K, N)."""
    return log_w.logsumexp(0) - math.log(len(log_w))


def log_likelihood_from_weights(log_w) -> Result:
    """The importance-weighted lower bound on E[log p(x)] with K samples per image.

    log_w: (K, N), log p(x_n, z_kn) - log q(z_kn|x_n) with z_kn drawn from q(z|x_n). In expectation
    it rises with K towards log p(x) and for K = 1 it is the ELBO, so K is part of the variant.
    Source: Burda et al. 2016 eq. 8.
    """
    weights = rows(log_w, "log_w")
    bound = importance_bound(weights)
    effective = torch.exp(2 * weights.logsumexp(0) - (2 * weights).logsumexp(0))  # (N,), in 1..K
    k, n = weights.shape
    notes = ()
    if k > 1 and float(effective.median()) < 2:
        notes = (f"for half of the images one of the {k} weights outweighs the rest: more samples would raise the bound",)
    return Result(
        metric="log-likelihood",
        variant=f"importance-weighted bound, K = {k}",
        value=float(bound.mean()),
        n=n,
        unit="nats",
        estimator=f"{k} samples of q(z|x) per image",
        error=float(bound.std(unbiased=False)) / math.sqrt(n),
        settings={"samples": k},
        details={"effective_samples_mean": float(effective.mean()), "elbo_same_samples": float(weights.mean())},
        notes=notes,
    )


def elbo(reconstruction, kl) -> Result:
    """mean of log p(x|z) - KL over the images, with both terms in ``details``.

    reconstruction: (N,) log p(x|z), not its negative. kl: (N,) KL of all codes (units and categories).
    Raises ValueError on unequal lengths or a negative KL.
    """
    log_p, divergence = rows(reconstruction, "reconstruction"), rows(kl, "kl")
    if log_p.shape != divergence.shape or log_p.shape[1] != 1:
        shapes = f"{tuple(log_p.shape)} and {tuple(divergence.shape)}"
        raise ValueError(f"reconstruction and kl must both have shape (N,), not {shapes}")
    if (divergence < -1e-4).any():
        raise ValueError("kl holds negative values")
    bound = log_p - divergence
    return Result(
        metric="elbo",
        variant="closed-form KL",
        value=float(bound.mean()),
        n=len(bound),
        unit="nats",
        estimator="mean over images",
        error=float(bound.std(unbiased=False)) / math.sqrt(len(bound)),
        details={"reconstruction": float(log_p.mean()), "kl": float(divergence.mean())},
    )
