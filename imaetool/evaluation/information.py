"""What the code knows of the image: per unit, per category, and all units together three ways."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from imaetool.evaluation.encode import take
from imaetool.evaluation.errorbars import bootstrap
from imaetool.evaluation.likelihood import draw, pick
from imaetool.evaluation.subject import Measurement, NotApplicable, Subject
from imaetool.information.densities import gaussian_log_density
from imaetool.metrics import active_units as active, information as per_unit, mutual_information as joint
from imaetool.metrics import total_correlation as correlation
from imaetool.metrics.information_bound import LEAST, fitted_information
from imaetool.metrics.neural_information import neural_information_estimate
from imaetool.metrics.result import Result

__all__ = ["active_units", "information", "mutual_information", "total_correlation"]

_JOINT_DRAWS = 2_000  # each is set against all N codes in all units
_IMAGES, _DRAWN = 10_000, 2_000  # images that a network is fitted to; fewer where each is drawn pixel by pixel
_VALUES = 40_000_000  # pixels of all those images together
_DRAWS, _SUM = "Monte Carlo draws", "closed form (delta method, over images)"


def information(subject: Subject) -> list[Measurement]:
    """I(x;y), and for each unit I(x;z_k) with its bounds, ranked (spec section 6). Computed once."""
    if "information" not in subject.cache:
        subject.cache["information"] = _information(subject)
    return [subject.cache["information"]]


def _information(subject: Subject) -> Measurement:
    codes = subject.codes
    if not subject.model.latents.continuous:
        tables = [p.double() for p in codes.probabilities]
        found = [per_unit.category_information(p) for p in tables]
        result = Result(
            "information", "I(x;y), empirical", sum(item["information"] for item in found), subject.n, "nats", "imae eq. 7",
            error=per_unit.category_error(tables), details={"information": [], "ranking": [], "y": found},
        )
        return subject.measured(result, "information", "probabilities", _SUM)
    draws = subject.settings.draws
    result = per_unit.information(codes.mu, codes.log_var, codes.probabilities or None, draws=draws, seed=subject.seed)
    kinds = ("probabilities", _SUM) if codes.category_logits else ("samples", _DRAWS)
    return subject.measured(result, "information", *kinds)


def active_units(subject: Subject) -> list[Measurement]:
    """How many units move."""
    mu = subject.units().mu
    error, kind = bootstrap(lambda rows: active.active_units(mu[rows]).value, subject.n, seed=subject.seed)
    return [subject.measured(active.active_units(mu), "active-units", "means", kind, error=error)]


def total_correlation(subject: Subject) -> list[Measurement]:
    """How far the units are from independent: sampled z against the aggregate posterior, and mu as if Gaussian."""
    codes = subject.units()
    if codes.mu.shape[1] < 2:
        raise NotApplicable("compares units, and this model has one")
    draws = min(_JOINT_DRAWS, subject.settings.draws)
    mixture = correlation.mixture_total_correlation(codes.mu, codes.log_var, draws=draws, seed=subject.seed)
    gaussian = correlation.gaussian_total_correlation
    error, kind = bootstrap(lambda rows: gaussian(codes.mu[rows]).value, subject.n, seed=subject.seed)
    return [
        subject.measured(mixture, "total-correlation", "samples", _DRAWS),
        subject.measured(gaussian(codes.mu), "total-correlation", "means", kind, error=error),
    ]


def mutual_information(subject: Subject) -> list[Measurement]:
    """I(x;z) by the mixture, from above and by a critic; I(code; decoded image) by a network that reads the code back."""
    found = []
    latents = subject.model.latents
    if latents.continuous:
        codes, draws = subject.codes, min(_JOINT_DRAWS, subject.settings.draws)
        mixture = joint.mixture_information(codes.mu, codes.log_var, draws=draws, seed=subject.seed)
        found.append(subject.measured(mixture, "mutual-information", "samples", _DRAWS))
        bound = joint.gaussian_information(codes.mu, codes.log_var)
        found.append(subject.measured(bound, "mutual-information", "means", "standard error of H(z|x)"))
        if subject.n >= LEAST:
            fitted = fitted_information(codes.mu, codes.log_var, seed=subject.seed)
            found.append(subject.measured(fitted, "mutual-information", "samples", "closed form, over held-out codes"))
    most = _DRAWN if subject.model.autoregressive else _IMAGES
    rows, notes = subject.subset(min(most, max(8, _VALUES // math.prod(subject.data.shape))))
    if len(rows) < 8 and found:
        return found
    if len(rows) < 8:
        raise NotApplicable(f"needs 8 images to fit a network to, and there are {len(rows)}")
    generator = torch.Generator().manual_seed(subject.seed)
    z, values = draw(pick(subject.codes, rows), generator)
    decoded = _decoded(subject, z, values)
    for i, size in enumerate(latents.categories):
        share = subject.codes.probabilities[i].double().mean(0)
        log_q = _read_back(decoded, nn.functional.one_hot(values[i], size).float(), True, subject.seed)
        name = "y" if len(latents.categories) == 1 else f"y{i + 1}"
        found.append(_variational(subject, log_q, float(torch.special.entr(share).sum()), name, notes))
    if latents.continuous:
        # H(z) = I(x;z) + H(z|x), under the same aggregate posterior
        entropy = mixture.value + float(0.5 * (codes.log_var.double() + math.log(2 * math.pi * math.e)).sum(1).mean())
        found.append(_variational(subject, _read_back(decoded, z, False, subject.seed), entropy, "z", notes))
        found.append(_neural(subject, rows, z, notes))
    return found


def _variational(subject: Subject, log_q: Tensor, entropy: float, name: str, notes: tuple[str, ...]) -> Measurement:
    result = joint.variational_information(log_q, entropy)
    result = replace(
        result, variant=f"variational lower bound of I({name}; decoded image), vmi_vae eq. 5",
        estimator=f"{result.estimator}; Q, an MLP, was fitted to 3 times as many others",
        settings={"hidden": [400, 400], "steps": _steps(len(log_q)), "batch": 128, "learning_rate": 1e-3, "seed": subject.seed, "code": name},
    )
    if name == "z":
        notes = (f"H(z) is that of a mixture of {subject.n:,} codes, capped like I(x;z) by log N, which keeps the bound a lower one", *notes)
        notes = ("a decoded image is a function of z, so this may exceed I(x;z): it says how well z is read off the image", *notes)
    return subject.measured(result, "mutual-information", "samples", "closed form, over decoded codes", notes=notes)


def _neural(subject: Subject, rows, z: Tensor, notes: tuple[str, ...]) -> Measurement:
    x = take(subject.split.images, rows, subject.model).flatten(1).cpu()
    result = neural_information_estimate(x, z, steps=min(1_000, 200 + len(x) // 8), seed=subject.seed)
    return subject.measured(result, "mutual-information", "samples", "closed form, over held-out pairs", notes=notes)


@torch.no_grad()
def _decoded(subject: Subject, z: Tensor, values: list[Tensor], size: int = 500) -> Tensor:
    """The decoder's mean images of the codes, flat, (N, D) on the CPU."""
    y, parts = subject.model.one_hot(*values), []
    for start in range(0, len(z), size):
        part = slice(start, start + size)
        parts.append(subject.model.decode(z[part], tuple(v[part] for v in y)).flatten(1).cpu())
        subject.progress("decoding codes to read back", min(start + size, len(z)), len(z))
    return torch.cat(parts)


