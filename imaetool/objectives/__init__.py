"""Objectives: one pure function each, found by name; what one declares is what the loop looks for."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from imaetool.errors import UserError, unknown_name
from imaetool.registry import resolve

__all__ = ["accepted", "check", "critic", "defaults", "function", "takes"]

PROVIDED = ("smoothness", "dataset_size", "critic", "memory")  # arguments the loop gives, never settings


def function(name: str) -> Callable:
    """The loss function of objective ``name``."""
    return resolve("objective", name)


def critic(name: str) -> tuple[Callable, Callable] | None:
    """What objective ``name`` declares of a second network, or None: (Critic, critic_loss).

    ``Critic(shape, latents, **settings)`` is a module; ``critic_loss(critic, outputs, x, **settings)``
    is what it minimises, a scalar; ``Critic.lr`` is the default of the setting ``critic_lr``.
    """
    module = inspect.getmodule(function(name))
    return (module.Critic, module.critic_loss) if hasattr(module, "Critic") else None


def _settings(of: Callable) -> dict[str, Any]:
    parameters = inspect.signature(of).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in PROVIDED}


def _choices(of: Callable) -> dict[str, tuple]:
    """The values allowed to those settings of ``of`` that are annotated Literal["a", "b"]."""
    hints = typing.get_type_hints(of.__init__ if isinstance(of, type) else of)
    return {k: typing.get_args(h) for k, h in hints.items() if typing.get_origin(h) is typing.Literal}


def accepted(of: Callable, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``settings`` that ``of`` has."""
    known = _settings(of)
    return {key: value for key, value in settings.items() if key in known}


def takes(name: str, what: str) -> bool:
    """Whether the objective ``name`` has a parameter ``what``, such as the memory of past codes."""
    return what in inspect.signature(function(name)).parameters


def defaults(name: str) -> dict[str, Any]:
    """The settings of objective ``name`` and its critic with their default values, from the signatures."""
    declared = critic(name)
    found = _settings(function(name))
    if declared:
        found |= _settings(declared[0]) | _settings(declared[1]) | {"critic_lr": declared[0].lr}
    return found


def check(objective: Mapping[str, Any]) -> dict[str, Any]:
    """``objective`` (name and settings) completed with defaults; UserError on an unknown or ill-typed one.

    A number may be given as a schedule, a table {start, end, iterations} or {at, values}.
    """
    name = objective["name"]
    known = defaults(name)
    choices: dict[str, tuple] = {}
    for part in (function(name), *(critic(name) or ())):
        choices |= _choices(part)
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
        elif key in choices and value not in choices[key]:
            raise UserError(f"objective.{key} = {value!r}: must be {' or '.join(choices[key])}")
    return {"name": name, **known, **{k: v for k, v in objective.items() if k != "name"}}
