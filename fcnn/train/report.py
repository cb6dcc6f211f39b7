"""Reports: what an evaluation found, as values that print, plot and become JSON.

A report keeps the little it is made of, in float64 on the host: here the confusion matrix, in
``regression`` the numbers themselves. Every figure is computed from that when it is asked for, and
equals scikit-learn's of that name on the whole data.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any, NamedTuple

import numpy as np

from ..extras import require
from ..tables import html_table, number, short, text_table

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

    @cached_property
    def matthews(self) -> float:
        """Correlation of truth and prediction, from -1 to 1; 0 where either is one class only.

        The form for any number of classes (Gorodkin, 2004, doi:10.1016/j.compbiolchem.2004.09.006).
        """
        beyond, true, said = self._beyond_chance()
        spread = math.sqrt(true @ (true.sum() - true) * (said @ (said.sum() - said)))
        return float(beyond / spread) if spread else 0.0

    @cached_property
    def kappa(self) -> float:
        """Agreement beyond chance as part of what is possible (Cohen, 1960), from -1 to 1.

        Where truth and prediction are one and the same class, nothing is possible, and it is 0.
        """
        beyond, true, said = self._beyond_chance()
        possible = true.sum() * said.sum() - true @ said
        return float(beyond / possible) if possible else 0.0

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
        columns = ratio(right, said), ratio(right, true), ratio(2 * right, true + said), true
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
            "loss": finite(self.loss),
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "matthews": self.matthews,
            "kappa": self.kappa,
            **self.macro._asdict(),
            "weighted": self.weighted._asdict(),
            "per_class": [row._asdict() for row in self.per_class],
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
        }

    def plot(self, ax: Any = None) -> Any:
        """Draws the confusion matrix, coloured row by row; returns the figure."""
        k = len(self.classes)
        legible = k <= _MANY
        names = [short(name) for name in self.classes] if legible else []
        longest = max(map(len, names), default=0)
        if ax is None:
            side = 2.4 + 0.42 * k + 0.07 * longest if legible else 8.0
            ax = new_axes(side + 0.6, side)
        # among many classes each mistake is rare, and would be as good as white
        norm = require("matplotlib.colors", "plots").PowerNorm(1 if legible else 0.5, 0, 1)
        picture = ax.imshow(self._part(), cmap="Blues", norm=norm)
        ax.set(xlabel="prediction", ylabel="truth")
        ax.set_title(f"accuracy {self.accuracy:.2%}, n = {self.n:,}", fontsize=11)
        bar = ax.figure.colorbar(picture, ax=ax, aspect=25, pad=0.03, format="{x:.0%}")
        bar.set_label("part of the true class")
        bar.outline.set_visible(False)
        if legible:
            slant = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
            ax.set_xticks(range(k), names, **slant if longest > 5 else {})
            ax.set_yticks(range(k), names)
            self._write_cells(ax)
        return ax.figure

    def _write_cells(self, ax: Any) -> None:
        """The numbers of the confusion matrix, with a white line between cells."""
        edges = np.arange(1, len(self.classes)) - 0.5
        ax.set_xticks(edges, minor=True)
        ax.set_yticks(edges, minor=True)
        ax.grid(which="minor", color="white", linewidth=1)
        ax.tick_params(which="both", length=0)
        ax.spines[:].set_visible(False)
        part, texts = self._part(), [number(count, 3) for count in self.confusion.flat]
        size = min(9, 55 / max(map(len, texts)))
        for text, ((i, j), count) in zip(texts, np.ndenumerate(self.confusion), strict=True):
            color = "white" if part[i, j] > 0.5 else "black" if count else "silver"
            ax.text(j, i, text, ha="center", va="center", color=color, fontsize=size)

    def __str__(self) -> str:
        parts = [self._headline(), text_table(self._score_rows(), "lrrrr")]
        if len(self.classes) <= _MANY:
            parts.append(text_table(self._confusion_rows(), "l" + "r" * len(self.classes)))
        else:
            parts.append("\n".join(self._mistakes()))
        return "\n\n".join(parts).rstrip()

    def __repr__(self) -> str:
        return f"<Report {self._headline()}>"

    def _repr_html_(self) -> str:
        parts = [f"<p>{self._headline()}</p>", html_table(self._score_rows(), "lrrrr", foot=2)]
        if len(self.classes) <= _MANY:
            sides, shades = "l" + "r" * len(self.classes), self._part().tolist()
            parts += ["<br>", html_table(self._confusion_rows(16), sides, shades=shades)]
        else:
            parts.append(f"<p>{'<br>'.join(map(escape, self._mistakes()))}</p>")
        return "\n".join(parts)

    def _beyond_chance(self) -> tuple[float, np.ndarray, np.ndarray]:
        """Agreement beyond that of chance, times the square of the whole; sums of rows, columns."""
        counts = self.confusion.astype(np.float64)  # products of integers would overflow
        true, said = counts.sum(1), counts.sum(0)
        return np.trace(counts) * true.sum() - true @ said, true, said

    def _part(self) -> np.ndarray:
        """The confusion matrix, each row divided by its sum."""
        return ratio(self.confusion, self.confusion.sum(1, keepdims=True))

    def _average(self, weight: np.ndarray) -> Scores:
        scores = np.array([row[1:4] for row in self.per_class])
        return Scores(*np.average(scores, axis=0, weights=weight).tolist())

    def _headline(self) -> str:
        loss = "" if self.loss is None else f", loss {self.loss:.4f}"
        balanced = f"balanced accuracy {self.balanced_accuracy:.4f}"
        return f"accuracy {self.accuracy:.4f}, {balanced}{loss}, {self.n:,} examples"

    def _mistakes(self) -> list[str]:
        return [f"{truth} taken for {said}: {number(n)}" for truth, said, n in self.most_confused()]

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

    def _confusion_rows(self, width: int = 8) -> list[list[str]]:
        counts = [[number(count) for count in row] for row in self.confusion]
        names = [short(name) for name in self.classes]
        heads = [short(name, width) for name in self.classes]
        rows = [[name, *row] for name, row in zip(names, counts, strict=True)]
        return [["truth \\ prediction", *heads], *rows]


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
    weight, whole = example_weights(weight, len(labels)), weight is None
    truth = _classes("labels", labels, len(classes), weight)
    said = _classes("predictions", predictions, len(classes), weight)
    counts = np.ones(len(truth), np.int64) if whole else weight[weight > 0]
    confusion = np.zeros((len(classes), len(classes)), counts.dtype)
    np.add.at(confusion, (truth, said), counts)
    return Report(classes, confusion, len(truth), mean_loss(loss, weight))


def example_weights(weight: Any, n: int) -> np.ndarray:
    """The weight of each example, 1 if none is given.

    Raises:
        ValueError: another number of weights, a negative one, or none above 0.
    """
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


def mean_loss(loss: Any, weight: np.ndarray) -> float | None:
    """The mean of a loss per example, over those of weight above 0.

    Raises:
        ValueError: another number of losses than of examples.
    """
    if loss is None:
        return None
    loss = np.asarray(loss, np.float64)
    if loss.shape != weight.shape:
        raise ValueError(f"loss {loss.shape} must have one number for each example, {weight.shape}")
    return float(np.average(loss[weight > 0], weights=weight[weight > 0]))


def ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a / b``, and 0 where there is nothing to divide by."""
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=b != 0)


def finite(value: float | None) -> float | None:
    """The value, or None in place of what JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None


def _score_row(name: str, *scores: float) -> list[str]:
    *parts, support = scores
    return [short(name), *(f"{part:.4f}" for part in parts), number(support)]


def new_axes(width: float, height: float) -> Any:
    """Axes of a new figure that no window or global list of figures keeps."""
    plt = require("matplotlib.pyplot", "plots")
    return plt.Figure(figsize=(width, height), layout="compressed").add_subplot()
