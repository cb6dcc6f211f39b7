"""What is made ahead by threads comes in order, as if it were made when it is asked for.

Threads share the memory of the process, and what they wait for (files, decoders, NumPy) lets others
run meanwhile. Nothing is forked: XLA has threads of its own, which a fork would leave behind.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .columns import is_lazy
from .dataset import Dataset

MOST = 4  # threads, where nobody says how many


class Ahead(Iterator[Any]):
    """``make(number)`` for one number after the other, while ``workers`` threads make the next.

    With 0 workers each is made when it is asked for. It ends with the numbers, or with the first
    None; an error comes where its result would have come, and names the number. The threads end
    with it, when it is closed, and when nobody holds it any more; no more than ``workers + 2``
    results wait at a time.
    """

    def __init__(self, make: Callable[[int], Any], numbers: Iterable[int], workers: int = 0):
        self._begun: deque[Any] = deque()  # (number, future) of what is being made, in order
        self._pool = None  # closed even where there can be none
        self._pool = ThreadPoolExecutor(workers, "fcnn-data") if workers else None
        self._make, self._numbers = make, iter(numbers)
        self.workers, self._room = workers, workers + 2

    @property
    def ready(self) -> bool:
        """Whether the next result is there already; never so without workers."""
        self._begin()
        return bool(self._begun) and self._begun[0][1].done()

    def __next__(self) -> Any:
        self._begin()
        number = None
        try:
            if self._begun:
                number, future = self._begun.popleft()
                result = future.result()
            else:
                number = next(self._numbers, None)
                result = None if number is None else self._make(number)
        except BaseException as error:
            self.close()
            error.add_note(f"in batch {number}, counted from 0")
            if isinstance(error, StopIteration):  # which would end the epoch in silence
                raise RuntimeError(f"batch {number} could not be made: {error!r}") from error
            raise
        if result is None:
            self.close()
            raise StopIteration
        self._begin()
        return result

    def close(self) -> None:
        """Makes no more: threads end with what they are at."""
        self._numbers = iter(())
        self._begun.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def __del__(self):
        self.close()

    def _begin(self) -> None:
        while self._pool is not None and len(self._begun) < self._room:
            number = next(self._numbers, None)
            if number is None:
                return
            self._begun.append((number, self._pool.submit(self._make, number)))


def check_workers(workers: Any) -> None:
    """Refuses what is no number of threads.

    Raises:
        TypeError: it is no integer.
        ValueError: it is negative.
    """
    if isinstance(workers, bool) or not isinstance(workers, int | np.integer):
        raise TypeError(f"workers must be an integer, a number of threads, got {workers!r}")
    if workers < 0:
        raise ValueError(f"workers must be at least 0, got {workers}")


def workers_for(data: Any, workers: int | None = None) -> int:
    """How many threads make the batches of some data: as many as are asked for, or, where that is
    None, none for arrays in memory and up to four for columns that are read or decoded.

    A source that only gives whole batches may not bear two readers: one thread at most reads it.
    """
    if workers is not None:
        check_workers(workers)
    columns = [column for column in (data.x, data.y, data.weight) if column is not None]
    if not columns or type(data) is not Dataset:
        return 1 if workers is None else min(int(workers), 1)
    if workers is not None:
        return int(workers)
    return min(MOST, os.cpu_count() or 1) if any(map(_read_later, columns)) else 0


def _read_later(column: Any) -> bool:
    """Whether the numbers of a column have yet to be read: it is no array, or one in a file."""
    if is_lazy(column):
        return True
    while isinstance(column, np.ndarray):
        if isinstance(column, np.memmap):
            return True
        column = column.base
    return False
