"""What is measured: a model on one split of a dataset, and the record that every result carries."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from imaetool.data import ImageData, Split
from imaetool.errors import UserError, unknown_name
from imaetool.evaluation.encode import encode_images
from imaetool.metrics.result import Result
from imaetool.model import Autoencoder, Codes

__all__ = ["Measurement", "NotApplicable", "Settings", "Subject"]


class NotApplicable(UserError):
    """A metric needs what this model or this data lack: the reason, to be read after the metric's name."""


@dataclass(frozen=True)
class Settings:
    """What a reader may choose of the estimates."""

    draws: int = 10_000  # of the Monte Carlo estimates
    samples: int = 64  # K, codes per image of the importance-weighted bound
    images: int = 0  # N, images that are decoded at most; 0: 10,000, and 2,000 for the log-likelihood
    factors: tuple[str, ...] = ()  # those to measure; (): all
    exclude: tuple[str, ...] = ()  # those to leave out
    trees: str = "random-forest"  # of DCI; gradient-boosting takes minutes

    def __post_init__(self) -> None:
        for name, value in (("draws", self.draws), ("k", self.samples)):
            if value < 1:
                raise UserError(f"--{name} {value}: must be 1 or more")
        if self.images < 0:
            raise UserError(f"--n {self.images}: must be 1 or more, or 0 for the default")
        if self.trees not in ("random-forest", "gradient-boosting"):
            raise unknown_name("trees", self.trees, ["random-forest", "gradient-boosting"])


@dataclass(frozen=True)
class Measurement(Result):
    """A Result with all that a reader needs to trust it. docs/eval-schema.md describes every field."""

    codes: str = ""  # what of the code was measured: "means", "samples", "categories", "probabilities"
    error_kind: str = ""  # what ``error`` is; "" where there is none
    bins: int | None = None
    factors: tuple[str, ...] | None = None
    seed: int = 0
    split: str = ""
    model: str = ""  # sha256
    data: str = ""  # checksum
    seconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready and strict: a number that is not finite is null, and a note says what it was."""
        record, odd = strict(super().as_dict())
        if not math.isfinite(self.value):
            record["notes"].append(f"the value is {self.value}, written as null")
        elif odd:
            record["notes"].append("entries that are not finite are written as null")
        return record


def strict(value: Any) -> tuple[Any, bool]:
    """``value`` with lists for tuples and None for NaN and infinities, and whether there was any."""
    if isinstance(value, float) and not math.isfinite(value):
        return None, True
    if isinstance(value, dict):
        pairs = {str(k): strict(v) for k, v in value.items()}
        return {k: v for k, (v, _) in pairs.items()}, any(odd for _, odd in pairs.values())
    if isinstance(value, (list, tuple)):
        pairs = [strict(v) for v in value]
        return [v for v, _ in pairs], any(odd for _, odd in pairs)
    return value, False


def _quiet(what: str, done: int, total: int) -> None:
    pass


@dataclass
class Subject:
    """A model and one split of a dataset. Codes are computed once; ``cache`` holds what metrics share.

    ``progress(what, done, total)`` is told of work that takes long. Raises UserError where the model
    cannot read the images, or there are none.
    """

    model: Autoencoder
    data: ImageData
    split_name: str = "test"
    seed: int = 0
    settings: Settings = Settings()
    progress: Callable[[str, int, int], None] = _quiet
    cache: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.split_name not in ("train", "test"):
            raise UserError(f"unknown split {self.split_name!r}: train or test")
        if self.data.shape != self.model.shape:
            raise UserError(f"the model reads images of shape {self.model.shape}, {self.data.name} has {self.data.shape}")
        if not len(self.split):
            raise UserError(f"the {self.split_name} split of {self.data.name} is empty")
        for name in (*self.settings.factors, *self.settings.exclude):
            if self.data.factor_names and name not in self.data.factor_names:
                raise unknown_name("factor", name, self.data.factor_names)

    @property
    def split(self) -> Split:
        return getattr(self.data, self.split_name)

    @property
    def n(self) -> int:
        return len(self.split)

    @cached_property
    def codes(self) -> Codes:
        """Codes of every image, on the CPU. UserError where one is not a number: nothing measured of them would mean anything."""
        codes = encode_images(self.model, self.split.images, lambda done, total: self.progress("encoding", done, total))
        finite = torch.stack([values.isfinite().all(1) for values in (codes.mu, codes.log_var, *codes.category_logits)]).all(0)
        if not finite.all():
            raise UserError(
                f"the codes of {int((~finite).sum()):,} of {self.n:,} images are not finite: the model is broken, "
                "train it again, perhaps with a lower --lr"
            )
        return codes

    @cached_property
    def checksum(self) -> str:
        """sha256 of the model's file; of a model in memory, of its tensors in the order of their names."""
        path = getattr(self.model, "path", None)
        if path is not None:
            with open(path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def units(self) -> Codes:
        """The codes, where the model has units."""
        if not self.model.latents.continuous:
            raise NotApplicable("needs continuous units, and this model has none")
        return self.codes

    def labels(self) -> torch.Tensor:
        if self.split.labels is None:
            raise NotApplicable(f"needs labels, and {self.data.name} has none")
        return torch.as_tensor(self.split.labels)

    def factors(self, split: Split | None = None) -> dict[str, Any]:
        """The keyword arguments ``factors``, ``factor_names`` and ``exclude`` of a metric of factors."""
        table, names = (split or self.split).factors, self.data.factor_names
        if table is None:
            raise NotApplicable(f"needs ground-truth factors, and {self.data.name} has none")
        wanted = [name for name in names if name in (self.settings.factors or names) and name not in self.settings.exclude]
        if not wanted:
            raise UserError(f"no factor is left to measure of {', '.join(names)}")
        return {"factors": table, "factor_names": names, "exclude": [name for name in names if name not in wanted]}

    def subset(self, most: int) -> tuple[np.ndarray, tuple[str, ...]]:
        """(sorted row numbers, notes) of the images that are decoded: ``most``, or --n of them, at random."""
        most = min(self.settings.images or most, self.n)
        if most == self.n:
            return np.arange(self.n), ()
        rows = np.random.default_rng([self.seed, most]).choice(self.n, most, replace=False)
        return np.sort(rows), (f"{most:,} of {self.n:,} images, drawn at random with seed {self.seed} (--n sets how many)",)

    def measured(
        self, result: Result, metric: str, codes: str, error_kind: str | None = None, *,
        error: float | None = None, notes: Sequence[str] = (),
    ) -> Measurement:
        """``result`` under the registry's name, with what this subject is. ``error`` replaces its own."""
        fields = {**vars(result), "metric": metric, "notes": (*result.notes, *notes)}
        fields["error"] = None if result.n < 2 else result.error if error is None else error  # one image has no spread
        factors = result.settings.get("factors")
        return Measurement(
            **fields, codes=codes, error_kind=(error_kind or "closed form") if fields["error"] is not None else "",
            bins=result.settings.get("bins"), factors=None if factors is None else tuple(factors), seed=self.seed,
            split=self.split_name, model=self.checksum, data=self.data.checksum,
        )

    def timed(self, measurement: Measurement, seconds: float) -> Measurement:
        return replace(measurement, seconds=round(seconds, 3))
