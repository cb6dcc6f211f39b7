"""What a row of the table is, and how its numbers are drawn."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fcnn.core import Layer, as_layer

Draw = Callable[[np.random.Generator], np.ndarray]


class Case(NamedTuple):
    """The same computation twice."""

    name: str
    ours: Layer
    inputs: tuple[Draw, ...]
    theirs: Callable[[Any, dict[str, Any], Any], Any]  # (torch, values, x) -> y


def case(name, ours, inputs, theirs):
    return Case(name, as_layer(ours), inputs if isinstance(inputs, tuple) else (inputs,), theirs)


def numbers(*shape: int, scale: float = 1.0) -> Draw:
    return lambda rng: scale * rng.normal(size=shape)


def integers(below: int, *shape: int) -> Draw:
    return lambda rng: rng.integers(0, below, shape, np.int32)


def distributions(*shape: int) -> Draw:
    return lambda rng: rng.dirichlet(np.ones(shape[-1]), shape[:-1])


VECTOR, SEQUENCE, VOLUME = numbers(4, 4), numbers(2, 6, 4), numbers(1, 3, 4, 3, 2)
IMAGE, WIDE, NARROW = numbers(2, 5, 4, 2), numbers(2, 4, 3, 4), numbers(2, 6, 5, 1)
