"""The three terms of the evidence lower bound, which most objectives weigh anew."""

from __future__ import annotations

import torch
from torch import Tensor

from imaetool.information.densities import bernoulli_nll, categorical_kl, gaussian_kl
from imaetool.model import Outputs

__all__ = ["elbo_terms"]


def elbo_terms(outputs: Outputs, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """-log q(x|y,z), KL_z and KL_y of each image, (B,) nats each: all at least 0.

    KL_z = sum_k KL(N(mu_k, sigma_k^2) || N(0, 1)); KL_y = sum over the categorical variables of
    KL(p(y|x) || uniform) (joint_vae eq. 5). A part that the code lacks gives 0. x: (B, C, H, W).
    """
    codes = outputs.codes
    reconstruction = bernoulli_nll(outputs.logits, x)
    kl_z = gaussian_kl(codes.mu, codes.log_var).sum(1)
    kl_y = sum((categorical_kl(logits) for logits in codes.category_logits), torch.zeros_like(kl_z))
    return reconstruction, kl_z, kl_y
