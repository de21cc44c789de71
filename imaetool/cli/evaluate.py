"""imaetool eval: metrics of a model on a dataset, as a table or JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from imaetool.cli.common import DataRoot, Device, Json, ModelName, load_model, print_json, say
from imaetool.errors import UserError
from imaetool.registry import DATASETS, METRICS

__all__ = ["evaluate"]


def evaluate(
    metric: Annotated[list[str] | None, typer.Option(help=f"{', '.join(METRICS)}, or all; give it several times. Default: all.")] = None,
    data: Annotated[str | None, typer.Option(help="A dataset or a folder. Default: the one the model was trained on.")] = None,
    data_root: DataRoot = "",
    split: Annotated[str, typer.Option(help="test or train.")] = "test",
    seed: Annotated[int, typer.Option(help="Of the sampled estimates.")] = 0,
    model: ModelName = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure a model: every result names its variant, N and split."""
    from imaetool.data import open_data
    from imaetool.evaluation.evaluate import Subject, measure, report

    loaded = load_model(model, device)
    config = loaded.config.data
    if data is not None and data in DATASETS:
        config = replace(config, name=data, root="")
    elif data is not None:
        if not Path(data).is_dir():
            raise UserError(f"--data {data}: not a dataset ({', '.join(DATASETS)}) and no such folder")
        config = replace(config, name="folder", root=data)
    if data_root and config.name != "folder":
        config = replace(config, root=data_root)
    images = open_data(config)
    subject = Subject(loaded, images, split, seed)
    evaluation = measure(subject, metric or ["all"])
    results, left_out = evaluation.results, evaluation.left_out
    if not results:
        raise UserError(f"nothing to measure: {next(iter(left_out.values()))}")
    if json:
        print_json(report(evaluation, subject, str(loaded.path)))
        return
    for name, reason in left_out.items():
        say(f"left out {name}: {reason}")
    _table(results, f"{loaded.path.parent.name} on {images.name}, {split} split")


def _table(results, title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for heading, side in (("metric", "left"), ("variant", "left"), ("value", "right"), ("+-", "right"), ("unit", "left"), ("N", "right")):
        table.add_column(heading, justify=side, overflow="fold")
    for r in results:
        error = "" if r.error is None else f"{r.error:.4f}"
        table.add_row(r.metric, r.variant, f"{r.value:.4f}", error, r.unit, f"{r.n:,}")
    console = Console(soft_wrap=False)
    console.print(table)
    for r in results:
        if r.metric == "information" and r.details.get("information"):
            console.print(_units(r.details))
        for note in r.notes:
            say(f"note: {r.metric}: {note}")


def _units(details):
    from rich.table import Table

    columns = {
        "I(x;z_k)": "information", "eq. 5 bound": "lower_bound", "eq. 4 bound": "upper_bound",
        "E[sigma^2]": "mean_variance", "Var[mu]": "variance_of_mean", "KL_k": "kl",
    }
    table = Table(title="units, most informative first (nats)", title_justify="left")
    table.add_column("unit", justify="right")
    for heading in columns:
        table.add_column(heading, justify="right")
    for unit in details["ranking"]:
        table.add_row(str(unit), *(f"{details[key][unit]:.3f}" for key in columns.values()))
    return table
