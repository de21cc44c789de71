"""Objectives: one pure function each, found by name; what one declares is what the loop looks for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from imaetool.errors import UserError, unknown_name
from imaetool.registry import resolve

__all__ = ["check", "defaults", "function"]

PROVIDED = ("smoothness", "dataset_size", "critic")  # arguments the loop gives, never settings


def function(name: str) -> Callable:
    """The loss function of objective ``name``."""
    return resolve("objective", name)


def defaults(name: str) -> dict[str, Any]:
    """The settings of objective ``name`` and their default values, read from its signature."""
    parameters = inspect.signature(function(name)).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in PROVIDED}


def check(objective: Mapping[str, Any]) -> dict[str, Any]:
    """``objective`` (name and settings) completed with defaults; UserError on an unknown or ill-typed one.

    A number may be given as a schedule, a table {start, end, iterations}.
    """
    name = objective["name"]
    known = defaults(name)
    for key, value in objective.items():
        if key == "name":
            continue
        if key not in known:
            raise unknown_name(f"setting of objective {name}", key, known)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if isinstance(known[key], float):
            if not (number and value == value) and not isinstance(value, Mapping):
                raise UserError(f"objective.{key} = {value!r}: must be a number, or {{start, end, iterations}}")
        elif not isinstance(value, type(known[key])):
            raise UserError(f"objective.{key} = {value!r}: must be {type(known[key]).__name__}, like {known[key]!r}")
    return {"name": name, **known, **{k: v for k, v in objective.items() if k != "name"}}
