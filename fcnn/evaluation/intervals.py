"""Bootstrap: how far a figure would change with other examples of the same kind (Efron, 1979).

A resample draws as many examples as there are, with replacement: it is a row of weights. So any
figure that takes ``weight=`` has an interval, and a figure of many rows at once is fast.

    >>> from functools import partial
    >>> from fcnn.evaluation import accuracy
    >>> targets, predictions = np.arange(200) % 2, (np.arange(200) % 2) * (np.arange(200) > 40)
    >>> figure = partial(accuracy, targets, predictions)
    >>> low, high = interval(figure, 200)
    >>> print(f"{figure():.2f}, from {low:.2f} to {high:.2f}")
    0.90, from 0.85 to 0.94
"""

import math
from collections.abc import Callable, Iterable, Iterator
from statistics import NormalDist
from typing import Any, NamedTuple, TypeAlias

import numpy as np

WeightedFigure: TypeAlias = Callable[..., Any]  # (weight=[b, n]) -> [b] or [b, m]

_CHUNK = 2**21  # weights made at once, 16 MB
_GROUPS = 200  # of examples that are left out in turn; more tell little more
_NORMAL = NormalDist()


class Interval(NamedTuple):
    """The bounds of a figure, or of each of several."""

    low: float | np.ndarray
    high: float | np.ndarray


