"""imaetool eval: metrics of a model on a dataset, as a table, JSON, or one page."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imaetool.cli.common import DataRoot, Device, Json, ModelName, load_model, print_json, say, warn
from imaetool.errors import UserError, plain, unknown_name
from imaetool.registry import DATASETS, METRICS

if TYPE_CHECKING:
    from imaetool.evaluation.evaluate import Evaluation, Subject

__all__ = ["evaluate"]


def evaluate(
    models: Annotated[list[str] | None, typer.Argument(help="With --compare: the models to set side by side.")] = None,
    metric: Annotated[list[str] | None, typer.Option(help=f"{', '.join(METRICS)}, or all; give it several times. Default: all.")] = None,
    data: Annotated[str | None, typer.Option(help="A dataset or a folder. Default: the one the model was trained on.")] = None,
    data_root: DataRoot = "",
    split: Annotated[str, typer.Option(help="test or train.")] = "test",
    factors: Annotated[str, typer.Option(help="Factors to measure, by commas. Default: all.")] = "",
    exclude: Annotated[str, typer.Option(help="Factors to leave out, by commas: the papers' MIG leaves out shape.")] = "",
    draws: Annotated[int, typer.Option(help="Of the Monte Carlo estimates.")] = 10_000,
    k: Annotated[int, typer.Option(help="Codes per image of the log-likelihood.")] = 64,
    n: Annotated[int, typer.Option(help="Images to decode at most. Default: 10,000, and 2,000 for the log-likelihood.")] = 0,
    trees: Annotated[str, typer.Option(help="Of DCI: random-forest, or gradient-boosting, as published, which takes minutes.")] = "random-forest",
    seed: Annotated[int, typer.Option(min=0, help="Of the sampled estimates.")] = 0,
    compare: Annotated[bool, typer.Option("--compare", help="Set the models named side by side, on the same data.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write one self-contained HTML page.")] = None,
    model: ModelName = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure a model: every result names its variant, how it was estimated, N, split and error."""
    from imaetool.evaluation.evaluate import SCHEMA, Settings, Subject, measure
    from imaetool.evaluation.evaluate import report as record

    wanted = metric or ["all"]
    for name in wanted:
        if name not in METRICS and name != "all":
            raise unknown_name("metric", name, [*METRICS, "all"])
    if report is not None and not report.absolute().parent.is_dir():
        raise UserError(f"--report {report}: no folder {report.parent}")
    settings = Settings(draws, k, n, _listed(factors), _listed(exclude), trees)
    began, found, images = time.monotonic(), [], None
    for name in _named(models, model, compare):
        loaded = _load(name, wanted, data, device)
        if images is None:
            images = _open(loaded, data, data_root)
        with _Screen() as screen:
            subject = Subject(loaded, images, split, seed, settings, screen.step)
            _warn_if_little(subject)
            evaluation = measure(subject, wanted, screen.started)
        if not evaluation.results:
            raise UserError(f"nothing to measure: {next(iter(evaluation.left_out.values()))}")
        found.append((str(loaded.path), subject, evaluation))
    records = [record(evaluation, subject, path) for path, subject, evaluation in found]
    names = _short([path for path, *_ in found])
    if report is not None:
        _write_page(report, names, records, [subject for _, subject, _ in found])
    if json and compare:
        from imaetool.evaluation.compare import comparison

        print_json({"schema": SCHEMA, "models": records, "comparison": comparison(records)})
    elif json:
        print_json(records[0])
    else:
        _print(names, records, found)
    say(f"measured in {time.monotonic() - began:.0f} s" + (f"; report: {report}" if report else ""))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _named(models: list[str] | None, model: str | None, compare: bool) -> list[str | None]:
    """The models to measure; None stands for the newest run."""
    names = [*([model] if model is not None else []), *(models or [])]
    if compare and len(names) < 2:
        raise typer.BadParameter("--compare needs two models or more: imaetool eval --compare A B")
    if not compare and len(names) > 1:
        raise typer.BadParameter(f"{len(names)} models given: add --compare to set them side by side")
    return names or [None]


