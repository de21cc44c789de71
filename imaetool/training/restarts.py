"""Several starts from different weights, the best one kept, judged without any label.

Categories that form early can lock into a poor arrangement (two digits sharing two categories,
split by slant) that no later step leaves. The objective itself shows it within a few epochs, so a
run may try some starts briefly and go on with the one whose term is lowest.
"""

from __future__ import annotations

from collections.abc import Callable

from imaetool.errors import UserError
from imaetool.training.loop import Trainer

__all__ = ["best_start"]


def best_start(
    build: Callable[[int], Trainer],
    count: int,
    epochs: int,
    term: str,
    *,
    watch: Callable[[int, Trainer], Callable[..., bool]],
) -> tuple[int, Trainer, list[float]] | None:
    """Train starts 0 to count - 1 for ``epochs`` each; the one whose ``term`` is lowest in the last epoch.

    ``build`` gives the Trainer of a start; ``watch`` gives, for a start, the function called after each
    step, which returns True to stop. Returns (start, its Trainer after those epochs, the terms of all
    starts), or None if stopped; the Trainer's seconds are those of all starts. UserError if the objective
    has no such term.
    """
    best: tuple[int, Trainer] | None = None
    scores: list[float] = []
    seconds = 0.0
    for start in range(count):
        trainer = build(start)
        after_step = watch(start, trainer)
        stopped = False

        def step_done(trainer: Trainer, values) -> bool:
            nonlocal stopped
            stopped = after_step(trainer, values)
            return stopped

        trainer.run(epochs, step_done, lambda _: stopped)
        if stopped:
            return None
        seconds += trainer.progress.seconds
        last = {name: value for epoch, name, value in trainer.progress.history if epoch == epochs}
        if term not in last:
            raise UserError(f"training.restart_by = {term!r}: this objective's terms are {', '.join(last)}")
        scores.append(last[term])
        if best is None or scores[-1] < scores[best[0]]:
            best = start, trainer
    best[1].progress.seconds = seconds
    return *best, scores
