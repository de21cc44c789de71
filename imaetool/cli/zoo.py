"""imaetool zoo: the packaged and published models: which there are, what they reach, fetching, checking, publishing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from imaetool.cli.common import DataRoot, Json, print_json, say, tell
from imaetool.errors import UserError

__all__ = ["app"]

app = typer.Typer(help="List, describe, fetch, verify and publish the zoo's models.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Models of the zoo: imaetool zoo list")]


def _where(row: Any) -> str:
    """Where the weights are, without asking the network."""
    from imaetool.zoo.find import packaged_file
    from imaetool.zoo.manifest import BUNDLED

    if row.status != "ready":
        return row.status
    if (path := packaged_file(row.name)) is not None:
        return "packaged" if path.parent == BUNDLED else "in weights/"
    if not row.repo:
        return "not published"
    from imaetool.zoo import hub

    return "in the Hub cache" if hub.cached(row.repo, row.file, row.revision) else f"on the Hub: {row.repo}"


def _headline(row: Any) -> str:
    """The figures that say most, in one line, with their units and N."""
    shown = [f for f in row.figures if f.metric in ("accuracy", "mig-chen", "active-units", "reconstruction")]
    first: dict[str, Any] = {}
    for figure in shown:
        first.setdefault(figure.metric, figure)
    counts = {f.n for f in first.values()}
    each = "" if len(counts) == 1 else " (N = {:,})"
    told = ", ".join(f"{f.metric} {f.value:.4g} {f.unit}".rstrip() + each.format(f.n) for f in first.values())
    return f"{told}, N = {counts.pop():,}" if len(counts) == 1 else told


def _dataset(row: Any) -> str:
    """The name of the data that the model was, or by its recipe will be, trained on."""
    from imaetool.config import load_recipe

    if name := row.data.get("name"):
        return name
    try:
        return load_recipe(row.recipe).data.name
    except UserError:
        return ""


def _facts(row: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(row), "where": _where(row)}


@app.command("list")
def list_(json: Json = False) -> None:
    """One line per model: its data, the size of its weights and where they are, its headline figures with unit and N."""
    from imaetool.zoo.manifest import read_manifest

    rows = read_manifest()
    if json:
        print_json([_facts(row) for row in rows.values()])
        return
    width, data = max(map(len, rows), default=0), {name: _dataset(row) for name, row in rows.items()}
    middle = max(map(len, data.values()), default=0)
    for name, row in rows.items():
        size = f"{row.size / 1e6:.1f} MB, " if row.size else ""
        figures = f": {told}" if (told := _headline(row)) else ""
        tell(f"{name:<{width}}  {data[name]:<{middle}}  {size}{_where(row)}{figures}")


@app.command()
def info(name: Annotated[str, typer.Argument(help="A model of the zoo.")], json: Json = False) -> None:
    """All that the manifest says of a model: weights, training, data, licence, and every figure with variant and N."""
    from imaetool.zoo.manifest import lookup

    row = lookup(name)
    if json:
        print_json(_facts(row))
        return
    lines = {
        "model": row.name, "": row.summary, "weights": f"{row.file}, {row.size:,} bytes, {row.dtype}" if row.file else "none",
        "where": _where(row), "sha256": row.sha256, "repository": f"{row.repo} at {row.revision}" if row.repo else "",
        "recipe": row.recipe, "trained with": row.training.get("command", ""), "machine": row.training.get("machine", ""),
        "took": f"{row.training['seconds']:,} s" if row.training.get("seconds") else "",
        "data": ", ".join(filter(None, (row.data.get("name"), row.data.get("source")))), "licence of the data": row.data.get("licence", ""),
        "notes": row.notes,
    }
    for key, value in lines.items():
        if value:
            tell(f"{key:<20} {value}")
    for f in row.figures:
        settings = "".join(f", {k} {v if not isinstance(v, (list, tuple)) else ' '.join(v)}" for k, v in f.settings.items())
        tell(f"{f.metric:<20} {f.value:.4f} {f.unit} +- {f.tolerance:.4g} ({f.variant}; {f.split} split, N = {f.n:,}{settings})")


def _rows(names: list[str] | None, bundled: bool = False) -> list[Any]:
    from imaetool.zoo.manifest import lookup, read_manifest

    rows = read_manifest()
    if names:
        return [lookup(name, rows) for name in names]
    return [row for row in rows.values() if row.status == "ready" and (row.bundled or not bundled)]


@app.command()
def pull(names: Names = None) -> None:
    """Fetch models into the Hub cache (all, where none is named) and print their paths; packaged ones are here already."""
    from imaetool.zoo.find import row_file

    for row in _rows(names):
        path, how = row_file(row)
        say(f"{row.name}: {how}")
        typer.echo(path)


def _lines(name: str, checks: Sequence[Any]) -> Iterator[str]:
    """What verify prints of a model: a line for each check, and one for all the figures not checked for one reason."""
    for c in checks:
        if c.result != "not checked":
            yield f"{name}  {c.result:<11}  {c.what}: {c.found}" + ("" if c.result == "ok" else f", the manifest says {c.expected}")
    for reason, count in Counter(c.found for c in checks if c.result == "not checked").items():
        yield f"{name}  not checked  {count} figure{'s' if count > 1 else ''}: {reason}"


@app.command()
def verify(
    names: Names = None,
    bundled: Annotated[bool, typer.Option("--bundled", help="Only the models that the package holds.")] = False,
    figures: Annotated[bool, typer.Option(help="Compute the figures again; --no-figures checks the files alone.")] = True,
    data_root: DataRoot = "",
    json: Json = False,
) -> None:
    """Compute the checksum and the figures of models again; exit code 1 where one differs beyond its tolerance.

    No dataset is fetched: figures whose data is not here are not checked.
    """
    from dataclasses import asdict

    from imaetool.zoo.verify import verify as check

    rows, found = _rows(names, bundled), {}
    if not rows:
        raise UserError("no model to verify")
    for row in rows:
        say(f"{row.name}: verifying")
        found[row.name] = check(row, figures=figures, data_root=data_root)
        if not json:
            for line in _lines(row.name, found[row.name]):
                tell(line)
    if json:
        print_json({name: [asdict(c) for c in checks] for name, checks in found.items()})
    bad = [name for name, checks in found.items() if any(c.result == "differs" for c in checks)]
    skipped = sum(c.result == "not checked" for checks in found.values() for c in checks)
    if skipped:
        say(f"{skipped} figures not checked: fetch their data (imaetool data fetch NAME), or say where it is with --data-root")
    if bad:
        raise UserError(f"{', '.join(bad)} differ from the manifest")


@app.command()
def publish(
    names: Names = None,
    repo: Annotated[str, typer.Option("--repo", help="OWNER/NAME on the Hub.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent; send nothing.")] = False,
) -> None:
    """Upload models with their cards and traversals to the Hub, and pin the manifest to that revision."""
    from imaetool.zoo.find import packaged_file
    from imaetool.zoo.manifest import read_manifest, write_manifest
    from imaetool.zoo.publish import publish as send

    if not repo:
        raise typer.BadParameter("--repo OWNER/NAME is needed")
    rows = _rows(names)
    files = {row.name: path for row in rows if (path := packaged_file(row.name)) is not None}
    rows = [row for row in rows if row.name in files]
    if not rows:
        raise UserError("none of these models has its weights here")
    pictures = {name: _traversals(path) for name, path in files.items()}
    sent = send(rows, repo, files=files, pictures=pictures, dry_run=dry_run, say=typer.echo)
    if not dry_run:
        write_manifest(read_manifest() | sent)
        say(f"the manifest now names {repo} for {', '.join(sent)}")


def _traversals(path: Path) -> bytes:
    from io import BytesIO

    from imaetool.evaluation.pictures import draw_traversals
    from imaetool.training.checkpoint import load

    model, sink = load(path), BytesIO()
    if not model.latents.continuous:
        return b""
    draw_traversals(model, model.record).save(sink, "PNG")
    return sink.getvalue()
