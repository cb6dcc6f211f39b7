"""What reports can say of their figures: how sure they are, and whether another's are better.

Both by the bootstrap, which draws the examples anew (``bootstrap``, ``interval``).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ..tables import html_table, text_table
from .comparison import Difference, McNemar, paired_bootstrap
from .examples import finite
from .intervals import Interval, interval

# names of figures, and what computes them for rows of weights: [b, n] -> an array [b] for each
Figures: TypeAlias = tuple[tuple[str, ...], Callable[[np.ndarray], list[Any]]]


class Intervals(dict[str, Interval]):
    """The intervals of figures by their names, each ``(low, high)``; printed beside the figures.

    Attributes:
        figures: The figures themselves.
        level: How probably an interval covers its figure of all examples of this kind.
    """

    def __init__(self, bounds: Mapping[str, Interval], figures: Mapping[str, float], level: float):
        super().__init__(bounds)
        self.figures, self.level = dict(figures), level

    def to_json(self) -> dict[str, Any]:
        """``level``, and the two bounds of each figure; what is not finite is null."""
        return {
            "level": self.level,
            **{name: [finite(bound) for bound in bounds] for name, bounds in self.items()},
        }

    def __str__(self) -> str:
        return f"{self._head()}\n{text_table(self._rows(), 'lrrr')}"

    def _repr_html_(self) -> str:
        return f"<p>{self._head()}</p>\n{html_table(self._rows(), 'lrrr')}"

    def _head(self) -> str:
        return f"intervals of {100 * self.level:.4g} % confidence"

    def _rows(self) -> list[list[str]]:
        rows = [["figure", "value", "from", "to"]]
        for name, bounds in self.items():
            rows.append([_title(name), *map(_written, (self.figures[name], *bounds))])
        return rows


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """By how much the figures of one network are above those of another on the same examples.

    Attributes:
        figures: Of both, by name.
        differences: The first less the second, with its interval and how likely it is by chance.
        level: Of the intervals.
        mcnemar: How many examples only one of them has right; None where an example has no one
            class.
    """

    figures: dict[str, tuple[float, float]]
    differences: dict[str, Difference]
    level: float
    mcnemar: McNemar | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, lists and dicts; what is not finite is null."""
        test = None if self.mcnemar is None else self.mcnemar._asdict()
        return {
            "level": self.level,
            "figures": {name: list(map(finite, pair)) for name, pair in self.figures.items()},
            "differences": {
                name: dict(zip(each._fields, map(finite, each), strict=True))
                for name, each in self.differences.items()
            },
            "mcnemar": test,
        }

    def __str__(self) -> str:
        return "\n".join([text_table(self._rows(), "lrrrrrr"), *self._lines()])

    def __repr__(self) -> str:
        named = (f"{_title(name)} {each.value:+.4f}" for name, each in self.differences.items())
        return f"<Comparison {', '.join(named)}>"

    def _repr_html_(self) -> str:
        lines = [f"<p>{line}</p>" for line in self._lines()]
        return "\n".join([html_table(self._rows(), "lrrrrrr"), *lines])

    def _rows(self) -> list[list[str]]:
        rows = [["figure", "first", "second", "difference", "from", "to", "p"]]
        for name, values in self.figures.items():
            value, low, high, p = self.differences[name]
            numbers = [*map(_written, values), *map(_signed, (value, low, high))]
            rows.append([_title(name), *numbers, f"{p:.2g}"])
        return rows

    def _lines(self) -> list[str]:
        lines = [f"from, to: interval of {100 * self.level:.4g} % confidence"]
        if self.mcnemar is not None:
            a, b, _, p = self.mcnemar
            lines.append(
                f"only the first is right: {a:,}, only the second: {b:,}; McNemar p {p:.2g}"
            )
        return lines


