"""What an output becomes when examples are altered: any number of them through one program.

A perturbation is a function of arrays, ``(x, *more) -> x``, that alters a batch. Which examples are
altered, and how, are arrays too, so all of it is one stream of batches of one size.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Layer, Network, identity
from ..ops.windows import positive
from .targets import explained

Perturbation = Callable[..., jax.Array]


def whole(
    network: Network, x: np.ndarray, target: Any, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which output is explained, ``[n]``, and its raw value for the examples as they are, ``[n]``.

    Args:
        network: What is explained.
        x: What ``images`` has checked.
        target: A number, one for each example, or None for the predicted class.
        batch_size: Examples at a time.

    Raises:
        TypeError: ``target`` is neither None nor integers.
        ValueError: there is no such output, or ``batch_size`` is not positive.
    """
    outputs = explained(_outputs(network.layer), network, x, target, batch_size).astype(np.float64)
    target = outputs.argmax(-1) if target is None else target
    target = np.broadcast_to(np.asarray(target, np.int32), len(x))
    return target, np.take_along_axis(outputs, target[:, None], -1)[:, 0]


def scores(
    network: Network,
    perturb: Perturbation,
    examples: Sequence[np.ndarray],
    options: Sequence[np.ndarray],
    pairs: tuple[np.ndarray, np.ndarray],
    *,
    batch_size: int,
    activation: Callable[[jax.Array], jax.Array] = identity,
) -> np.ndarray:
    """The targets' outputs for altered examples, ``[m]`` float64.

    Args:
        network: What is explained.
        perturb: ``(x, *more, *options) -> x``, traced; a function of a module, not a closure, for
            there is one program for each.
        examples: ``(target, x, *more)``, a row for each example.
        options: A row for each way to alter one.
        pairs: Which example is altered in which way, ``[m]`` both.
        batch_size: Altered examples at a time.
        activation: What is done to the raw outputs.
    """
    program = _program(network.layer, perturb, activation)
    example, way = pairs

    def run(rows):
        target, *altered = (column[example[rows]] for column in examples)
        chosen = (option[way[rows]] for option in options)
        return program(network.params, network.state, target, *altered, *chosen)

    if not len(example):
        return np.zeros(0)
    return in_batches(run, len(example), batch_size).astype(np.float64)


def in_batches(run: Callable[[np.ndarray], jax.Array], n: int, batch_size: int) -> np.ndarray:
    """``run(rows)`` for the rows from 0 to n > 0, in batches of one size, as one array.

    Raises:
        ValueError: ``batch_size`` is not a positive integer.
    """
    positive(batch_size=batch_size)
    rows = np.arange(-(-n // batch_size) * batch_size).reshape(-1, batch_size)
    return np.concatenate([np.asarray(run(batch)) for batch in np.minimum(rows, n - 1)])[:n]


def every_pair(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Each of n examples altered in each of m ways, example by example."""
    return np.divmod(np.arange(n * m), m)


def spread_of(x: np.ndarray) -> np.ndarray:
    """The range of each example's values, largest less smallest, in the rank of ``x``."""
    axes = tuple(range(1, x.ndim))
    return x.max(axes, keepdims=True) - x.min(axes, keepdims=True)


@functools.lru_cache(maxsize=64)
def _outputs(layer: Layer) -> Any:
    return jax.jit(lambda params, state, x, target: layer.apply(params, state, x)[0])


@functools.lru_cache(maxsize=64)  # a program for each layer and perturbation that ran lately
def _program(layer: Layer, perturb: Perturbation, activation: Callable) -> Any:
    @jax.jit
    def program(params, state, target, *arrays):
        outputs, _ = layer.apply(params, state, perturb(*arrays))
        outputs = activation(outputs.astype(jnp.promote_types(outputs.dtype, jnp.float32)))
        return jnp.take_along_axis(outputs, target[:, None], -1)[:, 0]

    return program