def _load(name: str | None, wanted: list[str], data: str | None, device: str):
    """The model; a metric of factors with no model named takes the newest run that has factors."""
    from imaetool.evaluation.disentanglement import FACTOR_METRICS
    from imaetool.zoo.find import DEFAULT_EVAL, find_model, newest_with_factors

    if name is None and data in (None, "dsprites") and set(wanted) <= set(FACTOR_METRICS):
        return load_model(None, device, found=newest_with_factors())
    return load_model(name, device, found=find_model(name, DEFAULT_EVAL))


def _open(loaded, data: str | None, data_root: str):
    """The dataset that --data names, else the model's own."""
    from imaetool.data import open_data

    config = loaded.config.data
    if data is None and loaded.path.with_name("config.toml").is_file():
        config = _folder_of(loaded.path, config)  # a run of this machine: its data is where it says
    elif data is None and config.name == "folder":
        raise UserError(f"{loaded.path} was made from pictures of its author's: give yours, --data FOLDER")
    elif data is None:
        config = replace(config, root="", labels="", factors="")  # a file from elsewhere chooses no path here
    elif data in DATASETS:
        config = replace(config, name=data, root="", labels="", factors="")
    elif not Path(data).exists():
        raise UserError(f"--data {data}: not a dataset ({', '.join(DATASETS)}) and no such folder")
    else:
        config = replace(config, name="folder", root=data, labels="", factors="")
    if data_root and config.name != "folder":
        config = replace(config, root=data_root)
    images = open_data(config)
    for note in images.notes:
        say(note)
    return images


_FEW = 50


def _folder_of(path: Path, config):
    """A run's own settings of data; a folder of pictures that was given relative to where it trained is found from there."""
    from_there = path.resolve().parent.parent.parent / config.root
    return replace(config, root=str(from_there)) if config.name == "folder" and not Path(config.root).exists() and from_there.exists() else config


def _warn_if_little(subject: Subject) -> None:
    """One warning where there are few images to measure, one where they are not of the model's kind."""
    from imaetool.evaluation.likeness import share_unlike

    images, data, record = subject.split.images, subject.data, subject.model.record
    if len(images) < _FEW:
        other = "train" if subject.split_name == "test" else "test"
        warn(f"{len(images)} images in the {subject.split_name} split of {data.name} are few, figures of them mean little (--split {other}, or --data with more)")
    if data.checksum != record.get("dataset", {}).get("checksum") and (share_unlike(subject.model, images[:64]) or 0) > 0.5:
        warn(f"these images are unlike those that {subject.model.path} was made for, so its codes mean little")


def _short(paths: list[str]) -> list[str]:
    """A name for each model file: its run's, or where two would be the same its path."""
    names = [Path(path).parent.name if Path(path).name == "model.safetensors" else Path(path).stem for path in paths]
    return names if len(set(names)) == len(names) and all(names) else paths


