"""Figures of several labels per example: targets and predictions are 0 or 1, ``[n, k]``.

``precision_recall_f1`` and ``f_beta`` take such labels too, with ``multilabel=True``; the areas of
``ranking`` take a score for each.

    >>> targets, predictions = [[1, 0, 1], [0, 1, 0]], [[1, 0, 0], [0, 1, 0]]
    >>> hamming_loss(targets, predictions), subset_accuracy(targets, predictions)
    (0.1666..., 0.5)
"""

from typing import Any

import numpy as np

from .overlaps import Figure, Overlap, averaged, iou_of
from .weighting import alike, binary, counted, mean, plain


def hamming_loss(targets: Any, predictions: Any, *, weight: Any = None) -> float | np.ndarray:
    """Part of all labels that was predicted wrong."""
    weight, truth, said = _labels(targets, predictions, weight)
    return plain(mean((truth != said).mean(1), weight))


def subset_accuracy(targets: Any, predictions: Any, *, weight: Any = None) -> float | np.ndarray:
    """Part of the examples of which every label was predicted right."""
    weight, truth, said = _labels(targets, predictions, weight)
    return plain(mean((truth == said).all(1).astype(np.float64), weight))


def jaccard(
    targets: Any, predictions: Any, *, average: str | None = "samples", weight: Any = None
) -> float | np.ndarray:
    """Labels that are true and predicted, as part of those that are either (Jaccard, 1901).

    Args:
        targets: The true labels.
        predictions: The predicted labels.
        average: ``'samples'`` for the mean over examples, None for a figure of each label,
            ``'macro'``, ``'weighted'`` and ``'micro'`` as of ``precision_recall_f1``.
        weight: Of each example.
    """
    (value,) = label_figures([iou_of], targets, predictions, average=average, weight=weight)
    return value


def label_figures(
    figures: list[Figure], targets: Any, predictions: Any, *, average: str | None, weight: Any
) -> list[float | np.ndarray]:
    """Figures of labels, of each or averaged; every label counts in a macro mean."""
    weight, truth, said = _labels(targets, predictions, weight)
    if average == "samples":
        parts = [part.sum(1) for part in (truth & said, truth, said)]
        each = Overlap(*parts, np.ones(len(truth)))
        return [plain(mean(figure(each), weight)) for figure in figures]
    both, true, predicted = (
        weight @ part.astype(np.float64) for part in (truth & said, truth, said)
    )
    overlap = Overlap(both, true, predicted, np.ones(both.shape))
    return [plain(averaged(figure, overlap, average)) for figure in figures]


def _labels(targets: Any, predictions: Any, weight: Any) -> list[np.ndarray]:
    """Weights, and truth and prediction as booleans ``[n, k]``."""
    weight, targets, predictions = counted(weight, targets=targets, predictions=predictions)
    alike("predictions", predictions, targets)
    if targets.ndim != 2:
        raise ValueError(f"several labels per example are [n, k], got {targets.shape}")
    return [weight, binary("targets", targets), binary("predictions", predictions)]
