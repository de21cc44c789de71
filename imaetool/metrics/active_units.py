"""How many units move at all."""

from __future__ import annotations

from imaetool.metrics._inputs import rows
from imaetool.metrics.result import Result

__all__ = ["active_units"]


def active_units(mu, eps: float = 0.05) -> Result:
    """Number of units with Var_x(mu_k) >= eps.

    mu: (N, K) means of q(z|x). The variance is over the images, divided by N.
    Source: Burda et al. 2016; infomax_vae eq. 7, where eps = 0.05.
    Raises ValueError where eps is not positive or mu is not a finite (N, K) array.
    """
    if not eps > 0:
        raise ValueError(f"eps must be positive, not {eps}")
    mu = rows(mu, "mu")
    variance = mu.var(0, unbiased=False)
    active = variance >= eps
    return Result(
        metric="active-units",
        variant=f"Var_x(mu) >= {eps:g}",
        value=float(active.sum()),
        n=len(mu),
        unit="units",
        estimator="closed form",
        settings={"eps": eps},
        details={"variance": variance.tolist(), "active": active.nonzero().squeeze(1).tolist(), "units": mu.shape[1]},
        notes=("one image: every variance is 0",) if len(mu) == 1 else (),
    )
