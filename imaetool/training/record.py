"""What a file says of its model beside weights and settings: kept where it is what it should be, dropped where not.

A record comes with the file, so from whoever wrote it. Nothing in it is needed to encode or decode.
"""

from __future__ import annotations

import math
from typing import Any

from imaetool.config import Latents

__all__ = ["checked_record"]


def _numbers(values: Any, count: int) -> bool:
    """Whether ``values`` is a list of ``count`` finite numbers."""
    return isinstance(values, list) and len(values) == count and all(map(_number, values))


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30 and math.isfinite(value)


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 200 and value.isprintable()


def checked_record(record: Any, latents: Latents) -> dict[str, Any]:
    """``record`` without the entries that this package reads and that are not of the form it writes.

    ``unit_information``: a number for each unit. ``exemplars``: a row of units for each value of the first
    categorical variable, or one row. ``reconstruction_limit``: a number. ``dataset``: a table of printable names.
    """
    if not isinstance(record, dict):
        return {}
    units, rows = latents.continuous, latents.categories[0] if latents.categories else 1
    exemplars, dataset = record.get("exemplars"), record.get("dataset")
    right = {
        "unit_information": _numbers(record.get("unit_information"), units),
        "exemplars": isinstance(exemplars, list) and len(exemplars) == rows and all(_numbers(r, units) for r in exemplars),
        "reconstruction_limit": _number(record.get("reconstruction_limit")),
        "dataset": isinstance(dataset, dict) and _text(dataset.get("name", "")),
    }
    return {key: value for key, value in record.items() if right.get(key, True)}
