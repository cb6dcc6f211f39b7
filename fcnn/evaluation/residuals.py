"""Figures of numbers that were predicted: targets and predictions of one shape, ``[n, ...]``.

Several outputs per example are averaged, or given one by one, ``[d]``, with ``per_output=True``.
Rows of weights, ``[..., n]``, give a figure for each row.

    >>> targets, predictions = [1.0, 2.0, 3.0, 4.0], [1.0, 2.5, 3.0, 3.5]
    >>> mse(targets, predictions), mae(targets, predictions), r2(targets, predictions)
    (0.125, 0.25, 0.9)
"""

from typing import Any

import numpy as np

from .weighting import alike, counted, mean, plain, ratio

_EPSILON = np.finfo(np.float64).eps
_CONSTANT = 1e-13  # of the second moment: a variance below is the rounding of a constant


def mse(
    targets: Any, predictions: Any, *, per_output: bool = False, weight: Any = None
) -> float | np.ndarray:
    """Mean squared error."""
    weight, truth, said = _pairs(targets, predictions, weight)
    return _figure(mean((said - truth) ** 2, weight), per_output)


def rmse(
    targets: Any, predictions: Any, *, per_output: bool = False, weight: Any = None
) -> float | np.ndarray:
    """Root of the mean squared error; of several outputs, the mean of their roots."""
    return _figure(np.sqrt(mse(targets, predictions, per_output=True, weight=weight)), per_output)


def mae(
    targets: Any, predictions: Any, *, per_output: bool = False, weight: Any = None
) -> float | np.ndarray:
    """Mean absolute error."""
    weight, truth, said = _pairs(targets, predictions, weight)
    return _figure(mean(np.abs(said - truth), weight), per_output)


def mape(
    targets: Any, predictions: Any, *, per_output: bool = False, weight: Any = None
) -> float | np.ndarray:
    """Mean of ``|error| / |target|``, a part of one; targets near zero count as 2.2e-16."""
    weight, truth, said = _pairs(targets, predictions, weight)
    parts = np.abs(said - truth) / np.maximum(np.abs(truth), _EPSILON)
    return _figure(mean(parts, weight), per_output)


def median_absolute_error(
    targets: Any, predictions: Any, *, per_output: bool = False, weight: Any = None
) -> float | np.ndarray:
    """The error that half of the weight is below; between two, their mean."""
    weight, truth, said = _pairs(targets, predictions, weight)
    columns = np.abs(said - truth).T
    return _figure(np.stack([_median(column, weight) for column in columns], -1), per_output)


def max_error(
    targets: Any, predictions: Any, *, per_output: bool = False, weight: Any = None
) -> float | np.ndarray:
    """The largest absolute error, whatever the weight above 0."""
    weight, truth, said = _pairs(targets, predictions, weight)
    error = np.abs(said - truth)
    largest = [np.where(weight > 0, column, 0).max(-1) for column in error.T]
    return _figure(np.stack(largest, -1), per_output)


def r2(
    targets: Any, predictions: Any, *, per_output: bool = False, weight: Any = None
) -> float | np.ndarray:
    """Part of the variance explained, at most 1; where there is none, 1 if all is exact and else 0.

    Unlike scikit-learn's it is defined for one example too.
    """
    weight, truth, said = _pairs(targets, predictions, weight)
    return _figure(_explained(mean((said - truth) ** 2, weight), truth, weight), per_output)


def explained_variance(
    targets: Any, predictions: Any, *, per_output: bool = False, weight: Any = None
) -> float | np.ndarray:
    """As ``r2``, where an error that is the same for all examples counts as none."""
    weight, truth, said = _pairs(targets, predictions, weight)
    return _figure(_explained(_variance(said - truth, weight), truth, weight), per_output)


def _pairs(targets: Any, predictions: Any, weight: Any) -> list[np.ndarray]:
    """Weights, and truth and prediction in float64, ``[n, d]``."""
    weight, targets, predictions = counted(weight, targets=targets, predictions=predictions)
    alike("predictions", predictions, targets)
    n = len(targets)
    return [weight, *(np.float64(array).reshape(n, -1) for array in (targets, predictions))]


def _figure(values: np.ndarray, per_output: bool) -> float | np.ndarray:
    return values if per_output else plain(values.mean(-1))


def _explained(unexplained: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> np.ndarray:
    variance = _variance(truth, weight)
    exact = np.where(np.isnan(unexplained), np.nan, unexplained == 0)
    return np.where(variance == 0, exact, 1 - ratio(unexplained, variance))


def _variance(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The variance of each column for each row of weights; exactly 0 of what is constant."""
    total = weight.reshape(-1, weight.shape[-1]).sum(0)
    with np.errstate(invalid="ignore"):  # of infinite values it is NaN
        off = values - mean(values, total)
        second, first = mean(off**2, weight), mean(off, weight)
    variance = second - first**2
    return np.where(variance <= _CONSTANT * second, 0, variance)


def _median(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The mean of the lower and the upper weighted median, which are mostly one."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weight[..., order], -1)
    half = below[..., -1:] / 2
    lower = (below < half * (1 - 4 * _EPSILON)).sum(-1)
    upper = (below <= half * (1 + 4 * _EPSILON)).sum(-1)
    return (values[order][lower] + values[order][upper]) / 2
