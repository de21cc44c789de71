"""What a finished run says of its model: figures, what later commands need of it, two pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from imaetool import latents
from imaetool.data import ImageData
from imaetool.evaluation.clustering import accuracy
from imaetool.evaluation.information import information
from imaetool.evaluation.likelihood import reconstruction
from imaetool.evaluation.subject import Subject
from imaetool.model import Autoencoder, Codes
from imaetool.pictures import grid

__all__ = ["Summary", "draw_traversals", "exemplars", "summarise"]


@dataclass(frozen=True)
class Summary:
    """``figures`` for people, ``record`` for the checkpoint, ``pictures`` by file name."""

    figures: dict[str, Any]
    record: dict[str, Any]
    pictures: dict[str, Image.Image]


def summarise(model: Autoencoder, data: ImageData, *, seed: int = 0) -> Summary:
    """Measure ``model`` on the test split (on the training split where there is no test image)."""
    subject = Subject(model, data, "test" if len(data.test) else "train", seed)
    figures: dict[str, Any] = {"split": subject.split_name, "n": len(subject.split)}
    if subject.split.labels is not None and model.latents.categories:
        one_to_one, majority = accuracy(subject)
        figures |= {"accuracy": one_to_one.value, "accuracy_majority": majority.value}
    informed = information(subject)[0]
    sampled, mean = reconstruction(subject)
    figures |= {"reconstruction_sampled": sampled.value, "reconstruction_mean": mean.value}
    record: dict[str, Any] = {"information": informed.details}
    if model.latents.categories:
        figures["information_y"] = informed.value
    if model.latents.continuous:
        record["unit_information"] = unit_information(informed.details)
        record["exemplars"] = exemplars(model, subject.codes)
    pictures = {"samples.png": draw_samples(model, seed)}
    if model.latents.continuous:
        pictures["traversals.png"] = draw_traversals(model, record)
    return Summary(figures, record, pictures)


def unit_information(details: dict[str, Any]) -> list[float]:
    """I(x;z_k) of unit 0, 1, ... in nats, from the details of the information metric."""
    return [float(v) for v in details["information"]]


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
    return grid(np.stack(images), row_labels=labels, title="Samples: z from the prior, one row per category")


def draw_traversals(model: Autoencoder, record: dict[str, Any], steps: int = 11, bound: float = 2.0) -> Image.Image:
    """One row per unit, most informative first, each swept from category 0's typical code."""
    units, information = latents.ranked_units(record, model.latents.continuous)
    z, y = latents.category_rows(model, record.get("exemplars"))
    values = torch.linspace(-bound, bound, steps)
    images = latents.sweep_units(model, z[:1], tuple(v[:1] for v in y), units, values)
    return grid(
        images.cpu().numpy(),
        row_labels=[f"unit {k}" for k in units],
        row_notes=[f"I(x;z{k}) = {information[k]:.2f} nats" for k in units] if information else None,
        column_labels=[f"{round(v, 1) + 0.0:+.1f}" for v in values.tolist()],
        title="Units, most informative first",
    )
