"""imaetool recipes: the packaged settings, listed and shown."""

from __future__ import annotations

from typing import Annotated

import typer

from imaetool.cli.common import Json, print_json, tell

__all__ = ["app"]

app = typer.Typer(help="List and show the packaged recipes.", no_args_is_help=True)


@app.command("list")
def list_(json: Json = False) -> None:
    """One line per recipe: name, objective, network, data, source."""
    from imaetool.config import load_recipe, recipe_names

    rows = [(name, load_recipe(name)) for name in recipe_names()]
    if json:
        print_json([
            {"name": name, "objective": c.objective["name"], "network": c.network, "data": c.data.name, "source": c.source}
            for name, c in rows
        ])
        return
    width = max(len(name) for name, _ in rows)
    for name, c in rows:
        tell(f"{name:<{width}}  {c.objective['name']} on {c.data.name}, {c.network}: {c.source}")


@app.command()
def show(name: Annotated[str, typer.Argument(help="A recipe's name.")], json: Json = False) -> None:
    """All settings of one recipe, as TOML."""
    import tomli_w

    from imaetool.config import load_recipe, to_dict

    values = to_dict(load_recipe(name))
    print_json(values) if json else typer.echo(tomli_w.dumps(values), nl=False)
