"""What several commands share: options, messages on stderr, and finding the model."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imaetool.errors import UserError, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imaetool.training.checkpoint import Model

__all__ = ["DataRoot", "Device", "Invert", "Json", "ModelName", "load_model", "print_json", "say", "tell", "warn", "warn_if_unlike", "writable_picture"]

ModelName = Annotated[
    str | None,
    typer.Option("--model", "-m", help="A run's folder or a .safetensors file. A name of the zoo or OWNER/REPO works too. Default: the newest run, else a packaged model."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Invert = Annotated[bool, typer.Option("--invert", help="Exchange dark and light of the pictures first.")]
DataRoot = Annotated[str, typer.Option(help="Folder that holds dataset files (default: $IMAETOOL_DATA, ./data, or the cache).")]


def say(message: str) -> None:
    """A message for people: on stderr, plain."""
    print(plain(message), file=sys.stderr, flush=True)


def tell(message: object) -> None:
    """A line on stdout that people read: nothing in it acts on their terminal. (A path to be used goes out as it is.)"""
    typer.echo(plain(str(message)))


def warn(message: str) -> None:
    say(f"warning: {message}")


def print_json(value: Any) -> None:
    """Data on stdout."""
    print(json.dumps(value, indent=2, allow_nan=False))


def load_model(name: str | None, device: str, *, found: tuple[Path, str] | None = None, invert: bool = False) -> Model:
    """The model that --model names, or the newest finished run, or the packaged one; says on stderr which.

    ``invert``: pictures for it are read with dark and light exchanged.
    """
    from imaetool.training.checkpoint import load
    from imaetool.training.device import choose_device
    from imaetool.zoo.find import find_model

    path, how = found or find_model(name)
    chosen = choose_device(device)
    model = load(path, chosen)
    if invert:
        model.config = replace(model.config, data=replace(model.config.data, invert=not model.config.data.invert))
    say(f"model: {path} ({how})")
    return model


def writable_picture(path: Path) -> None:
    """UserError, before any work, where a PNG cannot be written to ``path``."""
    if path.suffix.lower() != ".png":
        raise UserError(f"cannot write {path}: its name must end in .png")
    if not path.parent.is_dir():
        raise UserError(f"cannot write {path}: there is no folder {path.parent}")


def warn_if_unlike(model: Model, paths: Sequence[Path], source: Path | None = None) -> None:
    """One warning where the pictures are not of the kind that ``model`` was made for."""
    from imaetool.zoo.unlike import unlike_warning

    if text := unlike_warning(model, paths, source):
        warn(text)
