"""What a run looked like, epoch by epoch."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any

from .. import figures
from ..core import Network
from ..tables import html_table, text_table


@dataclass(repr=False)
class History:
    """One row per epoch: ``epoch``, ``loss``, the metrics; with validation data the same under
    ``validation_...``; ``seconds``, ``rate`` (examples a second) and ``waited``, the part of the
    seconds in which the steps waited for data.

    Attributes:
        rows: The rows as dicts, oldest first.
        monitor: The column that decides which epoch was best.
        best_epoch: The epoch of the best value, counted from 1.
        best: The network of that epoch.
        last: The network of the last epoch.
        stopped: Why the run ended before its last epoch, if it did.
        interrupted: Whether that was Ctrl-C or another signal; a run with checkpoints goes on from
            there when it is started again.
        mode: Whether the smallest or the largest value of ``monitor`` is the best: "min" or "max".
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    monitor: str = "loss"
    best_epoch: int | None = None
    best: Network | None = None
    last: Network | None = None
    stopped: str | None = None
    mode: str = "min"
    interrupted: bool = False

    def record(self, row: dict[str, float], network: Callable[[], Network]) -> bool:
        """Adds the row of an epoch, and keeps the network if it is the best so far: NaN never is.

        Raises:
            KeyError: there is no column called ``monitor``.
        """
        self.rows.append(row)
        self._check(self.monitor)
        value = row[self.monitor]
        best = None if self.best_epoch is None else self.rows[self.best_epoch - 1][self.monitor]
        sign = -1 if self.mode == "min" else 1
        better = value == value and (best is None or sign * value > sign * best)
        if better:
            self.best_epoch, self.best = row["epoch"], network()
        return better

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, float]]:
        return iter(self.rows)

    def __getitem__(self, column: str) -> list[float]:
        """A column, such as ``history["validation_accuracy"]``."""
        self._check(column)
        return [row[column] for row in self.rows]

    def __repr__(self) -> str:
        if not self.rows:
            return "<history: no epochs>"
        return text_table(self._cells(), "r" * len(self.rows[0]))

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<p>{escape(repr(self))}</p>"
        columns = len(self.rows[0])
        shades = [[0.3 * (row["epoch"] == self.best_epoch)] * (columns - 1) for row in self.rows]
        table = html_table(self._cells(), "r" * columns, shades=shades)
        notes = [f"best {self.monitor}: epoch {self.best_epoch}"] if self.best_epoch else []
        notes += [self.stopped] if self.stopped else []
        return "\n".join([table, *(f"<p>{escape(note)}</p>" for note in notes)])

    def _check(self, column: str) -> None:
        if not self.rows or column not in self.rows[0]:
            known = ", ".join(self.rows[0]) if self.rows else "none yet"
            raise KeyError(f"no column {column!r}; there are {known}")

    def _cells(self) -> list[list[str]]:
        columns = list(self.rows[0])
        return [columns, *([_number(name, row[name]) for name in columns] for row in self.rows)]

    def write_csv(self, path: Any) -> None:
        """Writes the rows to a file."""
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]) if self.rows else ["epoch"])
            writer.writeheader()
            writer.writerows(self.rows)

    def plot(self) -> Any:
        """Curves of the loss and of each metric over the epochs, with validation beside training.

        Where validation decides, a dotted line marks the best epoch.

        Returns:
            The matplotlib figure (extra ``plots``).
        """
        return figures.training(self)


def _number(column: str, value: float) -> str:
    if column == "epoch":
        return str(value)
    return f"{value:.1f}" if column in ("seconds", "rate") else f"{value:.4f}"
