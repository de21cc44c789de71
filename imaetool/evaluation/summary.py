"""What a finished run says of its model: figures, what later commands need of it, two pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from imaetool.data import ImageData
from imaetool.evaluation.clustering import accuracy
from imaetool.evaluation.information import information
from imaetool.evaluation.likelihood import reconstruction
from imaetool.evaluation.likeness import LIMIT, mean_code_nll, typical_limit
from imaetool.evaluation.pictures import draw_samples, draw_traversals, exemplars
from imaetool.evaluation.subject import Subject
from imaetool.model import Autoencoder

__all__ = ["Summary", "summarise", "unit_information"]


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
    record: dict[str, Any] = {"information": informed.details, LIMIT: typical_limit(_own_nll(model, data, subject))}
    if model.latents.categories:
        figures["information_y"] = informed.value
    if model.latents.continuous:
        record["unit_information"] = unit_information(informed.details)
        record["exemplars"] = exemplars(model, subject.codes)
    pictures = {"samples.png": draw_samples(model, seed)}
    if model.latents.continuous:
        pictures["traversals.png"] = draw_traversals(model, record)
    return Summary(figures, record, pictures)


_ENOUGH = 1000


def _own_nll(model: Autoencoder, data: ImageData, subject: Subject) -> np.ndarray:
    """-log q(x | mean code) of images of the model's own data: those measured, and of few some it was trained on."""
    nll = np.asarray(subject.cache["terms"]["mean"])
    if len(nll) >= _ENOUGH or subject.split_name == "train":
        return nll
    return np.concatenate([nll, mean_code_nll(model, data.train.images[: _ENOUGH - len(nll)])])


def unit_information(details: dict[str, Any]) -> list[float]:
    """I(x;z_k) of unit 0, 1, ... in nats, from the details of the information metric."""
    return [float(v) for v in details["information"]]
