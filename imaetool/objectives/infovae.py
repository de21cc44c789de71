"""InfoVAE: only the aggregate posterior is held to the prior (Zhao, Song, Ermon 2017)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from imaetool.information.densities import bernoulli_nll, gaussian_log_density
from imaetool.information.marginals import category_information, log_marginals
from imaetool.information.mmd import mmd_to_normal
from imaetool.model import Outputs

__all__ = ["loss"]


def loss(
    outputs: Outputs,
    x: Tensor,
    *,
    dataset_size: int | None = None,
    beta: float = 1.0,
    divergence: Literal["mmd", "kl"] = "mmd",
    mmd_scale: float = 1000.0,
    estimator: Literal["plain", "weighted", "stratified"] = "plain",
) -> dict[str, Tensor]:
    """The negative of E[log q(x|y,z)] - beta D(p(z), r(z)) - beta KL(mean p(y|x) || uniform), per image.

    D is ``mmd_scale`` times the squared MMD (which is no number of nats, and at most 2: it needs a
    scale beside a reconstruction), or with ``divergence`` "kl" the minibatch estimate of
    KL(p(z) || N(0, I)) in nats. Batch-coupled.

    Arguments: outputs and x (B, C, H, W) of one batch; ``dataset_size`` for the estimators that need
    it. Settings: ``beta``, ``divergence``, ``mmd_scale``, ``estimator`` of log p(z) under "kl".
    Returns the loss and its terms, (B,) or scalar.
    Source: Zhao et al. 2017 at their alpha 1 (no KL per image); imae_iclr2019 appendix C.
    """
    codes, z = outputs.codes, outputs.z
    reconstruction = bernoulli_nll(outputs.logits, x)  # (B,)
    if divergence == "mmd":
        found = mmd_to_normal(z)  # ()
        distance, term = mmd_scale * found, {"mmd": found}
    else:
        log_pz, _ = log_marginals(z, codes.mu, codes.log_var, estimator=estimator, dataset_size=dataset_size)
        distance = log_pz - gaussian_log_density(z, torch.zeros_like(z), torch.zeros_like(z)).sum(1)  # (B,)
        term = {"marginal_kl_z": distance}
    kl_y = reconstruction.new_zeros(())
    for logits in codes.category_logits:
        kl_y = kl_y + math.log(logits.shape[-1]) - category_information(logits)[0]
    return {
        "loss": reconstruction + beta * (distance + kl_y),
        "reconstruction": reconstruction,
        **term,
        "marginal_kl_y": kl_y,
    }
