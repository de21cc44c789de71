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


_FEATURES = 64  # of each half of the critic
_BLOCK = 2048  # samples paired with each other when a bound is measured
_FORMS = {"f-dual": f_dual, "donsker-varadhan": donsker_varadhan}


def neural_information_estimate(
    x,
    z,
    *,
    form: str = "f-dual",
    hidden: int = 256,
    steps: int = 1_000,
    batch: int = 256,
    learning_rate: float = 1e-3,
    held_out: float = 0.25,
    seed: int = 0,
) -> Result:
    """I(x; z) estimated by training a critic on part of the samples and measuring on the rest.

    x: (N, D) observations, flattened and scaled as the caller likes; z: (N, K) one sample of q(z|x)
    each. The critic is a(x) . b(z), two MLPs of two ``hidden`` layers on the standardised values: every
    pair of a batch then serves as a product pair. An eighth of the training samples says when to stop,
    without which the held-out bound of an image's worth of inputs falls far below 0. The dual form on
    held-out samples is a lower bound up to sampling error: it misses what the critic misses, and
    cannot be expected to exceed log N. Source: infomax_vae section 6 (after Belghazi et al. 2018),
    eqs. 6 and 12; the separable critic of van den Oord et al. 2018.
    """
    if form not in _FORMS:
        raise ValueError(f"form must be one of {', '.join(_FORMS)}, not {form!r}")
    x, z = rows(x, "x"), rows(z, "z")
    if len(x) != len(z):
        raise ValueError(f"{len(x)} observations for {len(z)} codes")
    test = round(held_out * len(x))
    stop = max(2, (len(x) - test) // 8)
    if not 0 < held_out < 1 or test < 2 or len(x) - test - stop < 2:
        raise ValueError("held_out must leave at least two samples to train on, to stop by and to measure on")
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    held, kept, fitted = order.split([test, stop, len(x) - test - stop])
    x, z = (_standardise(v, fitted).float() for v in (x, z))
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        critic = nn.ModuleList(_mlp(v.shape[1], hidden) for v in (x, z))
        stopped = _train(critic, [(x[part], z[part]) for part in (fitted, kept)], _FORMS[form], steps, batch, learning_rate)
    value, error = _measure(critic, x[held], z[held], form)
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
        estimator=f"separable MLP critic, {len(fitted)} samples to train, {stop} to stop by, {test} held out",
        error=error,
        settings={
            "form": form, "hidden": hidden, "steps": steps, "stopped": stopped, "batch": batch,
            "learning_rate": learning_rate, "seed": seed,
        },
        notes=tuple(notes),
    )


def _standardise(values: Tensor, train: Tensor) -> Tensor:
    """Zero mean and unit spread over the training samples; an input that hardly moves is not blown up."""
    spread = values[train].std(0, unbiased=False)
    return (values - values[train].mean(0)) / spread.clamp_min(max(0.1 * float(spread.max()), 1e-12))


def _mlp(inputs: int, hidden: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, _FEATURES))


def _scores(critic: nn.ModuleList, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Critic values of the joint pairs (B,) and of all pairs of different samples (B, B - 1)."""
    table = critic[0](x) @ critic[1](z).T / math.sqrt(_FEATURES)
    b = len(x)  # the table without its diagonal, row by row
    return table.diagonal(), table.flatten()[1:].view(b - 1, b + 1)[:, :-1].reshape(b, b - 1)


def _train(critic: nn.ModuleList, data: list, bound, steps: int, batch: int, learning_rate: float) -> int:
    """Train on the first pair of (x, z), keep the weights that are best on the second; the step they are from."""
    (x, z), (kept_x, kept_z) = data
    optimiser = torch.optim.Adam(critic.parameters(), lr=learning_rate, fused=True)
    best, weights, stopped = -math.inf, None, 0
    for step in range(steps + 1):
        if step % max(1, min(50, steps // 4)) == 0:
            with torch.no_grad():
                score = float(bound(*(v.flatten() for v in _scores(critic, kept_x[:_BLOCK], kept_z[:_BLOCK]))))
            if score > best:
                best, stopped = score, step
                weights = {name: v.clone() for name, v in critic.state_dict().items()}
            elif step - stopped > steps // 4:
                break
        rows_ = torch.randperm(len(x))[:batch]
        loss = -bound(*(v.flatten() for v in _scores(critic, x[rows_], z[rows_])))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(critic.parameters(), 1.0)
        optimiser.step()
    if weights is not None:
        critic.load_state_dict(weights)
    return stopped


@torch.no_grad()
def _measure(critic: nn.ModuleList, x: Tensor, z: Tensor, form: str) -> tuple[float, float]:
    """The bound on new samples, and its standard error over them."""
    edges = torch.arange(0, len(x), _BLOCK).tolist()
    if len(edges) > 1 and len(x) - edges[-1] < 2:  # a single sample pairs with none
        edges.pop()
    parts = [_scores(critic, x[a:b], z[a:b]) for a, b in zip(edges, [*edges[1:], len(x)], strict=True)]
    joint = torch.cat([j.double() for j, _ in parts])
    product = torch.cat([(p.double() - 1).exp().mean(1) for _, p in parts])  # each row's mean of exp(t - 1)
    if form == "f-dual":
        terms = joint - product
        value = float(terms.mean())
    else:
        terms = joint - product / product.mean()
        value = float(joint.mean() - product.mean().log() - 1)
    return value, float(terms.std(unbiased=False)) / math.sqrt(len(joint))
