"""The metrics that ``imaetool eval`` knows, each a function of a Subject giving Results."""

from __future__ import annotations

import math

import torch

from imaetool.errors import UserError
from imaetool.evaluation.encode import batches_of
from imaetool.evaluation.evaluate import Subject
from imaetool.information.densities import bernoulli_nll, sample_gaussian
from imaetool.metrics import clustering, information as information_metric
from imaetool.metrics.result import Result

__all__ = ["accuracy", "information", "reconstruction"]


def accuracy(subject: Subject) -> list[Result]:
    """Agreement of the first categorical variable with the labels: one-to-one first, then majority."""
    if not subject.codes.category_logits:
        raise UserError("metric accuracy needs a categorical variable, and this model has none")
    if subject.split.labels is None:
        raise UserError(f"metric accuracy needs labels, and {subject.data.name} has none")
    categories, labels = subject.codes.categories[0], torch.as_tensor(subject.split.labels)
    return [clustering.accuracy(categories, labels), clustering.accuracy_majority(categories, labels)]


def information(subject: Subject) -> list[Result]:
    """I(x;y), and for each unit I(x;z_k) with its bounds, ranked (spec section 6)."""
    codes = subject.codes
    if not codes.mu.shape[1]:
        found = [information_metric.category_information(p) for p in codes.probabilities]
        total = sum(item["information"] for item in found)
        details = {"information": [], "ranking": [], "y": found}
        return [Result("information", "I(x;y), empirical", total, len(codes.mu), "nats", "imae eq. 7", details=details)]
    probabilities = codes.probabilities or None
    return [information_metric.information(codes.mu, codes.log_var, probabilities, seed=subject.seed)]


@torch.no_grad()
def reconstruction(subject: Subject) -> list[Result]:
    """-log q(x|code) per image in nats, from a sampled code and from the mean code."""
    model, seed = subject.model, subject.seed
    sums = {"sampled": 0.0, "mean": 0.0}
    squares = dict(sums)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for x in batches_of(subject.split.images, model):
            codes = model.encode(x)
            drawn = [torch.multinomial(p, 1).squeeze(1) for p in codes.probabilities]
            variants = {
                "sampled": (sample_gaussian(codes.mu, codes.log_var), model.one_hot(*drawn)),
                "mean": (codes.mu, model.one_hot(*codes.categories)),
            }
            for name, (z, y) in variants.items():
                nll = bernoulli_nll(model.decode_logits(z, y, x), x).double()
                sums[name] += nll.sum().item()
                squares[name] += nll.square().sum().item()
    n = len(subject.split)
    said = {
        "sampled": "sampled code, z ~ q(z|x), y ~ p(y|x)",
        "mean": "mean code, z = mu, y = argmax",
    }
    return [
        Result(
            metric="reconstruction", variant=said[name], value=total / n, n=n, unit="nats",
            estimator="Bernoulli, summed over pixels, mean over images",
            error=math.sqrt(max(squares[name] / n - (total / n) ** 2, 0.0) / n),
            settings={"seed": seed},
        )
        for name, total in sums.items()
    ]
