"""imaetool traverse: what each unit does, as a labelled picture or an animation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imaetool.cli.common import Device, Invert, ModelName, load_model, say, warn_if_unlike, writable_picture
from imaetool.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from torch import Tensor

    from imaetool.training.checkpoint import Model

__all__ = ["traverse"]


def traverse(
    unit: Annotated[str, typer.Option(help="A unit's number, several as 8,30,4, or all.")] = "all",
    range_: Annotated[str, typer.Option("--range", metavar="FROM,TO", help="Values the unit takes.")] = "-2,2",
    steps: Annotated[int, typer.Option(min=2, max=201, help="Columns.")] = 11,
    images: Annotated[list[Path] | None, typer.Option("--image", help="A picture for a row, with several units for a block of rows; give it several times. Default: a row per category.")] = None,
    gif: Annotated[bool, typer.Option("--gif", help="Write an animation as well.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="NAME.png; with --gif also NAME.gif. Default: traverse-unit-<n>.png.")] = None,
    invert: Invert = False,
    model: ModelName = None,
    device: Device = "auto",
) -> None:
    """Sweep a unit and draw what changes: a row per category or picture, a column per value."""
    low, high = _bounds(range_)
    wanted = [] if unit == "all" else _numbers(unit)
    alone = len(wanted) == 1
    name = f"unit{'' if alone else 's'}-{'-'.join(map(str, wanted))}" if wanted else "all"
    still, moving = _places(output or Path(f"traverse-{name}.png"), gif, images or [])
    import torch

    from imaetool import latents
    from imaetool.pictures import save_gif, save_png

    loaded = load_model(model, device, invert=invert)
    for number in wanted:
        latents.check_unit(loaded, number)
    if not wanted and not loaded.latents.continuous:
        raise UserError("this model has no units to traverse")
    z, y, names = _sources(loaded, images)
    values = torch.linspace(low, high, steps)
    if alone:
        sheet = _one_unit(loaded, z, y, names, wanted[0], values)
    else:
        count = len(images) if images else 1
        sheet = _several_units(loaded, z[:count], tuple(v[:count] for v in y), names[:count], wanted, values)
    save_png(sheet.still(), still)
    typer.echo(still)
    if gif:
        save_gif(sheet.frames(), moving)
        typer.echo(moving)
    if latents.ranked_units(loaded.record, loaded.latents.continuous)[1] is None:
        say("this model keeps no information figures: units are in their own order")


@dataclass(frozen=True)
class _Sheet:
    """Swept pictures in blocks of rows: a block for each code whose every unit is swept, or one for a single unit."""

    pixels: Tensor  # (blocks, rows, S, C, H, W) in [0, 1]
    blocks: Sequence[str]
    rows: Sequence[str]  # of one block
    values: Tensor  # (S,)
    title: str
    notes: Sequence[str] = ()  # of the rows of one block

    @property
    def _heads(self) -> list[str]:
        values = self.values.tolist()
        near = 0.02 * abs(values[1] - values[0])  # as many decimals as the values have, near enough
        digits = next((d for d in range(1, 8) if all(abs(round(v, d) - v) <= near for v in values)), 8)
        return [f"{round(v, digits) + 0.0:+.{digits}f}" for v in values]

    def still(self) -> Image:
        """All rows of all blocks, a column for each value."""
        from imaetool.pictures import grid

        several, notes = len(self.blocks) > 1, [*self.notes] * len(self.blocks)
        labels = [f"{block}, {row}" for block in self.blocks for row in self.rows] if several else self.rows
        return grid(self.pixels.flatten(0, 1).cpu().numpy(), row_labels=labels, row_notes=notes or None, column_labels=self._heads, title=self.title)

    def frames(self) -> list[Image]:
        """For each value a picture: a row for each block, a column for each of its rows."""
        from imaetool.pictures import grid

        pixels, blocks = self.pixels.cpu().numpy(), self.blocks if len(self.blocks) > 1 else None
        return [
            grid(pixels[:, :, i], row_labels=blocks, column_labels=self.rows, title=f"{self.title}: {head}")
            for i, head in enumerate(self._heads)
        ]


def _sources(model: Model, images: Sequence[Path] | None) -> tuple[Tensor, tuple[Tensor, ...], list[str]]:
    """The codes to start from, z (R, K1) and y, and their names: of the pictures, else of the categories."""
    from imaetool import latents
    from imaetool.encoding import encode_pictures

    if images:
        codes = encode_pictures(model, images)
        warn_if_unlike(model, images)
        return codes.mu, model.one_hot(*codes.categories), [p.name for p in images]
    z, y = latents.category_rows(model, model.record.get("exemplars"))
    return z, y, [f"category {c}" for c in range(len(z))] if model.latents.categories else ["code 0"]


def _several_units(
    model: Model, z: Tensor, y: tuple[Tensor, ...], names: Sequence[str], wanted: Sequence[int], values: Tensor
) -> _Sheet:
    """Each code of z (R, K1), y in a block of its own, a row for each unit ``wanted``; without any for all, the most informative first."""
    import torch

    from imaetool import latents

    ranked, information = latents.ranked_units(model.record, model.latents.continuous)
    units = list(wanted) or ranked
    blocks = [latents.sweep_units(model, z[i : i + 1], tuple(v[i : i + 1] for v in y), units, values) for i in range(len(z))]
    which = f"units {', '.join(map(str, units))}" if wanted else "every unit"
    title = f"{which}, from {names[0] if len(names) == 1 else 'each picture'}"
    notes = [f"I(x;z{k}) = {information[k]:.2f} nats" for k in units] if information else ()
    return _Sheet(torch.stack(blocks), names, [f"unit {k}" for k in units], values, title, notes)


def _one_unit(model: Model, z: Tensor, y: tuple[Tensor, ...], names: Sequence[str], unit: int, values: Tensor) -> _Sheet:
    """One block: a row for each code of z (R, K1), y."""
    from imaetool import latents

    _, information = latents.ranked_units(model.record, model.latents.continuous)
    told = f", I(x;z{unit}) = {information[unit]:.2f} nats" if information else ""
    return _Sheet(latents.sweep(model, z, y, unit, values)[None], [""], names, values, f"unit {unit}{told}")


def _places(output: Path, gif: bool, images: Sequence[Path]) -> tuple[Path, Path]:
    """(path of the still, path of the animation): one name, ending in .png and in .gif.

    UserError for another ending, or where a picture that is to be read would be written over.
    """
    ending = output.suffix.lower()
    if ending not in ((".png", ".gif") if gif else (".png",)):
        kinds = ".png or .gif" if gif else ".png; --gif writes an animation as well" if ending == ".gif" else ".png"
        raise UserError(f"cannot write {output}: its name must end in {kinds}")
    still, moving = (output.with_suffix(".png"), output) if ending == ".gif" else (output, output.with_suffix(".gif"))
    writable_picture(still)
    for path in (still, moving) if gif else (still,):
        if path.exists() and any(image.exists() and image.samefile(path) for image in images):
            raise UserError(f"{path} is one of the pictures given and would be written over: choose another --output")
    return still, moving


def _bounds(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"--range {text!r}: give two numbers, as -2,2") from None
    if not (abs(low) < 1e6 and abs(high) < 1e6 and low != high):
        raise typer.BadParameter(f"--range {text!r}: give two different numbers within -1e6 and 1e6")
    return low, high


def _numbers(text: str) -> list[int]:
    try:
        return list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise typer.BadParameter(f"--unit {text!r}: give a unit's number, several as 8,30,4, or all") from None
