"""Figures of the probabilities of classes, and of the scores that rank them.

Targets are integers ``[n]``; probabilities are ``[n, k]``, or that of class 1 of two, ``[n]``.
Rows of weights, ``[..., n]``, give a figure for each row.

    >>> probabilities = [[0.5, 0.5], [0.25, 0.75]]
    >>> log_loss([0, 1], probabilities), brier([0, 1], probabilities)
    (0.4904..., 0.15625)
"""

from typing import Any

import numpy as np

from .weighting import binary, counted, integers, mean, plain

_EPSILON = np.finfo(np.float64).eps
_ROUNDING = 0.01  # of a sum of probabilities, such as those of bfloat16


def log_loss(targets: Any, probabilities: Any, *, weight: Any = None) -> float | np.ndarray:
    """Mean of ``-log p`` of the true class; ``p`` is at least the epsilon of float64, 2.2e-16."""
    weight, truth, p = likelihoods(targets, probabilities, weight)
    own = np.take_along_axis(p, truth[:, None], 1)[:, 0]
    return plain(mean(-np.log(np.clip(own, _EPSILON, 1 - _EPSILON)), weight))


def brier(targets: Any, probabilities: Any, *, weight: Any = None) -> float | np.ndarray:
    """Mean squared distance of the probabilities to the truth (Brier, 1950): 0 to 2.

    Of two classes it is half of that, the squared error of the probability of one: 0 to 1.
    """
    weight, truth, p = likelihoods(targets, probabilities, weight)
    k = p.shape[1]
    squares = ((p - (truth[:, None] == np.arange(k))) ** 2).sum(1)
    return plain(mean(squares / 2 if k == 2 else squares, weight))


def top_k_accuracy(
    targets: Any, scores: Any, k: int = 5, *, weight: Any = None
) -> float | np.ndarray:
    """Part of the examples whose class is among the ``k`` of the highest scores.

    Of equal scores the first counts as the highest, as in ``argmax``.

    Example:
        >>> top_k_accuracy([0, 2], [[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]], k=2)
        0.5
    """
    weight, targets, scores = counted(weight, targets=targets, scores=scores)
    if scores.ndim != 2 or targets.ndim != 1:
        raise ValueError(f"scores {scores.shape} of targets {targets.shape} must be [n, k] of [n]")
    classes = scores.shape[1]
    if not (isinstance(k, int | np.integer) and 1 <= k <= classes):
        raise ValueError(f"k must be an integer from 1 to the {classes} classes, got {k!r}")
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN, which has no rank")
    truth = integers("targets", targets, classes)[:, None]
    own = np.take_along_axis(scores, truth, 1)
    ahead = (scores > own) | ((scores == own) & (np.arange(classes) < truth))
    return plain(mean((ahead.sum(1) < k).astype(np.float64), weight))


def likelihoods(targets: Any, probabilities: Any, weight: Any) -> list[np.ndarray]:
    """Weights, true classes ``[n]`` and probabilities ``[n, k]`` in float64.

    Raises:
        ValueError: shapes do not fit, a class is out of range, or numbers are no probabilities.
        TypeError: classes that are no integers.
    """
    weight, targets, p = counted(weight, targets=targets, probabilities=probabilities)
    p = probabilities_of(p)
    if targets.ndim != 1:
        raise ValueError(
            f"targets {targets.shape} must be integers [n]; of one-hot rows write .argmax(-1)"
        )
    if p.ndim == 1:
        truth = binary("targets", targets).astype(np.int64)
        return [weight, truth, np.stack([1 - p, p], 1)]
    return [weight, integers("targets", targets, p.shape[1]), p]


def probabilities_of(p: np.ndarray) -> np.ndarray:
    """Probabilities in float64: ``[n, k]`` that sum to one, or ``[n]`` of one class of two.

    Raises:
        ValueError: another shape, or numbers that are no probabilities.
    """
    p = np.asarray(p, np.float64)
    if p.ndim == 2 and p.shape[1] == 1:
        p = p[:, 0]
    if p.ndim not in (1, 2):
        raise ValueError(f"probabilities must be [n, k] or [n], got {p.shape}")
    if p.size and not (p.min() >= 0 and p.max() <= 1 + _ROUNDING):
        raise ValueError(
            f"probabilities must be from 0 to 1, got {p.min():.4g} to {p.max():.4g}; "
            "of logits take the softmax"
        )
    if p.ndim == 2 and not np.all(np.abs(p.sum(1) - 1) <= _ROUNDING):
        worst = p.sum(1)[np.abs(p.sum(1) - 1).argmax()]
        raise ValueError(
            f"the probabilities of an example must sum to 1, got {worst:.4g}; "
            "of logits take the softmax, and labels that may be true together are not classes"
        )
    return p
