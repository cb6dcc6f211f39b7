"""What a report is told of each example, looked at: only those that count are kept."""

import math
from typing import Any

import numpy as np

from .probabilities import probabilities_of
from .weighting import counted, integers


class Examples:
    """Which of ``n`` examples count, and what they weigh.

    Attributes:
        rows: The numbers of those whose weight is above 0.
        weight: Of each of these.
        whole: Whether no weights were given, so that figures are counts.
        index: Which example of the data each of these is.
    """

    def __init__(self, n: int, weight: Any = None, index: Any = None):
        """Of ``n`` examples those that count.

        Raises:
            ValueError: another number of weights or places, a weight that is negative or not
                finite, or none above 0.
        """
        self.whole, self._n = weight is None, n
        if not self.whole and np.shape(weight) != (n,):
            raise ValueError(
                f"weight {np.shape(weight)} must have one number for each of {n} examples, ({n},)"
            )
        self.weight, self.rows = counted(weight, examples=np.arange(n))
        self.index = self.rows if index is None else self.of("index", index)

    def of(self, name: str, values: Any) -> np.ndarray:
        """The values of the examples that count, from one for each example.

        Raises:
            ValueError: another number of values than of examples.
        """
        values = np.asarray(values)
        if values.shape[:1] != (self._n,):
            raise ValueError(
                f"{name} {values.shape} must have one entry for each example, ({self._n},)"
            )
        return values[self.rows]

    def classes(self, name: str, given: Any, k: int) -> np.ndarray:
        """Classes as integers below ``k``; of rows ``[n, k]`` the largest is meant.

        Raises:
            ValueError: another shape, or a class out of range.
            TypeError: they are no integers.
        """
        given, n = np.asarray(given), self._n
        if given.shape == (n, k):
            given = given.argmax(-1)
        if given.shape != (n,):
            raise ValueError(
                f"{name} {given.shape} must be {n} integers, ({n},), or rows ({n}, {k})"
            )
        found = integers(name, given[self.rows])
        if found.max() >= k:
            raise ValueError(
                f"{name} hold class {found.max()}, but {k} classes are named: 0 to {k - 1}"
            )
        return found

    def probabilities(
        self, given: Any, shape: tuple[int, ...], *, together: bool = True
    ) -> np.ndarray | None:
        """Probabilities in float64, of such a shape; None if none are given.

        What is not finite is let through: so says a network that has diverged.

        Args:
            given: One row for each example.
            shape: What it must be.
            together: Whether those of an example sum to one.

        Raises:
            ValueError: another shape, or numbers that are no probabilities.
        """
        if given is None:
            return None
        given = np.asarray(given, np.float64)
        if given.shape != shape:
            raise ValueError(f"probabilities {given.shape} must be {shape}")
        given = given[self.rows]
        known = given[np.isfinite(given).all(-1)]
        if known.size:
            probabilities_of(known if together else known.ravel())
        return given

    def mean(self, loss: Any) -> float | None:
        """The mean of a loss; None if there is none.

        Raises:
            ValueError: another number of losses than of examples.
        """
        if loss is None:
            return None
        loss = np.asarray(loss, np.float64)
        if loss.shape != (self._n,):
            raise ValueError(
                f"loss {loss.shape} must have one number for each example, ({self._n},)"
            )
        return float(np.average(loss[self.rows], weights=self.weight))


def finite(value: float | None) -> float | None:
    """The value, or None in place of what JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None
