"""The aggregate posterior of all units together, log q(z) = log mean_j prod_k N(z_k; mu_jk, sigma_jk^2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from imaetool.metrics._inputs import sample_codes

__all__ = ["NEAR_CAP", "joint_log_density", "own_and_joint"]

NEAR_CAP = 0.5  # nats below log N within which an estimate says more of N than of the code

_POINTS = 256  # draws evaluated together
_CODES = 4096  # codes evaluated together: blocks of 8 MiB


def joint_log_density(mu: Tensor, variance: Tensor, z: Tensor) -> Tensor:
    """log q(z) in nats at the points z (M, K), (M,). mu, variance: (N, K) float64. Memory is constant.

    (z - mu)^2 / sigma^2 is expanded into matrix products where float64 can afford the cancellation.
    """
    centre = mu.mean(0)
    mu, z = mu - centre, z - centre
    precision = 1 / variance
    constant = -0.5 * (variance.log().sum(1) + mu.shape[1] * math.log(2 * math.pi)) - math.log(len(mu))
    reach = torch.maximum(mu.abs().amax(0), z.abs().amax(0)) ** 2
    expand = float((reach * precision.amax(0)).sum()) < 1e7  # then the rounding error is below 1e-8
    out = []
    for points in z.split(_POINTS):
        total = torch.full((len(points),), -torch.inf, dtype=torch.float64)
        for m, w, c in zip(mu.split(_CODES), precision.split(_CODES), constant.split(_CODES), strict=True):
            if expand:
                log_p = (points @ (m * w).T).add_(points**2 @ w.T, alpha=-0.5).add_(c - 0.5 * (m * m * w).sum(1))
            else:
                log_p = c.expand(len(points), -1).clone()
                for k in range(m.shape[1]):
                    log_p -= 0.5 * (points[:, k, None] - m[:, k]) ** 2 * w[:, k]
            total = torch.logaddexp(total, log_p.logsumexp(1))
        out.append(total)
    return torch.cat(out)


def own_and_joint(mu: Tensor, variance: Tensor, draws: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Codes z (draws, K) of random images, log q(z|x) of each under its own image, and log q(z): (draws,) twice."""
    images, z, noise = sample_codes(mu, variance, draws, seed)
    own = -0.5 * (noise**2 + variance[images].log() + math.log(2 * math.pi)).sum(1)
    return z, own, joint_log_density(mu, variance, z)
