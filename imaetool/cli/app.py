"""The Typer app: one verb per file, none of which imports torch before it runs."""

from __future__ import annotations

from typing import Annotated

import typer

import imaetool
from imaetool.cli import data, edit, encode, evaluate, recipes, train, traverse, zoo

__all__ = ["app"]

app = typer.Typer(
    name="imaetool",
    help="See, measure and edit what is inside your images, without labels.",
    epilog="Add --debug to any command for a full traceback. Start with: imaetool train",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"imaetool {imaetool.__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    pass


app.command("train")(train.train)
app.command("encode")(encode.encode)
app.command("traverse")(traverse.traverse)
app.command("edit")(edit.edit)
app.command("eval")(evaluate.evaluate)
app.add_typer(data.app, name="data")
app.add_typer(recipes.app, name="recipes")
app.add_typer(zoo.app, name="zoo")
