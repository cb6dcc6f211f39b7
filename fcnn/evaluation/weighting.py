"""Examples and their weights, as every figure takes them.

A weight says how many examples an example stands for; 0 is as if it was absent. Weights are
``[n]``, or rows of them, ``[..., n]``, which give one figure each. A resample of the data is such
a row, so that a bootstrap computes many figures at once.
"""

from typing import Any

import numpy as np

_LONG = 1000  # examples beyond which rows one by one are faster than all at once


def counted(weight: Any, **arrays: Any) -> list[np.ndarray]:
    """The weights, and the arrays in their order, without the examples that weigh 0 in every row.

    Args:
        weight: ``[n]`` or ``[..., n]``; None weighs each example 1.
        arrays: What has an entry for each example, by the name that an error calls it.

    Raises:
        ValueError: lengths differ, a weight is negative or not finite, or no example is left.
    """
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    lengths = {len(array) if array.ndim else None for array in arrays.values()}
    if len(lengths) > 1 or None in lengths:
        given = " and ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{given} must have one entry for each example")
    (n,) = lengths
    weight = np.ones(n) if weight is None else np.asarray(weight, np.float64)
    if weight.shape[-1:] != (n,):
        raise ValueError(
            f"weight {weight.shape} must have one number for each of {n} examples, ({n},)"
        )
    if weight.size and not (weight.min() >= 0 and weight.max() < np.inf):
        raise ValueError("weights must be finite and at least 0; use 0 to leave an example out")
    if not weight.size or not weight.any(-1).all():
        raise ValueError("nothing to report on: no example, or none of weight above 0")
    present = weight.reshape(-1, n).any(0)
    if present.all():
        return [weight, *arrays.values()]
    return [weight[..., present], *(array[present] for array in arrays.values())]


def mean(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The weighted mean over examples: ``[n]`` or ``[n, d]`` to ``[...]`` or ``[..., d]``."""
    total = weight.sum(-1)
    return weight @ values / (total if values.ndim == 1 else total[..., None])


def sums(index: np.ndarray, weight: np.ndarray, k: int) -> np.ndarray:
    """The weights summed by an index from 0 to ``k - 1``: two ``[..., n]`` to ``[..., k]``."""
    n, shape = index.shape[-1], np.broadcast_shapes(index.shape, weight.shape)[:-1]
    rows = [np.broadcast_to(each, (*shape, n)).reshape(-1, n) for each in (index, weight)]
    if n > _LONG:
        total = np.stack([np.bincount(*row, k) for row in zip(*rows, strict=True)])
    else:
        places = rows[0] + k * np.arange(len(rows[0]))[:, None]
        total = np.bincount(places.ravel(), rows[1].ravel(), k * len(places))
    return total.reshape(*shape, k)


def ratio(a: Any, b: Any, *, empty: float = 0.0) -> np.ndarray:
    """``a / b``, and ``empty`` where there is nothing to divide by."""
    out = np.full(np.broadcast(a, b).shape, empty, np.float64)
    return np.divide(a, b, out=out, where=np.asarray(b) != 0)


def plain(figure: Any) -> Any:
    """One figure as a Python float, several as the array they are."""
    figure = np.asarray(figure)
    return figure if figure.ndim else float(figure)


def integers(name: str, values: np.ndarray, k: int | None = None) -> np.ndarray:
    """Classes as integers, at least 0 and below ``k``.

    Raises:
        TypeError: they are no integers.
        ValueError: one is out of range.
    """
    if values.dtype.kind not in "iub":
        raise TypeError(
            f"{name} must be integers, got {values.dtype}; "
            "of probabilities write p.argmax(-1), or p > 0.5 of one that is yes or no"
        )
    values = values.astype(np.int64, copy=False)
    if values.min() < 0:
        raise ValueError(f"{name} hold class {values.min()}; classes are counted from 0")
    if k is not None and values.max() >= k:
        raise ValueError(
            f"{name} hold class {values.max()}, but there are {k} classes: 0 to {k - 1}"
        )
    return values


def binary(name: str, values: np.ndarray) -> np.ndarray:
    """Yes and no as booleans, of numbers that are 1 and 0.

    Raises:
        ValueError: there is another number.
    """
    if not np.isin(values, (0, 1)).all():
        raise ValueError(
            f"{name} must be 0 or 1, got {values[~np.isin(values, (0, 1))].flat[0]}; "
            "of probabilities write p > 0.5"
        )
    return values.astype(bool)


def alike(name: str, values: np.ndarray, targets: np.ndarray) -> None:
    """Checks that two arrays have one shape, for nothing is broadcast.

    Raises:
        ValueError: they differ.
    """
    if values.shape != targets.shape:
        raise ValueError(
            f"targets {targets.shape} and {name} {values.shape} must have one shape; "
            f"write {name}.reshape(targets.shape) if only axes of one differ"
        )
