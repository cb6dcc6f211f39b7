"""Two networks on the same examples: whether one is better, or was only luckier.

>>> targets, first, second = [0, 1, 1, 0, 1, 1], [0, 1, 1, 0, 1, 1], [1, 0, 0, 1, 0, 0]
>>> mcnemar(targets, first, second)
McNemar(only_first=6, only_second=0, statistic=0.0, p_value=0.03125)
"""

import math
from typing import Any, NamedTuple

import numpy as np

from .intervals import WeightedFigure, drawn_with_interval, example_weights
from .weighting import alike, counted


class McNemar(NamedTuple):
    """How many examples only one of the two has right, and how likely that is for equal ones."""

    only_first: int
    only_second: int
    statistic: float
    p_value: float


class Difference(NamedTuple):
    """By how much a first figure is above a second, its interval, and how likely that is by chance.

    Of several figures each entry is an array.
    """

    value: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray
    p_value: float | np.ndarray


def mcnemar(targets: Any, first: Any, second: Any, *, exact: bool = True) -> McNemar:
    """McNemar's test on the examples that one of two networks has right and the other wrong.

    Were both as good, each would be the one that is right in half of them (McNemar, 1947).

    Args:
        targets: The true classes, ``[n]``.
        first: The classes that one network predicted.
        second: Those of the other.
        exact: The two-sided binomial test, whose statistic is the smaller of the two numbers;
            otherwise the chi-squared statistic with Edwards' correction for continuity (1948).

    Raises:
        ValueError: shapes differ, or an example has more than one class.
    """
    _, targets, first, second = counted(None, targets=targets, first=first, second=second)
    for name, predictions in (("first", first), ("second", second)):
        alike(name, predictions, targets)
    if targets.ndim != 1:
        raise ValueError(
            f"McNemar's test is of one class for each example, [n], got {targets.shape}; "
            "of one-hot rows write .argmax(-1)"
        )
    right, other = first == targets, second == targets
    a, b = int(np.sum(right & ~other)), int(np.sum(other & ~right))
    if exact:
        return McNemar(a, b, float(min(a, b)), _sign_test(a, b))
    statistic = max(abs(a - b) - 1, 0) ** 2 / (a + b) if a + b else 0.0
    return McNemar(a, b, statistic, math.erfc(math.sqrt(statistic / 2)))


def paired_bootstrap(
    first: WeightedFigure,
    second: WeightedFigure,
    n: int,
    *,
    level: float = 0.95,
    weight: Any = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Difference:
    """The difference of two figures on the same examples, which are resampled together.

    Example:
        >>> from functools import partial
        >>> from fcnn.evaluation import accuracy
        >>> targets = np.arange(100) % 2
        >>> good, poor = targets * (np.arange(100) > 10), targets * (np.arange(100) > 60)
        >>> figures = [partial(accuracy, targets, predictions) for predictions in (good, poor)]
        >>> found = paired_bootstrap(*figures, 100)
        >>> print(f"{found.value:.2f}, p < {found.p_value:.3f}")
        0.25, p < 0.002

    Args:
        first: A figure that takes ``weight=``, as of ``bootstrap``.
        second: The same figure of another network.
        n: Number of examples.
        level: Of the interval.
        weight: Of each example.
        resamples: How many.
        seed: What resamples follow from.

    Returns:
        The p-value is twice the part of resamples on the other side of zero, at least
        ``2 / (resamples + 1)``. Resamples that have no figure (NaN) are left out; where the figure
        itself is NaN, so is the p-value.
    """

    def difference(weight):
        return np.asarray(first(weight=weight)) - np.asarray(second(weight=weight))

    weight = example_weights(weight, n)
    options = {"weight": weight, "resamples": resamples, "seed": seed}
    drawn, (low, high) = drawn_with_interval(difference, n, level=level, **options)
    value = difference(weight)
    beyond = np.minimum(np.sum(drawn <= 0, 0), np.sum(drawn >= 0, 0))
    known = np.sum(~np.isnan(drawn), 0)
    p_value = np.where(np.isnan(value), np.nan, np.minimum(1, 2 * (beyond + 1) / (known + 1)))
    if value.ndim:
        return Difference(value, low, high, p_value)
    return Difference(float(value), low, high, float(p_value))


def _sign_test(a: int, b: int) -> float:
    """How likely one of two equal sides has at most the smaller number, twice."""
    n, least = a + b, min(a, b)
    if a == b:
        return 1.0
    # each term of the binomial sum from the one before, from the largest down
    k = np.arange(least, 0, -1)
    terms = np.cumprod(k / (n - k + 1))
    return min(1.0, 2 * (math.comb(n, least) / 2**n) * (1 + float(terms.sum())))
