"""Batches: the order of the examples is a function of seed and epoch, and every batch is full.

Nothing here remembers anything, so any batch of any epoch can be made again.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .dataset import Dataset, as_dataset
from .random_order import permutation
from .workers import Ahead, check_workers, workers_for


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
    data: Any,
    batch_size: int,
    *,
    seed: int | None = None,
    epoch: int = 0,
    start: int = 0,
    workers: int = 0,
) -> Ahead:
    """Batches of ``batch_size`` rows: dicts of ``x``, ``y``, ``weight``, ``index`` and
    ``epoch``, all of ``batch_size`` rows.

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
        workers: Threads that make batches ahead. The batches are the same with any number; columns
            that are no arrays are read by several threads at once, a source of one's own by one.

    Returns:
        An iterator; ``close`` ends its threads early.

    Raises:
        ValueError: the data is empty, or an option is out of range.
    """
    check_workers(workers)
    dataset = as_dataset(data)
    make, numbers = numbered(dataset, batch_size, seed=seed, epoch=epoch, start=start)
    return Ahead(make, numbers, workers_for(dataset, workers))


def numbered(
    dataset: Dataset, batch_size: int, *, seed: int | None, epoch: int = 0, start: int = 0
) -> tuple[Callable[[int], dict[str, np.ndarray]], range]:
    """``(make, numbers)``: what makes a batch by its number, and the numbers of an epoch."""
    if len(dataset) == 0:
        raise ValueError(f"{dataset.name} has no examples")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer):
        raise TypeError(f"batch_size must be an integer, got {batch_size!r}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if start < 0:
        raise ValueError(f"start must be at least 0, got {start}")
    if not 0 <= epoch < 2**31:
        raise ValueError(f"epoch must be from 0 to 2**31 - 1, got {epoch}")
    n, size = len(dataset), int(batch_size)
    rows = np.arange(n) if seed is None else order(n, seed=seed, epoch=epoch)
    return functools.partial(_batch, dataset, rows, size, epoch), range(start, -(-n // size))


def _batch(
    dataset: Dataset, rows: np.ndarray, size: int, epoch: int, number: int
) -> dict[str, np.ndarray]:
    n = len(rows)
    position = np.arange(number * size, (number + 1) * size)
    index = rows[position % n]
    x, y, *weight = dataset[index]
    once = (position < n).astype(np.float32)
    return {
        "x": x,
        "y": y,
        "weight": once * weight[0] if weight else once,
        "index": index.astype(np.int32),
        "epoch": np.full(size, epoch, np.int32),
    }