def _steps(held: int) -> int:
    """How long to fit Q: some 60 times over the pairs, at most 1,500 batches."""
    return min(1_500, 300 + held)


def _read_back(images: Tensor, codes: Tensor, categorical: bool, seed: int) -> Tensor:
    """log Q(c|xhat) (M,) on a quarter of the pairs, Q an MLP fitted to the others.

    images: (N, D); codes: one-hot (N, K2), or (N, K) for a Gaussian Q with variances of its own. Training
    stops where a tenth of the fitted pairs, kept aside, says so: a bound holds for any Q.
    """
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    held, kept, fitted = order.tensor_split([len(order) // 4, len(order) // 4 + max(1, len(order) // 12)])
    centre, scale = codes[fitted].mean(0), codes[fitted].std(0, unbiased=False).clamp_min(1e-6)
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        outputs = codes.shape[1] * (1 if categorical else 2)
        q = nn.Sequential(nn.Linear(images.shape[1], 400), nn.ReLU(), nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, outputs))

        def log_q(rows: Tensor) -> Tensor:
            said = q(images[rows])
            if categorical:
                return (codes[rows] * said.log_softmax(1)).sum(1)
            mu, log_var = said.chunk(2, dim=1)
            unit = (codes[rows] - centre) / scale
            return (gaussian_log_density(unit, mu, log_var.clamp(-12, 4)) - scale.log()).sum(1)

        optimiser = torch.optim.Adam(q.parameters(), lr=1e-3, fused=True)
        best, at, answer, steps = -math.inf, 0, None, _steps(len(held))
        for step in range(steps + 1):
            if step % 50 == 0:
                with torch.no_grad():
                    score = float(log_q(kept).mean())
                    if score > best:
                        best, at, answer = score, step, log_q(held)
                if step - at > steps // 5:
                    break
            loss = -log_q(fitted[torch.randint(len(fitted), (128,))]).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return answer
