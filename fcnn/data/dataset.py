"""Examples by number: a dataset has a length, and ``d[indices]`` is a batch of numpy arrays."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .columns import (
    batch_columns,
    check_labels,
    class_names,
    encode_labels,
    is_lazy,
    numbers,
    targets,
    texts,
    weights,
)
from .random_order import SPLIT, permutation
from .sources import Source


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Inputs and targets by number: ``d[indices]`` is ``(x, y)``, or ``(x, y, weight)``.

    ``indices`` is an array of integers or a slice, which give a batch, or one integer, which gives
    one example. ``arrays`` makes a dataset, with checks.

    Attributes:
        x: Inputs, ``[n, ...]``: an array, or a column like ``Pictures`` that reads examples when
            they are asked for; None where they can only be read a batch at a time.
        y: Targets, ``[n, ...]``; None likewise. Labels are integers ``[n]``.
        weight: How much each example counts, float32 ``[n]``; None means all the same.
        classes: The names of the labels 0, 1, ...
        name: What errors and reports call it.
    """

    x: Any
    y: Any
    weight: np.ndarray | None = None
    classes: tuple[str, ...] | None = None
    name: str = "data"

    def __post_init__(self):
        for name, column in (("x", self.x), ("y", self.y), ("weight", self.weight)):
            if column is not None and not hasattr(column, "shape"):
                kind = type(column).__name__
                raise TypeError(f"{name} is a {kind}; fcnn.data.arrays makes a dataset of those")
            if column is not None and len(column) != len(self.x):
                raise ValueError(f"x has {len(self.x)} examples, {name} has {len(column)}")

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, indices: Any) -> tuple[Any, ...]:
        rows = _rows(indices)
        return tuple(column[rows] for column in (self.x, self.y, self.weight) if column is not None)

    def take(self, indices: Any, *, name: str | None = None) -> "Dataset":
        """The dataset of these examples only, in this order; files are not read."""
        rows = np.atleast_1d(np.arange(len(self))[_rows(indices)])
        return dataclasses.replace(
            self,
            x=self.x.take(rows, axis=0) if is_lazy(self.x) else self.x[rows],
            y=self.y[rows],
            weight=None if self.weight is None else self.weight[rows],
            name=name or self.name,
        )

    def __repr__(self) -> str:
        what = f"{self.name}: {len(self):,} examples"
        for column, values in (("x", self.x), ("y", self.y)):
            if values is not None:
                what += f", {column} {values.dtype}[{','.join(map(str, values.shape[1:]))}]"
        if self.classes is not None:
            what += f", {len(self.classes)} classes"
        return f"<{what}>"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class _Wrapped(Dataset):
    """A foreign source that is read a batch at a time; ``rows`` are the examples of it in use."""

    source: Any = None
    rows: Any = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, indices: Any) -> tuple[np.ndarray, ...]:
        rows = self.rows[_rows(indices)]
        if rows.ndim == 0:
            return tuple(column[0] for column in self._read(rows[None]))
        return self._read(rows)

    def _read(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        columns = batch_columns(self.source(rows), f"{self.name}[indices]", self.classes)
        if len(columns["x"]) != len(rows):
            got = len(columns["x"])
            raise ValueError(f"{self.name}[indices] gave {got} examples for {len(rows)} indices")
        # A source may use its memory again for the next batch, which threads read ahead.
        return tuple(map(np.array, columns.values()))

    def take(self, indices: Any, *, name: str | None = None) -> Dataset:
        rows = np.atleast_1d(self.rows[_rows(indices)])
        return dataclasses.replace(self, rows=rows, name=name or self.name)


def arrays(
    x: Any,
    y: Any,
    *,
    weight: Any = None,
    classes: Sequence[str] | None = None,
    name: str = "data",
) -> Dataset:
    """A dataset of arrays or nested lists; copies only what has to be converted.

    float64 becomes float32, and the memory layout native and contiguous. Labels that are strings
    become numbers: their place in ``classes``, or, without it, in their sorted set.

    Example:
        >>> d = arrays([[0.0], [1.0], [2.0]], ["dog", "cat", "dog"])
        >>> d.y, d.classes
        (array([1, 0, 1], dtype=int32), ('cat', 'dog'))

    Args:
        x: Inputs, ``[n, ...]``.
        y: Targets, ``[n, ...]``.
        weight: How much each example counts, ``[n]``, finite and not negative.
        classes: The names of the labels 0, 1, ...
        name: What errors and reports call the dataset.

    Raises:
        TypeError: the values are no numbers, or are masked.
        ValueError: the lengths differ, or a label or a weight is out of range.
    """
    x = numbers(x, "x")
    classes = None if classes is None else class_names(classes)
    labels = texts(y)
    if labels is not None:
        y, classes = encode_labels(labels, classes)
    y = targets(y)
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} examples, y has {len(y)}")
    if classes is not None and labels is None:
        check_labels(y, classes)
    if weight is not None:
        weight = weights(weight, len(x))
    return Dataset(x, y, weight, classes, name)