class _Screen:
    """Progress on stderr: a live line in a terminal, plain lines elsewhere."""

    def __init__(self, every: float = 5.0) -> None:
        self.every, self.shown, self.live, self.metric = every, time.monotonic(), None, ""

    def __enter__(self) -> _Screen:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[state]}")
            self.live = Progress(*columns, console=Console(stderr=True), transient=True)
            self.live.start()
            self.task = self.live.add_task("starting", total=None, state="")
        return self

    def __exit__(self, *_) -> None:
        if self.live:
            self.live.stop()

    def started(self, name: str, number: int, total: int) -> None:
        self.metric = f"{number}/{total} {name}"
        if self.live:
            self.live.update(self.task, description=self.metric, total=total, completed=number - 1, state="")
        elif total > 3:
            say(self.metric)

    def step(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.shown < (0.2 if self.live else self.every):
            return
        self.shown, state = now, f"{what} {done:,} of {total:,}"
        if self.live:
            self.live.update(self.task, state=state, **({} if self.metric else {"total": total, "completed": done}))
        else:
            say(f"  {state}")


def _write_page(path: Path, names: list[str], records: list[dict], subjects: list[Subject]) -> None:
    from imaetool.evaluation.page import Entry, draw, page
    from imaetool.files import replace_file

    entries = [Entry(name, found, draw(subject)) for name, found, subject in zip(names, records, subjects, strict=True)]
    replace_file(path, page(entries).encode("utf-8", "backslashreplace"))


def _print(names: list[str], records: list[dict], found: list[tuple[str, Subject, Evaluation]]) -> None:
    """Tables on stdout; what was left out, and the notes, on stderr."""
    from rich.console import Console

    for name, record in zip(names, records, strict=True):
        reasons: dict[str, list[str]] = {}
        for metric, reason in record["left_out"].items():
            reasons.setdefault(reason, []).append(metric)
        for reason, metrics in reasons.items():
            say(f"{name}: left out {', '.join(metrics)}: {reason}" if len(names) > 1 else f"left out {', '.join(metrics)}: {reason}")
    console, first = Console(soft_wrap=False), records[0]
    wide = console.width >= 110
    where = f"{first['data']}, {first['split']} split"
    if len(records) > 1:
        console.print(_side_by_side(names, records, where))
    else:
        results = found[0][2].results
        console.print(_table(results, f"{names[0]} on {where}", wide))
        for r in results:
            if r.metric == "information" and r.details.get("ranking"):
                console.print(_units(r.details))
    notes: dict[str, list[str]] = {}
    for _, _, evaluation in found:
        for r in evaluation.results:
            for note in r.notes:
                notes.setdefault(note, []).append(r.metric)
    for note, metrics in notes.items():
        say(f"note: {', '.join(dict.fromkeys(metrics))}: {note}")


def _table(results, title: str, wide: bool):
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(plain(title)), title_justify="left")
    sides = {"metric": "left", "variant": "left", "value": "right", "+-": "right", "unit": "left", "N": "right"}
    for heading, side in {**sides, **({"code": "left"} if wide else {})}.items():
        table.add_column(heading, justify=side, overflow="fold", no_wrap=heading != "variant")
    for r in results:
        error = "" if r.error is None else f"{r.error:.4f}"
        table.add_row(r.metric, r.variant, f"{r.value:.4f}", error, r.unit, f"{r.n:,}", *([r.codes] if wide else []))
    return table


def _side_by_side(names: list[str], records: list[dict], where: str):
    from rich.table import Table
    from rich.text import Text

    from imaetool.evaluation.compare import comparison

    title = f"{len(names)} models on {where} (*: ahead by more than two standard errors)"
    table = Table(title=Text(plain(title)), title_justify="left")
    table.add_column("metric")
    table.add_column("variant", overflow="fold")
    for name in names:
        table.add_column(Text(plain(name)), justify="right", overflow="fold")
    for row in comparison(records):
        cells = []
        for number, value in enumerate(row["values"]):
            told = "-" if value is None else "not finite" if value["value"] is None else f"{value['value']:.4f}"
            error = "" if value is None or value["error"] is None else f" +- {value['error']:.4f}"
            cells.append(told + error + (" *" if number == row["best"] else ""))
        table.add_row(row["metric"], row["variant"], *cells)
    return table


def _units(details):
    from rich.table import Table

    columns = {
        "I(x;z_k)": "information", "eq. 5 bound": "lower_bound", "eq. 4 bound": "upper_bound",
        "E[sigma^2]": "mean_variance", "Var[mu]": "variance_of_mean", "KL_k": "kl",
    }
    table = Table(title="units, most informative first (nats)", title_justify="left")
    table.add_column("unit", justify="right")
    for heading in columns:
        table.add_column(heading.replace("[", r"\["), justify="right")
    for unit in details["ranking"]:
        table.add_row(str(unit), *(f"{details[key][unit]:.3f}" for key in columns.values()))
    return table
