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
"""Keeps apart what looks equal: XLA would share it, by writing it to memory. It ends no fusion."""


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
    """How many examples a loop takes at a time, so that they fit the cache.

    A number that divides the batch, unless it is less than half of what would fit.
    """
    fits = max(1, min(batch, most, int(CACHE // bytes_each)))
    even = max(n for n in range(1, fits + 1) if batch % n == 0)
    return even if 2 * even > fits else fits


def chunks_summed(f: Callable, n: int, *arrays: jax.Array) -> jax.Array:
    """The sum of ``f`` over ``n`` examples at a time, in a loop.

    The last examples are filled up with zeros, of which ``f`` must give zero.
    """
    batch = arrays[0].shape[0]
    whole = batch - batch % n
    if n == batch:
        return f(*arrays)
    parts = [a[:whole].reshape(whole // n, n, *a.shape[1:]) for a in arrays]
    first = jax.eval_shape(f, *(part[0] for part in parts))
    zero = jnp.zeros(first.shape, first.dtype)
    total = lax.scan(lambda total, part: (total + f(*part), None), zero, parts)[0]
    if whole == batch:
        return total
    return total + f(*(lax.pad(a[whole:], np.zeros((), a.dtype), _more(a, n)) for a in arrays))


def _more(x, n):
    """Padding up to a multiple of ``n`` examples."""
    return ((0, -x.shape[0] % n, 0), *((0, 0, 0),) * (x.ndim - 1))


def bytes_of(x: jax.Array, *shape: int) -> int:
    """Bytes of an array of this shape and the dtype of ``x``."""
    return x.dtype.itemsize * prod(shape)
