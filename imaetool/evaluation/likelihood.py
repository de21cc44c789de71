"""What decoding costs: reconstruction, ELBO, importance-weighted likelihood, rate and distortion, nats per image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from imaetool.evaluation.encode import take
from imaetool.evaluation.subject import Measurement, Subject
from imaetool.information.densities import bernoulli_nll, categorical_kl, gaussian_kl, gaussian_log_density
from imaetool.metrics import likelihood
from imaetool.metrics.result import Result
from imaetool.model import Autoencoder, Codes

__all__ = ["draw", "elbo", "log_likelihood", "pick", "rate_distortion", "reconstruction"]

_DECODED, _WEIGHTED, _CURVE = 10_000, 2_000, 1_000  # images, unless --n says otherwise
_BATCH = 500


def pick(codes: Codes, rows) -> Codes:
    """The codes numbered ``rows``."""
    rows = torch.as_tensor(rows)
    return Codes(codes.mu[rows], codes.log_var[rows], tuple(v[rows] for v in codes.category_logits))


def draw(codes: Codes, generator: torch.Generator) -> tuple[Tensor, list[Tensor]]:
    """One z (B, K1) ~ q(z|x) and one value (B,) ~ p(y|x) for each categorical variable, on the CPU."""
    z = codes.mu + (0.5 * codes.log_var).exp() * torch.randn(codes.mu.shape, generator=generator)
    return z, [torch.multinomial(p, 1, generator=generator).squeeze(1) for p in codes.probabilities]


def _batches(subject: Subject, rows: np.ndarray, what: str, passes: int = 1) -> Iterator[tuple[slice, Tensor, Codes]]:
    """(place in the answer, images on the device, codes on the CPU) of the images ``rows``."""
    for start in range(0, len(rows), _BATCH):
        part = slice(start, min(start + _BATCH, len(rows)))
        yield part, take(subject.split.images, rows[part], subject.model), pick(subject.codes, rows[part])
        subject.progress(what, part.stop * passes, len(rows) * passes)


def _nll(model: Autoencoder, z: Tensor, values: list[Tensor], x: Tensor) -> Tensor:
    """-log q(x|z, y) (B,), on the CPU."""
    return bernoulli_nll(model.decode_logits(z, model.one_hot(*values), x), x).cpu()


@torch.no_grad()
def _terms(subject: Subject) -> dict:
    """Per image, computed once: nll of a sampled and of the mean code, squared error, KL of z (N, K1) and y."""
    if "terms" in subject.cache:
        return subject.cache["terms"]
    model = subject.model
    rows, notes = subject.subset(_DECODED)
    generator = torch.Generator().manual_seed(subject.seed)
    sampled, mean, square = (torch.empty(len(rows)) for _ in range(3))
    binary = True
    for part, x, codes in _batches(subject, rows, "decoding"):
        sampled[part] = _nll(model, *draw(codes, generator), x)
        logits = model.decode_logits(codes.mu, model.one_hot(*codes.categories), x)
        mean[part] = bernoulli_nll(logits, x).cpu()
        square[part] = (logits.sigmoid() - x).square().flatten(1).sum(1).cpu()
        binary &= bool(((x == 0) | (x == 1)).all())
    codes = pick(subject.codes, rows)
    if not binary:
        notes += ("pixels are grey: their Bernoulli cross-entropy is no density, and compares only with itself",)
    subject.cache["terms"] = {
        "sampled": sampled, "mean": mean, "squared_error": square, "kl": gaussian_kl(codes.mu, codes.log_var),
        "kl_y": sum((categorical_kl(v) for v in codes.category_logits), torch.zeros(len(rows))), "notes": notes,
    }
    return subject.cache["terms"]


def _mean(metric: str, variant: str, values: Tensor, estimator: str, **details) -> Result:
    values = values.double()
    error = float(values.std(unbiased=False)) / math.sqrt(len(values))
    return Result(metric, variant, float(values.mean()), len(values), "nats", estimator, error, details=details)


def reconstruction(subject: Subject) -> list[Measurement]:
    """-log q(x|code) per image in nats, from a sampled code and from the mean code."""
    terms, how = _terms(subject), "Bernoulli, summed over pixels, mean over images"
    said = {"sampled": "sampled code, z ~ q(z|x), y ~ p(y|x)", "mean": "mean code, z = mu, y = argmax"}
    error = {"mean": {"squared_error": float(terms["squared_error"].double().mean())}}
    found = {name: _mean("reconstruction", said[name], terms[name], how, **error.get(name, {})) for name in said}
    codes = {"sampled": "samples", "mean": "means"}
    return [subject.measured(r, "reconstruction", codes[name], _OVER, notes=terms["notes"]) for name, r in found.items()]


_OVER = "closed form, over images"


def elbo(subject: Subject) -> list[Measurement]:
    """E log q(x|z, y) - KL, one sampled code for each image, the KL in closed form."""
    terms = _terms(subject)
    result = likelihood.elbo(-terms["sampled"], terms["kl"].sum(1) + terms["kl_y"])
    details = {**result.details, "kl_z": float(terms["kl"].double().sum(1).mean()), "kl_y": float(terms["kl_y"].mean())}
    result = replace(result, details=details)
    return [subject.measured(result, "elbo", "samples", _OVER, notes=terms["notes"])]


@torch.no_grad()
def log_likelihood(subject: Subject) -> list[Measurement]:
    """The importance-weighted bound on log p(x), K codes for each of N images (both named)."""
    model, k = subject.model, subject.settings.samples
    rows, notes = subject.subset(_WEIGHTED)
    generator = torch.Generator().manual_seed(subject.seed)
    log_w = torch.empty(k, len(rows))
    prior = -sum(map(math.log, model.latents.categories))
    for part, x, codes in _batches(subject, rows, f"log-likelihood, K = {k}", k):
        log_y = [v.log_softmax(1) for v in codes.category_logits]
        for i in range(k):
            z, values = draw(codes, generator)
            log_p = gaussian_log_density(z, torch.zeros(()), torch.zeros(())).sum(1) + prior
            log_q = gaussian_log_density(z, codes.mu, codes.log_var).sum(1)
            log_q = sum((table.gather(1, v[:, None])[:, 0] for table, v in zip(log_y, values)), log_q)
            log_w[i, part] = log_p - log_q - _nll(model, z, values, x)
    result = likelihood.log_likelihood_from_weights(log_w)
    result = replace(result, variant=f"{result.variant}, N = {len(rows)}", settings={**result.settings, "seed": subject.seed})
    grey = tuple(note for note in _terms(subject)["notes"] if note.startswith("pixels"))
    return [subject.measured(result, "log-likelihood", "samples", _OVER, notes=(*notes, *grey))]


def rate_distortion(subject: Subject) -> list[Measurement]:
    """Rate KL(q(code|x) || prior) and distortion -log q(x|code), and the curve of fewer and fewer units sent."""
    terms = _terms(subject)
    rate = terms["kl"].sum(1) + terms["kl_y"]
    curve = _curve(subject)
    found = [
        _mean("rate-distortion", "rate: KL(q(z, y|x) || prior)", rate, "closed form, mean over images", curve=curve),
        _mean("rate-distortion", "distortion: -log q(x|z, y), sampled code", terms["sampled"], "Bernoulli, summed over pixels"),
    ]
    return [subject.measured(r, "rate-distortion", "samples", _OVER, notes=terms["notes"]) for r in found]


@torch.no_grad()
def _curve(subject: Subject) -> dict:
    """Rate and distortion where only the units of largest KL are sent and the rest are read as 0, the prior's mean."""
    terms, model = _terms(subject), subject.model
    width = model.latents.continuous
    rows = np.random.default_rng([subject.seed, 2]).permutation(subject.n)[: min(_CURVE, subject.n)]
    kept_counts = sorted({round(v) for v in np.linspace(0, width, min(width + 1, 17))})
    order = terms["kl"].mean(0).argsort(descending=True)
    totals = torch.zeros(len(kept_counts), 2, dtype=torch.float64)
    generator = torch.Generator().manual_seed(subject.seed)
    for _, x, codes in _batches(subject, np.sort(rows), "rate-distortion"):
        z, values = draw(codes, generator)
        kl, kl_y = gaussian_kl(codes.mu, codes.log_var), sum((categorical_kl(v).sum() for v in codes.category_logits), 0.0)
        for i, kept in enumerate(kept_counts):
            sent = torch.zeros_like(z)
            sent[:, order[:kept]] = z[:, order[:kept]]
            totals[i] += torch.tensor([float(kl[:, order[:kept]].sum() + kl_y), float(_nll(model, sent, values, x).sum())])
    rates, distortions = (totals / len(rows)).T.tolist()
    return {"units_sent": kept_counts, "order": order.tolist(), "rate": rates, "distortion": distortions, "n": len(rows)}
