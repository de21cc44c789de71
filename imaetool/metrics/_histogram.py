"""Mutual information of binned units with discrete factors, as the common benchmark library bins."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from imaetool.metrics._inputs import Factors

__all__ = ["bin_codes", "binned_information", "discrete_information"]


def bin_codes(mu: Tensor, bins: int = 20) -> Tensor:
    """Each unit cut into ``bins`` equal bins between its least and greatest value: (N, K) -> int64 (N, K).

    A unit that is constant falls into one bin. Source: Locatello et al. 2019, appendix.
    """
    if bins < 2:
        raise ValueError(f"bins must be at least 2, not {bins}")
    low, high = mu.amin(0), mu.amax(0)
    edges = torch.from_numpy(np.linspace(low.numpy(), high.numpy(), bins + 1, axis=1)[:, :-1].copy())  # the last bin is closed
    found = torch.searchsorted(edges, mu.T.contiguous(), right=True) - 1
    return torch.where((high > low)[:, None], found, 0).T


def discrete_information(a: Tensor, b: Tensor) -> float:
    """I(a; b) in nats of two whole-number vectors (N,), from their joint frequencies."""
    width = int(b.max()) + 1
    joint = torch.bincount(a * width + b, minlength=(int(a.max()) + 1) * width).double().view(-1, width) / len(a)
    product = joint.sum(1, keepdim=True) * joint.sum(0)
    inside = joint > 0
    return max(float((joint[inside] * (joint[inside] / product[inside]).log()).sum()), 0.0)


def binned_information(mu: Tensor, factors: Factors, bins: int = 20) -> Tensor:
    """I(binned mu_k; v_f) in nats, (K, F)."""
    codes = bin_codes(mu, bins)
    table = [[discrete_information(unit, factor) for factor in factors.values.T] for unit in codes.T]
    return torch.tensor(table, dtype=torch.float64)
