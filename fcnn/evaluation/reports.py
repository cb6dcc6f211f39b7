"""Reports: what an evaluation found, as values that print, plot and become JSON.

A report keeps the little it is made of, on the host: what is true of each example, what was said of
it and how likely that was. Every figure is computed from that when it is asked for, in float64, and
equals scikit-learn's of that name on the whole data.
"""

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..extras import require
from . import confusion
from .calibration import expected_calibration_error
from .classification import confusion_matrix
from .comparison import McNemar, mcnemar
from .conformal import conformal_threshold, prediction_sets
from .examples import Examples, finite
from .intervals import Interval, wilson_interval
from .overlaps import Overlap, Scores, averaged, f_of, precision, recall
from .probabilities import brier, log_loss, top_k_accuracy
from .ranking import average_precision, pr_auc, roc_auc
from .report_tables import as_html, as_text
from .resampled import Figures, Resampled


class ClassScores(NamedTuple):
    """The scores of one class; support is its weight in the truth.

    The areas are of the class against the rest, and None without probabilities or where the truth
    has one side only; ``iou`` is of segmentation.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: float
    roc_auc: float | None = None
    average_precision: float | None = None
    iou: float | None = None


class Mistake(NamedTuple):
    """An example that was taken for what it is not, and how probable that was held to be."""

    index: int
    truth: str
    prediction: str
    probability: float


@dataclass(frozen=True, eq=False, repr=False)
class Report(Resampled):
    """How well classes were told apart.

    Example:
        >>> p = [[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]]
        >>> report = classification_report([0, 1, 1, 1], p, probabilities=p, classes=["cat", "dog"])
        >>> report.accuracy, report.roc_auc, round(report.f1, 4)
        (0.75, 1.0, 0.7333)
        >>> report.mistakes()
        [Mistake(index=1, truth='dog', prediction='cat', probability=0.6)]

    Attributes:
        classes: Their names.
        confusion: ``[k, k]``, rows are the truth and columns the predictions: numbers of examples,
            or sums of their weights.
        n: Number of examples.
        loss: Weighted mean over examples, None if it was not computed.
        targets: The true class of each example, integers ``[n]``; None, as are the others, in a
            report that was made of a confusion matrix alone.
        predictions: The class that was predicted.
        probabilities: Of each class, ``[n, k]``; None where only classes were predicted.
        weight: Of each example, ``[n]``; those of weight 0 are left out of all.
        index: Which example of the data each is, ``[n]``; pictures that cannot be read are not
            counted.
    """

    compared = "accuracy", "f1", "log_loss"

    classes: tuple[str, ...]
    confusion: np.ndarray
    n: int
    loss: float | None = None
    targets: np.ndarray | None = None
    predictions: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    weight: np.ndarray | None = None
    index: np.ndarray | None = None

    @cached_property
    def accuracy(self) -> float:
        """Part of the weight that was predicted right."""
        return confusion.accuracy(self.confusion)

    @cached_property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that are in the truth."""
        return confusion.balanced_accuracy(self.confusion)

    @cached_property
    def matthews(self) -> float:
        """Correlation of truth and prediction, from -1 to 1; 0 where either is one class only.

        The form for any number of classes (Gorodkin, 2004, doi:10.1016/j.compbiolchem.2004.09.006).
        """
        return confusion.matthews(self.confusion)

    @cached_property
    def kappa(self) -> float:
        """Agreement beyond chance as part of what is possible (Cohen, 1960), from -1 to 1.

        Where truth and prediction are one and the same class, nothing is possible, and it is 0.
        """
        return confusion.kappa(self.confusion)

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
        return self._scores("macro")

    @cached_property
    def micro(self) -> Scores:
        """Of all classes' sums: where an example has one class, each is the accuracy."""
        return self._scores("micro")

    @cached_property
    def weighted(self) -> Scores:
        """Means over classes, each counted by its support."""
        return self._scores("weighted")

    def f_beta(self, beta: float, average: str = "macro") -> float:
        """F in which recall weighs ``beta`` times as much as precision; ``average`` may be
        ``'macro'``, ``'micro'`` or ``'weighted'``.
        """
        return float(averaged(f_of(beta), self._overlap, average))

    @cached_property
    def per_class(self) -> tuple[ClassScores, ...]:
        """The scores of every class, in their order."""
        parts = [figure(self._overlap).tolist() for figure in (precision, recall, f_of(1))]
        if self.probabilities is not None and self._known:
            for area in (roc_auc, average_precision):
                areas = area(self.targets, self.probabilities, average=None, weight=self.weight)
                parts.append([finite(value) for value in areas.tolist()])
        parts.insert(3, self._overlap.true.tolist())
        return tuple(ClassScores(*row) for row in zip(self.classes, *parts, strict=True))

    @cached_property
    def roc_auc(self) -> float | None:
        """Area under the ROC curve: that of the second of two classes, of more the mean over
        classes, each against the rest. None, as are the others below, without probabilities.
        """
        return self._probable("roc_auc")

    @cached_property
    def average_precision(self) -> float | None:
        """Mean precision over the positives, of classes as in ``roc_auc``."""
        return self._probable("average_precision")

    @cached_property
    def pr_auc(self) -> float | None:
        """Area under the curve of precision over recall, joined by lines, which flatter it."""
        return self._probable("pr_auc")

    @cached_property
    def log_loss(self) -> float | None:
        """Mean of ``-log p`` of the true class."""
        return self._probable("log_loss")

    @cached_property
    def brier(self) -> float | None:
        """Mean squared distance of the probabilities to the truth; of two classes half of it."""
        return self._probable("brier")

    @cached_property
    def calibration_error(self) -> float | None:
        """Mean distance of how sure predictions are from how often they are right (ECE)."""
        return self._probable("calibration_error")

    def top_k(self, k: int) -> float:
        """Part of the weight whose true class is among the ``k`` likeliest.

        Raises:
            ValueError: the report has no probabilities, or not so many classes.
        """
        self._need("probabilities")
        return top_k_accuracy(self.targets, self.probabilities, k, weight=self.weight)

    def most_confused(self, top: int = 10) -> list[tuple[str, str, float]]:
        """The pairs ``(truth, prediction, weight)`` that were mixed up most, the worst first."""
        wrong = self.confusion * ~np.eye(len(self.classes), dtype=bool)
        worst = np.argsort(-wrong, axis=None, kind="stable")[:top]
        pairs = zip(*np.unravel_index(worst, wrong.shape), strict=True)
        return [
            (self.classes[i], self.classes[j], wrong[i, j].item()) for i, j in pairs if wrong[i, j]
        ]

    def mistakes(self, top: int = 10) -> list[Mistake]:
        """The examples that were predicted wrong, those first of which the network was surest.

        Raises:
            ValueError: the report has no probabilities.
        """
        self._need("probabilities")
        sure = self.probabilities[np.arange(self.n), self.predictions]
        wrong = np.flatnonzero(self.targets != self.predictions)
        worst = wrong[np.argsort(-sure[wrong], kind="stable")][:top]
        truth, said = (
            [self.classes[i] for i in of[worst]] for of in (self.targets, self.predictions)
        )
        rows = zip(self.index[worst].tolist(), truth, said, sure[worst].tolist(), strict=True)
        return [Mistake(*row) for row in rows]

    def conformal(self, coverage: float = 0.9) -> Callable[[np.ndarray], np.ndarray]:
        """A function from probabilities ``[n, k]`` to sets of classes, booleans ``[n, k]``, that
        hold the true class with the probability ``coverage``.

        That is so whatever the network, if this report is on examples that it was not trained on,
        and the sets are of others of the same kind; how large they are says how much the network
        knows. A set has every class that is probable enough, which may be none (``'lac'`` of
        ``fcnn.evaluation.conformal_threshold``, where there is another method).

        Example:
            >>> import fcnn
            >>> train, test = fcnn.data.digits()
            >>> train, held_out = fcnn.data.split(train, 0.3)
            >>> layer = fcnn.serial(fcnn.flatten, fcnn.dense(10))
            >>> network, _ = fcnn.fit(layer, train, epochs=5, progress=False)
            >>> sets_of = fcnn.evaluate(network, held_out).conformal(0.9)
            >>> sets = sets_of(fcnn.predict(network, test))
            >>> bool(0.85 < fcnn.evaluation.set_coverage(test.y, sets) < 0.95)
            True

        Raises:
            ValueError: a coverage that is no probability, no probabilities, too few examples, or
                such of different weights, which these sets take no account of.
        """
        self._need("probabilities")
        if np.ptp(self.weight):
            raise ValueError(
                "conformal sets need examples that count the same, and the weights of these differ"
            )
        threshold = conformal_threshold(self.targets, self.probabilities, coverage=coverage)
        return functools.partial(prediction_sets, threshold=threshold)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts; what is not finite is null."""
        probable = {} if self.probabilities is None else PROBABLE
        return {
            "n": self.n,
            "loss": finite(self.loss),
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "matthews": self.matthews,
            "kappa": self.kappa,
            **self.macro._asdict(),
            "micro": self.micro._asdict(),
            "weighted": self.weighted._asdict(),
            **{name: finite(getattr(self, name)) for name in probable},
            "per_class": [
                {name: value for name, value in row._asdict().items() if value is not None}
                for row in self.per_class
            ],
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
        }

    def plot(self, ax: Any = None) -> Any:
        """Draws the confusion matrix, coloured row by row; returns the figure."""
        return require("fcnn.figures", "plots").confusion(self, ax=ax)

    def __str__(self) -> str:
        return as_text(self, self._lines())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._lines()[0]}>"

    def _repr_html_(self) -> str:
        return as_html(self, self._lines())

    def _lines(self) -> list[str]:
        """The headline, and below it the figures of probabilities if there are any."""
        loss = "" if self.loss is None else f", loss {self.loss:.4f}"
        balanced = f"balanced accuracy {self.balanced_accuracy:.4f}"
        lines = [f"accuracy {self.accuracy:.4f}, {balanced}{loss}, {self.n:,} examples"]
        if self.probabilities is not None:
            figures = (f"{said} {getattr(self, name):.4f}" for name, said in _PRINTED.items())
            lines.append(", ".join(figures))
        return lines

    @cached_property
    def _overlap(self) -> Overlap:
        return confusion.overlap(self.confusion)

    def _scores(self, average: str) -> Scores:
        figures = precision, recall, f_of(1)
        return Scores(*(float(averaged(figure, self._overlap, average)) for figure in figures))

    @cached_property
    def _known(self) -> bool:
        """Whether every probability is a number."""
        return bool(np.isfinite(self.probabilities).all())

    def _probable(self, name: str) -> float | None:
        if self.probabilities is None:
            return None
        return PROBABLE[name](self, self.weight) if self._known else math.nan

    def _need(self, what: str) -> None:
        if getattr(self, what) is None:
            raise ValueError(
                f"the report knows no {what} of single examples; fcnn.evaluate keeps them"
            )

    def _resamples(self) -> list[Figures]:
        self._need("targets")
        groups = [(_CONFUSED, self._confused)]
        if self.probabilities is not None and self._known:
            groups += [((name,), functools.partial(_listed, name, self)) for name in PROBABLE]
        return groups

    def _data(self) -> dict[str, Any]:
        self._need("targets")
        names = "classes", "index", "targets", "weight"
        return {name: getattr(self, name) for name in names}

    def _mcnemar(self, other: Any) -> McNemar:
        return mcnemar(self.targets, self.predictions, other.predictions)

    def _settled(self, name: str, bounds: Interval, level: float) -> Interval:
        if name != "accuracy" or self.accuracy not in (0, 1):
            return bounds
        n = self.weight.sum() ** 2 / (self.weight**2).sum()  # resamples are all alike
        return wilson_interval(self.accuracy * n, n, level=level)

    def _confused(self, weight: np.ndarray) -> list[np.ndarray]:
        """The figures of confusion matrices, one for each row of weights."""
        matrix = confusion_matrix(
            self.targets, self.predictions, classes=len(self.classes), weight=weight
        )
        overlap = confusion.overlap(matrix)
        scores = [averaged(figure, overlap, "macro") for figure in (precision, recall, f_of(1))]
        return [*(getattr(confusion, name)(matrix) for name in _CONFUSED[:4]), *scores]


def _of_one(figure: Callable[..., Any]) -> Callable[[Report, np.ndarray], Any]:
    """A figure of how classes are ranked; of two classes that of the second."""

    def of(report: Report, weight: np.ndarray) -> Any:
        p = report.probabilities
        return figure(report.targets, p[:, 1] if p.shape[1] == 2 else p, weight=weight)

    return of


def _listed(name: str, report: Report, weight: np.ndarray) -> list[Any]:
    return [PROBABLE[name](report, weight)]


def _of_all(figure: Callable[..., Any]) -> Callable[[Report, np.ndarray], Any]:
    """A figure of the probabilities of all classes."""

    def of(report: Report, weight: np.ndarray) -> Any:
        p = report.probabilities
        p = p if p.shape[1] > 1 else np.hstack([p, 1 - p])  # one column alone is read as class 1
        return figure(report.targets, p, weight=weight)

    return of


_CONFUSED = ("accuracy", "balanced_accuracy", "matthews", "kappa", "precision", "recall", "f1")
PROBABLE = {  # figures of probabilities: (report, weights) -> number
    "roc_auc": _of_one(roc_auc),
    "average_precision": _of_one(average_precision),
    "pr_auc": _of_one(pr_auc),
    "log_loss": _of_all(log_loss),
    "brier": _of_all(brier),
    "calibration_error": _of_all(expected_calibration_error),
}
_PRINTED = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "brier": "Brier",
    "calibration_error": "calibration error",
}


def classification_report(
    labels: Any,
    predictions: Any,
    *,
    classes: Iterable[Any],
    probabilities: Any = None,
    loss: Any = None,
    weight: Any = None,
    index: Any = None,
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
        probabilities: Of each class, ``[n, k]``.
        loss: Of each example, ``[n]``.
        weight: Of each example, ``[n]``; what weighs 0 is left out.
        index: Which example of the data each is, ``[n]``; None counts them.

    Raises:
        ValueError: lengths differ, a class is out of range, a weight is negative, or no example
            is left; or probabilities that are none.
        TypeError: classes that are no integers.
    """
    classes, n = tuple(map(str, classes)), len(labels)
    examples, k = Examples(n, weight, index), len(classes)
    truth = examples.classes("labels", labels, k)
    said = examples.classes("predictions", predictions, k)
    counted = None if examples.whole else examples.weight
    return Report(
        classes,
        confusion_matrix(truth, said, classes=k, weight=counted),
        len(truth),
        examples.mean(loss),
        truth,
        said,
        examples.probabilities(probabilities, (n, k)),
        examples.weight,
        examples.index,
    )
