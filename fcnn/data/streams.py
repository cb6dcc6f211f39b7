"""Batches from elsewhere: whatever gives batches whenever it is iterated, such as a PyTorch loader.

Their order, their shuffling and their size are the source's own, so that a batch of a stream cannot
be made again by its number, as one of a dataset can.
"""

import itertools
import operator
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .columns import batch_columns, class_names
from .workers import Ahead, check_workers


class Stream:
    """Batches of one size, in the order in which a source gives them; ``stream`` makes one.

    Attributes:
        classes: The names of the labels 0, 1, ...
        name: What errors and reports call it.
        once: Whether the source is used up when it has been read.
        first: The first batch, without filling: ``x``, ``y`` and, where there are any, ``weight``.
        size: Rows of a batch: those of the first.
        steps: Number of batches, where the source tells it, else 0.
    """

    x = y = weight = None  # as those of a source that is read a batch at a time

    def __init__(self, source: Any, classes: tuple[str, ...] | None, name: str):
        self.classes, self.name, self._source = classes, name, source
        given = self._open()
        self._kind = type(given).__name__
        again = [self._open()] if isinstance(given, Generator) else []  # not begun, so nothing runs
        self.once = given is source or given in again
        self.steps = operator.length_hint(source, 0)
        try:
            batch = next(given)
        except StopIteration:
            raise ValueError(f"{name} gives no batches") from None
        self.first = self._read(0, batch)
        self.size = len(self.first["x"])
        # The first pass goes on with these: opened anew, they might lack what was taken from them.
        self._opened = [itertools.chain([self.first], given), *([] if self.once else again)]

    def numbered(
        self, epoch: int = 0, start: int = 0
    ) -> tuple[Callable[[int], Any], Iterable[int]]:
        """``(make, numbers)``, as of a dataset: what makes the batches of one pass, one by one, and
        None after the last. Those before number ``start`` are read and left.

        Raises:
            ValueError: the source is used up, here or where its first batch is made.
        """
        advice = "give fcnn.data.stream a function that makes a new one, or an object with __iter__"
        if self.once and not self._opened:
            raise ValueError(
                f"{self.name} is a {self._kind}, which can be read only once; {advice}"
            )
        given = self._opened.pop(0) if self._opened else self._open()
        taken = done = 0

        def make(number):
            nonlocal taken, done
            for batch in given:
                columns = self._read(taken, batch)
                done += len(columns["x"])
                taken += 1
                if taken > number:
                    return self._filled(columns, done, epoch)
            if taken:
                return None
            raise ValueError(f"{self.name} gave no batches when it was read again; {advice}")

        return make, itertools.count(start)

    def batches(self, workers: int = 0, *, epoch: int = 0) -> Ahead:
        """One pass over the source: dicts of ``x``, ``y``, ``weight``, ``index`` and ``epoch``.

        ``index`` counts the examples, ``epoch`` is as given, for augmentations to differ. A smaller
        batch is filled with examples of its own at weight 0, whose index is -1. One thread at most
        reads ahead.

        Raises:
            ValueError: the source is used up, ``workers`` is negative, or, when it comes, a batch
                is larger than the first or of another shape.
        """
        check_workers(workers)
        return Ahead(*self.numbered(epoch), min(workers, 1))

    def __repr__(self) -> str:
        what = f"{self.name}: batches of {self.size}"
        for name, column in self.first.items():
            what += f", {name} {column.dtype}[{','.join(map(str, column.shape[1:]))}]"
        return f"<{what}>"

    def _open(self) -> Iterator[Any]:
        return iter(self._source() if callable(self._source) else self._source)

    def _read(self, number: int, batch: Any) -> dict[str, np.ndarray]:
        """A batch as columns of their own memory: a source may use its own again."""
        what = f"batch {number} of {self.name}"
        columns = batch_columns(batch, what, self.classes)
        if len(columns["x"]) == 0:
            raise ValueError(f"{what} has 0 inputs")
        if number:
            self._compare(columns, what)
        return {name: np.array(column) for name, column in columns.items()}

    def _compare(self, columns: Mapping[str, np.ndarray], what: str) -> None:
        if columns.keys() != self.first.keys():
            raise ValueError(f"{what} has {', '.join(columns)}; the first {', '.join(self.first)}")
        for name, column in columns.items():
            like = self.first[name]
            if (column.shape[1:], column.dtype) != (like.shape[1:], like.dtype):
                raise ValueError(
                    f"{name} of {what} is {column.dtype}{list(column.shape[1:])} an example, that "
                    f"of the first {like.dtype}{list(like.shape[1:])}"
                )
        if len(columns["x"]) > self.size:
            raise ValueError(
                f"{what} has {len(columns['x'])} examples, more than the {self.size} of the first, "
                "which sets the size of all"
            )

    def _filled(self, batch: dict[str, np.ndarray], done: int, epoch: int) -> dict[str, np.ndarray]:
        n = len(batch["x"])
        rows, real = np.arange(self.size) % n, np.arange(self.size) < n
        columns = batch if n == self.size else {name: x[rows] for name, x in batch.items()}
        return {
            "x": columns["x"],
            "y": columns["y"],
            "weight": real * columns.get("weight", np.float32(1)),
            "index": np.where(real, rows + done - n, -1).astype(np.int32),
            "epoch": np.full(self.size, epoch, np.int32),
        }


def stream(
    source: Iterable[Any] | Callable[[], Iterable[Any]],
    *,
    classes: Sequence[str] | None = None,
    name: str = "data",
) -> Stream:
    """Batches that something else makes, for ``fit`` and ``evaluate``.

    A batch is a pair ``(x, y)``, a triple ``(x, y, weight)``, or a dict of those, of arrays or of
    what NumPy can read as such: tensors of PyTorch and TensorFlow too. Each is one step; an epoch
    is one pass. The first batch sets the size, and smaller ones are filled up with examples that
    weigh nothing.

    Example:
        >>> def batches():
        ...     for first in (0, 4):
        ...         x = np.arange(first, min(first + 4, 6))
        ...         yield x, x % 2
        >>> [batch["weight"].tolist() for batch in stream(batches).batches()]
        [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]]

    Args:
        source: What is iterated once for each epoch, or a function that makes it. What can be
            iterated only once, such as a generator, serves for one epoch, also where a function
            gives the same one each time.
        classes: The names of the labels 0, 1, ...
        name: What errors and reports call it.

    Raises:
        TypeError: the source cannot be iterated, or what it gives is no batch.
        ValueError: it gives no batches, or an impossible one.
    """
    if not callable(source) and not hasattr(source, "__iter__"):
        raise TypeError(f"{name} gives no batches: a {type(source).__name__} cannot be iterated")
    return Stream(source, None if classes is None else class_names(classes), name)


def gives_batches(data: Any) -> bool:
    """Whether something is a stream, or can only be iterated, so that it must be one."""
    plain = isinstance(data, tuple | list | str | bytes | Mapping)
    return isinstance(data, Stream) or (
        hasattr(data, "__iter__") and not hasattr(data, "__getitem__") and not plain
    )
