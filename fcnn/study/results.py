"""What a search found: its trials as a table, and the best of them."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..core import Network
from ..figures.axes import axes, tidy
from ..tables import html_table, number, short, text_table
from .trials import Trial


@dataclass(frozen=True, repr=False)
class Results:
    """The trials of a search; prints as a table with the best first.

    Attributes:
        trials: In the order in which they were planned.
        network: What the best trial trained, if it returned a network.
        folder: Where all is kept, if it is.
    """

    trials: tuple[Trial, ...]
    network: Network | None = None
    folder: Path | None = field(default=None)

    @property
    def best(self) -> Trial:
        """The trial with the best score, among those that were given most epochs; of equal ones
        the first.

        Raises:
            ValueError: every trial failed.
        """
        most = max(trial.epochs or 0 for trial in self.trials)
        last = [trial for trial in self.trials if (trial.epochs or 0) == most]
        best = max(last, key=lambda trial: trial.rank)
        if best.rank == -math.inf:
            raise ValueError(f"every trial failed; the first with {best.error or 'no score'}")
        return best

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A flat dict for each trial, as ``pandas.DataFrame`` takes them; the best first."""
        ranked = sorted(self.trials, key=lambda trial: (-(trial.epochs or 0), -trial.rank))
        return [
            {
                "trial": trial.number,
                **trial.options,
                **({} if trial.epochs is None else {"epochs": trial.epochs}),
                "score": trial.score,
                "seconds": trial.seconds,
                "error": trial.error,
            }
            for trial in ranked
        ]

    def to_json(self) -> list[dict[str, Any]]:
        """The trials as plain data, in their order; a number that is not finite is null."""
        plain = [asdict(trial) for trial in self.trials]
        return [
            {
                **row,
                "figures": {name: _finite(figure) for name, figure in row["figures"].items()},
                "score": _finite(row["score"]),
            }
            for row in plain
        ]

    def plot(self, name: str | None = None, ax: Any = None) -> Any:
        """Draws the score of every trial over an option; returns the figure.

        Args:
            name: The option; by default the first that differs.
            ax: Axes to draw on.

        Raises:
            ValueError: no option is called so.
        """
        names = list(dict.fromkeys(key for trial in self.trials for key in trial.options))
        varied = [key for key in names if len({repr(t.options.get(key)) for t in self.trials}) > 1]
        name = name or (varied or names or [None])[0]
        if name not in names:
            raise ValueError(
                f"no option is called {name!r}; there are {', '.join(names) or 'none'}"
            )
        ax = axes(ax, 6, 4)
        done = [trial for trial in self.trials if math.isfinite(trial.score)]
        values = [trial.options.get(name) for trial in done]
        plain = all(isinstance(x, int | float) and not isinstance(x, bool) for x in values)
        ax.plot(
            values if plain else list(map(str, values)), [t.score for t in done], "o", alpha=0.7
        )
        if plain and values and min(values) > 0 and max(values) >= 30 * min(values):
            ax.set_xscale("log")
        ax.set(xlabel=name, ylabel="score")
        tidy(ax)
        return ax.figure

    def __len__(self) -> int:
        return len(self.trials)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.trials)

    def __getitem__(self, number: int) -> Trial:
        return self.trials[number]

    def __repr__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())

    def _table(self) -> tuple[list[list[str]], str]:
        rows = self.rows
        failed = any(row["error"] for row in rows)
        names = [name for name in dict.fromkeys(n for row in rows for n in row) if name != "error"]
        head = [*names, *(["error"] if failed else [])]
        cells = [[_cell(name, row.get(name)) for name in head] for row in rows]
        sides = "".join("l" if name == "error" else "r" for name in head)
        return [head, *cells], sides


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return f"{value:.1f}" if name == "seconds" else number(value, 4 if name != "score" else 5)
    return short(str(value), 60 if name == "error" else 24)
