"""Batches: the order of the examples is a function of seed and epoch, and every batch is full.

Nothing here remembers anything, so any batch of any epoch can be made again.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from .dataset import Dataset, as_dataset
from .random_order import permutation


def order(n: int, *, seed: int, epoch: int) -> np.ndarray:
    """The order of ``n`` examples in an epoch: a permutation of 0 to n - 1, int64 [n].

    It is ``np.argsort`` of raw Philox integers, which NumPy keeps the same across versions.

    Example:
        >>> order(5, seed=0, epoch=0), order(5, seed=0, epoch=1)
        (array([0, 2, 1, 4, 3]), array([1, 2, 3, 0, 4]))

    Raises:
        ValueError: seed or epoch is negative or needs more than 64 bits.
    """
    return permutation(n, seed=seed, epoch=epoch)


def batches(
    data: Any, batch_size: int, *, seed: int | None = None, epoch: int = 0, start: int = 0
) -> Iterator[dict[str, np.ndarray]]:
    """Batches of ``batch_size`` rows: dicts of ``x``, ``y``, ``weight`` and ``index``.

    Each example comes exactly once. The last batch is filled with examples from the beginning of
    the same order at weight 0: real ones, so that the statistics of a batch norm see no blanks.

    Example:
        >>> for batch in batches((np.arange(5), np.arange(5)), 3):
        ...     print(batch["index"], batch["weight"])
        [0 1 2] [1. 1. 1.]
        [3 4 0] [1. 1. 0.]

    Args:
        data: A dataset, or what ``as_dataset`` takes.
        batch_size: Rows of every batch; may exceed the number of examples.
        seed: Of the order; None keeps the order of the data.
        epoch: Changes the order under the same seed.
        start: Number of the first batch to make; those before are not read.

    Raises:
        ValueError: the data is empty, or an option is out of range.
    """
    dataset = as_dataset(data)
    if len(dataset) == 0:
        raise ValueError(f"{dataset.name} has no examples")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer):
        raise TypeError(f"batch_size must be an integer, got {batch_size!r}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if start < 0:
        raise ValueError(f"start must be at least 0, got {start}")
    n = len(dataset)
    rows = np.arange(n) if seed is None else order(n, seed=seed, epoch=epoch)
    return _batches(dataset, rows, int(batch_size), start)


def _batches(dataset: Dataset, rows: np.ndarray, size: int, start: int) -> Iterator[dict]:
    n = len(rows)
    for first in range(start * size, n, size):
        position = np.arange(first, first + size)
        index = rows[position % n]
        x, y, *weight = dataset[index]
        once = (position < n).astype(np.float32)
        yield {
            "x": x,
            "y": y,
            "weight": once * weight[0] if weight else once,
            "index": index.astype(np.int32),
        }
