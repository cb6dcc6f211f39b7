"""Precision, recall, F and IoU: how far truth and prediction overlap, class by class."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from .weighting import ratio


class Overlap(NamedTuple):
    """The weight of the examples in which a class was true, predicted, or both; ``[..., k]`` each.

    ``counts`` is 1 for the classes of which a macro mean is made, else 0.
    """

    both: np.ndarray
    true: np.ndarray
    said: np.ndarray
    counts: np.ndarray


Figure: TypeAlias = Callable[[Overlap], np.ndarray]


class Scores(NamedTuple):
    """Precision, recall and F1: of each class, or averaged over classes."""

    precision: float | np.ndarray
    recall: float | np.ndarray
    f1: float | np.ndarray


def precision(overlap: Overlap) -> np.ndarray:
    """Of what was predicted, the part that is true; 0 where nothing was predicted."""
    return ratio(overlap.both, overlap.said)


def recall(overlap: Overlap) -> np.ndarray:
    """Of what is true, the part that was predicted; 0 where nothing is true."""
    return ratio(overlap.both, overlap.true)


def f_of(beta: float) -> Figure:
    """The mean of precision and recall in which recall weighs ``beta`` times as much.

    It is the harmonic mean (van Rijsbergen, 1979); 0 where nothing is true or predicted.

    Raises:
        ValueError: ``beta`` is negative.
    """
    if not beta >= 0:
        raise ValueError(f"beta says how much recall weighs, at least 0, got {beta}")
    if np.isinf(beta):
        return recall
    b = beta**2
    return lambda overlap: ratio((1 + b) * overlap.both, b * overlap.true + overlap.said)


def iou_of(overlap: Overlap) -> np.ndarray:
    """Intersection over union (Jaccard, 1901); 0 where both are empty."""
    return ratio(overlap.both, overlap.true + (overlap.said - overlap.both))


def averaged(figure: Figure, overlap: Overlap, average: str | None) -> np.ndarray:
    """A figure of each class, ``[..., k]``, or one for all.

    Args:
        figure: Precision, recall, F or IoU.
        overlap: Of ``k`` classes.
        average: None for a figure of each class; ``'macro'`` for their mean, ``'weighted'`` for
            the mean by how often each is true, ``'micro'`` for the figure of all classes' sums.

    Raises:
        ValueError: there is no such average.
    """
    if average == "micro":
        return figure(Overlap(*(part.sum(-1) for part in overlap)))
    values = figure(overlap)
    if average is None:
        return values
    if average not in ("macro", "weighted"):
        raise ValueError(
            f"average must be None, 'micro', 'macro' or 'weighted', got {average!r}; "
            "'samples' is for several labels per example"
        )
    by = overlap.counts if average == "macro" else overlap.true
    by = np.where(by.any(-1, keepdims=True), by, 1)
    return (values * by).sum(-1) / by.sum(-1)
