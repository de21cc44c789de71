"""Maximum mean discrepancy between samples and the standard normal distribution."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["mmd_to_normal"]

_WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the kernels: s^2 = width * K


def mmd_to_normal(z: Tensor) -> Tensor:
    """The squared MMD between the law of z and N(0, I), an unbiased estimate: (B, K) -> ().

    The kernel is the mean of Gaussian ones, k(a, b) = exp(-|a - b|^2 / (2 s^2)) with s^2 = K/4, K/2,
    K, 2K, 4K. Its expectations under the prior are in closed form,
    E k(z, r) = (s^2/(s^2+1))^(K/2) exp(-|z|^2 / (2 (s^2+1))) and E k(r, r') = (s^2/(s^2+2))^(K/2), so
    no prior sample is drawn; the pairs of z exclude i = j. Not in nats; below 0 at times, at most 2.
    Needs B of 2 or more (ValueError). Source: Gretton et al. 2012 eq. 3; as the divergence of InfoVAE,
    Zhao et al. 2017.
    """
    size, units = z.shape
    if size < 2:
        raise ValueError("the unbiased estimate needs 2 samples or more")
    if not units:
        return z.new_zeros(())
    norms = z.square().sum(1)  # (B,)
    squared = (norms[:, None] + norms[None] - 2 * z @ z.T).clamp_min(0)  # (B, B)
    apart = ~torch.eye(size, dtype=torch.bool, device=z.device)
    total = z.new_zeros(())
    for width in _WIDTHS:
        s2 = width * units
        among = torch.exp(-squared[apart] / (2 * s2)).mean()
        across = (s2 / (s2 + 1)) ** (units / 2) * torch.exp(-norms / (2 * (s2 + 1))).mean()
        total = total + among - 2 * across + (s2 / (s2 + 2)) ** (units / 2)
    return total / len(_WIDTHS)
