"""What a run looked like, epoch by epoch."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .. import losses
from ..core import Network
from ..extras import require


@dataclass(repr=False)
class History:
    """One row per epoch: ``epoch``, ``loss``, the metrics, ``seconds``; with validation data the
    same under ``validation_...``.

    Attributes:
        rows: The rows as dicts, oldest first.
        monitor: The column that decides which epoch was best (the smallest value, for a loss).
        best_epoch: The epoch of the best value, counted from 1.
        best: The network of that epoch.
        last: The network of the last epoch.
        stopped: Why the run ended before its last epoch, if it did.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    monitor: str = "loss"
    best_epoch: int | None = None
    best: Network | None = None
    last: Network | None = None
    stopped: str | None = None

    def record(self, row: dict[str, float], network: Callable[[], Network]) -> bool:
        """Adds the row of an epoch, and keeps the network if it is the best so far.

        Raises:
            ValueError: there is no column called ``monitor``.
        """
        self.rows.append(row)
        value = self[self.monitor][-1]
        best = None if self.best_epoch is None else self[self.monitor][self.best_epoch - 1]
        sign = -1 if self.falls else 1
        better = best is None or sign * value > sign * best
        if better:
            self.best_epoch, self.best = row["epoch"], network()
        return better

    @property
    def falls(self) -> bool:
        """Whether smaller values of ``monitor`` are better, as for every loss."""
        column = self.monitor.removeprefix("validation_")
        return column in ("loss", "penalty", *losses.names())

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, float]]:
        return iter(self.rows)

    def __getitem__(self, column: str) -> list[float]:
        """A column, such as ``history["validation_accuracy"]``."""
        if not self.rows or column not in self.rows[0]:
            known = ", ".join(self.rows[0]) if self.rows else "none yet"
            raise KeyError(f"no column {column!r}; there are {known}")
        return [row[column] for row in self.rows]

    def __repr__(self) -> str:
        if not self.rows:
            return "<history: no epochs>"
        columns = list(self.rows[0])
        table = [columns] + [
            [_number(column, row[column]) for column in columns] for row in self.rows
        ]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            for line in table
        )

    def write_csv(self, path: Any) -> None:
        """Writes the rows to a file."""
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]) if self.rows else ["epoch"])
            writer.writeheader()
            writer.writerows(self.rows)

    def plot(self) -> Any:
        """Curves of the loss and of each metric over the epochs, with validation beside training.

        Returns:
            The matplotlib figure (extra ``plots``).
        """
        plt = require("matplotlib.pyplot", "plots")
        if not self.rows:
            raise ValueError("nothing to plot: the history has no epochs")
        skip = {"epoch", "seconds", "rate"}
        columns = [c for c in self.rows[0] if c not in skip and not c.startswith("validation_")]
        size = (4.5 * len(columns), 3.4)
        figure, axes = plt.subplots(
            1, len(columns), figsize=size, squeeze=False, layout="constrained"
        )
        epochs = self["epoch"]
        marker = "o" if len(epochs) <= 30 else None
        for ax, column in zip(axes[0], columns, strict=True):
            ax.plot(epochs, self[column], marker=marker, markersize=4, label="training")
            if f"validation_{column}" in self.rows[0]:
                values = self[f"validation_{column}"]
                ax.plot(epochs, values, marker=marker, markersize=4, label="validation")
                ax.legend(frameon=False)
            ax.set(title=column.replace("_", " "), xlabel="epoch")
            ax.xaxis.get_major_locator().set_params(integer=True)
            ax.spines[["top", "right"]].set_visible(False)
            ax.grid(alpha=0.3)
        plt.close(figure)  # shown once, as the value of the cell
        return figure


def _number(column: str, value: float) -> str:
    if column == "epoch":
        return str(value)
    return f"{value:.1f}" if column in ("seconds", "rate") else f"{value:.4f}"
