"""Convolution of all channels with all features."""

from math import prod

import jax
import jax.numpy as jnp
from jax import lax

from .. import native
from ..geometry import Geometry, geometry
from .dense_gradients import input_gradient as input_gradient
from .dense_gradients import kernel_gradient as kernel_gradient
from .pieces import dot, hold, padded, taps


def output(x: jax.Array, kernel: jax.Array, at: Geometry) -> jax.Array:
    """``[n, *size, c], [*window, c, d] -> [n, *count, d]``, by window, stride and channels."""
    if set(at.window) == {1}:
        (x,) = taps(padded(x, at.pads), at)
        return dot(x, kernel.reshape(kernel.shape[-2:]))
    if tiled(at):
        return dot(tiles(x, at), kernel.reshape(-1, kernel.shape[-1]))
    if x.shape[-1] < 4 and prod(kernel.shape[:-1]) <= 36:
        return few_channels(x, kernel, at)
    if len(at.size) == 3:
        x, planes = sliced(x, at)
        kernel = jnp.moveaxis(kernel, 0, -3).reshape(*planes.window, -1, kernel.shape[-1])
        return output(x, kernel, planes).reshape(-1, *at.count, kernel.shape[-1])
    if len(at.size) == 1 or max(kernel.shape[-2:]) <= 16:
        return native.output(x, kernel, at)
    if set(at.stride) == {1}:
        return spare(x, kernel, at)
    return strided(x, kernel, at)


def few_channels(x, kernel, at):
    """First layers: each cell of the input times a vector of features, added up in one pass."""
    views = taps(hold(padded(x, at.pads)), at)
    vectors = kernel.reshape(-1, *kernel.shape[-2:])
    terms = [
        view[..., c : c + 1] * vector[c]
        for view, vector in zip(views, vectors, strict=True)
        for c in range(x.shape[-1])
    ]
    return sum(terms[1:], terms[0])


def tiled(at: Geometry) -> bool:
    """Whether windows lie side by side, or there is one alone: their cells are a transpose."""
    together = at.window == at.stride or set(at.count) == {1}
    return together and set(at.dilation) == {1}


def tiles(x: jax.Array, at: Geometry) -> jax.Array:
    """What each window sees, where none overlap: ``[n, *count, prod(window) * c]``."""
    x, rank = padded(x, at.pads), len(at.size)
    halves = [n for pair in zip(at.count, at.window, strict=True) for n in pair]
    x = x.reshape(x.shape[0], *halves, x.shape[-1])
    x = x.transpose(0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2), 2 * rank + 1)
    return x.reshape(x.shape[0], *at.count, -1)


def sliced(x: jax.Array, at: Geometry) -> tuple[jax.Array, Geometry]:
    """A volume as planes that hold, as channels, all that a window meets across them.

    XLA has no good program for three dimensions: this makes two of them.
    """
    first = at._replace(
        window=(at.window[0], 1, 1),
        stride=(at.stride[0], 1, 1),
        pads=(at.pads[0], (0, 0), (0, 0)),
        count=(at.count[0], *at.size[1:]),
    )
    x = jnp.concatenate(taps(padded(x, first.pads), first), -1)
    planes = Geometry(*(entries[1:] for entries in at[:-1]))
    return x.reshape(-1, *planes.size, x.shape[-1]), planes


def spare(x, kernel, at):
    """A convolution with a few spare rows or columns, cut off again.

    XLA gives a convolution whose output is no larger than its input to a library that uses one
    thread, and any other to one that uses all.
    """
    extra = [
        max(0, n + 1 - m) if s == 1 else m
        for n, m, s in zip(at.size, at.count, at.stride, strict=True)
    ]
    a = min(range(len(extra)), key=lambda a: extra[a] / at.count[a])
    if extra[a] > 0.4 * at.count[a]:
        return native.output(x, kernel, at)
    pads, count = list(at.pads), list(at.count)
    pads[a] = (pads[a][0], pads[a][1] + extra[a])
    count[a] += extra[a]
    y = native.output(x, kernel, at._replace(pads=tuple(pads), count=tuple(count)))
    return lax.slice_in_dim(y, 0, at.count[a], axis=a + 1)


def strided(x, kernel, at):
    """As many neighbouring columns as the stride are one with as many times the channels.

    This needs no copy, and leaves a stride of one, for which there can be a spare column. The
    kernel begins with columns of zeros, so that windows begin where such columns do. Above 1.6
    times the work, lax's own is as fast.
    """
    s, k, m = at.stride[1], at.window[1], at.count[1]
    before = -(-at.pads[1][0] // s)
    skip = before * s - at.pads[1][0]
    width, columns = -(-at.size[1] // s), -(-(skip + k) // s)
    more = (max(0, width + 1 - m) + m) * columns * s / (m * k)
    if s == 1 or at.dilation[1] > 1 or more > 1.6:
        return spare(x, kernel, at)
    x = padded(x, ((0, 0), (0, width * s - at.size[1])))
    x = x.reshape(x.shape[0], at.size[0], width, s * x.shape[-1])
    kernel = padded(kernel, ((skip, columns * s - skip - k), (0, 0)))  # its rows count as examples
    kernel = kernel.reshape(at.window[0], columns, x.shape[-1], kernel.shape[-1])
    there = geometry(
        x.shape[1:3],
        kernel.shape[:2],
        (at.stride[0], 1),
        (at.dilation[0], 1),
        (at.pads[0][0], before),
        at.count,
    )
    return spare(x, kernel, there)
