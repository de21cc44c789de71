"""Time, memory and accuracy of MIG on a code of the size of dSprites.

    python benchmarks/mig.py [--scale 1.0] [--threads 2] [--others]

Prints plain lines; ``--others`` times the other metrics of factors too (DCI takes minutes). The codes are synthetic: five units follow the factors, the rest are noise.
"""

from __future__ import annotations

import argparse
import resource
import time

import torch

from imaetool.metrics.beta_vae import beta_vae_score
from imaetool.metrics.dci import dci_score
from imaetool.metrics.factor_vae import factor_vae_score
from imaetool.metrics.information import information
from imaetool.metrics.mig import mig_binned, mig_chen, mig_exact
from imaetool.metrics.modularity import explicitness_score, modularity_score
from imaetool.metrics.sap import sap_score
from imaetool.metrics.total_correlation import mixture_total_correlation

SIZES = (3, 6, 40, 32, 32)
NAMES = ("shape", "scale", "orientation", "x", "y")


def codes(scale: float, units: int = 10) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """mu, log_var (737280, units) and factors (737280, 5) of a plausible encoder; ``scale`` widens sigma's spread."""
    generator = torch.Generator().manual_seed(0)
    factors = torch.cartesian_prod(*(torch.arange(size) for size in SIZES))
    n = len(factors)
    mu = 0.05 * torch.randn(n, units, generator=generator)
    log_var = 0.02 * torch.randn(n, units, generator=generator)
    for f, size in enumerate(SIZES):
        level = (factors[:, f] + 0.5) / size * 3.4 - 1.7
        mu[:, f] = level + 0.1 * torch.randn(n, generator=generator)
        log_var[:, f] = -4 + scale * 0.5 * torch.randn(n, generator=generator)
    return mu, log_var, factors


def report(name: str, measure) -> None:
    start = time.perf_counter()
    result = measure()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    error = "" if result.error is None else f" +- {result.error:.6f}"
    print(f"{name:12s} value {result.value:.6f}{error}  {seconds:6.2f} s  peak {peak:.0f} MiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="spread of log sigma^2 between images")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--others", action="store_true", help="time the other metrics of factors too")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    mu, log_var, factors = codes(args.scale)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{mu.shape[0]} codes x {mu.shape[1]} units, factors {SIZES}, {args.threads} threads, {base:.0f} MiB before")
    report("mig_binned", lambda: mig_binned(mu, factors, factor_names=NAMES))
    report("mig_chen", lambda: mig_chen(mu, log_var, factors, factor_names=NAMES))
    report("mig_exact", lambda: mig_exact(mu, log_var, factors, factor_names=NAMES))
    if args.others:
        report("information", lambda: information(mu, log_var))
        report("modularity", lambda: modularity_score(mu, factors))
        report("explicitness", lambda: explicitness_score(mu, factors))
        report("factor-vae", lambda: factor_vae_score(mu, factors))
        report("beta-vae", lambda: beta_vae_score(mu, factors))
        report("sap", lambda: sap_score(mu, factors))
        report("tc mixture", lambda: mixture_total_correlation(mu, log_var))
        report("dci forest", lambda: dci_score(mu, factors, trees="random-forest"))
        report("dci boosting", lambda: dci_score(mu, factors))


if __name__ == "__main__":
    main()
