"""Pooling on CPUs, where the gradient of XLA's own maximum is 10 to 50 times slower.

The gradient has two passes: which cell of each window won, as a byte, and then for each cell of
the input the sum over the windows that hold it and that it won. Both are elementwise, so that
XLA vectorises them. Windows of many cells go one dimension after the other: the first of equals
row by row is the first row that holds the maximum, and its first cell in that row.
"""

from functools import reduce
from itertools import product
from math import prod

import jax
import jax.numpy as jnp
import numpy as np

from ..windows import Windows
from .cells import FEW, cells, grid, joined, laid
from .pieces import hold, padded

MANY = 64
"""Cells of a window up to which they are compared in one pass over all dimensions."""

NOBODY = 255
"""The winner of windows without one: beyond the border, or where all is NaN."""

OUTSIDE = 254
"""The number of a cell that a window does not hold."""


def maximum(x: jax.Array, *, at: Windows) -> jax.Array:
    """The largest of each window: ``[n, *size, c] -> [n, *count, c]``."""
    for step in _steps(x, at):
        x = _maximum(x, step)
    return x


def pick(t: jax.Array, x: jax.Array, y: jax.Array, *, at: Windows, like: tuple[int, ...]):
    """Of each window of ``t`` the number at the place where ``x`` has its maximum ``y``."""
    *steps, last = _steps(x, at)
    for step in steps:
        top = _maximum(x, step)
        x, t = top, _pick(t, _winners(x, top, step), step)
    return _pick(t, _winners(x, y, last), last)


def spread(g: jax.Array, x: jax.Array, y: jax.Array, *, at: Windows, like: tuple[int, ...]):
    """The transpose of ``pick``: to each cell the numbers of the windows that it won."""
    x, y, g = hold((x, y, g))  # else XLA shares views with the maximum, by writing them to memory
    steps = _steps(x, at)
    tops = [x]
    for step in steps[:-1]:
        tops.append(hold(_maximum(tops[-1], step)))
    dtype = g.dtype
    if jnp.finfo(dtype).bits < 32:
        g = g.astype(jnp.float32)
    for step, top, below in zip(steps[::-1], [y, *tops[:0:-1]], tops[::-1], strict=True):
        g = _spread(g, hold(_winners(below, top, step)), step, below.shape[1:-1])
    return g.astype(dtype)


def sums(x: jax.Array, *, at: Windows, like: tuple[int, ...]) -> jax.Array:
    """The sum of each window: ``[n, *size, c] -> [n, *count, c]``."""
    for step in _steps(x, at):
        x = reduce(jnp.add, _views(x, step, 0))
    return x


def shares(g: jax.Array, *, at: Windows, like: tuple[int, ...]) -> jax.Array:
    """The transpose of ``sums``: to each cell the sum of the windows that hold it."""
    x = jax.ShapeDtypeStruct((g.shape[0], *like), g.dtype)
    steps = _steps(x, at)
    sizes = [like[:-1], *(step.count for step in steps[:-1])]
    for step, size in zip(steps[::-1], sizes[::-1], strict=True):
        g = _spread(g, None, step, size)
    return g


def lowest(dtype: np.dtype) -> float:
    """What loses against every number."""
    return -np.inf if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo(dtype).min


def _steps(x, at):
    """The pooling as one, or as a pooling along each dimension."""
    if prod(at.window) <= MANY:
        return [at]
    steps, size = [], x.shape[1:-1]
    ones, none = (1,) * len(size), ((0, 0),) * len(size)
    for axis in reversed(range(len(size))):
        if at.window[axis] == at.stride[axis] == 1:
            continue
        step = Windows(
            *(
                (*still[:axis], option[axis], *still[axis + 1 :])
                for option, still in zip(at, (ones, ones, ones, none, size), strict=True)
            )
        )
        steps.append(step)
        size = step.count
    return steps


def _views(x, at, outside):
    """For each cell of the window, row by row, what it meets."""
    if prod(at.window) > FEW:
        x, at = padded(x, at.pads, outside), at._replace(pads=((0, 0),) * len(at.pads))
    for offset in product(*map(range, at.window)):
        first = [o - before for o, (before, _) in zip(offset, at.pads, strict=True)]
        yield cells(x, first, at.stride, at.count, outside)


def _maximum(x, at):
    return reduce(jnp.maximum, _views(x, at, lowest(x.dtype)))


def _winners(x, y, at):
    """The number of the first cell of each window that equals the maximum."""
    first = jnp.full(y.shape, NOBODY, jnp.uint8)
    views = list(enumerate(_views(x, at, lowest(x.dtype))))
    for i, view in reversed(views):
        first = jnp.where(view == y, np.uint8(i), first)
    return first


def _pick(t, first, at):
    picked = jnp.zeros(first.shape, t.dtype)
    for i, view in enumerate(_views(t, at, 0)):
        picked = jnp.where(first == np.uint8(i), view, picked)
    return picked


def _spread(g, first, at, size):
    """To each cell the windows that hold it and, with ``first``, that it won.

    The cells are blocks of ``stride``: cell ``r`` of block ``q`` is cell ``r + before + u stride``
    of window ``q - u``, where that lies inside of the window.
    """
    blocks = [-(-n // s) for n, s in zip(size, at.stride, strict=True)]
    sides = list(zip(at.window, at.stride, at.pads, strict=True))
    back = [range(-((b + s - 1) // s), (k - 1 - b) // s + 1) for k, s, (b, _) in sides]
    edge = [(max(us), m - min(us) - n) for us, m, n in zip(back, blocks, at.count, strict=True)]
    if first is not None:
        first = laid(first, edge, NOBODY, g)
    g, ones = padded(g, tuple(edge)), (1,) * len(size)
    total = jnp.zeros((), g.dtype)
    for u in product(*back):
        number = _numbers(u, sides)
        shift = [max(us) - i for i, us in zip(u, back, strict=True)]
        part = grid(cells(g, shift, ones, blocks), at.stride)
        if first is not None:
            winner = grid(cells(first, shift, ones, blocks), at.stride)
            part = jnp.where(winner == number, part, 0)
        elif (number == OUTSIDE).any():
            part = jnp.where(number != OUTSIDE, part, 0)
        total = total + part
    sides = [v for m, s in zip(blocks, at.stride, strict=True) for v in (m, s)]
    return joined(jnp.broadcast_to(total, (g.shape[0], *sides, g.shape[-1])), size)


def _numbers(u, sides):
    """Which cell of window ``q - u`` each cell of block ``q`` is: ``[1, *(1, stride)..., 1]``."""
    number, inside = np.zeros((), int), np.ones((), bool)
    for i, (k, s, (before, _)) in zip(u, sides, strict=True):
        along = np.arange(s) + before + i * s
        number = np.add.outer(number * k, along)
        inside = np.logical_and.outer(inside, (along >= 0) & (along < k))
    number = np.where(inside, number, OUTSIDE).astype(np.uint8)
    return number.reshape(1, *(v for _, s, _ in sides for v in (1, s)), 1)
