"""Settings that change while training: a number, a line from start to end, or lines through several points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imaetool.errors import UserError

__all__ = ["at_step", "check_schedules"]

_LINE, _POINTS = {"start", "end", "iterations"}, {"at", "values"}


def check_schedules(settings: Mapping[str, Any]) -> None:
    """UserError unless every table among ``settings`` is one of the two kinds of schedule, with numbers."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and not (_is_line(value) or _is_points(value)):
            raise UserError(
                f"{key} = {dict(value)}: a schedule is {{start = 0.0, end = 5.0, iterations = 25000}} "
                "or {at = [0, 500, 1000], values = [6.0, 20.0, 5.0]}, its iterations rising"
            )


def _numbers(values: Any) -> bool:
    return all(isinstance(v, (int, float)) and not isinstance(v, bool) and v == v for v in values)


def _is_line(table: Mapping[str, Any]) -> bool:
    return set(table) == _LINE and _numbers(table.values()) and table["iterations"] >= 1


def _is_points(table: Mapping[str, Any]) -> bool:
    if set(table) != _POINTS or not all(isinstance(v, (list, tuple)) for v in table.values()):
        return False
    at, values = table["at"], table["values"]
    rising = len(at) == len(values) > 0 and _numbers([*at, *values]) and all(a < b for a, b in zip(at, at[1:]))
    return rising and at[0] >= 0


def at_step(settings: Mapping[str, Any], step: int) -> dict[str, Any]:
    """``settings`` as they are at iteration ``step``: each schedule replaced by its value there.

    >>> at_step({"gamma": 30.0, "capacity": {"start": 0.0, "end": 5.0, "iterations": 10}}, 4)
    {'gamma': 30.0, 'capacity': 2.0}
    >>> at_step({"gamma": {"at": [10, 20, 21], "values": [6.0, 6.0, 20.0]}}, 15)
    {'gamma': 6.0}
    """
    return {k: _value(v, step) if isinstance(v, Mapping) else v for k, v in settings.items()}


def _value(table: Mapping[str, Any], step: int) -> float:
    if "at" in table:
        return _between(table["at"], table["values"], step)
    return _between([0, table["iterations"]], [table["start"], table["end"]], step)


def _between(at: Sequence[float], values: Sequence[float], step: int) -> float:
    """The value at ``step`` on the lines through the points, level before the first and after the last."""
    for (a, b), (start, end) in zip(zip(at, at[1:]), zip(values, values[1:])):
        if step < b:
            return start + (end - start) * max(0.0, (step - a) / (b - a))
    return values[-1]
