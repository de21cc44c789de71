"""I(x; z) from above, without a cap: the cross-entropy of new codes under a density fitted to others."""

from __future__ import annotations

import math
import warnings

import torch

from imaetool.metrics._inputs import read_gaussians, sample_codes
from imaetool.metrics.result import Result

__all__ = ["LEAST", "fitted_information"]

LEAST = 16  # codes that can be split into fitted, kept aside and held out


def fitted_information(
    mu, log_var, *, components: tuple[int, ...] = (1, 4, 16), draws: int = 4, images: int = 10_000, seed: int = 0
) -> Result:
    """E[-log r(z)] - H(z|x), r a mixture of full-covariance Gaussians: an upper bound on I(x; z).

    mu, log_var: (N, K), N at least 16; of more than ``images``, a random part is used. Each image gives
    ``draws`` samples of q(z|x). r is fitted by expectation maximisation to the samples of five eighths of
    the images; an eighth says which of ``components`` it should have; the bound is measured on the other
    quarter. It holds for the population the images come from, whatever r is (the gap is KL(q(z) || r)),
    and log N does not cap it. Source: Barber and Agakov 2003 and Poole et al. 2019, section 2.1 (the bound);
    Dempster, Laird and Rubin 1977 (the fit).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    means, variance = read_gaussians(mu, log_var)
    if len(means) < LEAST:
        raise ValueError(f"fitting a density to codes needs at least {LEAST} of them, and there are {len(means)}")
    order = torch.randperm(len(means), generator=torch.Generator().manual_seed(seed))[:images]
    held, kept, fitted = order.split([len(order) // 4, len(order) // 8, len(order) - len(order) // 4 - len(order) // 8])
    means = means - means.mean(0)  # so that the noise of a unit that hardly moves is not lost in rounding
    z = sample_codes(means[order], variance[order], draws * len(order), seed)[1]  # every image once, `draws` times over
    z = z.view(draws, len(order), -1).transpose(0, 1)
    parts = z.split([len(held), len(kept), len(fitted)])
    centre, scale = parts[2].mean((0, 1)), parts[2].std((0, 1), unbiased=False)
    z_held, z_kept, z_fitted = (((part - centre) / scale).flatten(0, 1).numpy() for part in parts)

    best, density = -math.inf, None
    for count in components:
        if count > 1 and len(z_fitted) < 2 * count * z.shape[2]:
            continue
        mixture = GaussianMixture(count, max_iter=50, tol=1e-2, random_state=seed, init_params="k-means++")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # any r bounds; which one is chosen on the kept eighth
            score = mixture.fit(z_fitted).score(z_kept)
        if score > best:
            best, density = score, mixture
    surprise = torch.from_numpy(-density.score_samples(z_held)).view(len(held), draws).mean(1) + scale.log().sum()
    conditional = 0.5 * (variance[held].log() + math.log(2 * math.pi * math.e)).sum(1)
    excess = surprise - conditional
    return Result(
        metric="mutual-information",
        variant="fitted upper bound, no cap",
        value=float(excess.mean()),
        n=len(order),
        unit="nats",
        estimator=f"held-out cross-entropy under {density.n_components} full Gaussians: {len(fitted)} codes to fit, {len(kept)} to choose by, {len(held)} held out",
        error=float(excess.std(unbiased=False)) / math.sqrt(len(held)),
        settings={"components": list(components), "draws": draws, "seed": seed},
        details={"components": density.n_components},
        notes=("an upper bound: it exceeds I(x;z) by how far the fitted density is from q(z)",),
    )
