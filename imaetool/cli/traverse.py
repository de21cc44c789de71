"""imaetool traverse: what each unit does, as a labelled picture or an animation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imaetool.cli.common import Device, ModelName, load_model, say, warn_if_unlike
from imaetool.errors import UserError

__all__ = ["traverse"]


def traverse(
    unit: Annotated[str, typer.Option(help="A unit's number, or all.")] = "all",
    range_: Annotated[str, typer.Option("--range", metavar="FROM,TO", help="Values the unit takes.")] = "-2,2",
    steps: Annotated[int, typer.Option(min=2, max=201, help="Columns.")] = 11,
    images: Annotated[list[Path] | None, typer.Option("--image", help="A picture for a row; give it several times. Default: a row per category.")] = None,
    gif: Annotated[bool, typer.Option("--gif", help="Write an animation as well.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Default: traverse-unit-<n>.png.")] = None,
    model: ModelName = None,
    device: Device = "auto",
) -> None:
    """Sweep a unit and draw what changes: a row per category or picture, a column per value."""
    low, high = _bounds(range_)
    wanted = None if unit == "all" else _number(unit)
    path = output or Path(f"traverse-{'all' if wanted is None else f'unit-{wanted}'}.png")
    import torch

    from imaetool import latents
    from imaetool.encoding import encode_pictures
    from imaetool.pictures import grid, save_gif, save_png

    loaded = load_model(model, device)
    if wanted is not None:
        latents.check_unit(loaded, wanted)
    elif not loaded.latents.continuous:
        raise UserError("this model has no units to traverse")
    values = torch.linspace(low, high, steps)
    if images:
        codes = encode_pictures(loaded, images)
        warn_if_unlike(loaded, images)
        z, y = codes.mu, loaded.one_hot(*codes.categories)
        labels = [p.name for p in images]
    else:
        z, y = latents.category_rows(loaded, loaded.record.get("exemplars"))
        labels = [f"category {c}" for c in range(len(z))] if loaded.latents.categories else ["code 0"]
    units, information = latents.ranked_units(loaded.record, loaded.latents.continuous)
    if wanted is None:
        swept = latents.sweep_units(loaded, z[:1], tuple(v[:1] for v in y), units, values)
        title, labels = f"every unit, from {labels[0]}", [f"unit {k}" for k in units]
        notes = [f"I(x;z{k}) = {information[k]:.2f} nats" for k in units] if information else None
    else:
        swept = latents.sweep(loaded, z, y, wanted, values)
        told = f", I(x;z{wanted}) = {information[wanted]:.2f} nats" if information else ""
        title, notes = f"unit {wanted}{told}", None
    pixels = swept.cpu().numpy()
    heads = [f"{round(v, 1) + 0.0:+.1f}" for v in values.tolist()]
    save_png(grid(pixels, row_labels=labels, row_notes=notes, column_labels=heads, title=title), path)
    typer.echo(path)
    if gif:
        frames = [
            grid(pixels[None, :, i], column_labels=labels, title=f"{title}: {head}")
            for i, head in enumerate(heads)
        ]
        save_gif(frames, path.with_suffix(".gif"))
        typer.echo(path.with_suffix(".gif"))
    if information is None:
        say("this model keeps no information figures: units are in their own order")


def _bounds(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"--range {text!r}: give two numbers, as -2,2") from None
    if not (abs(low) < 1e6 and abs(high) < 1e6 and low != high):
        raise typer.BadParameter(f"--range {text!r}: give two different finite numbers")
    return low, high


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"--unit {text!r}: give a unit's number, or all") from None
