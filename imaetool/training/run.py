"""A training run from configuration to finished folder."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from imaetool import objectives
from imaetool.config import Config, apply, from_dict, to_dict
from imaetool.data import ImageData, open_data
from imaetool.errors import UserError
from imaetool.networks import choose_network
from imaetool.training import checkpoint
from imaetool.training.batches import Batches, seed_of
from imaetool.training.device import choose_device, choose_precision, few_threads_for_small_images
from imaetool.training.folder import CHECKPOINT, MODEL, held, new_folder, versions, write_config, write_history
from imaetool.training.loop import Progress, Trainer
from imaetool.training.restarts import best_start

__all__ = ["Interrupted", "Reporter", "Run", "resume", "train"]

SAVE_EVERY = 15.0  # seconds between checkpoints while training
RESUMABLE = ("training.epochs", "training.device", "data.root")  # what a resumed run may change


class Interrupted(UserError):
    """Training was stopped; the run is saved and can be resumed."""


class Reporter:
    """What a run tells while it goes; the command line draws it, a program may ignore it."""

    def started(self, run: Run) -> None: ...
    def trying(self, run: Run, start: int, trainer: Trainer) -> None: ...
    def chosen(self, run: Run, start: int, scores: list[float]) -> None: ...
    def stepped(self, trainer: Trainer, values: Mapping[str, float]) -> None: ...
    def epoch_done(self, trainer: Trainer) -> None: ...
    def finished(self, run: Run) -> None: ...


@dataclass
class Run:
    """A run's folder and what it trains."""

    folder: Path
    config: Config
    data: ImageData
    trainer: Trainer
    figures: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)


def train(config: Config, *, output: str | None = None, reporter: Reporter | None = None) -> Run:
    """Train a model as ``config`` says, in a new folder.

    Returns the finished Run. Raises UserError for settings or data that cannot be used, Interrupted
    when stopped by Ctrl-C (the folder then holds all that ``resume`` needs).
    """
    config = _resolved(config)
    data = open_data(config.data)
    if len(data.train) < 2:
        raise UserError(f"{data.name} has {len(data.train)} training images: at least 2 are needed")
    network = choose_network(data.shape) if config.network == "auto" else config.network
    config = apply(config, {"data.size": data.shape[1], "data.channels": data.shape[0], "network": network})
    config = _for_few_images(config, len(data.train))
    with torch.random.fork_rng(), few_threads_for_small_images(data.shape):
        trainer = _trainer(config, data)
        _check_batches(trainer)
        run = Run(new_folder(config, output), config, data, trainer)
        with held(run.folder):
            _write_config(run)
            return _go(run, reporter or Reporter())


def resume(folder: str | Path, changes: Mapping[str, Any] | None = None, *, reporter: Reporter | None = None) -> Run:
    """Take up the run in ``folder`` where it stopped; ``changes`` may raise training.epochs.

    Raises UserError if there is nothing to resume, another process is training the run, or the images
    are no longer the same.
    """
    folder = Path(folder)
    if not (folder / CHECKPOINT).is_file():
        raise UserError(f"{folder} has no {CHECKPOINT}: there is no run to resume there")
    with held(folder):
        return _resume(folder, changes, reporter or Reporter())


def _resume(folder: Path, changes: Mapping[str, Any] | None, reporter: Reporter) -> Run:
    tensors, header = checkpoint.read_state(folder / CHECKPOINT)
    before = from_dict(header["config"])
    config = apply(before, changes or {}, objectives.defaults(before.objective["name"]))
    if _fixed(config) != _fixed(before):
        raise UserError(f"a resumed run can change only {', '.join(RESUMABLE)}; start a new run for other settings")
    data = open_data(config.data)
    if data.checksum != header["data_checksum"]:
        raise UserError(f"the images of {data.name} are not those that {folder} was trained on: start a new run")
    stored = header["progress"]
    progress = Progress(stored["step"], stored["sums"], [tuple(row) for row in stored["history"]], stored["seconds"])
    _check_sizes(config, data, tensors)
    with torch.random.fork_rng(), few_threads_for_small_images(data.shape):
        trainer = _trainer(config, data)
        trainer.restore(tensors, progress)
        _check_epochs(folder, config.training.epochs, progress.step / len(trainer.batches))
        run = Run(folder, config, data, trainer)
        _write_config(run)
        return _go(run, reporter)


def _check_sizes(config: Config, data: ImageData, tensors: Mapping[str, torch.Tensor]) -> None:
    """UserError where the stored weights are not those of ``config``; told before anything of that size is made."""
    with torch.device("meta"):
        model = checkpoint.Model(config.network, data.shape, config.latents).state_dict()
    found = {name: value.shape for name, value in tensors.items() if name.startswith("model.")}
    memory = len(tensors["memory.mu"]) if "memory.mu" in tensors else 0
    takes_memory = objectives.takes(config.objective["name"], "memory")
    if found != {f"model.{name}": value.shape for name, value in model.items()} or memory != config.training.memory * takes_memory:
        raise UserError("the run to resume has another model or memory than its settings say: it cannot go on")


def _check_batches(trainer: Trainer) -> None:
    """UserError where batches of one image meet a network that normalises over the batch."""
    if trainer.batches.size == 1 and any(isinstance(part, torch.nn.modules.batchnorm._BatchNorm) for part in trainer.model.modules()):
        raise UserError(f"training.batch_size = 1: {trainer.config.network} normalises over the batch, give --batch-size 2 or more")