class Resampled(ABC):
    """A report whose examples can be drawn anew."""

    compared: ClassVar[tuple[str, ...]] = ()  # what ``compare`` looks at

    def interval(self, figure: str, *, level: float = 0.95, seed: int = 0) -> Interval:
        """The interval ``(low, high)`` of a figure, by its name.

        It covers the figure of all examples of this kind with the probability ``level``: 1,000
        resamples, with bias and acceleration corrected (BCa).

        Raises:
            ValueError: there is no such figure, the report knows no single examples, or only one.
        """
        return self._bounds(self._group(figure), level, seed)[figure]

    def intervals(self, *, level: float = 0.95, seed: int = 0) -> Intervals:
        """The intervals of all figures that have one.

        Raises:
            ValueError: the report knows no single examples, or only one.
        """
        groups = self._resamples()
        names = tuple(name for names, _ in groups for name in names)

        def figures(weight: np.ndarray) -> list[Any]:
            return [value for _, figures in groups for value in figures(weight)]

        bounds = self._bounds((names, figures), level, seed)
        return Intervals(bounds, {name: getattr(self, name) for name in names}, level)

    def compare(
        self,
        other: Any,
        *,
        figures: Iterable[str] | None = None,
        level: float = 0.95,
        seed: int = 0,
    ) -> Comparison:
        """By how much this report's figures are above another's on the same examples.

        Differences are those of the same resamples (paired bootstrap), and, where an example has
        one class, McNemar's test counts the examples that only one of the two has right.

        Args:
            other: The report on another network.
            figures: Which; by default a few.
            level: Of the intervals.
            seed: Of the resamples.

        Raises:
            TypeError: the other is a report of another kind.
            ValueError: it is on other data, or there is no such figure.
        """
        self._check_same(other)
        options = {"weight": self.weight, "level": level, "seed": seed}
        if figures is None:
            figures = [name for name in self.compared if name in self._names & other._names]
        values, differences = {}, {}
        for name in figures:
            both = self._figure(name), other._figure(name)
            differences[name] = paired_bootstrap(*both, self.n, **options)
            values[name] = getattr(self, name), getattr(other, name)
        return Comparison(values, differences, level, self._mcnemar(other))

    @abstractmethod
    def _resamples(self) -> list[Figures]:
        """The figures that have intervals; those of a group are computed together."""

    @abstractmethod
    def _data(self) -> dict[str, Any]:
        """What two reports on the same examples have in common."""

    def _mcnemar(self, other: Any) -> McNemar | None:
        return None

    def _settled(self, name: str, bounds: Interval, level: float) -> Interval:
        """The bounds of a figure, where resamples can tell them."""
        return bounds

    @property
    def _names(self) -> set[str]:
        return {name for names, _ in self._resamples() for name in names}

    @cached_property
    def _found(self) -> dict[tuple[str, float, int], Interval]:
        """The intervals that were asked for before."""
        return {}

    def _bounds(self, group: Figures, level: float, seed: int) -> dict[str, Interval]:
        names, figures = group
        if any((name, level, seed) not in self._found for name in names):

            def together(weight: np.ndarray) -> np.ndarray:
                return np.stack(figures(weight), -1)

            options = {"weight": self.weight, "level": level, "seed": seed}
            bounds = np.transpose(interval(together, self.n, **options)).tolist()
            for name, pair in zip(names, bounds, strict=True):
                self._found[name, level, seed] = self._settled(name, Interval(*pair), level)
        return {name: self._found[name, level, seed] for name in names}

    def _group(self, figure: str) -> Figures:
        groups = self._resamples()
        for group in groups:
            if figure in group[0]:
                return group
        known = ", ".join(name for names, _ in groups for name in names)
        raise ValueError(f"no figure {figure!r} of this report can be resampled; there are {known}")

    def _figure(self, name: str) -> Callable[..., Any]:
        names, figures = self._group(name)
        return lambda weight: figures(weight)[names.index(name)]

    def _check_same(self, other: Any) -> None:
        if type(other) is not type(self):
            kinds = type(self).__name__, type(other).__name__
            raise TypeError(f"a {kinds[0]} can be compared with another, not with a {kinds[1]}")
        theirs = other._data()
        for what, values in self._data().items():
            if not np.array_equal(values, theirs[what]):
                raise ValueError(
                    f"two reports can be compared on the same examples only: their {what} differ; "
                    "evaluate both networks on the same data"
                )


def _title(name: str) -> str:
    return name.replace("_", " ")


def _written(value: float) -> str:
    return f"{value:.4f}" if value == 0 or 0.01 <= abs(value) < 10_000 else f"{value:.4g}"


def _signed(value: float) -> str:
    return f"+{_written(value)}" if value > 0 else _written(value)
