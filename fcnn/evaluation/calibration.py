"""Calibration: whether what is said with a probability of 0.8 is true 8 times in 10.

Of probabilities ``[n, k]`` the class predicted is looked at, and its probability, the confidence;
of probabilities ``[n]`` of one class, that class. Examples are put into bins by confidence, where
the mean confidence should be the part that is right (arXiv:1706.04599). Bins are of equal width,
each with its upper edge, or, ``adaptive``, of equal weight; equal confidences are in one bin.
"""

from typing import Any, NamedTuple

import numpy as np

from .probabilities import likelihoods
from .weighting import binary, counted, integers, mean, plain, ratio, sums


class Reliability(NamedTuple):
    """Of each bin its mean confidence, the part that is right, and its weight; empty ones are NaN.

    ``[bins]`` each; bins of equal width lie between ``np.linspace(0, 1, bins + 1)``.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    weight: np.ndarray


def reliability_curve(
    targets: Any, probabilities: Any, *, bins: int = 15, adaptive: bool = False, weight: Any = None
) -> Reliability:
    """How confident predictions are and how often they are right, bin by bin.

    Example:
        >>> curve = reliability_curve([1, 0, 1, 1], [0.3, 0.3, 0.9, 0.8], bins=2)
        >>> print(curve.confidence, curve.accuracy, curve.weight)
        [0.3  0.85] [0.5 1. ] [2. 2.]

    Args:
        targets: Classes, ``[n]``.
        probabilities: ``[n, k]``, or ``[n]`` of class 1.
        bins: How many.
        adaptive: Bins of equal weight instead of equal width.
        weight: Of each example.
    """
    right, confident, total = _bins(targets, probabilities, bins, adaptive, weight)
    parts = (ratio(part, total, empty=np.nan) for part in (confident, right))
    return Reliability(*parts, total)


def expected_calibration_error(
    targets: Any, probabilities: Any, *, bins: int = 15, adaptive: bool = False, weight: Any = None
) -> float | np.ndarray:
    """The mean over examples of how far confidence and accuracy of their bin lie apart (ECE).

    Chance alone makes it larger than 0, the more so the fewer examples a bin has.
    Options are those of ``reliability_curve``.
    """
    right, confident, total = _bins(targets, probabilities, bins, adaptive, weight)
    return plain(np.abs(right - confident).sum(-1) / total.sum(-1))


def maximum_calibration_error(
    targets: Any, probabilities: Any, *, bins: int = 15, adaptive: bool = False, weight: Any = None
) -> float | np.ndarray:
    """The largest distance of confidence and accuracy in any bin; else as the expected one."""
    right, confident, total = _bins(targets, probabilities, bins, adaptive, weight)
    return plain(ratio(np.abs(right - confident), total).max(-1))


def temperature(targets: Any, logits: Any, *, weight: Any = None) -> float:
    """The number to divide logits by for the least log loss on these examples (arXiv:1706.04599).

    Above 1 it makes probabilities less extreme; the order of classes stays. Fit it on examples the
    network was not trained on.

    Example:
        >>> logits = [[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]]
        >>> round(temperature([0, 0, 1, 1], logits), 4)  # 3 of 4 are right: 4 / log(3)
        3.641

    Args:
        targets: Classes, ``[n]`` for logits ``[n, k]``; for a sigmoid, 0 or 1 in the shape of the
            logits, ``[n]`` or ``[n, labels]``.
        logits: What the network gives before softmax or sigmoid.
        weight: Of each example.

    Raises:
        ValueError: no temperature is best: every example is classified right, so that a lower one
            is always better, or the logits say nothing of the truth, so that a higher one is.
    """
    weight, gaps = _gaps(targets, logits, weight)
    if not mean(gaps.mean(1), weight) < 0:
        raise ValueError(
            "no temperature is best: these logits are no better than equal ones, of a network "
            "that has learned nothing, or of other targets"
        )
    if not gaps.max() > 0:
        raise ValueError(
            f"no temperature is best: all {len(gaps)} examples are classified right, so the lower "
            "the better; fit it on more examples, or leave the network as it is"
        )
    return 1 / _root(gaps, weight)


def _bins(
    targets: Any, probabilities: Any, bins: int, adaptive: bool, weight: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each bin the weight that is right, the confidence times weight, and the weight."""
    if not (isinstance(bins, int | np.integer) and bins > 0):
        raise ValueError(f"bins must be a positive integer, got {bins!r}")
    one_class = np.ndim(probabilities) == 1
    weight, truth, p = likelihoods(targets, probabilities, weight)
    confidence = p[:, 1] if one_class else p.max(1)
    right = truth if one_class else p.argmax(1) == truth
    if adaptive:
        index = _equal_weights(confidence, weight, bins)
    else:
        index = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)
    return (
        sums(index, weight * right, bins),
        sums(index, weight * confidence, bins),
        sums(index, weight, bins),
    )


def _equal_weights(confidence: np.ndarray, weight: np.ndarray, bins: int) -> np.ndarray:
    """Bins of about equal weight, for each row of weights, by the middle of equal confidences."""
    values, group = np.unique(confidence, return_inverse=True)
    each = sums(group, weight, len(values))
    upto = np.cumsum(each, -1)
    middle = (upto - each / 2) / upto[..., -1:]
    return np.minimum((middle * bins).astype(np.int64), bins - 1)[..., group]


def _gaps(targets: Any, logits: Any, weight: Any) -> tuple[np.ndarray, np.ndarray]:
    """Weights, and how far each logit is above that of the true class, ``[n, k]``."""
    weight, targets, logits = counted(weight, targets=targets, logits=logits)
    logits = logits.astype(np.float64)
    if not np.isfinite(logits).all():
        raise ValueError("logits must be finite to have a temperature")
    if targets.shape == logits.shape:
        weight = np.repeat(weight, logits[0].size)
        signs = 1 - 2.0 * binary("targets", targets)
        gaps = (signs * logits).ravel()
        return weight, np.stack([0 * gaps, gaps], 1)
    if logits.ndim != 2 or targets.shape != logits.shape[:1]:
        raise ValueError(
            f"logits {logits.shape} and targets {targets.shape} must be [n, k] and [n], or alike"
        )
    truth = integers("targets", targets, logits.shape[1])
    return weight, logits - np.take_along_axis(logits, truth[:, None], 1)


def _root(gaps: np.ndarray, weight: np.ndarray) -> float:
    """Where the mean log loss of ``b * gaps`` has slope 0: Newton's steps, kept between bounds.

    The loss is convex in ``b``, its slope the mean gap and its curvature their variance, both under
    the softmax of ``b * gaps``.
    """
    low, high, b = 0.0, np.inf, 1 / mean(np.abs(gaps).max(1), weight)
    for _ in range(200):
        p = np.exp(b * (gaps - gaps.max(1, keepdims=True)))
        p /= p.sum(1, keepdims=True)
        first = (p * gaps).sum(1)
        slope, curvature = mean(first, weight), mean((p * gaps**2).sum(1) - first**2, weight)
        low, high = (b, high) if slope < 0 else (low, b)
        step = b - slope / curvature if curvature > 0 else np.inf
        if not low < step < high:
            step = 2 * b if high == np.inf else (low + high) / 2
        done = abs(step - b) <= 1e-10 * b  # the step after it would be of 1e-20
        b = min(step, 4 * b)
        if done:
            break
    return float(b)
