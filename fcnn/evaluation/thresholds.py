"""The score from which on to say yes."""

from typing import Any, NamedTuple

import numpy as np

from .ranking import steps
from .weighting import ratio

_AIMS = ("f1", "youden", "precision", "recall", "cost")
_ROUNDING = 1e-12  # by which two equal figures may differ


class OperatingPoint(NamedTuple):
    """A threshold, and what ``score >= threshold`` is worth on the examples it was chosen on."""

    threshold: float
    precision: float
    recall: float
    f1: float
    false_positive_rate: float


def best_threshold(
    targets: Any,
    scores: Any,
    aim: str = "f1",
    *,
    precision: float | None = None,
    recall: float | None = None,
    costs: tuple[float, float] | None = None,
    weight: Any = None,
) -> OperatingPoint:
    """The threshold that is best by an aim, among the scores that occur; of equals the highest.

    Choose it on other examples than those it is judged on.

    Example:
        >>> point = best_threshold([0, 0, 1, 1, 1], [0.1, 0.6, 0.4, 0.7, 0.9])
        >>> point.threshold, round(point.f1, 4)
        (0.4, 0.8571)
        >>> best_threshold([0, 0, 1, 1, 1], [0.1, 0.6, 0.4, 0.7, 0.9], "recall", precision=1).recall
        0.6666666666666666

    Args:
        targets: 0 or 1, ``[n]``.
        scores: Numbers that are larger where 1 is likelier, ``[n]``.
        aim: What is made as large as possible: ``'f1'``, ``'youden'`` (recall minus false positive
            rate; Youden, 1950), ``'precision'`` or ``'recall'``; or ``'cost'``, made small.
        precision: What it must be at least.
        recall: What it must be at least.
        costs: Of a false positive and of a false negative, for the aim ``'cost'``; the threshold
            may then be infinite, which is never to say yes.
        weight: Of each example.

    Raises:
        ValueError: an aim there is none of, costs that are not two numbers from 0 on, no positive
            or no negative, or bounds that no threshold reaches.
    """
    if aim not in _AIMS:
        raise ValueError(f"aim must be one of {', '.join(_AIMS)}, got {aim!r}")
    if (costs is None) == (aim == "cost"):
        raise ValueError(
            "aim='cost' and costs=(of a false positive, of a false negative) go together"
        )
    if costs is not None and not (len(costs) == 2 and min(costs) >= 0 and max(costs) < np.inf):
        raise ValueError(
            f"costs are of a false positive and of a false negative, each at least 0, got {costs}"
        )
    hits, misses, thresholds = steps(targets, scores, weight=weight)
    if not (hits[-1] > 0 and misses[-1] > 0):
        raise ValueError("a threshold needs positives and negatives, and there is one side only")
    if costs is not None:
        hits, misses = (np.append(0, part) for part in (hits, misses))
        thresholds = np.append(np.inf, thresholds)
    found = {
        "precision": ratio(hits, hits + misses),
        "recall": hits / hits[-1],
        "f1": 2 * hits / (hits[-1] + hits + misses),
        "youden": hits / hits[-1] - misses / misses[-1],
    }
    if costs is not None:
        found["cost"] = -(costs[0] * misses + costs[1] * (hits[-1] - hits))
    allowed = _reaching(found, precision=precision, recall=recall)
    value = np.where(allowed, found[aim], -np.inf)
    best = int(np.argmax(value >= value.max() - _ROUNDING * abs(value.max())))
    figures = [float(found[name][best]) for name in ("precision", "recall", "f1")]
    return OperatingPoint(float(thresholds[best]), *figures, float(misses[best] / misses[-1]))


def _reaching(found: dict[str, np.ndarray], **bounds: float | None) -> np.ndarray:
    """Which thresholds reach every bound."""
    allowed = np.ones(len(found["recall"]), bool)
    for name, bound in bounds.items():
        if bound is None:
            continue
        if not 0 <= bound <= 1:
            raise ValueError(f"{name} must be from 0 to 1, got {bound}")
        highest = found[name][allowed].max()
        allowed &= found[name] >= bound
        if not allowed.any():
            raise ValueError(f"no threshold reaches a {name} of {bound}: at most {highest:.4g}")
    return allowed
