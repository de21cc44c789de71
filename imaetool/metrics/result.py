"""What every metric returns: one number with everything a reader needs to trust it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

__all__ = ["Result"]


@dataclass(frozen=True)
class Result:
    """One measured value and how it was measured.

    ``variant`` says which of the field's definitions was computed ("hungarian", "chen",
    "binned-20"); two results of different variants are never comparable.
    """

    metric: str  # registry name, e.g. "accuracy"
    variant: str  # which definition, e.g. "one-to-one (Hungarian)"
    value: float
    n: int  # number of images the value is computed on
    unit: str = ""  # "nats", "fraction", "units", "" for a plain score
    estimator: str = ""  # how, in words: "mixture, 10,000 draws", "closed form"
    error: float | None = None  # one standard error, where it can be had
    settings: dict = field(default_factory=dict)  # bins, draws, factors, seed, eps...
    details: dict = field(default_factory=dict)  # per unit, per factor: JSON-ready lists and numbers
    notes: tuple[str, ...] = ()  # caveats a reader must see ("factor `colour` has one value: left out")

    def as_dict(self) -> dict:
        return asdict(self)
