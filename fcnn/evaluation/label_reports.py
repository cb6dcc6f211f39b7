"""Reports on several labels per example, each of which is there or not."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..extras import require
from ..tables import html_table, text_table
from .classification import f_beta, precision_recall_f1
from .examples import Examples, finite
from .labels import hamming_loss, jaccard, subset_accuracy
from .overlaps import Scores
from .ranking import average_precision, roc_auc
from .report_tables import score_rows
from .reports import ClassScores
from .resampled import Figures, Resampled
from .weighting import alike, binary


@dataclass(frozen=True, eq=False, repr=False)
class LabelReport(Resampled):
    """How well the labels of examples were told, each by itself.

    Attributes:
        classes: The names of the labels.
        targets: Which are there, booleans ``[n, k]``.
        predictions: Which were said to be.
        weight: Of each example, ``[n]``; those of weight 0 are left out of all.
        index: Which example of the data each is, ``[n]``.
        probabilities: Of each label, ``[n, k]``; None where only labels were predicted.
        loss: Weighted mean over examples, None if it was not computed.
    """

    compared = "f1", "hamming_loss", "subset_accuracy"

    classes: tuple[str, ...]
    targets: np.ndarray
    predictions: np.ndarray
    weight: np.ndarray
    index: np.ndarray
    probabilities: np.ndarray | None = None
    loss: float | None = None

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.targets)

    @property
    def accuracy(self) -> float:
        """Part of all labels that was predicted right: what is left of ``hamming_loss``."""
        return 1 - self.hamming_loss

    @cached_property
    def hamming_loss(self) -> float:
        """Part of all labels that was predicted wrong."""
        return hamming_loss(self.targets, self.predictions, weight=self.weight)

    @cached_property
    def subset_accuracy(self) -> float:
        """Part of the examples of which every label was predicted right."""
        return subset_accuracy(self.targets, self.predictions, weight=self.weight)

    @cached_property
    def jaccard(self) -> float:
        """Labels that are there and predicted, as part of those that are either: the mean over
        examples.
        """
        return jaccard(self.targets, self.predictions, weight=self.weight)

    @property
    def precision(self) -> float:
        """Mean over the labels."""
        return self.macro.precision

    @property
    def recall(self) -> float:
        """Mean over the labels."""
        return self.macro.recall

    @property
    def f1(self) -> float:
        """Mean over the labels."""
        return self.macro.f1

    @cached_property
    def macro(self) -> Scores:
        """Means over labels, each counted once."""
        return self._scores("macro")

    @cached_property
    def micro(self) -> Scores:
        """Of all labels' sums."""
        return self._scores("micro")

    @cached_property
    def weighted(self) -> Scores:
        """Means over labels, each counted by its support."""
        return self._scores("weighted")

    def f_beta(self, beta: float, average: str = "macro") -> float:
        """F in which recall weighs ``beta`` times as much as precision; ``average`` may be
        ``'macro'``, ``'micro'``, ``'weighted'`` or ``'samples'``.
        """
        options = {"average": average, "multilabel": True, "weight": self.weight}
        return f_beta(self.targets, self.predictions, beta, **options)

    @cached_property
    def roc_auc(self) -> float | None:
        """Area under the ROC curve, the mean over labels; None without probabilities."""
        return self._area(roc_auc, self.weight)

    @cached_property
    def average_precision(self) -> float | None:
        """Mean precision over the positives, the mean over labels; None without probabilities."""
        return self._area(average_precision, self.weight)

    @cached_property
    def per_class(self) -> tuple[ClassScores, ...]:
        """The scores of every label, in their order."""
        columns = [part.tolist() for part in self._scores(None)]
        columns.append((self.weight @ self.targets).tolist())
        if self._known:
            for area in (roc_auc, average_precision):
                areas = area(self.targets, self.probabilities, average=None, weight=self.weight)
                columns.append([finite(value) for value in areas.tolist()])
        return tuple(ClassScores(*row) for row in zip(self.classes, *columns, strict=True))

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts; what is not finite is null."""
        areas = {} if self.probabilities is None else ("roc_auc", "average_precision")
        return {
            "n": self.n,
            "loss": finite(self.loss),
            "accuracy": self.accuracy,
            "hamming_loss": self.hamming_loss,
            "subset_accuracy": self.subset_accuracy,
            "jaccard": self.jaccard,
            **self.macro._asdict(),
            "micro": self.micro._asdict(),
            "weighted": self.weighted._asdict(),
            **{name: finite(getattr(self, name)) for name in areas},
            "per_class": [
                {name: value for name, value in row._asdict().items() if value is not None}
                for row in self.per_class
            ],
            "classes": list(self.classes),
        }

    def plot(self, ax: Any = None) -> Any:
        """Draws precision over recall of each label; returns the figure.

        Raises:
            ValueError: the report has no probabilities.
        """
        return require("fcnn.figures", "plots").precision_recall(self, ax=ax)

    def __str__(self) -> str:
        rows = score_rows(self.per_class, np.ones(len(self.classes)))
        return "\n\n".join([self._line(), text_table(rows, "l" + "r" * (len(rows[0]) - 1))])

    def __repr__(self) -> str:
        return f"<LabelReport {self._line()}>"

    def _repr_html_(self) -> str:
        rows = score_rows(self.per_class, np.ones(len(self.classes)))
        table = html_table(rows, "l" + "r" * (len(rows[0]) - 1), foot=2)
        return f"<p>{self._line()}</p>\n{table}"

    def _line(self) -> str:
        loss = "" if self.loss is None else f", loss {self.loss:.4f}"
        return (
            f"accuracy {self.accuracy:.4f} of labels, {self.subset_accuracy:.4f} of all together"
            f"{loss}, {self.n:,} examples"
        )

    @cached_property
    def _known(self) -> bool:
        """Whether there are probabilities, all of them numbers."""
        return self.probabilities is not None and bool(np.isfinite(self.probabilities).all())

    def _scores(self, average: str | None, weight: Any = None) -> Scores:
        weight = self.weight if weight is None else weight
        options = {"average": average, "multilabel": True, "weight": weight}
        return precision_recall_f1(self.targets, self.predictions, **options)

    def _area(self, area: Callable[..., Any], weight: np.ndarray) -> Any:
        if self.probabilities is None:
            return None
        return area(self.targets, self.probabilities, weight=weight) if self._known else math.nan

    def _resamples(self) -> list[Figures]:
        def decided(weight: np.ndarray) -> list[Any]:
            wrong = hamming_loss(self.targets, self.predictions, weight=weight)
            others = (subset_accuracy, jaccard)
            return [
                1 - wrong,
                wrong,
                *(figure(self.targets, self.predictions, weight=weight) for figure in others),
                *self._scores("macro", weight),
            ]

        groups = [(_DECIDED, decided)]
        if self._known:
            groups += [
                (("roc_auc",), lambda weight: [self._area(roc_auc, weight)]),
                (("average_precision",), lambda weight: [self._area(average_precision, weight)]),
            ]
        return groups

    def _data(self) -> dict[str, Any]:
        names = "classes", "index", "targets", "weight"
        return {name: getattr(self, name) for name in names}


_DECIDED = (
    "accuracy",
    "hamming_loss",
    "subset_accuracy",
    "jaccard",
    "precision",
    "recall",
    "f1",
)


def label_report(
    labels: Any,
    predictions: Any,
    *,
    classes: Iterable[Any],
    probabilities: Any = None,
    loss: Any = None,
    weight: Any = None,
    index: Any = None,
) -> LabelReport:
    """The report on several labels per example, ``[n, k]`` of 0 and 1.

    Example:
        >>> truth, said = [[1, 0], [1, 1], [0, 1]], [[1, 0], [0, 1], [0, 1]]
        >>> print(label_report(truth, said, classes=["cat", "dog"]))
        accuracy 0.8333 of labels, 0.6667 of all together, 3 examples
        <BLANKLINE>
        class          precision  recall      F1  support
        cat               1.0000  0.5000  0.6667        2
        dog               1.0000  1.0000  1.0000        2
        macro mean        1.0000  0.7500  0.8333        4
        weighted mean     1.0000  0.7500  0.8333        4

    Args:
        labels: The true labels.
        predictions: The predicted ones.
        classes: Names of the ``k`` labels.
        probabilities: Of each label, ``[n, k]``.
        loss: Of each example, ``[n]``.
        weight: Of each example, ``[n]``; what weighs 0 is left out.
        index: Which example of the data each is, ``[n]``; None counts them.

    Raises:
        ValueError: shapes differ, a label is neither 0 nor 1, a weight is negative, or no example
            is left; or probabilities that are none.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    alike("predictions", predictions, labels)
    classes = tuple(map(str, classes))
    if labels.ndim != 2 or labels.shape[1] != len(classes):
        raise ValueError(
            f"labels {labels.shape} must be [n, {len(classes)}], one for each of {len(classes)} "
            "names"
        )
    examples = Examples(len(labels), weight, index)
    return LabelReport(
        classes,
        binary("labels", examples.of("labels", labels)),
        binary("predictions", examples.of("predictions", predictions)),
        examples.weight,
        examples.index,
        examples.probabilities(probabilities, labels.shape, together=False),
        examples.mean(loss),
    )
