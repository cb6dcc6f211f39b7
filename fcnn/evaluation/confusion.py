"""Figures of a confusion matrix, ``[..., k, k]``: rows are the truth, columns the predictions.

The functions of the same names in ``fcnn.evaluation`` make the matrix of classes first. Axes in
front of the last two give a figure for each matrix.
"""

import numpy as np

from .overlaps import Overlap, recall
from .weighting import plain, ratio


def accuracy(confusion: np.ndarray) -> float | np.ndarray:
    """Part of the weight that was predicted right."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    wrong = (
        confusion.sum(-1) - right
    )  # exactly 0 where all is right, in whatever order it is summed
    return plain(right.sum(-1) / (right.sum(-1) + wrong.sum(-1)))


def balanced_accuracy(confusion: np.ndarray) -> float | np.ndarray:
    """Mean recall of the classes that are in the truth."""
    classes = overlap(confusion)
    present = classes.true > 0
    return plain((recall(classes) * present).sum(-1) / present.sum(-1))


def matthews(confusion: np.ndarray) -> float | np.ndarray:
    """Correlation of truth and prediction, from -1 to 1; 0 where either is one class only.

    The form for any number of classes (Gorodkin, 2004, doi:10.1016/j.compbiolchem.2004.09.006).
    """
    beyond, true, said = _beyond_chance(confusion)
    spread = [(side * (side.sum(-1, keepdims=True) - side)).sum(-1) for side in (true, said)]
    return plain(ratio(beyond, np.sqrt(spread[0] * spread[1])))


def kappa(confusion: np.ndarray) -> float | np.ndarray:
    """Agreement beyond chance as part of what is possible (Cohen, 1960), from -1 to 1.

    Where truth and prediction are one and the same class, nothing is possible, and it is 0.
    """
    beyond, true, said = _beyond_chance(confusion)
    possible = true.sum(-1) * said.sum(-1) - (true * said).sum(-1)
    return plain(ratio(beyond, possible))


def overlap(confusion: np.ndarray) -> Overlap:
    """Of each class, how far truth and prediction overlap.

    A macro mean is over the classes that are in the truth or were predicted.
    """
    true, said = confusion.sum(-1), confusion.sum(-2)
    both = np.diagonal(confusion, axis1=-2, axis2=-1)
    return Overlap(both, true, said, (true + said > 0).astype(np.float64))


def _beyond_chance(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Agreement beyond that of chance, times the square of the whole; sums of rows, columns."""
    counts = np.asarray(confusion, np.float64)  # products of integers would overflow
    true, said = counts.sum(-1), counts.sum(-2)
    right = np.trace(counts, axis1=-2, axis2=-1)
    return right * true.sum(-1) - (true * said).sum(-1), true, said
