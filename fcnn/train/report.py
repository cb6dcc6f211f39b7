"""Reports: what an evaluation found, as values that print, plot and become JSON.

A report keeps the little it is made of, in float64 on the host: a confusion matrix for classes,
the numbers themselves for regression. Every figure is computed from that when it is asked for, and
equals scikit-learn's of that name on the whole data.
"""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .. import extras

_MANY = 20  # classes beyond which a matrix is no longer legible


class Scores(NamedTuple):
    """Precision, recall and F1 of several classes as one number each."""

    precision: float
    recall: float
    f1: float


class ClassScores(NamedTuple):
    """The scores of one class; support is its weight in the truth."""

    name: str
    precision: float
    recall: float
    f1: float
    support: float


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """How well classes were told apart.

    Attributes:
        classes: Their names.
        confusion: ``[k, k]``, rows are the truth and columns the predictions: numbers of examples,
            or sums of their weights.
        n: Number of examples.
        loss: Weighted mean over examples, None if it was not computed.
    """

    classes: tuple[str, ...]
    confusion: np.ndarray
    n: int
    loss: float | None = None

    @cached_property
    def accuracy(self) -> float:
        """Part of the weight that was predicted right."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @cached_property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that are in the truth."""
        return float(np.mean([row.recall for row in self.per_class if row.support > 0]))

    @property
    def precision(self) -> float:
        """Mean over the classes that are in the truth or were predicted."""
        return self.macro.precision

    @property
    def recall(self) -> float:
        """Mean over the classes that are in the truth or were predicted."""
        return self.macro.recall

    @property
    def f1(self) -> float:
        """Mean over the classes that are in the truth or were predicted."""
        return self.macro.f1

    @cached_property
    def macro(self) -> Scores:
        """Means over the classes that are in the truth or were predicted, each counted once."""
        seen = self.confusion.sum(0) + self.confusion.sum(1) > 0
        return self._average(seen.astype(float))

    @cached_property
    def weighted(self) -> Scores:
        """Means over classes, each counted by its support."""
        return self._average(self.confusion.sum(1))

    @cached_property
    def per_class(self) -> tuple[ClassScores, ...]:
        """The scores of every class, in their order."""
        right, true, said = np.diag(self.confusion), self.confusion.sum(1), self.confusion.sum(0)
        columns = _ratio(right, said), _ratio(right, true), _ratio(2 * right, true + said), true
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return tuple(ClassScores(name, *row) for name, row in zip(self.classes, rows, strict=True))

    def most_confused(self, top: int = 10) -> list[tuple[str, str, float]]:
        """The pairs ``(truth, prediction, weight)`` that were mixed up most, the worst first."""
        wrong = self.confusion * ~np.eye(len(self.classes), dtype=bool)
        worst = np.argsort(-wrong, axis=None, kind="stable")[:top]
        pairs = zip(*np.unravel_index(worst, wrong.shape), strict=True)
        return [
            (self.classes[i], self.classes[j], wrong[i, j].item()) for i, j in pairs if wrong[i, j]
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts; a loss that is not finite is null."""
        return {
            "n": self.n,
            "loss": _finite(self.loss),
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            **self.macro._asdict(),
            "weighted": self.weighted._asdict(),
            "per_class": [row._asdict() for row in self.per_class],
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
        }

    def plot(self, ax: Any = None) -> Any:
        """Draws the confusion matrix, coloured row by row; returns the figure."""
        k = len(self.classes)
        ax = _axes(min(3 + 0.45 * k, 12)) if ax is None else ax
        part = _ratio(self.confusion, self.confusion.sum(1, keepdims=True))
        picture = ax.imshow(part, cmap="Blues", vmin=0, vmax=1)
        ax.set(
            xlabel="prediction",
            ylabel="truth",
            title=f"accuracy {self.accuracy:.2%}, n = {self.n:,}",
        )
        ax.figure.colorbar(picture, ax=ax, label="part of the true class", shrink=0.8)
        if k <= _MANY:
            names = [_short(name, 16) for name in self.classes]
            ax.set_xticks(range(k), names, rotation=60 if len("".join(names)) > 30 else 0)
            ax.set_yticks(range(k), names)
            for (i, j), count in np.ndenumerate(self.confusion):
                color = "white" if part[i, j] > 0.5 else "black" if count else "darkgray"
                ax.text(j, i, _count(count), ha="center", va="center", color=color, fontsize=8)
        return ax.figure

    def __str__(self) -> str:
        lines = [self._headline(), "", *_aligned(self._score_rows())]
        if len(self.classes) <= _MANY:
            return "\n".join([*lines, "", *_aligned(self._confusion_rows())])
        pairs = [
            f"{truth} taken for {said}: {_count(n)}" for truth, said, n in self.most_confused()
        ]
        return "\n".join([*lines, "", *pairs]).rstrip()

    def __repr__(self) -> str:
        return f"<Report {self._headline()}>"

    def _repr_html_(self) -> str:
        parts = [f"<p>{self._headline()}</p>", _html_table(self._score_rows())]
        if len(self.classes) <= _MANY:
            parts.append(_html_table(self._confusion_rows()))
        return "\n".join(parts)

    def _average(self, weight: np.ndarray) -> Scores:
        scores = np.array([row[1:4] for row in self.per_class])
        return Scores(*np.average(scores, axis=0, weights=weight).tolist())

    def _headline(self) -> str:
        loss = "" if self.loss is None else f", loss {self.loss:.4f}"
        balanced = f"balanced accuracy {self.balanced_accuracy:.4f}"
        return f"accuracy {self.accuracy:.4f}, {balanced}{loss}, {self.n:,} examples"

    def _score_rows(self) -> list[list[str]]:
        """Of many classes, those of the lowest F1."""
        rows, k = self.per_class, len(self.classes)
        if k > _MANY:
            rows = sorted((row for row in rows if row.support), key=lambda row: row.f1)[:_MANY]
        support = float(self.confusion.sum())
        return [
            ["class" if k <= _MANY else f"worst of {k}", "precision", "recall", "F1", "support"],
            *(_score_row(*row) for row in rows),
            _score_row("macro mean", *self.macro, support),
            _score_row("weighted mean", *self.weighted, support),
        ]

    def _confusion_rows(self) -> list[list[str]]:
        counts = [[_count(count) for count in row] for row in self.confusion]
        names = [_short(name) for name in self.classes]
        heads = [_short(name, 8) for name in self.classes]
        rows = [[name, *row] for name, row in zip(names, counts, strict=True)]
        return [["truth \\ prediction", *heads], *rows]


@dataclass(frozen=True, eq=False, repr=False)
class RegressionReport:
    """How close numbers were predicted; several outputs per example are averaged with equal weight.

    Attributes:
        targets: The truth, ``[n, d]``.
        outputs: The predictions, ``[n, d]``.
        weight: Of each example, ``[n]``.
        loss: Weighted mean over examples, None if it was not computed.
    """

    targets: np.ndarray
    outputs: np.ndarray
    weight: np.ndarray
    loss: float | None = None

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.targets)

    @cached_property
    def mse(self) -> float:
        """Mean squared error."""
        return float(self._squared.mean())

    @cached_property
    def rmse(self) -> float:
        """Root of the mean squared error; of several outputs, the mean of their roots."""
        return float(np.sqrt(self._squared).mean())

    @cached_property
    def mae(self) -> float:
        """Mean absolute error."""
        return float(self._mean(np.abs(self.outputs - self.targets)).mean())

    @cached_property
    def r2(self) -> float:
        """Part of the variance explained; where there is none, 1 if all is exact and else 0."""
        variance = self._mean((self.targets - self._mean(self.targets)) ** 2)
        varies = np.ptp(self.targets, axis=0) > 0  # the variance of a constant may be rounding
        exact = (self._squared == 0).astype(float)
        return float(np.where(varies, 1 - _ratio(self._squared, variance), exact).mean())

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; what is not finite is null."""
        figures = {
            name: _finite(getattr(self, name)) for name in ("loss", "mse", "rmse", "mae", "r2")
        }
        return {"n": self.n, **figures}

    def plot(self, ax: Any = None) -> Any:
        """Draws predictions against the truth; returns the figure."""
        ax = _axes(5) if ax is None else ax
        ends = [
            min(self.targets.min(), self.outputs.min()),
            max(self.targets.max(), self.outputs.max()),
        ]
        ax.plot(ends, ends, color="gray", linewidth=1, zorder=0)
        ax.plot(self.targets, self.outputs, ".", alpha=0.5)
        ax.set(xlabel="truth", ylabel="prediction", title=f"R2 {self.r2:.4f}, n = {self.n:,}")
        return ax.figure

    def __str__(self) -> str:
        return "\n".join(_aligned(self._rows()))

    def __repr__(self) -> str:
        return f"<RegressionReport R2 {self.r2:.4f}, RMSE {self.rmse:.6g}, {self.n:,} examples>"

    def _repr_html_(self) -> str:
        return _html_table(self._rows())

    def _rows(self) -> list[list[str]]:
        figures = self.to_json()
        rows = [[name, f"{value:,.6g}"] for name, value in figures.items() if value is not None]
        return [["figure", "value"], *rows]

    @cached_property
    def _squared(self) -> np.ndarray:
        return self._mean((self.outputs - self.targets) ** 2)

    def _mean(self, values: np.ndarray) -> np.ndarray:
        return np.average(values, axis=0, weights=self.weight)


def classification_report(
    labels: Any, predictions: Any, *, classes: Iterable[Any], loss: Any = None, weight: Any = None
) -> Report:
    """The report on classes that were predicted.

    Example:
        >>> report = classification_report([0, 0, 1, 1], [0, 1, 1, 1], classes=["cat", "dog"])
        >>> print(report)
        accuracy 0.7500, balanced accuracy 0.7500, 4 examples
        <BLANKLINE>
        class          precision  recall      F1  support
        cat               1.0000  0.5000  0.6667        2
        dog               0.6667  1.0000  0.8000        2
        macro mean        0.8333  0.7500  0.7333        4
        weighted mean     0.8333  0.7500  0.7333        4
        <BLANKLINE>
        truth \\ prediction  cat  dog
        cat                   1    1
        dog                   0    2

    Args:
        labels: The true classes, integers ``[n]`` or one-hot rows ``[n, k]``.
        predictions: The predicted classes, integers ``[n]``, or a score for each, ``[n, k]``.
        classes: Names of the ``k`` classes.
        loss: Of each example, ``[n]``.
        weight: Of each example, ``[n]``; what weighs 0 is left out.

    Raises:
        ValueError: lengths differ, a class is out of range, a weight is negative, or no example
            is left.
        TypeError: classes that are no integers.
    """
    classes = tuple(map(str, classes))
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    weight, whole = _weights(weight, len(labels)), weight is None
    truth = _classes("labels", labels, len(classes), weight)
    said = _classes("predictions", predictions, len(classes), weight)
    counts = np.ones(len(truth), np.int64) if whole else weight[weight > 0]
    confusion = np.zeros((len(classes), len(classes)), counts.dtype)
    np.add.at(confusion, (truth, said), counts)
    return Report(classes, confusion, len(truth), _mean_loss(loss, weight))


def regression_report(
    targets: Any, outputs: Any, *, loss: Any = None, weight: Any = None
) -> RegressionReport:
    """The report on numbers that were predicted, ``[n]`` or ``[n, ...]``.

    Example:
        >>> report = regression_report([1.0, 2.0, 3.0, 4.0], [1.0, 2.5, 3.0, 3.5])
        >>> report
        <RegressionReport R2 0.9000, RMSE 0.353553, 4 examples>

    Args:
        targets: The truth.
        outputs: The predictions, of the same shape.
        loss: Of each example, ``[n]``.
        weight: Of each example, ``[n]``; what weighs 0 is left out.

    Raises:
        ValueError: shapes differ, a weight is negative, or no example is left.
    """
    targets, outputs = np.asarray(targets, np.float64), np.asarray(outputs, np.float64)
    if targets.shape != outputs.shape:
        raise ValueError(
            f"targets {targets.shape} and outputs {outputs.shape} must have one shape; "
            "write outputs.reshape(targets.shape) if only axes of one differ"
        )
    weight = _weights(weight, len(targets))
    rows = (array.reshape(len(array), -1)[weight > 0] for array in (targets, outputs))
    return RegressionReport(*rows, weight[weight > 0], _mean_loss(loss, weight))


def _weights(weight: Any, n: int) -> np.ndarray:
    weight = np.ones(n) if weight is None else np.asarray(weight, np.float64)
    if weight.shape != (n,):
        raise ValueError(
            f"weight {weight.shape} must have one number for each of {n} examples, ({n},)"
        )
    if not np.all(np.isfinite(weight) & (weight >= 0)):
        raise ValueError("weights must be finite and at least 0; use 0 to leave an example out")
    if not weight.any():
        raise ValueError("nothing to report on: no example, or none of weight above 0")
    return weight


def _classes(what: str, given: np.ndarray, k: int, weight: np.ndarray) -> np.ndarray:
    """Classes of the examples that count, as integers in range."""
    n = len(weight)
    if given.shape == (n, k):
        given = given.argmax(-1)
    if given.shape != (n,):
        raise ValueError(f"{what} {given.shape} must be {n} integers, ({n},), or rows ({n}, {k})")
    if given.dtype.kind not in "iub":
        raise TypeError(
            f"{what} must be integers, got {given.dtype}; for probabilities write p > 0.5"
        )
    given = given[weight > 0].astype(np.int64)
    if given.min() < 0 or given.max() >= k:
        wrong = given.min() if given.min() < 0 else given.max()
        raise ValueError(f"{what} hold class {wrong}, but {k} classes are named: 0 to {k - 1}")
    return given


def _mean_loss(loss: Any, weight: np.ndarray) -> float | None:
    if loss is None:
        return None
    loss = np.asarray(loss, np.float64)
    if loss.shape != weight.shape:
        raise ValueError(f"loss {loss.shape} must have one number for each example, {weight.shape}")
    return float(np.average(loss[weight > 0], weights=weight[weight > 0]))


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a / b``, and 0 where there is nothing to divide by."""
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=b != 0)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _count(value: Any) -> str:
    return f"{value:,.6g}" if value % 1 else f"{value:,.0f}"


def _short(name: str, width: int = 24) -> str:
    name = " ".join(name.split())
    return name if len(name) <= width else f"{name[: width - 1]}…"


def _score_row(name: str, *scores: float) -> list[str]:
    *parts, support = scores
    return [_short(name), *(f"{part:.4f}" for part in parts), _count(support)]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with the first column to the left and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]


def _html_table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = ([html.escape(cell) for cell in row] for row in rows)
    lines = [f"<tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>"]
    for name, *cells in body:
        lines.append(f"<tr><th>{name}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return "\n".join(["<table>", *lines, "</table>"])


def _axes(side: float) -> Any:
    """Axes of a new figure that no window or global list of figures keeps."""
    figure = extras.require("matplotlib.pyplot", "plots").Figure(
        figsize=(side, side), layout="constrained"
    )
    return figure.add_subplot()