def as_dataset(data: Any, *, name: str = "data") -> Dataset:
    """A dataset as it is, a pair ``(x, y)``, a triple ``(x, y, weight)``, or a source of one's own.

    A source has a length, and for an integer array of indices gives ``(x, y)``,
    ``(x, y, weight)`` or a dict of those. One that takes single integers only, such as a dataset of
    PyTorch, is read one by one, and its examples are stacked. Labels that are strings become
    numbers where it has ``classes``. It is read only where batches are made, so its ``x`` and ``y``
    are None.

    Example:
        >>> class Squares:
        ...     def __len__(self):
        ...         return 4
        ...     def __getitem__(self, i):
        ...         return {"x": [float(i)], "y": int(i) ** 2}
        >>> as_dataset(Squares())[[3, 1]]
        (array([[3.],
               [1.]], dtype=float32), array([9, 1]))

    Raises:
        TypeError: for anything else, as for a pair of datasets.
    """
    if isinstance(data, Dataset):
        return data
    if isinstance(data, tuple) and any(isinstance(part, Dataset) for part in data):
        raise TypeError(
            f"{name} is a pair of datasets; write train, test = ... and give one of them"
        )
    if isinstance(data, tuple) and len(data) in (2, 3):
        return arrays(data[0], data[1], weight=data[2] if len(data) == 3 else None, name=name)
    if hasattr(data, "shape"):
        raise TypeError(f"{name} is one array, without targets; give a pair (x, y)")
    foreign = hasattr(data, "__len__") and hasattr(data, "__getitem__")
    if not foreign or isinstance(data, tuple | list | str | bytes | Mapping):
        raise TypeError(
            f"{name} must be a Dataset, a pair (x, y), a triple (x, y, weight), or a source with "
            f"len(d) and d[indices]; got {type(data).__name__}"
        )
    classes, own_name = getattr(data, "classes", None), getattr(data, "name", None)
    return _Wrapped(
        None,
        None,
        classes=None if classes is None else class_names(classes),
        name=own_name if isinstance(own_name, str) else name,
        source=Source(data),
        rows=np.arange(len(data)),
    )


def split(
    data: Any, fraction: float = 0.2, *, seed: int = 0, stratify: bool = True
) -> tuple[Dataset, Dataset]:
    """``(train, held_out)``, where ``held_out`` is a ``fraction`` of the examples drawn at random.

    Both keep the order of the data, and which example goes where follows from ``seed`` alone.

    Args:
        data: A dataset, or what ``as_dataset`` takes.
        fraction: Between 0 and 1; the number of examples held out is rounded to the nearest.
        seed: Of the draw.
        stratify: Hold out the same share of each class, exact by the largest remainder, where the
            targets are integer labels ``[n]``; other targets are drawn without regard to them.

    Raises:
        ValueError: a side would be empty.
    """
    dataset = as_dataset(data)
    n = len(dataset)
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1, got {fraction!r}")
    if not 0 < round(n * fraction) < n:
        raise ValueError(f"{dataset.name} has {n} examples; {fraction} of it leaves a side empty")
    y = dataset.y
    labelled = isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind in "iub"
    groups = np.unique(y, return_inverse=True)[1] if stratify and labelled else np.zeros(n, int)

    share = np.round(np.bincount(groups) * fraction, 9)  # 0.1 * 30 is not quite 3
    quota = np.floor(share).astype(int)
    missing = round(n * fraction) - quota.sum()
    quota[np.argsort(quota - share, kind="stable")[:missing]] += 1

    drawn = permutation(n, seed=seed, purpose=SPLIT)
    by_group = drawn[np.argsort(groups[drawn], kind="stable")]
    place = np.arange(n) - np.searchsorted(groups[by_group], groups[by_group])
    held = np.zeros(n, bool)
    held[by_group] = place < quota[groups[by_group]]
    return (
        dataset.take(np.flatnonzero(~held), name=f"{dataset.name} train"),
        dataset.take(np.flatnonzero(held), name=f"{dataset.name} held out"),
    )


def _rows(indices: Any) -> Any:
    """Indices as numpy takes them; a tuple would mean several axes there."""
    if isinstance(indices, int | np.integer | slice):
        return indices
    rows = np.asarray(indices)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iub"):
        raise IndexError(f"indices must be integers [n], got {rows.dtype}{list(rows.shape)}")
    return rows if rows.size else rows.astype(np.intp)
