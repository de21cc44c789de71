"""imaetool encode: a folder of images to a table of codes, streamed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from imaetool.cli.common import Device, Invert, ModelName, load_model, say, warn, warn_if_unlike
from imaetool.errors import UserError

__all__ = ["encode"]


def encode(
    images: Annotated[str, typer.Argument(metavar="IMAGES", help="A picture, a folder of pictures, nested or flat, or a zip or tar of them.")],
    output: Annotated[str, typer.Option("--output", "-o", help="A .parquet, .npz, .csv or .jsonl file, or - for JSON lines on stdout.")] = "codes.parquet",
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first unreadable file and write nothing.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Images encoded at once.")] = 256,
    workers: Annotated[int, typer.Option(min=0, help="Decoding threads; 0: one for each processor.")] = 0,
    invert: Invert = False,
    model: ModelName = None,
    device: Device = "auto",
) -> None:
    """Encode images: path, category, probabilities, mu and sigma, one row each, in sorted path order.

    Unreadable files are skipped, listed on stderr and in <output>.unreadable.csv; the exit code is then 3.
    """
    from imaetool.encoding import encode_files, pictures_at
    from imaetool.images import shown
    from imaetool.tables import Unreadable, table_writer, write_unreadable

    if not images:
        raise typer.BadParameter("the name of the pictures is empty: give a picture, a folder or an archive (. is this folder)")
    writer = table_writer(output)  # a wrong suffix is told before any work
    bad: list[Unreadable] = []

    def unreadable(found: Unreadable) -> None:
        if strict:
            raise UserError(f"{shown(found.path)}: {found.reason} (stopped, as --strict asks; nothing was written)")
        bad.append(found)
        warn(f"skipped {shown(found.path)}: {found.reason}")

    with pictures_at(Path(images)) as (paths, called):
        loaded = load_model(model, device, invert=invert)
        warn_if_unlike(loaded, paths, Path(images))
        with writer as table:
            done = encode_files(loaded, paths, table, on_unreadable=unreadable, called=called, batch_size=batch_size, workers=workers)
            if not done:
                raise UserError(f"none of the {len(paths)} files in {images} can be read: nothing was written")
    sidecar = None if output == "-" else Path(f"{output}.unreadable.csv")
    if sidecar and (bad or sidecar.exists()):
        write_unreadable(sidecar, bad)
    say(f"encoded {_count(done, 'image')}" + (f", skipped {_count(len(bad), 'unreadable file')}" if bad else ""))
    if output != "-":
        typer.echo(output)
        if bad:
            typer.echo(sidecar)
    sys.stdout.flush()
    if bad:
        raise typer.Exit(3)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
