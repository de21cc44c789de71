"""The codes of the images seen last, for estimates of p(z) that a batch is too small for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Memory"]


class Memory(nn.Module):
    """A ring of mu and log_var, (size, K) each, the oldest overwritten; part of a run's saved state."""

    def __init__(self, size: int, units: int) -> None:
        super().__init__()
        self.register_buffer("mu", torch.zeros(size, units))
        self.register_buffer("log_var", torch.zeros(size, units))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))  # codes ever added

    def codes(self) -> tuple[Tensor, Tensor]:
        """mu and log_var of what is kept, (M, K) each, M at most ``size``."""
        kept = min(int(self.seen), len(self.mu))
        return self.mu[:kept], self.log_var[:kept]

    @torch.no_grad()
    def add(self, mu: Tensor, log_var: Tensor) -> None:
        """Keep a batch's codes, (B, K) each; of a batch longer than ``size``, the last ones."""
        size = len(self.mu)
        mu, log_var = mu[-size:], log_var[-size:]
        rows = (torch.arange(len(mu), device=mu.device) + int(self.seen)) % size
        self.mu[rows], self.log_var[rows] = mu.detach(), log_var.detach()
        self.seen += len(mu)
