"""Log-densities, entropies and divergences of the codes, per image, in nats."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "bernoulli_nll",
    "categorical_entropy",
    "categorical_kl",
    "gaussian_kl",
    "gaussian_log_density",
    "sample_categorical",
    "sample_gaussian",
]


def gaussian_log_density(z: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    """log N(z; mu, exp(log_var)), elementwise; shapes broadcast."""
    return -0.5 * (math.log(2 * math.pi) + log_var + (z - mu).square() * torch.exp(-log_var))


def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, 1)) of each unit: (B, K) -> (B, K)."""
    return 0.5 * (mu.square() + log_var.exp() - 1.0 - log_var)


def categorical_entropy(logits: Tensor) -> Tensor:
    """H(p) of each row of logits: (B, K2) -> (B,)."""
    log_p = F.log_softmax(logits, dim=-1)
    return -(log_p.exp() * log_p).sum(-1)


def categorical_kl(logits: Tensor) -> Tensor:
    """KL(p || uniform) of each row: log K2 - H(p). (B, K2) -> (B,). Source: joint_vae eq. 5."""
    return math.log(logits.shape[-1]) - categorical_entropy(logits)


def bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    """-log q(x | code), Bernoulli, summed over pixels: (B, C, H, W) twice -> (B,)."""
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def sample_gaussian(mu: Tensor, log_var: Tensor) -> Tensor:
    """z = mu + sigma * eps, eps ~ N(0, 1): (B, K) -> (B, K)."""
    return mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)


def sample_categorical(logits: Tensor, temperature: float) -> Tensor:
    """A relaxed one-hot sample by Gumbel-softmax: (B, K2) -> (B, K2), rows sum to 1.

    Source: joint_vae eq. 8, vmi_vae eq. 11.
    """
    return F.gumbel_softmax(logits, tau=temperature, hard=False)
