"""Figures of classes that were predicted: all are figures of the confusion matrix.

Targets and predictions are integers from 0, of one shape: ``[n]``, or ``[n, ...]`` where each pixel
has a class. Weights are those of examples, ``[n]``; rows of weights, ``[..., n]``, give a figure
for each row. Figures equal scikit-learn's of that name; what divides nothing by nothing is 0.

    >>> targets, predictions = [0, 0, 1, 1], [0, 1, 1, 1]
    >>> accuracy(targets, predictions)
    0.75
    >>> precision_recall_f1(targets, predictions, average=None).recall
    array([0.5, 1. ])
"""

from typing import Any

import numpy as np

from . import confusion
from .labels import label_figures
from .overlaps import Figure, Scores, averaged, f_of, iou_of, precision, recall
from .weighting import alike, counted, integers, plain, sums


def confusion_matrix(
    targets: Any, predictions: Any, *, classes: int | None = None, weight: Any = None
) -> np.ndarray:
    """How often each class was taken for each: ``[k, k]``, rows are the truth.

    Example:
        >>> confusion_matrix([0, 0, 1, 1], [0, 1, 1, 1])
        array([[1, 1],
               [0, 2]])

    Args:
        targets: The true classes.
        predictions: The predicted classes, of the same shape.
        classes: How many there are; None takes the largest that occurs as the last.
        weight: Of each example; without it the matrix is of integers.

    Raises:
        ValueError: shapes differ, a class is out of range, a weight is negative, or no example
            is left.
        TypeError: classes that are no integers.
    """
    whole = weight is None
    weight, targets, predictions = counted(weight, targets=targets, predictions=predictions)
    alike("predictions", predictions, targets)
    if classes is not None and not (isinstance(classes, int | np.integer) and classes > 0):
        raise ValueError(f"classes must be a positive integer, or None, got {classes!r}")
    targets = integers("targets", targets, classes)
    predictions = integers("predictions", predictions, classes)
    k = classes or 1 + max(int(targets.max()), int(predictions.max()))
    cells = targets * k + predictions
    if whole:
        return np.bincount(cells.ravel(), minlength=k * k).reshape(k, k)
    cells = cells.reshape(len(cells), -1)
    if weight.ndim == 1 or cells.shape[1] == 1:
        counts = sums(cells.ravel(), np.repeat(weight, cells.shape[1], -1), k * k)
    else:
        counts = weight @ sums(cells, np.ones(cells.shape), k * k)
    return counts.reshape(*weight.shape[:-1], k, k)


def accuracy(targets: Any, predictions: Any, *, weight: Any = None) -> float | np.ndarray:
    """Part of the examples that was predicted right."""
    return confusion.accuracy(confusion_matrix(targets, predictions, weight=weight))


def balanced_accuracy(targets: Any, predictions: Any, *, weight: Any = None) -> float | np.ndarray:
    """Mean recall of the classes that are in the truth."""
    return confusion.balanced_accuracy(confusion_matrix(targets, predictions, weight=weight))


def matthews(targets: Any, predictions: Any, *, weight: Any = None) -> float | np.ndarray:
    """Correlation of truth and prediction, from -1 to 1; 0 where either is one class only."""
    return confusion.matthews(confusion_matrix(targets, predictions, weight=weight))


def kappa(targets: Any, predictions: Any, *, weight: Any = None) -> float | np.ndarray:
    """Agreement beyond chance (Cohen, 1960), from -1 to 1; 0 where both are one class only."""
    return confusion.kappa(confusion_matrix(targets, predictions, weight=weight))


def precision_recall_f1(
    targets: Any,
    predictions: Any,
    *,
    average: str | None = "macro",
    classes: int | None = None,
    multilabel: bool = False,
    weight: Any = None,
) -> Scores:
    """What part of the predicted is true, what part of the true was predicted, and their mean F1.

    Args:
        targets: The true classes.
        predictions: The predicted classes.
        average: None for figures of each class; ``'macro'`` for their means over the classes that
            occur, ``'weighted'`` for means by how often each is true, ``'micro'`` for figures of
            all classes' sums, ``'samples'`` for means over examples, of labels only.
        classes: How many there are; None takes the largest that occurs as the last.
        multilabel: Targets and predictions are 0 or 1 for each of several labels, ``[n, k]``; a
            macro mean is over all labels.
        weight: Of each example.
    """
    return Scores(
        *_figures(
            [precision, recall, f_of(1)],
            targets,
            predictions,
            average=average,
            classes=classes,
            multilabel=multilabel,
            weight=weight,
        )
    )


def f_beta(
    targets: Any,
    predictions: Any,
    beta: float,
    *,
    average: str | None = "macro",
    classes: int | None = None,
    multilabel: bool = False,
    weight: Any = None,
) -> float | np.ndarray:
    """The harmonic mean of precision and recall in which recall weighs ``beta`` times as much.

    Options are those of ``precision_recall_f1``.
    """
    (value,) = _figures(
        [f_of(beta)],
        targets,
        predictions,
        average=average,
        classes=classes,
        multilabel=multilabel,
        weight=weight,
    )
    return value


def iou(
    targets: Any,
    predictions: Any,
    *,
    average: str | None = "macro",
    classes: int | None = None,
    weight: Any = None,
) -> float | np.ndarray:
    """Intersection over union of each class's pixels, of all examples together (Jaccard, 1901).

    Example:
        >>> mask, found = [[[0, 0, 1], [0, 1, 1]]], [[[0, 1, 1], [0, 0, 1]]]
        >>> iou(mask, found, average=None)
        array([0.5, 0.5])

    Args:
        targets: Masks ``[n, h, w]`` of classes, or classes ``[n]``.
        predictions: The same, predicted.
        average: As of ``precision_recall_f1``; ``'macro'`` is the mean IoU.
        classes: How many there are; None takes the largest that occurs as the last.
        weight: Of each example; to weigh pixels, give all as flat arrays.
    """
    (value,) = _figures(
        [iou_of], targets, predictions, average=average, classes=classes, weight=weight
    )
    return value


def dice(
    targets: Any,
    predictions: Any,
    *,
    average: str | None = "macro",
    classes: int | None = None,
    weight: Any = None,
) -> float | np.ndarray:
    """Twice the intersection by the sum of both (Dice, 1945), which is F1; else as ``iou``."""
    return f_beta(targets, predictions, 1, average=average, classes=classes, weight=weight)


def _figures(
    figures: list[Figure],
    targets: Any,
    predictions: Any,
    *,
    average: str | None,
    classes: int | None,
    weight: Any,
    multilabel: bool = False,
) -> list[float | np.ndarray]:
    if multilabel:
        return label_figures(figures, targets, predictions, average=average, weight=weight)
    matrix = confusion_matrix(targets, predictions, classes=classes, weight=weight)
    overlap = confusion.overlap(matrix)
    return [plain(averaged(figure, overlap, average)) for figure in figures]
