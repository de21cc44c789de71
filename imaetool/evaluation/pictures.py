"""The pictures of a report: what the units do, what the categories hold, what comes back from a code."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from imaetool import latents
from imaetool.data.views import ImageRows
from imaetool.evaluation.encode import take
from imaetool.evaluation.subject import Subject
from imaetool.model import Autoencoder, Codes
from imaetool.pictures import grid

__all__ = ["draw_categories", "draw_reconstructions", "draw_samples", "draw_traversals", "exemplars"]


def exemplars(model: Autoencoder, codes: Codes) -> list[list[float]]:
    """For each category the mu of the image nearest that category's mean: (K2, K1) as lists.

    A category that no image has gets the mu nearest the mean of all.
    """
    mu = codes.mu
    assigned = codes.categories[0] if codes.category_logits else torch.zeros(len(mu), dtype=torch.long)
    rows = []
    for category in range(model.latents.categories[0] if model.latents.categories else 1):
        members = mu[assigned == category] if (assigned == category).any() else mu
        nearest = (members - members.mean(0)).square().sum(1).argmin()
        rows.append([round(v, 6) for v in members[nearest].tolist()])
    return rows


def draw_samples(model: Autoencoder, seed: int, columns: int = 12) -> Image.Image:
    """A grid of images of codes drawn from the prior, one row per category."""
    generator = torch.Generator().manual_seed(seed)
    rows = range(model.latents.categories[0]) if model.latents.categories else (None,) * 4
    images = [model.sample(columns, category=c, generator=generator).cpu().numpy() for c in rows]
    labels = [f"category {c}" for c in rows] if model.latents.categories else None
    return grid(np.stack(images), row_labels=labels, title="Samples: z from the prior" + (", one row per category" if labels else ""))


def draw_traversals(
    model: Autoencoder, record: dict[str, Any], steps: int = 11, bound: float = 2.0, most: int = 40
) -> Image.Image:
    """One row per unit, ``most`` of them, most informative first, each swept from category 0's typical code."""
    units, information = latents.ranked_units(record, model.latents.continuous)
    units = units[:most]
    z, y = latents.category_rows(model, record.get("exemplars"))
    values = torch.linspace(-bound, bound, steps)
    images = latents.sweep_units(model, z[:1], tuple(v[:1] for v in y), units, values)
    return grid(
        images.cpu().numpy(),
        row_labels=[f"unit {k}" for k in units],
        row_notes=[f"I(x;z{k}) = {information[k]:.2f} nats" for k in units] if information else None,
        column_labels=[f"{round(v, 1) + 0.0:+.1f}" for v in values.tolist()],
        title="Units, most informative first" if len(units) == model.latents.continuous else f"The {len(units)} most informative units of {model.latents.continuous}",
    )


def draw_reconstructions(subject: Subject, columns: int = 12) -> Image.Image:
    """Images of the split, and below each what its mean code decodes to."""
    rows = np.sort(np.random.default_rng([subject.seed, 4]).permutation(subject.n)[:columns])
    x = take(subject.split.images, rows, subject.model)
    pair = torch.stack([x, subject.model.reconstruct(x)]).cpu().numpy()
    return grid(pair, row_labels=["image", "decoded"])


def draw_categories(subject: Subject, columns: int = 12, most: int = 20) -> Image.Image:
    """For each value of the first categorical variable the images surest of it."""
    surest = subject.codes.probabilities[0].topk(min(columns, subject.n), dim=0).indices.T[:most]  # (K2, columns)
    images: np.ndarray | ImageRows = subject.split.images
    shown = np.stack([images[row.numpy()] for row in surest])
    counts = torch.bincount(subject.codes.categories[0], minlength=len(surest)).tolist()
    names, notes = zip(*((f"category {c}", f"{counts[c]:,} images") for c in range(len(surest))))
    return grid(shown, row_labels=names, row_notes=notes)
