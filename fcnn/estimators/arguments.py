"""What estimators are given, looked at before anything is trained."""

import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..extras import require

class_weights = require("sklearn.utils.class_weight", "sklearn")

Test = tuple[Callable[[Any], bool], str]

POSITIVE: Test = (lambda v: v > 0, "above 0")
NOT_NEGATIVE: Test = (lambda v: v >= 0, "at least 0")
PART: Test = (lambda v: 0 <= v < 1, "at least 0 and below 1")
COUNT: Test = (lambda v: v >= 1 and float(v).is_integer(), "a whole number from 1 on")
PATIENCE: Test = (
    lambda v: v >= 1 and (v == np.inf or float(v).is_integer()),
    f"{COUNT[1]}, or inf",
)


def check_numbers(estimator: Any, tests: Mapping[str, Test]) -> None:
    """Refuses arguments that are no numbers, or out of range.

    Raises:
        ValueError: naming the argument, what it has to be, and what it is.
    """
    for name, (fits, wanted) in tests.items():
        value = getattr(estimator, name)
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not fits(value):
            raise ValueError(f"{name} must be a number, {wanted}; got {value!r:.80}")


def check_choices(estimator: Any, choices: Mapping[str, tuple[str, ...]]) -> None:
    """Refuses arguments that are none of their choices.

    Raises:
        ValueError: naming the argument, its choices, and what it is.
    """
    for name, known in choices.items():
        value = getattr(estimator, name)
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r:.80}")


def weights(sample_weight: Any, n: int) -> np.ndarray:
    """The weight of each example, float32 ``[n]``: ones if none are given, and one number for all.

    Raises:
        ValueError: another shape, negative or not finite, or all zero.
    """
    if sample_weight is None:
        return np.ones(n, np.float32)
    given = np.asarray(sample_weight, np.float32)
    if given.ndim == 0:
        given = np.full(n, given)
    if given.shape != (n,):
        raise ValueError(f"sample_weight has the shape {given.shape}; {n} examples need ({n},)")
    if not np.isfinite(given).all() or given.min() < 0:
        raise ValueError("sample_weight must be finite and at least 0 for each example")
    if not given.any():
        raise ValueError("sample_weight is zero for all examples: nothing would count")
    return given


def weighed(weight: np.ndarray, class_weight: Any, y: Any) -> np.ndarray:
    """Weights times those of the classes: a mapping, or "balanced" for n / (classes * count)."""
    if class_weight is None:
        return weight
    if not isinstance(class_weight, Mapping) and class_weight != "balanced":
        raise ValueError(f"class_weight must be a mapping or 'balanced', got {class_weight!r:.80}")
    return weight * class_weights.compute_sample_weight(class_weight, y).astype(np.float32)


def keep(estimator: Any, arguments: Mapping[str, Any]) -> None:
    """Sets the arguments of a constructor, ``locals()``, as attributes of their names."""
    for name, value in arguments.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)
