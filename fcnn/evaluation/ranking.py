"""Curves and areas of scores: how well they rank what is true above what is not.

Scores are any numbers that are larger where the truth is likelier: probabilities, logits. Areas
take

* one score for each example, ``[n]``, and targets 0 or 1, ``[n]``;
* a score for each class, ``[n, k]``, and the true classes, integers ``[n]``: each class against the
  rest;
* a score for each of several labels, ``[n, k]``, and targets 0 or 1, ``[n, k]``.

Equal scores count as one step. Where no example is true, or none false, there is no area: it is
NaN, and means are over the other classes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .weighting import binary, counted, integers, plain, ratio, sums


class RocCurve(NamedTuple):
    """Rates at each threshold, from the highest to the lowest; infinity stands for never."""

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    thresholds: np.ndarray


class PrecisionRecallCurve(NamedTuple):
    """Precision and recall at each threshold, from the lowest up, and last the point (1, 0)."""

    precision: np.ndarray
    recall: np.ndarray
    thresholds: np.ndarray


class Steps(NamedTuple):
    """What is said to be true at or above each score that occurs, from the highest to the lowest.

    ``[..., m]`` sums of the weights that are rightly and wrongly said so; ``[m]`` scores.
    """

    hits: np.ndarray
    misses: np.ndarray
    thresholds: np.ndarray


class _Ranks(NamedTuple):
    """The positives of each score that one of them has, from the highest to the lowest.

    ``[..., m]`` each: their weight, and the weights of all negatives above, and at or above them;
    ``[...]``: that of the negatives after all.
    """

    hits: np.ndarray
    above: np.ndarray
    misses: np.ndarray
    after: np.ndarray


def roc_curve(targets: Any, scores: Any, *, weight: Any = None) -> RocCurve:
    """The part of positives and of negatives whose score reaches each threshold.

    Every score that occurs is a threshold. Rates are NaN where there is nothing to be a part of.

    Example:
        >>> curve = roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> print(curve.false_positive_rate, curve.true_positive_rate)
        [0.  0.  0.5 0.5 1. ] [0.  0.5 0.5 1.  1. ]
    """
    hits, misses, thresholds = steps(targets, scores, weight=weight)
    rates = [ratio(_led(part), part[..., -1:], empty=np.nan) for part in (misses, hits)]
    return RocCurve(*rates, np.concatenate([[np.inf], thresholds]))


def precision_recall_curve(
    targets: Any, scores: Any, *, weight: Any = None
) -> PrecisionRecallCurve:
    """Precision and recall of "true from this score on", for every score that occurs.

    Recall is NaN where no example is true.
    """
    hits, misses, thresholds = steps(targets, scores, weight=weight)
    found = ratio(hits, hits + misses)[..., ::-1]
    part = ratio(hits, hits[..., -1:], empty=np.nan)[..., ::-1]
    last = np.ones((*hits.shape[:-1], 1))
    return PrecisionRecallCurve(
        np.concatenate([found, last], -1),
        np.concatenate([part, 0 * last], -1),
        thresholds[::-1],
    )


def roc_auc(
    targets: Any, scores: Any, *, average: str | None = "macro", weight: Any = None
) -> float | np.ndarray:
    """Area under the ROC curve: how likely a positive has a higher score than a negative.

    Equal scores count half (Hanley and McNeil, 1982).

    Example:
        >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.75

    Args:
        targets: 0 or 1, ``[n]`` or ``[n, k]``, or classes, ``[n]``.
        scores: ``[n]`` or ``[n, k]``.
        average: None for an area of each class; ``'macro'`` for their mean, ``'weighted'`` for the
            mean by how often each is true, ``'micro'`` for the area of all scores together.
        weight: Of each example.
    """
    return _area(_roc_area, targets, scores, average, weight)


def average_precision(
    targets: Any, scores: Any, *, average: str | None = "macro", weight: Any = None
) -> float | np.ndarray:
    """Mean precision over the positives, each at its own score; options as of ``roc_auc``.

    It is the area of the steps under the precision-recall curve, which are not joined by lines.
    """
    return _area(_step_area, targets, scores, average, weight)


def pr_auc(
    targets: Any, scores: Any, *, average: str | None = "macro", weight: Any = None
) -> float | np.ndarray:
    """Area under the precision-recall curve, joined by lines; options as of ``roc_auc``.

    Lines are too optimistic (Davis and Goadrich, 2006); ``average_precision`` is not.
    """
    return _area(_line_area, targets, scores, average, weight)


def steps(targets: Any, scores: Any, *, weight: Any = None) -> Steps:
    """The sums of which both curves are made, of targets 0 or 1 and their scores, ``[n]``.

    Raises:
        ValueError: shapes do not fit, a target is neither 0 nor 1, or a score is NaN.
    """
    weight, targets, scores = counted(weight, targets=targets, scores=scores)
    positive, scores = binary("targets", targets), _numbers(scores)
    if not positive.shape == scores.shape == (len(scores),):
        raise ValueError(
            f"a curve is of targets and scores [n], got {targets.shape} and {scores.shape}; "
            "of classes draw one against the rest: (targets == c, scores[:, c])"
        )
    order = np.argsort(-scores, kind="stable")
    ends = np.append(_changes(scores[order]), len(order) - 1)
    weight, positive = weight[..., order], positive[order]
    hits, misses = (np.cumsum(weight * side, -1)[..., ends] for side in (positive, ~positive))
    return Steps(hits, misses, scores[order][ends])


def _area(
    area: Callable[[_Ranks, np.ndarray, np.ndarray], np.ndarray],
    targets: Any,
    scores: Any,
    average: str | None,
    weight: Any,
) -> float | np.ndarray:
    """An area of each class, or one for all."""
    if average not in (None, "macro", "micro", "weighted"):
        raise ValueError(f"average must be None, 'micro', 'macro' or 'weighted', got {average!r}")
    weight, targets, scores = counted(weight, targets=targets, scores=scores)
    positive, scores = _sides(targets, _numbers(scores))
    k = scores.shape[1]
    if average == "micro":
        return plain(_of(area, positive.ravel(), scores.ravel(), np.repeat(weight, k, -1)))
    areas = np.stack([_of(area, positive[:, j], scores[:, j], weight) for j in range(k)], -1)
    if average is None:
        return areas
    by = (weight @ positive.astype(np.float64)) if average == "weighted" else np.ones(areas.shape)
    by = np.where(np.isnan(areas), 0, by)
    return plain(ratio((np.nan_to_num(areas) * by).sum(-1), by.sum(-1), empty=np.nan))


def _of(area: Callable, positive: np.ndarray, scores: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """One area; NaN where nothing is positive, or nothing negative."""
    ranks = _ranked(positive, scores, weight)
    positives, negatives = ranks.hits.sum(-1), ranks.misses[..., -1] + ranks.after
    defined = (positives > 0) & (negatives > 0)
    return np.where(defined, np.clip(area(ranks, positives, negatives), 0, 1), np.nan)


def _roc_area(ranks: _Ranks, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    below = negatives[..., None] - (ranks.above + ranks.misses) / 2
    return ratio((ranks.hits * below).sum(-1), positives * negatives)


def _step_area(ranks: _Ranks, positives: np.ndarray, _: np.ndarray) -> np.ndarray:
    said = np.cumsum(ranks.hits, -1)
    return ratio((ranks.hits * ratio(said, said + ranks.misses)).sum(-1), positives)


def _line_area(ranks: _Ranks, positives: np.ndarray, _: np.ndarray) -> np.ndarray:
    said = np.cumsum(ranks.hits, -1)
    before = said - ranks.hits
    height = ratio(said, said + ranks.misses) + ratio(before, before + ranks.above, empty=1.0)
    return ratio((ranks.hits * height / 2).sum(-1), positives)


def _ranked(positive: np.ndarray, scores: np.ndarray, weight: np.ndarray) -> _Ranks:
    """How positives stand among negatives; only the scores of positives are steps of an area."""
    falling = -scores
    levels = np.unique(falling[positive]) if positive.any() else np.array([np.inf])
    m = len(levels)
    place = np.searchsorted(levels, falling)
    level = falling == levels[np.minimum(place, m - 1)]
    # before each level the negatives above it, then its positives, then its negatives
    part = 3 * place + np.where(positive, 1, 2 * level)
    total = sums(part, weight, 3 * m + 1)
    between, hits, equal = (total[..., i : 3 * m : 3] for i in range(3))
    above = np.cumsum(between, -1) + (np.cumsum(equal, -1) - equal)
    return _Ranks(hits, above, above + equal, total[..., -1])


def _sides(targets: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is positive, and its scores, ``[n, k]`` each: one column, or one for each class."""
    if scores.ndim == 1:
        scores = scores[:, None]
    if scores.ndim != 2:
        raise ValueError(f"scores {scores.shape} must be [n] or [n, k]")
    n, k = scores.shape
    if targets.shape == (n, k) or (k == 1 and targets.shape == (n,)):
        return binary("targets", targets).reshape(n, k), scores
    if targets.shape != (n,):
        raise ValueError(f"targets {targets.shape} must be ({n},) or ({n}, {k}) for these scores")
    return integers("targets", targets, k)[:, None] == np.arange(k), scores


def _numbers(scores: np.ndarray) -> np.ndarray:
    scores = scores.astype(np.float64)
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN, which has no rank")
    return scores


def _changes(values: np.ndarray) -> np.ndarray:
    """Where the next value is another."""
    return np.flatnonzero(values[1:] != values[:-1])


def _led(sums: np.ndarray) -> np.ndarray:
    """The same with a zero in front."""
    return np.concatenate([np.zeros((*sums.shape[:-1], 1)), sums], -1)
