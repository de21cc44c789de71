"""I(x; z) from samples alone, by a critic network: two dual forms of the KL divergence."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from imaetool.metrics._inputs import rows
from imaetool.metrics.result import Result

__all__ = ["donsker_varadhan", "f_dual", "neural_information_estimate"]


def f_dual(joint: Tensor, product: Tensor) -> Tensor:
    """E_joint[t] - E_product[exp(t - 1)], (): a lower bound on I, tight at t = 1 + log ratio.

    joint, product: critic values at joint pairs and at pairs from the product of marginals, (B,) each.
    Source: infomax_vae eq. 6.
    """
    return joint.mean() - torch.exp(product - 1).mean()


def donsker_varadhan(joint: Tensor, product: Tensor) -> Tensor:
    """E_joint[t] - log E_product[exp t], (): the tighter form; a sample mean in the log biases it up.

    joint, product: (B,) each. Source: infomax_vae eq. 12.
    """
    return joint.mean() - (product.logsumexp(0) - math.log(len(product)))


_FORMS = {"f-dual": f_dual, "donsker-varadhan": donsker_varadhan}


def neural_information_estimate(
    x,
    z,
    *,
    form: str = "f-dual",
    hidden: int = 256,
    steps: int = 2_000,
    batch: int = 256,
    learning_rate: float = 1e-3,
    held_out: float = 0.25,
    seed: int = 0,
) -> Result:
    """I(x; z) estimated by training a critic on part of the samples and measuring on the rest.

    x: (N, D) observations, flattened and scaled as the caller likes; z: (N, K) one sample of q(z|x)
    each. The critic is an MLP of two ``hidden`` layers on (x, z), both standardised; product pairs
    are permutations of z within the batch. The dual form on held-out samples is a lower bound up to
    sampling error: it misses what the critic misses, and cannot be expected to exceed log N.
    Source: infomax_vae section 6 (after Belghazi et al. 2018), eqs. 6 and 12.
    """
    if form not in _FORMS:
        raise ValueError(f"form must be one of {', '.join(_FORMS)}, not {form!r}")
    x, z = rows(x, "x"), rows(z, "z")
    if len(x) != len(z):
        raise ValueError(f"{len(x)} observations for {len(z)} codes")
    test = round(held_out * len(x))
    if not 0 < held_out < 1 or min(test, len(x) - test) < 2:
        raise ValueError("held_out must leave at least two samples on each side")
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    x, z = (_standardise(v, order[test:]).float() for v in (x, z))
    bound = _FORMS[form]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        critic = nn.Sequential(
            nn.Linear(x.shape[1] + z.shape[1], hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )
        _train(critic, x[order[test:]], z[order[test:]], bound, steps, batch, learning_rate)
        with torch.no_grad():
            x, z = x[order[:test]], z[order[:test]]
            joint = _scores(critic, x, z)
            product = torch.cat([_scores(critic, x, z.roll(shift, 0)) for shift in _shifts(test)])
            value = float(bound(joint.double(), product.double()))
    cap = f"log {test} = {math.log(test):.2f} nats"
    notes = [f"a lower bound by a trained critic; {test} held-out samples cannot support much above {cap}"]
    if value < 0:
        notes.append("below 0: the critic has learnt nothing that holds on new samples; read it as 0")
    return Result(
        metric="mutual-information",
        variant=f"neural, {form}",
        value=value,
        n=len(order),
        unit="nats",
        estimator=f"MLP critic, {len(order) - test} samples to train, {test} held out",
        error=float(joint.double().std(unbiased=False)) / math.sqrt(test),
        settings={"form": form, "hidden": hidden, "steps": steps, "batch": batch, "learning_rate": learning_rate, "seed": seed},
        notes=tuple(notes),
    )


def _standardise(values: Tensor, train: Tensor) -> Tensor:
    spread = values[train].std(0, unbiased=False)
    return (values - values[train].mean(0)) / torch.where(spread > 0, spread, 1.0)


def _shifts(n: int) -> list[int]:
    """Up to 16 distinct cyclic shifts that pair no sample with itself."""
    return sorted({1 + (n - 1) * i // 16 for i in range(16)})


def _scores(critic: nn.Module, x: Tensor, z: Tensor) -> Tensor:
    return critic(torch.cat([x, z], 1)).squeeze(1)


def _train(critic: nn.Module, x: Tensor, z: Tensor, bound, steps: int, batch: int, learning_rate: float) -> None:
    optimiser = torch.optim.Adam(critic.parameters(), lr=learning_rate)
    for _ in range(steps):
        rows_ = torch.randint(len(x), (min(batch, len(x)),))
        xs, zs = x[rows_], z[rows_]
        loss = -bound(_scores(critic, xs, zs), _scores(critic, xs, zs[torch.randperm(len(zs))]))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(critic.parameters(), 1.0)
        optimiser.step()
