"""imaetool train: settings from recipe and flags, then one run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imaetool.cli.common import Json, print_json, say, warn
from imaetool.config import Config, apply, load_recipe, parse_assignment, recipe_names
from imaetool.errors import UserError, unknown_name
from imaetool.registry import DATASETS, OBJECTIVES

if TYPE_CHECKING:
    from imaetool.training.run import Run

__all__ = ["train"]

Optional = typer.Option


def train(
    images: Annotated[str | None, typer.Argument(metavar="DATA", show_default=False, help="The same as --data: imaetool train photos/")] = None,
    recipe: Annotated[str | None, Optional(help="A packaged recipe, or a TOML file. See: imaetool recipes list")] = None,
    data: Annotated[str | None, Optional(metavar="NAME|PATH", help="A dataset (imaetool data list), or a folder or archive of images.")] = None,
    data_root: Annotated[str | None, Optional(help="Folder that holds dataset files.")] = None,
    size: Annotated[int | None, Optional(help="Height and width in pixels.")] = None,
    channels: Annotated[int | None, Optional(help="1 for grey, 3 for colour.")] = None,
    crop: Annotated[str | None, Optional(help="center, pad or stretch.")] = None,
    background: Annotated[str | None, Optional(help="Colour behind transparent pixels and around padded images.")] = None,
    invert: Annotated[bool | None, Optional("--invert/--no-invert", help="Exchange dark and light.")] = None,
    labels: Annotated[str | None, Optional(metavar="FILE.csv", help="Labels of your own images: path,label. Default: class sub-folders.")] = None,
    factors: Annotated[str | None, Optional(metavar="FILE.csv", help="Factors of your own images: a header path,name,... first.")] = None,
    objective: Annotated[str | None, Optional(help="The objective to train, such as imae.")] = None,
    network: Annotated[str | None, Optional(help="The network, such as mlp-imae; auto chooses by image size.")] = None,
    latents: Annotated[int | None, Optional(help="Units of the continuous code z.")] = None,
    categories: Annotated[str | None, Optional(help="Values of the categorical code y; 10,3 for two variables, 0 for none.")] = None,
    epochs: Annotated[int | None, Optional(help="Epochs in total, a resumed run's earlier ones included.")] = None,
    batch_size: Annotated[int | None, Optional(help="Images per step.")] = None,
    lr: Annotated[float | None, Optional(help="Learning rate.")] = None,
    beta: Annotated[float | None, Optional(help="The objective's beta.")] = None,
    gamma: Annotated[float | None, Optional(help="The objective's gamma.")] = None,
    vat: Annotated[float | None, Optional(help="Weight of virtual adversarial training.")] = None,
    affine: Annotated[float | None, Optional(help="Weight of agreement under small affine moves.")] = None,
    restarts: Annotated[int | None, Optional(help="Starts tried briefly; the best one, judged without labels, goes on.")] = None,
    seed: Annotated[int | None, Optional(help="Same seed, same machine: same bits.")] = None,
    device: Annotated[str | None, Optional(help="auto, cpu, cuda or mps.")] = None,
    precision: Annotated[str | None, Optional(help="auto, fp32 or bf16.")] = None,
    output: Annotated[str | None, Optional("--output", "-o", help="The run's folder. Default: runs/<name>-<n>.")] = None,
    resume: Annotated[str | None, Optional(metavar="[auto|DIR]", help="Go on with a stopped run: the newest one, or DIR.")] = None,
    set_: Annotated[list[str] | None, Optional("--set", metavar="KEY=VALUE", help="Any setting, for example --set temperature=0.5.")] = None,
    json: Json = False,
) -> None:
    """Train a model. With no flag: an IMAE on the built-in digits, in half a minute, offline."""
    given: dict[str, Any] = {
        "data.root": data_root, "data.size": size, "data.channels": channels, "data.crop": crop,
        "data.background": background, "data.invert": invert, "data.labels": labels, "data.factors": factors,
        "network": network, "latents.continuous": latents,
        "latents.categories": None if categories is None else _numbers(categories),
        "training.epochs": epochs, "training.batch_size": batch_size, "training.lr": lr,
        "objective.beta": beta, "objective.gamma": gamma, "smoothness.vat": vat, "smoothness.affine": affine,
        "training.seed": seed, "training.restarts": restarts, "training.device": device, "training.precision": precision,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    changes |= dict(parse_assignment(text) for text in set_ or [])
    if resume is None and (epochs or batch_size):
        changes = {"training.least_steps": 0} | changes  # a length that was asked for stays
    if images and data:
        raise typer.BadParameter(f"{images!r} and --data {data} both say what to train on: give one")
    data = data or images
    if resume is not None:
        if recipe or data or objective or output:
            raise typer.BadParameter("--resume takes the run's own settings: leave out the data, --recipe, --objective and --output")
        run = _resume(resume, changes)
    else:
        run = _start(_base(recipe, objective, data), changes, output)
    _tell(run, json)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"--categories {text!r}: give a whole number, or several as 10,3") from None


def _base(recipe: str | None, objective: str | None, data: str | None) -> Config:
    """The recipe asked for, or the best one for this objective and data, with --data taken in."""
    folder = data is not None and data not in DATASETS
    if folder and not Path(data).exists():
        if "/" in data:
            raise UserError(f"{data}: no such folder, archive or dataset")
        raise unknown_name("dataset or folder", data, DATASETS)
    dataset = "folder" if folder else data
    if recipe:
        config = load_recipe(recipe)
    else:
        names = [f"{objective or 'imae'}-{dataset or 'digits'}", f"imae-{dataset or 'digits'}", "imae-folder"]
        config = load_recipe(next(name for name in names if name in recipe_names()))
    if objective and objective not in OBJECTIVES:
        raise unknown_name("objective", objective, OBJECTIVES)
    if objective and objective != config.objective["name"]:
        config = _with_objective(config, objective)
    if dataset and dataset != config.data.name:
        config = apply(config, {"data.name": dataset, "name": f"{config.objective['name']}-{dataset}"})
    if folder:
        name = Path(data).resolve().name or "folder"
        config = apply(config, {"data.root": data, "name": f"{config.objective['name']}-{name}"})
    return config


def _with_objective(config: Config, objective: str) -> Config:
    """``config`` with another objective at its own defaults, without what IMAE adds around y."""
    return replace(
        config, name=f"{objective}-{config.data.name}", objective={"name": objective},
        smoothness=replace(config.smoothness, vat=0.0, affine=0.0),
        latents=replace(config.latents, detach_categories=False),
        training=replace(config.training, restarts=1, restart_by="loss"),
    )


def _start(config: Config, changes: dict[str, Any], output: str | None) -> Run:
    from imaetool import objectives
    from imaetool.cli.progress import ScreenReporter
    from imaetool.training.run import train as train_run

    config = apply(config, changes, objectives.defaults(config.objective["name"]))
    if "training.epochs" in changes and "training.restart_epochs" not in changes:  # a start is not tried for longer than the run
        shorter = min(config.training.restart_epochs, config.training.epochs)
        config = apply(config, {"training.restart_epochs": shorter})
    reporter = ScreenReporter()
    try:
        return train_run(config, output=output, reporter=reporter)
    finally:
        reporter.close()


def _resume(which: str, changes: dict[str, Any]) -> Run:
    from imaetool.cli.progress import ScreenReporter
    from imaetool.training.folder import newest_unfinished
    from imaetool.training.run import resume

    folder = newest_unfinished() if which == "auto" else Path(which)
    if not folder.exists() and (Path("runs") / which).is_dir():
        folder = Path("runs") / which  # a run's name, as --model takes it
    say(f"resuming {folder}")
    reporter = ScreenReporter()
    try:
        return resume(folder, changes, reporter=reporter)
    finally:
        reporter.close()


_LITTLE = 0.05  # nats


def _tell(run: Run, as_json: bool) -> None:
    """The run's figures and files on stdout."""
    from imaetool.latents import ranked_units
    from imaetool.training.folder import FILES

    files = [str(run.folder / name) for name in FILES if (run.folder / name).exists()]
    figures = run.figures
    units, information = ranked_units(run.record, run.config.latents.continuous)
    if as_json:
        ranking = [{"unit": k, "information": information[k]} for k in units] if information else []
        print_json({"run": str(run.folder), "figures": figures, "units": ranking, "files": files})
        return
    echo = typer.echo
    if "accuracy" in figures:
        echo(f"{figures['split']} accuracy   {figures['accuracy']:.4f} one-to-one, {figures['accuracy_majority']:.4f} majority (N = {figures['n']:,})")
    if "information_y" in figures:
        from math import log

        most = log(run.config.latents.categories[0])
        echo(f"{figures['split']} I(x;y)     {figures['information_y']:.3f} of at most {min(most, log(figures['n'])):.3f} nats (N = {figures['n']:,})")
    echo(f"reconstruction  {figures['reconstruction_sampled']:.2f} nats per image from sampled codes, {figures['reconstruction_mean']:.2f} from mean codes")
    if information:
        echo("units by I(x;z) " + "  ".join(f"{k}: {max(0.0, information[k]):.2f}" for k in units) + "  nats")
    if max([figures.get("information_y", 0.0), *(information or [])]) < _LITTLE:
        warn("no unit and no category carries information yet, so traversals show nothing: train longer (--epochs) or on more images")
    for path in files:
        echo(path)
