"""What may stand in a dataset: numbers, labels and weights, checked and in one form."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

COLUMNS = ("x", "y", "weight")


def is_lazy(values: Any) -> bool:
    """Whether these are examples that are read when asked for, and taken without being read."""
    parts = ("shape", "dtype", "take", "__getitem__")
    return all(hasattr(values, part) for part in parts) and not hasattr(values, "__array__")


def numbers(values: Any, name: str) -> Any:
    """``values`` as a native, contiguous array of numbers, at most 32 bits wide if floating.

    bfloat16, which NumPy itself does not know, becomes float32. What is read only when asked for
    stays as it is.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array; fill it first: {name}.filled(value)")
    if is_lazy(values):
        return values
    try:
        column = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} is ragged: its examples have different shapes") from error
    if column.ndim == 0:
        raise TypeError(
            f"{name} must be an array [n, ...], got {type(values).__name__} {values!r:.80}"
        )
    if column.dtype.name == "bfloat16":
        column = column.astype(np.float32)
    if column.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold integer or floating numbers, got dtype {column.dtype}")
    wide = column.dtype.kind == "f" and column.dtype.itemsize > 4
    dtype = np.dtype(np.float32) if wide else column.dtype.newbyteorder("=")
    return np.asarray(column, dtype, order="C")


def targets(values: Any) -> np.ndarray:
    """Targets as an array of numbers; true and false are the classes 1 and 0."""
    column = numbers(values, "y")
    return column.astype(np.int32) if column.dtype.kind == "b" else column


def texts(y: Any) -> np.ndarray | None:
    """``y`` as an array of strings [n], if that is what it is."""
    if isinstance(y, np.ma.MaskedArray):
        return None
    try:
        y = np.asarray(y)
    except ValueError:  # ragged: refused with the right words later
        return None
    if y.dtype.kind == "O" and y.size and all(isinstance(label, str) for label in y.flat):
        y = y.astype(str)
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8")
    if y.dtype.kind not in "UT":
        return None
    if y.ndim != 1:
        raise ValueError(f"labels that are strings must be [n], got {list(y.shape)}")
    return y


def class_names(classes: Sequence[str]) -> tuple[str, ...]:
    """The names as a tuple; a ValueError where two are equal."""
    if isinstance(classes, str):
        raise TypeError(f"classes must be a sequence of names, got {classes!r}")
    names = tuple(map(str, classes))
    if len(set(names)) < len(names):
        raise ValueError(f"two classes have one name: {list(names)}")
    return names


def check_labels(y: np.ndarray, classes: tuple[str, ...]) -> None:
    """Refuses integer labels [n] that are no number of a class."""
    if y.ndim == 1 and y.dtype.kind in "iu" and y.size:
        low, high = y.min(), y.max()
        if low < 0 or high >= len(classes):
            n = len(classes)
            raise ValueError(f"labels of {n} classes lie in 0..{n - 1}, got {low}..{high}")


def weights(weight: Any, n: int) -> np.ndarray:
    """How much each of ``n`` examples counts, float32 [n]; finite and not negative."""
    weight = numbers(weight, "weight").astype(np.float32)
    if weight.shape != (n,):
        raise ValueError(f"x has {n} examples, so weight must be [{n}], got {list(weight.shape)}")
    if not np.all(np.isfinite(weight) & (weight >= 0)):
        raise ValueError("weights must be finite and not negative")
    return weight


def encode_labels(
    texts: np.ndarray, classes: tuple[str, ...] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Names of classes as numbers, int32 [n], and the classes: those given, or the sorted set.

    Raises:
        ValueError: a label is not one of ``classes``; the strangers are listed.
    """
    found, y = np.unique(texts, return_inverse=True)
    if classes is None:
        return y.astype(np.int32), tuple(map(str, found))
    if strangers := [str(name) for name in found if name not in classes]:
        raise ValueError(f"y holds {strangers}, which are not among the classes {list(classes)}")
    number = np.array([classes.index(name) for name in found], np.int32)
    return number[y], classes


def batch_columns(
    batch: Any, what: str, classes: tuple[str, ...] | None = None
) -> dict[str, np.ndarray]:
    """``x``, ``y`` and perhaps ``weight`` of a batch that something else made, checked.

    Args:
        batch: A pair, a triple, or a dict, which may hold ``index`` too.
        what: What errors call it.
        classes: The names that labels which are strings may have.

    Raises:
        TypeError: it is none of these, or its labels are strings and there are no ``classes``.
        ValueError: its columns differ in length, or a label or a weight is impossible.
    """
    if isinstance(batch, Mapping):
        known = {"x", "y"} <= batch.keys() <= {*COLUMNS, "index", "epoch"}
        got = f"a dict of {', '.join(map(str, batch))}"
        found = {name: batch[name] for name in COLUMNS if name in batch}
    else:
        known = isinstance(batch, tuple | list) and len(batch) in (2, 3)
        got = f"a {type(batch).__name__}"
        found = dict(zip(COLUMNS, batch, strict=False)) if known else {}
    if not known:
        raise TypeError(
            f"{what} must be (x, y), (x, y, weight) or a dict of x, y and perhaps weight; got {got}"
        )
    found["x"] = numbers(found["x"], "x")
    labels = texts(found["y"])
    if labels is not None:
        if classes is None:
            raise TypeError(f"{what} has labels that are strings: say which classes there are")
        found["y"], _ = encode_labels(labels, classes)
    found["y"] = targets(found["y"])
    n = len(found["x"])
    if len(found["y"]) != n:
        raise ValueError(f"{what} has {n} inputs and {len(found['y'])} targets")
    if "weight" in found:
        found["weight"] = weights(found["weight"], n)
    return found
