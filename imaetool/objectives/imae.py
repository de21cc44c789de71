"""IMAE: the information maximisation auto-encoder (Zhang, Zhao, Balzano 2018)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from imaetool.information.densities import bernoulli_nll
from imaetool.information.marginals import (
    category_information,
    dimension_wise_kl,
    log_marginals,
    total_correlation,
)
from imaetool.model import Outputs

__all__ = ["loss"]


def loss(
    outputs: Outputs,
    x: Tensor,
    *,
    smoothness: Tensor | float = 0.0,
    dataset_size: int | None = None,
    memory: tuple[Tensor, Tensor] | None = None,
    beta: float = 1.0,
    gamma: float = 2.0,
    entropy: float = 1.0,
    prior_var: float = 1.0,
    estimator: Literal["plain", "weighted", "stratified"] = "plain",
) -> dict[str, Tensor]:
    """The negative of E[log q(x|y,z)] + beta L(y) + beta L(z) - gamma TC(z), in nats per image.

    L(y) = I(x;y) - smoothness penalty (imae_workshop2018 eq. 9); L(z) = -sum_k KL(p(z_k) || r(z_k))
    with r = N(0, prior_var); the whole is eq. 8 of the same paper (eq. 10 and 11 of the ICLR text).

    Arguments: outputs and x (B, C, H, W) of one batch; ``smoothness`` (B,) the weighted penalty;
    ``dataset_size`` for the estimators that need it; ``memory``, the mu and log_var (M, K) of past
    batches for the marginals. Settings: ``beta``; ``gamma``; ``entropy``
    multiplies H(y) within I(x;y), 1 in the paper; ``estimator`` of the marginals, plain, weighted or
    stratified. Returns the loss and its terms, (B,) or scalar; several categorical variables add up.
    """
    codes = outputs.codes
    reconstruction = bernoulli_nll(outputs.logits, x)  # (B,)

    log_pz, log_pz_k = log_marginals(
        outputs.z, codes.mu, codes.log_var, estimator=estimator, dataset_size=dataset_size, memory=memory
    )
    correlation = total_correlation(log_pz, log_pz_k).mean()  # ()
    marginal_kl = dimension_wise_kl(outputs.z[: len(log_pz_k)], log_pz_k, prior_var=prior_var).mean()  # ()

    zero = torch.zeros_like(reconstruction)
    marginal_entropy = sum((category_information(v)[0] for v in codes.category_logits), zero.sum())  # ()
    entropy_given_x = sum((category_information(v)[1] for v in codes.category_logits), zero)  # (B,)
    objective_y = entropy * marginal_entropy - entropy_given_x - smoothness  # (B,)

    total = reconstruction - beta * objective_y + beta * marginal_kl + gamma * correlation
    return {
        "loss": total,
        "reconstruction": reconstruction,
        "category_loss": -objective_y,
        "information_y": marginal_entropy - entropy_given_x,
        "total_correlation": correlation,
        "dimension_wise_kl": marginal_kl,
    }
