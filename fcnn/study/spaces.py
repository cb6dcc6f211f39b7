"""What a search draws from: a list of values, or a range with its distribution."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Range:
    """Numbers between ``low`` and ``high``, both included, spread evenly or evenly in their
    logarithm; ``whole`` ones only or all.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self):
        if not self.low < self.high or not math.isfinite(self.high - self.low):
            raise ValueError(f"a range goes from low to high, got {self.low} to {self.high}")
        if self.whole and not all(float(end).is_integer() for end in (self.low, self.high)):
            raise ValueError(f"whole numbers need whole ends, got {self.low} to {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"the logarithm needs numbers above 0, got {self.low}")

    def draw(self, numbers: np.random.Generator) -> float:
        """One of them."""
        if self.whole and not self.log:
            return int(numbers.integers(int(self.low), int(self.high), endpoint=True))
        half = 0.5 if self.whole else 0.0  # so that both ends round to themselves as often
        ends = self.low - half, self.high + half
        if self.log:
            drawn = math.exp(numbers.uniform(*map(math.log, ends)))
        else:
            drawn = numbers.uniform(*ends)
        drawn = min(max(drawn, self.low), self.high)
        return round(drawn) if self.whole else drawn


def uniform(low: float, high: float) -> Range:
    """Any number of the interval, all alike."""
    return Range(float(low), float(high))


def log_uniform(low: float, high: float) -> Range:
    """Any number of the interval, each factor alike: for learning rates and decays."""
    return Range(float(low), float(high), log=True)


def integers(low: int, high: int, *, log: bool = False) -> Range:
    """Any whole number from ``low`` to ``high``, both included."""
    return Range(low, high, log=log, whole=True)


Space = Mapping[str, Sequence[Any] | Range]


def grid(space: Space) -> Iterator[dict[str, Any]]:
    """Every combination of the values, the last name changing fastest.

    Raises:
        ValueError: a name has a range, which has no end of values, or no value at all.
    """
    for name, values in checked(space).items():
        if isinstance(values, Range):
            raise ValueError(f"{name}={values} cannot be a grid: list its values")
    for values in itertools.product(*space.values()):
        yield dict(zip(space, values, strict=True))


def drawn(space: Space, number: int, seed: int) -> dict[str, Any]:
    """Combination ``number`` of a random search: it follows from the seed and the number alone."""
    numbers = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, number]))
    return {
        name: values.draw(numbers)
        if isinstance(values, Range)
        else values[int(numbers.integers(len(values)))]
        for name, values in checked(space).items()
    }


def checked(space: Space) -> Space:
    """The space, which has a name and values for each.

    Raises:
        TypeError: it is no mapping, or a name has neither a list of values nor a range.
        ValueError: there is no name, or a name has no values.
    """
    if not isinstance(space, Mapping):
        raise TypeError(f"a space is a dict of names and values, got {space!r:.80}")
    if not space:
        raise ValueError("the space is empty: there is nothing to search")
    for name, values in space.items():
        if isinstance(values, str | Mapping) or not isinstance(values, Sequence | Range):
            raise TypeError(f"{name} needs a list of values or a range, got {values!r:.80}")
        if not isinstance(values, Range) and not values:
            raise ValueError(f"{name} has no values")
    return space
