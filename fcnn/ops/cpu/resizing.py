"""Resampling on CPUs: sums of shifted, weighted copies, or products with matrices.

With ``u`` new cells for ``d`` old ones, new cell ``u k + r`` takes old cells ``d k + o`` for the
same few ``o`` everywhere. So the whole output is a sum over ``o`` of every ``d``-th cell from ``o``
on times a weight for each ``k`` and ``r``: elementwise, where the matrix product is transposed.
The transpose is the same with the transposed matrix.
"""

from itertools import product
from math import gcd, prod

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .cells import FEW, cells, grid, joined
from .pieces import padded

TERMS = 64
"""Copies to add up in one pass; beyond, each dimension has its own."""

MOST = 16
"""Copies to add up along a dimension; beyond, a product with the matrix is faster."""


def resampled(x: jax.Array, matrices: tuple[np.ndarray | None, ...]) -> jax.Array:
    """``[n, *size, c] -> [n, *count, c]`` by a matrix ``[count, size]`` for each dimension."""
    bands = [_bands(m, n) for m, n in zip(matrices, x.shape[1:-1], strict=True)]
    number = prod(len(terms) for _, _, terms in bands)
    if number <= TERMS:
        return _banded(x, bands) if number <= FEW else _banded(*_padded(x, bands))
    for axis in reversed(range(len(bands))):
        if matrices[axis] is None:
            continue
        if len(bands[axis][2]) <= MOST:
            still = [_bands(None, n) for n in x.shape[1:-1]]
            x = _banded(*_padded(x, [*still[:axis], bands[axis], *still[axis + 1 :]]))
        else:
            x = product_along(x, matrices[axis], axis + 1)
    return x


def product_along(x: jax.Array, matrix: np.ndarray, axis: int) -> jax.Array:
    """``matrix`` times ``x`` along an axis."""
    dims = (((1,), (axis,)), ((), ()))
    weights = jnp.asarray(matrix, x.dtype)
    return jnp.moveaxis(lax.dot_general(weights, x, dims, precision=lax.Precision.HIGHEST), 0, axis)


def _bands(matrix, n):
    """``u``, ``d``, and for each ``o`` that meets anything its weights ``[k, u]``."""
    if matrix is None:
        return 1, 1, {0: np.ones((n, 1))}
    m = len(matrix)
    count = gcd(m, n)
    u, d = m // count, n // count
    rows = matrix.reshape(count, u, n)
    old = d * np.arange(count)
    terms = {}
    for o in range(-n, n + d):
        inside = (old + o >= 0) & (old + o < n)
        weights = np.zeros((count, u))
        weights[inside] = rows[inside, :, (old + o)[inside]]
        if weights.any():
            terms[o] = weights
    return u, d, terms


def _banded(x, bands):
    d, count = [d for _, d, _ in bands], [len(next(iter(t.values()))) for _, _, t in bands]
    total = None
    for offsets in product(*(terms for _, _, terms in bands)):
        part = grid(cells(x, offsets, d, count), d)
        for axis, o in enumerate(offsets):
            weights = bands[axis][2][o].astype(x.dtype)
            if weights.shape[1] > 1 or (weights != 1).any():
                places = [1] * part.ndim
                places[1 + 2 * axis : 3 + 2 * axis] = weights.shape
                part = part * weights.reshape(places)
        total = part if total is None else total + part
    return joined(total, [u * k for (u, _, _), k in zip(bands, count, strict=True)])


def _padded(x, bands):
    """The array with all the cells around it that are met, and the offsets counted from there."""
    pads, moved = [], []
    for n, (u, d, terms) in zip(x.shape[1:-1], bands, strict=True):
        count = len(next(iter(terms.values())))
        before = max(-min(terms), 0)
        pads.append((before, max((count - 1) * d + max(terms) - (n - 1), 0)))
        moved.append((u, d, {o + before: weights for o, weights in terms.items()}))
    return padded(x, tuple(pads)), moved
