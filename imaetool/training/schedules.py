"""Settings that change while training: a number, or a line from start to end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imaetool.errors import UserError

__all__ = ["at_step", "check_schedules"]

_KEYS = {"start", "end", "iterations"}


def check_schedules(settings: Mapping[str, Any]) -> None:
    """UserError unless every table among ``settings`` is {start, end, iterations} with numbers."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value.values())
            if set(value) != _KEYS or not numbers or value["iterations"] < 1:
                raise UserError(f"{key} = {dict(value)}: a schedule is {{start = 0.0, end = 5.0, iterations = 25000}}")


def at_step(settings: Mapping[str, Any], step: int) -> dict[str, Any]:
    """``settings`` as they are at iteration ``step``: each schedule replaced by its value there.

    >>> at_step({"gamma": 30.0, "capacity": {"start": 0.0, "end": 5.0, "iterations": 10}}, 4)
    {'gamma': 30.0, 'capacity': 2.0}
    """
    return {k: _value(v, step) if isinstance(v, Mapping) else v for k, v in settings.items()}


def _value(line: Mapping[str, float], step: int) -> float:
    part = min(1.0, step / line["iterations"])
    return line["start"] + (line["end"] - line["start"]) * part
