"""beta-TCVAE: the VAE with its divergence taken apart, the parts weighed (Chen et al. 2018)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from imaetool.information.densities import gaussian_log_density
from imaetool.information.marginals import (
    dimension_wise_kl,
    log_marginals,
    total_correlation,
)
from imaetool.model import Outputs
from imaetool.objectives.elbo import elbo_terms

__all__ = ["loss"]


def loss(
    outputs: Outputs,
    x: Tensor,
    *,
    dataset_size: int | None = None,
    memory: tuple[Tensor, Tensor] | None = None,
    alpha: float = 1.0,
    beta: float = 6.0,
    gamma: float = 1.0,
    estimator: Literal["plain", "weighted", "stratified"] = "plain",
) -> dict[str, Tensor]:
    """The negative of E[log q(x|y,z)] - alpha I(x;z) - beta TC(z) - gamma sum_k KL(p(z_k) || r(z_k)) - KL_y.

    In nats per image; I(x;z) = E[log q(z|x) - log p(z)]. Batch-coupled. Where alpha = beta = gamma = 1
    the three parts add up to log q(z|x) - log r(z), the VAE's divergence at the sampled code.

    Arguments: outputs and x (B, C, H, W) of one batch; ``dataset_size`` for the estimators that need
    it; ``memory``, the mu and log_var (M, K) of past batches for the marginals. Settings: ``alpha``, ``beta``, ``gamma``; ``estimator`` of the marginals: plain, weighted (Chen's;
    it adds constants to plain, so the gradients are the same, but its terms are not in their own
    scale) or stratified. Returns the loss and its terms, (B,) each. Source: Chen et al. 2018 eq. 4.
    """
    codes, z = outputs.codes, outputs.z
    reconstruction, _, kl_y = elbo_terms(outputs, x)
    log_pz, log_pz_k = log_marginals(
        z, codes.mu, codes.log_var, estimator=estimator, dataset_size=dataset_size, memory=memory
    )
    taken = slice(len(log_pz))  # all, unless there is a memory
    log_qz_x = gaussian_log_density(z, codes.mu, codes.log_var).sum(1)
    information = (log_qz_x[taken] - log_pz).mean()  # ()
    correlation = total_correlation(log_pz, log_pz_k).mean()  # ()
    marginal_kl = dimension_wise_kl(z[taken], log_pz_k).mean()  # ()
    return {
        "loss": reconstruction + alpha * information + beta * correlation + gamma * marginal_kl + kl_y,
        "reconstruction": reconstruction,
        "information_z": information,
        "total_correlation": correlation,
        "dimension_wise_kl": marginal_kl,
        "kl_y": kl_y,
    }
