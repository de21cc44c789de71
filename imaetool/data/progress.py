"""Telling how far long work is: one place to listen, silent for what takes under a second."""

from __future__ import annotations

import sys
import time

__all__ = ["OnStderr", "listener", "report"]


class OnStderr:
    """A line that is drawn again in a terminal; elsewhere a line every ten seconds."""

    def __init__(self) -> None:
        self.what, self.began, self.shown = "", 0.0, 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what != self.what:
            self.what, self.began, self.shown = what, now, now
        live, finished = sys.stderr.isatty(), 0 < total <= done
        pause = 0.2 if live else 10.0
        if now - self.began < 1 or (now - self.shown < pause and not (finished and live)):
            return
        self.shown = now
        share = f"{done:,} of {total:,} ({100 * done // total} %)" if total else f"{done:,}"
        text = f"{what}: {share}"
        print(f"\r\033[K{text}" if live else text, end="\n" if finished or not live else "", file=sys.stderr, flush=True)


listener = OnStderr()  # called as listener(what, done, total); None for silence


def report(what: str, done: int, total: int = 0) -> None:
    """``done`` of ``total`` parts (0: unknown) of the work called ``what`` are finished."""
    if listener is not None:
        listener(what, done, total)
