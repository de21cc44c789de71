"""imaetool data: which datasets there are, what each has, fetching them, and checking what is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imaetool.cli.common import DataRoot, Json, print_json, say, tell
from imaetool.errors import UserError

if TYPE_CHECKING:
    from imaetool.data.catalogue import Dataset

__all__ = ["app"]

app = typer.Typer(help="List, describe, fetch and verify datasets.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A dataset's name: imaetool data list")]
NameOrPath = Annotated[str, typer.Argument(metavar="NAME|PATH", help="A dataset's name, or a folder or archive of images.")]


def _state(entry: Dataset, root: str) -> tuple[str, str]:
    """(present, absent or how it is made; where)."""
    from imaetool.data.catalogue import find

    if entry.places and (found := find(entry, root)):
        where = found[1].parent if len(found[0].paths) > 1 else found[1]
        return f"present ({found[0].says})", str(where)
    return entry.made or "absent", ""


def _has(entry: Dataset) -> str:
    parts = [f"{len(entry.labels)} classes"] if entry.labels else []
    parts += [f"factors {', '.join(entry.factors)}"] if entry.factors else []
    return "; ".join(parts) or "no labels"


@app.command("list")
def list_(data_root: DataRoot = "", json: Json = False) -> None:
    """One line per dataset: images, shape, labels and factors, and whether it is here."""
    from imaetool.data.catalogue import DATASETS

    rows = [(entry, *_state(entry, data_root)) for entry in DATASETS.values()]
    if json:
        print_json([{**_facts(entry), "state": state, "where": where} for entry, state, where in rows])
        return
    width = max(len(entry.name) for entry, *_ in rows)
    for entry, state, where in rows:
        shape = f" {'x'.join(map(str, entry.shape))}" if any(entry.shape) else ""
        has = "the labels and factors you give" if entry.name == "folder" else _has(entry)
        count = entry.images.partition(":")[0]
        tell(f"{entry.name:<{width}}  {count}{shape}, {has}: {state}{f', {where}' if where else ''}")


def _facts(entry: Dataset) -> dict[str, Any]:
    return {
        "name": entry.name, "title": entry.title, "images": entry.images, "shape": list(entry.shape),
        "labels": list(entry.labels), "factors": dict(entry.factors), "split": entry.split, "licence": entry.licence,
        "source": entry.source, "note": entry.note,
        "files": [
            {"path": f.path, "size": f.size, "md5": f.md5, "sha256": f.sha256, "urls": list(f.urls)} for f in entry.files
        ],
    }


@app.command()
def info(name: NameOrPath, data_root: DataRoot = "", json: Json = False) -> None:
    """What a dataset has: labels, factors, split, licence, source, files with checksum and size."""
    from imaetool.data.catalogue import DATASETS, lookup

    if name not in DATASETS and Path(name).exists():
        _describe(name, json)
        return
    entry = lookup(name)
    state, where = _state(entry, data_root)
    if json:
        print_json({**_facts(entry), "state": state, "where": where})
        return
    labels = ", ".join(entry.labels[:10]) + (f" and {len(entry.labels) - 10} more" if len(entry.labels) > 10 else "")
    lines = {
        "images": entry.images, "shape": "x".join(map(str, entry.shape)) if any(entry.shape) else "chosen from the images",
        "labels": labels or "none", "split": entry.split, "licence": entry.licence, "source": entry.source,
        "factors": ", ".join(f"{n} ({size} values)" for n, size in entry.factors.items()) or "none",
        "state": f"{state} {where}".strip(), "note": entry.note,
    }
    tell(f"{entry.name}: {entry.title}")
    for what, value in lines.items():
        if value:
            tell(f"  {what:<8} {value}")
    for file in entry.files:
        size = f"{file.size:,} bytes" if file.size else "size not published"
        known = f"sha256 {file.sha256}" if file.sha256 else f"md5 {file.md5}" if file.md5 else "no checksum published"
        tell(f"  file     {file.path}, {size}, {known}")


def _open(path: str) -> Any:
    from imaetool.config import Data
    from imaetool.data.own_images import read_pictures

    return read_pictures(path, Data(name="folder", root=path))


def _describe(path: str, json: bool) -> None:
    found = _open(path)
    facts = {
        "images": len(found.images), "shape": list(found.images.shape[1:]), "test": int(found.is_test.sum()),
        "labels": list(found.label_names), "unreadable": len(found.unreadable), "checksum": found.checksum,
    }
    if json:
        print_json({"path": path, **facts})
        return
    tell(f"{path}: {facts['images']:,} images, {facts['test']:,} of them for the test")
    tell(f"  shape    {found.chosen}")
    tell(f"  labels   {', '.join(found.label_names) or 'none: no class sub-folders'}")
    if found.unreadable:
        tell(f"  {len(found.unreadable)} files cannot be read: imaetool data verify {path}")


@app.command()
def fetch(name: Name, data_root: DataRoot = "") -> None:
    """Fetch a dataset: resumed after a cut, checked, unpacked. Files that are already there stay."""
    from imaetool.data.catalogue import find, lookup
    from imaetool.data.fetching import fetch_dataset

    entry = lookup(name)
    if entry.terms:
        say(f"licence: {entry.terms}")
    if entry.places and (found := find(entry, data_root)) and not found[0].says.startswith("JPEG"):
        say(f"{name} is here already ({found[0].says})")
        typer.echo(found[1])
        return
    for path in fetch_dataset(entry, data_root):
        typer.echo(path)


@app.command()
def verify(name: NameOrPath, data_root: DataRoot = "") -> None:
    """Check the files of a dataset against their checksums, or name every image of a folder that cannot be read."""
    from imaetool.data.catalogue import DATASETS, lookup

    if name not in DATASETS and Path(name).exists():
        _verify_pictures(name)
        return
    from imaetool.data.catalogue import absent
    from imaetool.data.fetching import verify_dataset

    entry = lookup(name)
    results = list(verify_dataset(entry, data_root))
    for path, state, details in results:
        tell(f"{state:<9}  {path}  {details}")
    wrong = [path for path, state, _ in results if state == "wrong"]
    if wrong:
        raise UserError(f"{len(wrong)} of {len(results)} files are not the published ones: remove them and run imaetool data fetch {name}")
    if not results:
        state, where = _state(entry, data_root)
        if state == "absent":
            raise absent(entry, data_root)
        tell(f"unchecked  {where or entry.made}  {state}: nothing with a published checksum")


def _verify_pictures(path: str) -> None:
    from imaetool.images import shown

    found = _open(path)
    for file, reason in found.unreadable:
        tell(f"unreadable  {shown(file)}  {reason}")
    total = len(found.images) + len(found.unreadable)
    if found.unreadable:
        raise UserError(f"{len(found.unreadable)} of {total} images in {path} cannot be read")
    tell(f"all {total} images can be read")
