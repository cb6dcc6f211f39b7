"""The pieces that the programs for CPUs are made of."""

from collections.abc import Callable
from itertools import product
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..geometry import Geometry

CACHE = 1_500_000
"""Bytes that a loop handles at a time, so that they stay in a core's second-level cache."""

hold = lax.optimization_barrier
"""Ends a fusion: XLA would compute the array again, or serially, inside of what uses it."""


def padded(x: jax.Array, pads: tuple[tuple[int, int], ...], value: float = 0) -> jax.Array:
    """``[n, *size, c]`` with cells around it, or, where negative, without some of its own."""
    if not any(map(any, pads)):
        return x
    config = ((0, 0, 0), *((*p, 0) for p in pads), (0, 0, 0))
    return lax.pad(x, np.asarray(value, x.dtype), config)


def taps(x: jax.Array, at: Geometry) -> list[jax.Array]:
    """What each cell of the window, in order, meets of a padded ``x``: ``[n, *count, c]``."""
    stops = tuple((m - 1) * s + 1 for m, s in zip(at.count, at.stride, strict=True))
    return [
        lax.slice(
            x,
            (0, *first, 0),
            (x.shape[0], *(f + stop for f, stop in zip(first, stops, strict=True)), x.shape[-1]),
            (1, *at.stride, 1),
        )
        for first in offsets(at)
    ]


def offsets(at: Geometry) -> list[tuple[int, ...]]:
    """Where the cells of a window lie, row by row."""
    lines = [range(0, k * d, d) for k, d in zip(at.window, at.dilation, strict=True)]
    return list(product(*lines))


def dot(a: jax.Array, b: jax.Array) -> jax.Array:
    """``[..., k], [k, m] -> [..., m]``."""
    return lax.dot_general(a, b, (((a.ndim - 1,), (0,)), ((), ())))


def dot_over_cells(a: jax.Array, b: jax.Array) -> jax.Array:
    """``[..., k], [..., m] -> [k, m]``, summed over all that comes before."""
    a, b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    return lax.dot_general(a, b, (((0,), (0,)), ((), ())))


def chunk(batch: int, bytes_each: float, most: int = 64) -> int:
    """Into how many examples at a time a batch divides, so that they fit the cache."""
    return max(
        n
        for n in range(1, min(batch, most) + 1)
        if batch % n == 0 and (n == 1 or n * bytes_each <= CACHE)
    )


def chunks_mapped(f: Callable, n: int, x: jax.Array) -> jax.Array:
    """``f`` of ``n`` examples at a time, in a loop."""
    if n == x.shape[0]:
        return f(x)
    y = lax.map(f, x.reshape(-1, n, *x.shape[1:]))
    return y.reshape(-1, *y.shape[2:])


def chunks_summed(f: Callable, n: int, *arrays: jax.Array) -> jax.Array:
    """The sum of ``f`` over ``n`` examples at a time, in a loop."""
    batch = arrays[0].shape[0]
    if n == batch:
        return f(*arrays)
    parts = [a.reshape(batch // n, n, *a.shape[1:]) for a in arrays]
    first = jax.eval_shape(f, *(part[0] for part in parts))
    zero = jnp.zeros(first.shape, first.dtype)
    return lax.scan(lambda total, part: (total + f(*part), None), zero, parts)[0]


def bytes_of(x: jax.Array, *shape: int) -> int:
    """Bytes of an array of this shape and the dtype of ``x``."""
    return x.dtype.itemsize * prod(shape)
