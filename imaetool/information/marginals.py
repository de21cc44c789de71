"""What a minibatch says of the aggregate posterior p(z), and of the category marginal p(y).

All in nats. These terms are batch-coupled: each image's value depends on the others.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from imaetool.information.densities import categorical_entropy, gaussian_log_density
from imaetool.information.mixtures import log_mixtures

__all__ = ["ESTIMATORS", "category_information", "dimension_wise_kl", "log_marginals", "total_correlation"]

ESTIMATORS = ("plain", "weighted", "stratified")


def _log_weights(z: Tensor, estimator: str, dataset_size: int | None) -> Tensor:
    """log w_ij, the weight of image j's posterior in the marginal at image i's sample: (B, B), or () if all are equal."""
    size = z.shape[0]
    if estimator not in ESTIMATORS:
        raise ValueError(f"unknown estimator {estimator!r}: one of {', '.join(ESTIMATORS)}")
    if estimator == "plain":
        return z.new_tensor(-math.log(size))
    if dataset_size is None or dataset_size < size:
        raise ValueError(f"the {estimator} estimator needs dataset_size, at least the batch's {size}")
    if estimator == "weighted":
        return z.new_tensor(-math.log(size * dataset_size))
    if size < 2:
        raise ValueError("the stratified estimator needs a batch of 2 or more")
    others = math.log((dataset_size - 1) / (dataset_size * (size - 1))) if dataset_size > 1 else -math.inf
    weights = z.new_full((size, size), others)
    return weights.fill_diagonal_(-math.log(dataset_size))


def log_marginals(
    z: Tensor, mu: Tensor, log_var: Tensor, *, estimator: str = "plain", dataset_size: int | None = None,
    memory: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Estimates of log p(z) and log p(z_k) at the batch's own samples.

    Arguments: z, mu, log_var (B, K). ``plain`` is (1/B) sum_j N(z_k; mu_k(x_j), sigma_k^2(x_j))
    (imae_iclr2019 eq. 34), the product over k inside the sum for log p(z). ``weighted`` and
    ``stratified`` are those of Chen et al. 2018, and know the dataset's size N. In ``stratified`` a
    sample's own posterior weighs 1/N and every other one (N-1)/(N(B-1)): the average of Chen's
    estimator over which other image takes its special weight, so unbiased for p(z) as his is, with
    less variance.

    ``memory``, the mu and log_var (M, K) of images seen shortly before, without gradient, join the sum of
    ``plain``. It then saturates at log (B + M) instead of log B: in a batch of 2,048 (7.6 nats) codes of 10
    nats cannot be seen to be correlated. The samples taken are then the first Q of the batch, as
    many as make the pairs of a batch alone. Past codes have no gradient and hardly need one: that of
    E[log p(z)] through the parameters of p is 0 in expectation where z comes from all of p, so the one
    through z is what counts. What is left of a bias is far below that of a batch without memory.

    Returns: log p(z) (B,) and log p(z_k) (B, K), or Q of each. All but ``stratified`` saturate.
    """
    if memory is None:
        return log_mixtures(z, mu, log_var, _log_weights(z, estimator, dataset_size))
    if estimator != "plain":
        raise ValueError(f"a memory of past codes goes with the plain estimator, not {estimator}")
    mu, log_var = torch.cat([mu, memory[0]]), torch.cat([log_var, memory[1]])
    queries = max(1, len(z) ** 2 // len(mu))
    return log_mixtures(z[:queries], mu, log_var, z.new_tensor(-math.log(len(mu))))


def total_correlation(log_pz: Tensor, log_pz_k: Tensor) -> Tensor:
    """log p(z) - sum_k log p(z_k), whose batch mean estimates the total correlation: (B,).

    Source: imae_iclr2019 eq. 3, KL(p(z) || prod_k p(z_k)).
    """
    return log_pz - log_pz_k.sum(1)


def dimension_wise_kl(z: Tensor, log_pz_k: Tensor, *, prior_var: float = 1.0) -> Tensor:
    """sum_k log p(z_k) - log r(z_k), r = N(0, prior_var): (B, K) twice -> (B,).

    Source: imae_iclr2019 eq. 6, sum_k KL(p(z_k) || r(z_k)).
    """
    log_var = torch.full_like(z, math.log(prior_var))
    return (log_pz_k - gaussian_log_density(z, torch.zeros_like(z), log_var)).sum(1)


def category_information(logits: Tensor) -> tuple[Tensor, Tensor]:
    """H(y) of the batch's mean p(y|x), a scalar, and H(p(y|x)) of each image, (B,): logits (B, K2).

    Their difference, mean taken, is the empirical I(x;y). Source: imae_iclr2019 eq. 7.
    """
    marginal = torch.softmax(logits, dim=-1).mean(0)
    entropy = -torch.special.xlogy(marginal, marginal).sum()
    return entropy, categorical_entropy(logits)
