"""How a run shows itself: a live bar where rich is installed and somebody watches, else a line per
epoch. Everything goes to standard error.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from ..extras import available, require


class Progress:
    """Follows a run; ``shown=False`` shows nothing.

    A value for the last line is fetched from the device every ``interval`` seconds only, so that
    watching does not hold up the steps.
    """

    interval = 0.5

    def __init__(self, epochs: int, steps: int | None = None, *, shown: bool = True):
        self.epochs, self.steps, self.shown = epochs, steps, shown
        self.live = (
            shown and available("rich") and sys.stderr.isatty() and "NO_COLOR" not in os.environ
        )
        self.bar: Any = None

    def say(self, text: str) -> None:
        """A line of its own."""
        if self.shown:
            print(text, file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def epoch(self, epoch: int, done: int = 0) -> Iterator["Epoch"]:
        """The steps of one epoch, of which some may be done already."""
        if not self.live:
            yield Epoch(None, None)
            return
        progress = require("rich.progress", "rich")
        console = require("rich.console", "rich").Console(stderr=True)
        bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=24),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[status]}"),
            progress.TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        width = len(str(self.epochs))
        with bar:
            task = bar.add_task(
                f"epoch {epoch:{width}}/{self.epochs}",
                total=self.steps,
                completed=done,
                status="compiling" if epoch == 1 else "",
            )
            yield Epoch(bar, task, done)

    def row(self, row: dict[str, float]) -> None:
        """The figures of an epoch that ended."""
        if not self.shown:
            return
        width = len(str(self.epochs))
        figures = []
        for column, value in row.items():
            name = column.replace("_", " ")
            if column == "seconds":
                figures.append(f"{value:.1f} s")
            elif column == "rate":
                figures.append(f"{value:,.0f} examples/s")
            elif column == "waited":
                figures.append(_waited(value))
            elif column != "epoch":
                figures.append(f"{name} {value:.4f}")
        self.say(f"epoch {row['epoch']:{width}}/{self.epochs}  {'  '.join(figures)}")


class Epoch:
    """The bar of one epoch, if there is one.

    Attributes:
        waited: Seconds in which steps waited for data.
    """

    def __init__(self, bar: Any, task: Any, done: int = 0):
        self.bar, self.task, self.done = bar, task, done
        self.begun = self.last = time.perf_counter()
        self.examples = 0
        self.waited = 0.0

    def step(self, metrics: dict[str, Any], examples: int, steps: int = 1) -> None:
        """More steps, of so many examples each, were handed to the device."""
        if self.bar is None:
            return
        first = self.examples == 0
        self.done += steps
        self.examples += steps * examples
        now = time.perf_counter()
        if now - self.last < Progress.interval and not first:
            return
        self.last = now
        names = [name for name in metrics if name not in ("weight", "finite")]
        names.sort(key=lambda name: (name != "loss", name))
        shown = [f"{name} {float(metrics[name]):.4f}" for name in names]
        seconds = time.perf_counter() - self.begun
        shown.append(f"{self.examples / seconds:,.0f} examples/s")
        shown.append(_waited(self.waited / seconds))
        self.bar.update(self.task, completed=self.done, status="  ".join(shown))


def _waited(share: float) -> str:
    return f"waited {100 * share:.0f} %"
