"""Looking at and changing codes: sweeps of one unit, edits of one picture, samples by category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from imaetool.errors import UserError
from imaetool.model import Autoencoder, Codes

__all__ = ["category_rows", "check_category", "check_unit", "edit", "ranked_units", "sweep", "sweep_units"]


def check_unit(model: Autoencoder, unit: int) -> None:
    """UserError unless the model has unit ``unit``."""
    count = model.latents.continuous
    if not 0 <= unit < count:
        have = f"units 0 to {count - 1}" if count else "no units"
        raise UserError(f"unit {unit} does not exist: this model has {have}")


def check_category(model: Autoencoder, category: int, variable: int = 0) -> None:
    """UserError unless categorical variable ``variable`` has the value ``category``."""
    sizes = model.latents.categories
    if variable >= len(sizes):
        raise UserError(f"category {category} cannot be set: this model has no categorical variable")
    if not 0 <= category < sizes[variable]:
        raise UserError(f"category {category} does not exist: this model has categories 0 to {sizes[variable] - 1}")


def _first_category(model: Autoencoder, rows: int, values: Tensor | None = None) -> tuple[Tensor, ...]:
    """One-hot values for each categorical variable; the first from ``values``, the rest 0."""
    sizes = model.latents.categories
    zeros = torch.zeros(rows, dtype=torch.long, device=next(model.parameters()).device)
    return model.one_hot(*(values if i == 0 and values is not None else zeros for i in range(len(sizes))))


def category_rows(model: Autoencoder, exemplars: Sequence[Sequence[float]] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A code for each value of the first categorical variable: z (K2, K1) and y.

    z is a typical code of that category where ``exemplars`` (K2 rows, kept with the weights) has
    one, else the prior's mean 0. A model without categories gives one row.
    """
    device = next(model.parameters()).device
    rows = model.latents.categories[0] if model.latents.categories else 1
    z = torch.zeros(rows, model.latents.continuous, device=device)
    if exemplars is not None and len(exemplars) == rows:
        z = torch.tensor(exemplars, dtype=torch.float32, device=device).reshape(rows, -1)
    return z, _first_category(model, rows, torch.arange(rows, device=device))


@torch.no_grad()
def sweep(model: Autoencoder, z: Tensor, y: tuple[Tensor, ...], unit: int, values: Tensor) -> Tensor:
    """Each code decoded with z_unit set to each of ``values`` (S,): (R, S, C, H, W) in [0, 1]."""
    check_unit(model, unit)
    rows, steps = z.shape[0], len(values)
    swept = z.repeat_interleave(steps, dim=0)
    swept[:, unit] = values.to(z).repeat(rows)
    images = model.decode(swept, tuple(v.repeat_interleave(steps, dim=0) for v in y))
    return images.view(rows, steps, *model.shape)


def sweep_units(model: Autoencoder, z: Tensor, y: tuple[Tensor, ...], units: Sequence[int], values: Tensor) -> Tensor:
    """One code (1, K1) swept along each of ``units``: (len(units), S, C, H, W) in [0, 1]."""
    return torch.cat([sweep(model, z, y, unit, values) for unit in units])


@torch.no_grad()
def edit(model: Autoencoder, codes: Codes, units: Mapping[int, float], category: int | None = None) -> Tensor:
    """The images of ``codes`` with units set to given values and the first category changed: (B, C, H, W)."""
    z = codes.mu.clone()
    for unit, value in units.items():
        check_unit(model, unit)
        if not abs(value) < float("inf"):
            raise UserError(f"unit {unit} cannot be set to {value}: give a finite number")
        z[:, unit] = value
    values = list(codes.categories)
    if category is not None:
        check_category(model, category)
        values[0] = torch.full_like(values[0], category)
    return model.decode(z, model.one_hot(*values))


def ranked_units(record: Mapping, count: int) -> tuple[list[int], list[float] | None]:
    """The units, most informative first, and I(x;z_k) of every unit, where the model's record has it."""
    information = record.get("unit_information")
    if not isinstance(information, list) or len(information) != count:
        return list(range(count)), None
    return sorted(range(count), key=lambda k: -information[k]), information
