"""I(x; z) of a fixed model: the mixture estimate, capped by log N, an upper bound without a cap, and the variational lower bound."""

from __future__ import annotations

import math

import torch

from imaetool.metrics._inputs import read_gaussians, rows
from imaetool.metrics._joint import NEAR_CAP, own_and_joint
from imaetool.metrics.result import Result

__all__ = ["gaussian_information", "mixture_information", "variational_information"]


def mixture_information(mu, log_var, *, draws: int = 10_000, seed: int = 0) -> Result:
    """I(x; z) of all units together, E[log q(z|x) - log q(z)] with q(z) the mixture of ALL N codes.

    mu, log_var: (N, K). Exact (but for sampling) for x uniform on these N images, hence never above
    log N: the value says as much about N as about the model once it is near. Memory is constant.
    Source: Hoffman and Johnson 2016; infomax_vae appendix B for the cap.
    """
    means, variance = read_gaussians(mu, log_var)
    _, own, joint = own_and_joint(means, variance, draws, seed)
    samples = own - joint
    value, cap = float(samples.mean()), math.log(len(means))
    notes = [f"capped by log N = {cap:.3f} nats (N = {len(means)})"]
    if value > cap - NEAR_CAP:
        notes.append(f"within {NEAR_CAP} nats of the cap: the true information may be larger")
    if value < 0:
        notes.append("below 0 by sampling noise: read it as 0")
    return Result(
        metric="mutual-information",
        variant="mixture, capped by log N",
        value=value,
        n=len(means),
        unit="nats",
        estimator=f"aggregate posterior of all {len(means)} codes, {draws} draws",
        error=float(samples.std(unbiased=False)) / math.sqrt(draws),
        settings={"draws": draws, "seed": seed},
        details={"log_n": cap},
        notes=tuple(notes),
    )


def gaussian_information(mu, log_var) -> Result:
    """1/2 log det Cov(z) - E[1/2 sum_k log sigma_k^2], an upper bound on I(x; z) that log N does not cap.

    mu, log_var: (N, K); Cov(z) = Cov(mu) + diag E[sigma^2]. H(z|x) is exact, and of all densities with
    the covariance of q(z) the Gaussian has the most entropy; equal where q(z) is Gaussian. It holds for
    the population as far as the covariance of N codes does. Source: maximum entropy (Cover and Thomas, theorem 8.6.5).
    """
    means, variance = read_gaussians(mu, log_var)
    covariance = torch.cov(means.T, correction=0).reshape(means.shape[1], -1) + variance.mean(0).diag()
    conditional = 0.5 * variance.log().sum(1)
    value = 0.5 * float(torch.linalg.slogdet(covariance)[1]) - float(conditional.mean())
    return Result(
        metric="mutual-information",
        variant="Gaussian upper bound, no cap",
        value=value,
        n=len(means),
        unit="nats",
        estimator=f"log-determinant of the covariance of z over {len(means)} codes",
        error=float(conditional.std(unbiased=False)) / math.sqrt(len(means)),
        notes=("an upper bound: tight where q(z) is Gaussian",),
    )


def variational_information(log_q, entropy: float) -> Result:
    """E[log Q(c|xhat)] + H(c), a lower bound on I(c; xhat) for any auxiliary network Q.

    log_q: (N,) log Q(c_i|xhat_i) at the code that each decoded image was made from. entropy: H(c) in
    nats of the distribution those codes were drawn from (log K2 for a uniform category).
    Source: vmi_vae eq. 5 (Barber and Agakov 2003).
    """
    values = rows(log_q, "log_q")
    if values.shape[1] != 1:
        raise ValueError(f"log_q must have shape (N,), not {tuple(values.shape)}")
    if not math.isfinite(entropy):
        raise ValueError("entropy must be finite")
    value = float(values.mean()) + entropy
    return Result(
        metric="mutual-information",
        variant="variational lower bound (vmi_vae eq. 5)",
        value=value,
        n=len(values),
        unit="nats",
        estimator=f"mean of log Q over {len(values)} decoded codes, plus H(c)",
        error=float(values.std(unbiased=False)) / math.sqrt(len(values)),
        details={"mean_log_q": float(values.mean()), "entropy": entropy},
        notes=("a lower bound below 0 says only that Q is worse than ignoring the image",) if value < 0 else (),
    )
