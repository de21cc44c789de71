"""A training run on the screen: a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from imaetool.cli.common import say
from imaetool.training.loop import Trainer
from imaetool.training.run import Reporter, Run

__all__ = ["ScreenReporter"]

TERMS = {"reconstruction": "reconstruction", "information_y": "I(x;y)", "total_correlation": "TC"}


class ScreenReporter(Reporter):
    """Shows epoch, images/s, reconstruction, I(x;y), total correlation and time left."""

    def __init__(self, every: float = 2.0) -> None:
        self.every, self.live, self.task = every, None, None
        self.shown = 0.0

    def started(self, run: Run) -> None:
        trainer, config = run.trainer, run.config
        for note in run.data.notes:
            say(note)
        parameters = sum(p.numel() for p in trainer.model.parameters())
        shape = "x".join(map(str, run.data.shape))
        say(
            f"training {config.objective['name']} on {run.data.name}: {len(run.data.train):,} images {shape}, "
            f"network {config.network} ({parameters / 1e6:.1f} M weights), {config.training.device}, {config.training.precision}, "
            f"{config.training.epochs} epochs in batches of {min(config.training.batch_size, len(run.data.train))}"
        )
        say(f"writing to {run.folder}")
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[state]}"), TimeRemainingColumn()
            self.live = Progress(*columns, console=Console(stderr=True), transient=True)
            self.live.start()
            self.task = self.live.add_task("epoch 0", state="")
        self._begin(trainer, config.training.epochs)

    def trying(self, run: Run, start: int, trainer: Trainer) -> None:
        training = run.config.training
        if start == 0:
            say(f"trying {training.restarts} starts for {training.restart_epochs} epochs each, the lowest {training.restart_by} goes on")
        self._begin(trainer, training.restart_epochs, f"start {start + 1}/{training.restarts}  ")

    def chosen(self, run: Run, start: int, scores: list[float]) -> None:
        told = ", ".join(f"{score:.3f}" for score in scores)
        say(f"going on with start {start + 1} ({told})")
        self._begin(run.trainer, run.config.training.epochs)

    def _begin(self, trainer: Trainer, epochs: int, label: str = "") -> None:
        """Count from here to ``epochs`` in total."""
        self.label, self.epochs = label, epochs
        self.first, self.began, self.shown = trainer.progress.step, time.monotonic(), time.monotonic()
        self.total = epochs * len(trainer.batches)
        if self.live:
            self.live.reset(self.task, total=self.total, completed=self.first)

    def stepped(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        now, step = time.monotonic(), trainer.progress.step
        if now - self.shown < (0.2 if self.live else self.every) and step != self.total:
            return
        self.shown = now
        speed = (step - self.first) / max(now - self.began, 1e-9)
        epoch = (step - 1) // len(trainer.batches) + 1
        terms = "  ".join(f"{label} {values[name]:.2f}" for name, label in TERMS.items() if name in values)
        where = f"{self.label}epoch {epoch}/{self.epochs}"
        state = f"{speed * trainer.batches.size:,.0f} images/s  {terms}"
        if self.live:
            self.live.update(self.task, completed=step, description=where, state=state)
        else:
            say(f"{where}  {state}  {(self.total - step) / max(speed, 1e-9):.0f} s left")

    def close(self) -> None:
        if self.live:
            self.live.stop()
            self.live = None