def bootstrap(
    figure: WeightedFigure,
    n: int,
    *,
    weight: Any = None,
    resamples: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """The figure of each of many resamples, ``[resamples]`` or ``[resamples, m]``.

    Args:
        figure: Called with ``weight=`` rows ``[b, n]``; gives ``[b]``, or ``[b, m]`` of several
            figures, for which all share their resamples.
        n: Number of examples.
        weight: Of each example; a resample is drawn from those above 0.
        resamples: How many.
        seed: What resamples follow from.

    Raises:
        ValueError: no example, or a figure that gives no entry for each row of weights.
    """
    if resamples < 1:
        raise ValueError(f"resamples must be a positive number, got {resamples}")
    rng = np.random.Generator(np.random.Philox(seed))
    return _each(figure, _resamples(rng, example_weights(weight, n), resamples))


def interval(
    figure: WeightedFigure,
    n: int,
    *,
    level: float = 0.95,
    method: str = "bca",
    weight: Any = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """The bootstrap interval that covers the true figure with the probability ``level``.

    ``'percentile'`` takes quantiles of the resamples. ``'bca'`` shifts them by how far the
    resamples lie off the figure, and by how its spread changes with it (Efron, 1987,
    doi:10.1080/01621459.1987.10478410). Resamples that have no figure (NaN) are left out. A figure
    that is the same in all resamples, such as an accuracy of 1, has an interval of one point: see
    ``wilson_interval``.

    Args:
        figure: As of ``bootstrap``.
        n: Number of examples, at least 2.
        level: Between 0 and 1.
        method: ``'bca'`` or ``'percentile'``.
        weight: Of each example.
        resamples: How many.
        seed: What resamples follow from.

    Raises:
        ValueError: an option out of range, or fewer than two examples.
    """
    options = {"weight": weight, "resamples": resamples, "seed": seed}
    return drawn_with_interval(figure, n, level=level, method=method, **options)[1]


def wilson_interval(successes: float, n: float, *, level: float = 0.95) -> Interval:
    """The interval of a part of ``n`` examples, such as accuracy, by formula (Wilson, 1927).

    It holds where few or all examples are right, too, of which no resample tells anything new.

    Example:
        >>> low, high = wilson_interval(50, 50)
        >>> print(f"{low:.3f} to {high:.3f}")
        0.929 to 1.000

    Args:
        successes: How many of them, 0 to ``n``.
        n: How many; of weights ``w``, the number of equal ones, ``w.sum()**2 / (w**2).sum()``.
        level: Between 0 and 1.
    """
    _check_level(level)
    if not (n > 0 and 0 <= successes <= n):
        raise ValueError(f"successes must be from 0 to n, n above 0, got {successes} of {n}")
    z2 = _NORMAL.inv_cdf((1 + level) / 2) ** 2
    p = successes / n
    middle, width = p + z2 / (2 * n), math.sqrt(z2 * (p * (1 - p) + z2 / (4 * n)) / n)
    low, high = ((middle + side) / (1 + z2 / n) for side in (-width, width))
    return Interval(max(0.0, low), min(1.0, high))


def drawn_with_interval(
    figure: WeightedFigure,
    n: int,
    *,
    level: float,
    method: str = "bca",
    weight: Any = None,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[np.ndarray, Interval]:
    """The figure of each resample, and its interval; options are those of ``interval``."""
    _check_level(level)
    if method not in ("bca", "percentile"):
        raise ValueError(f"method must be 'bca' or 'percentile', got {method!r}")
    weight = example_weights(weight, n)
    if np.count_nonzero(weight) < 2:
        raise ValueError("an interval needs two examples or more")
    found = bootstrap(figure, n, weight=weight, resamples=resamples, seed=seed)
    drawn = found.reshape(len(found), -1)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    levels = np.broadcast_to(tails, (drawn.shape[1], 2))
    if method == "bca":
        value = _each(figure, [weight[None]]).ravel()
        without = _each(figure, _left_out(np.random.Generator(np.random.Philox([seed, 1])), weight))
        columns = zip(drawn.T, value, without.reshape(len(without), -1).T, strict=True)
        levels = [_corrected(tails, *column) for column in columns]
    ends = [_quantiles(column, q) for column, q in zip(drawn.T, levels, strict=True)]
    low, high = np.transpose(ends)
    if found.ndim == 1:
        return found, Interval(float(low[0]), float(high[0]))
    return found, Interval(low.reshape(found.shape[1:]), high.reshape(found.shape[1:]))


def _resamples(rng: np.random.Generator, weight: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """Rows of weights, some at a time: each example's own times how often it was drawn."""
    present = np.flatnonzero(weight)
    n, whole = len(present), len(present) == len(weight)
    for rows in _chunks(count, n):
        places = rng.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
        times = np.bincount(places.ravel(), minlength=rows * n).reshape(rows, n)
        if whole:
            yield times * weight
        else:
            row = np.zeros((rows, len(weight)))
            row[:, present] = times * weight[present]
            yield row


def _left_out(rng: np.random.Generator, weight: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of weights, each without one example, or without one group of a few hundred."""
    present = rng.permutation(np.flatnonzero(weight))
    groups = min(len(present), _GROUPS)
    group = np.full(len(weight), -1)
    group[present] = np.arange(len(present)) % groups
    start = 0
    for rows in _chunks(groups, len(weight)):
        yield np.where(group == np.arange(start, start + rows)[:, None], 0, weight)
        start += rows


def _chunks(count: int, n: int) -> Iterator[int]:
    """How many of ``count`` rows of ``n`` weights to make at once, until all are made."""
    most = max(1, _CHUNK // n)
    return (min(most, count - start) for start in range(0, count, most))


def _corrected(
    tails: np.ndarray, drawn: np.ndarray, value: float, without: np.ndarray
) -> np.ndarray:
    """The quantiles to take instead of ``tails``, by bias and acceleration (Efron, 1987)."""
    drawn, without = drawn[np.isfinite(drawn)], without[np.isfinite(without)]
    if not (len(drawn) and len(without) and np.isfinite(value)):
        return tails
    below = np.mean(drawn < value) + np.mean(drawn == value) / 2
    least = 1 / (2 * len(drawn))
    bias = _NORMAL.inv_cdf(float(np.clip(below, least, 1 - least)))
    pull = without.mean() - without
    spread = (pull**2).sum() ** 1.5
    acceleration = (pull**3).sum() / (6 * spread) if spread else 0.0
    z = np.array([bias + _NORMAL.inv_cdf(tail) for tail in tails])
    return np.array([_NORMAL.cdf(bias + each / (1 - acceleration * each)) for each in z])


def _quantiles(drawn: np.ndarray, levels: np.ndarray) -> np.ndarray:
    drawn = drawn[np.isfinite(drawn)]
    return np.quantile(drawn, levels) if len(drawn) else np.full(2, np.nan)


def _each(figure: WeightedFigure, rows: Iterable[np.ndarray]) -> np.ndarray:
    """The figure of each row of weights."""
    return np.concatenate([_called(figure, weight) for weight in rows])


def _called(figure: WeightedFigure, weight: np.ndarray) -> np.ndarray:
    values = np.asarray(figure(weight=weight), np.float64)
    if values.shape[:1] != weight.shape[:1]:
        raise ValueError(
            f"the figure gives {values.shape} for weights {weight.shape}, not one entry for each "
            "row; of a function f of one row write "
            "lambda weight: np.array([f(row) for row in weight])"
        )
    return values


def example_weights(weight: Any, n: int) -> np.ndarray:
    """The weight of each example, 1 if none is given.

    Raises:
        ValueError: another number of weights, a negative one, or none above 0.
    """
    weight = np.ones(n) if weight is None else np.asarray(weight, np.float64)
    if weight.shape != (n,):
        raise ValueError(f"weight {weight.shape} must have one number for each of {n} examples")
    if not (np.all(weight >= 0) and np.isfinite(weight).all() and weight.any()):
        raise ValueError("weights must be finite, at least 0, and one of them above 0")
    return weight


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level is a probability between 0 and 1, such as 0.95, got {level}")
