"""imaetool edit: encode one picture, change its code, decode it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imaetool.cli.common import Device, Invert, ModelName, load_model, say, warn_if_unlike, writable_picture
from imaetool.errors import UserError

__all__ = ["edit"]

_COMPARED = 192  # pixels, about, of each picture of --compare


def edit(
    picture: Annotated[Path, typer.Argument(help="The picture to edit.")],
    unit: Annotated[list[int] | None, typer.Option(help="A unit to change; give it several times, each with its --value.")] = None,
    value: Annotated[list[float] | None, typer.Option(help="What the unit becomes, in standard deviations of the prior.")] = None,
    category: Annotated[int | None, typer.Option(help="What the category becomes.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Default: <picture>-edited.png in this folder.")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Write picture, reconstruction and edit side by side.")] = False,
    invert: Invert = False,
    model: ModelName = None,
    device: Device = "auto",
) -> None:
    """Change units or the category of one picture and write what the model makes of it.

    The result has the model's own size; with --compare, picture, reconstruction and edit are enlarged.
    """
    units, values = unit or [], value or []
    if len(units) != len(values):
        raise typer.BadParameter(f"{len(units)} --unit but {len(values)} --value: give each unit its value")
    if not units and category is None:
        raise typer.BadParameter("nothing to change: give --unit N --value V, or --category C")
    if bad := [v for v in values if not abs(v) < 1e6]:
        raise UserError(f"--value {bad[0]}: give a finite number, within -1e6 and 1e6")
    if twice := [k for k in units if units.count(k) > 1]:
        raise typer.BadParameter(f"--unit {twice[0]} is given twice")
    path = output or Path(f"{picture.stem}-edited.png")
    writable_picture(path)
    import numpy as np
    from PIL import Image

    from imaetool import latents
    from imaetool.encoding import encode_pictures, read_pictures
    from imaetool.pictures import grid, save_png

    loaded = load_model(model, device, invert=invert)
    codes = encode_pictures(loaded, [picture])
    warn_if_unlike(loaded, [picture])
    edited = latents.edit(loaded, codes, dict(zip(units, values)), category)[0].cpu().numpy()
    changes = [f"unit {k}: {codes.mu[0, k]:+.2f} -> {v:+.2f}" for k, v in zip(units, values)]
    if category is not None:
        changes.append(f"category: {int(codes.categories[0][0])} -> {category}")
    say("; ".join(changes))
    if compare:
        given = read_pictures(loaded, [picture])[0] / 255.0
        plain = latents.edit(loaded, codes, {}, None)[0].cpu().numpy()
        row = np.stack([given, plain, edited])[None]
        scale = max(1, round(_COMPARED / max(loaded.shape[1:])))
        save_png(grid(row, column_labels=["picture", "reconstruction", "edited"], title="; ".join(changes), scale=scale), path)
    else:
        pixels = np.rint(np.nan_to_num(edited) * 255).astype(np.uint8)
        save_png(Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)), path)
    typer.echo(path)