def _check_epochs(folder: Path, epochs: int, done: float) -> None:
    """UserError where a run has no epoch left to train; one cut off before its model was written may still end."""
    if done > epochs:
        raise UserError(f"{folder} has trained {done:.4g} epochs already, --epochs {epochs} is less: it counts all of them")
    if done == epochs and (folder / MODEL).is_file():
        raise UserError(f"{folder} is finished, at {epochs} epochs: to train on give more, --epochs {2 * epochs}")


def _fixed(config: Config) -> Config:
    return replace(
        config,
        training=replace(config.training, epochs=1, device="auto"),
        data=replace(config.data, root="" if config.data.name != "folder" else config.data.root),
    )


def _resolved(config: Config) -> Config:
    """``config`` with every default of its objective, its device and its precision written out."""
    device = choose_device(config.training.device)
    precision = choose_precision(config.training.precision, device)
    config = replace(config, objective=objectives.check(config.objective))
    return apply(config, {"training.device": str(device), "training.precision": precision})


def _for_few_images(config: Config, images: int) -> Config:
    """``config`` with training.least_steps worked out for that many images: smaller batches, more epochs."""
    training = config.training
    if not training.least_steps:
        return config
    size = min(training.batch_size, max(2, images // 8))
    epochs = max(training.epochs, -(-training.least_steps // max(1, images // size)))
    decay = training.lr_decay ** (training.epochs / epochs)  # as much in all
    return apply(config, {"training.least_steps": 0, "training.batch_size": size, "training.epochs": epochs, "training.lr_decay": decay})


def _trainer(config: Config, data: ImageData, batches: Batches | None = None) -> Trainer:
    training = config.training
    device = choose_device(training.device)
    torch.manual_seed(seed_of(training.seed, 0, *([training.start] if training.start else [])))
    model = checkpoint.Model(config.network, data.shape, config.latents).to(device)
    model.autocast = training.precision == "bf16"
    return Trainer(config, model, batches or Batches(data.train.images, training.batch_size, training.seed, device))


def _choose_start(run: Run, reporter: Reporter, stopped: Callable[[], bool]) -> bool:
    """Settle which start the run goes on with, as config.training says; False if stopped meanwhile."""
    training = run.config.training

    def chosen(start: int) -> Config:
        return replace(run.config, training=replace(training, start=start, restarts=1))

    def watch(start: int, trainer: Trainer) -> Callable[..., bool]:
        reporter.trying(run, start, trainer)

        def after_step(trainer: Trainer, values: Mapping[str, float]) -> bool:
            reporter.stepped(trainer, values)
            return stopped()

        return after_step

    found = best_start(
        lambda start: _trainer(chosen(start), run.data, run.trainer.batches),
        training.restarts, training.restart_epochs, training.restart_by, watch=watch,
    )
    if found is None:
        return False
    start, trainer, scores = found
    run.config = chosen(start)
    if training.restart_epochs > training.epochs:  # tried for longer than the run is to be
        trainer = _trainer(run.config, run.data, run.trainer.batches)
    run.trainer = trainer
    trainer.config = run.config
    _write_config(run)
    reporter.chosen(run, start, scores)
    return True


@contextmanager
def _stop_on_signal():
    """Yields a function telling whether Ctrl-C or a termination signal came; a second one stops at once."""
    asked = threading.Event()

    def handler(number, frame):
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {s: signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _go(run: Run, reporter: Reporter) -> Run:
    saved = [time.monotonic()]
    reporter.started(run)
    with _stop_on_signal() as stopped:
        if run.config.training.restarts > 1 and not _choose_start(run, reporter, stopped):
            _save_state(run)
            raise Interrupted(_stopped(run))
        def after_step(trainer: Trainer, values: Mapping[str, float]) -> bool:
            reporter.stepped(trainer, values)
            if time.monotonic() - saved[0] > SAVE_EVERY:
                _save_state(run)
                saved[0] = time.monotonic()
            return stopped()

        def after_epoch(trainer: Trainer) -> bool:
            reporter.epoch_done(trainer)
            return stopped()

        done = run.trainer.run(run.config.training.epochs, after_step, after_epoch)
    _save_state(run)
    write_history(run.folder, run.trainer.progress.history)
    if not done:
        raise Interrupted(_stopped(run))
    _finish(run)
    reporter.finished(run)
    return run


def _stopped(run: Run) -> str:
    return f"stopped and saved: go on with  imaetool train --resume {run.folder}"


def _save_state(run: Run) -> None:
    p = run.trainer.progress
    header = {
        "config": to_dict(run.config), "data_checksum": run.data.checksum,
        "progress": {"step": p.step, "sums": p.sums, "history": p.history, "seconds": p.seconds},
    }
    checkpoint.save_state(run.folder / CHECKPOINT, run.trainer.state(), header)


def _write_config(run: Run) -> None:
    write_config(run.folder, run.config, {"source": run.data.source, "checksum": run.data.checksum})


def _finish(run: Run) -> None:
    """Measure the model on the test split, draw its pictures, write the model last."""
    from imaetool.evaluation.summary import summarise
    from imaetool.pictures import save_png

    model = run.trainer.model.eval()
    summary = summarise(model, run.data, seed=run.config.training.seed)
    for name, picture in summary.pictures.items():
        save_png(picture, run.folder / name)
    run.figures = summary.figures
    run.record = {
        **summary.record,
        "figures": summary.figures,
        "versions": versions(),
        "seed": run.config.training.seed,
        "trained": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "training_seconds": round(run.trainer.progress.seconds, 1),
        "dataset": {
            "name": run.data.name, "source": run.data.source, "licence": run.data.licence,
            "checksum": run.data.checksum, "label_names": list(run.data.label_names),
        },
    }
    checkpoint.save_model(run.folder / MODEL, model, run.config, run.record)
