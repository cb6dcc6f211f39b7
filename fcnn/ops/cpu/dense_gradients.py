"""Gradients of a convolution of all channels with all features."""

from itertools import product
from math import ceil, prod

import jax
import jax.numpy as jnp
from jax import lax

from .. import native
from ..geometry import Geometry, geometry
from . import dense
from .pieces import bytes_of, chunk, chunks_summed, dot_over_cells, padded, taps

MANY = 64
"""Cells up to which a window, or one side of it, is written out: more compile for seconds."""


def input_gradient(g: jax.Array, kernel: jax.Array, at: Geometry) -> jax.Array:
    """The convolution transposed: ``[n, *count, d], [*window, c, d] -> [n, *size, c]``."""
    if dense.tiled(at):
        y = lax.dot_general(
            g, kernel.reshape(-1, kernel.shape[-1]), (((g.ndim - 1,), (1,)), ((), ()))
        )
        return _cropped(_spread(y, at.count, at.window), at)
    if set(at.stride) == {1}:
        return _mirrored(g, kernel, at.size, at.dilation, [b for b, _ in at.pads])
    if set(at.dilation) == {1} and _padding(at) <= 1.8:
        return _together(g, kernel, at)
    return _phases(g, kernel, at)


def _cropped(y, at):
    """What belongs to the input of what belongs to it and its padding, begun at the padding."""
    after = (m + b - n for m, (b, _), n in zip(at.size, at.pads, y.shape[1:-1], strict=True))
    return padded(y, tuple((-b, a) for (b, _), a in zip(at.pads, after, strict=True)))


def _spread(y, cells, stride):
    """``[n, *cells, prod(stride) * c]`` as ``[n, *(cells * stride), c]``."""
    rank = len(cells)
    y = y.reshape(y.shape[0], *cells, *stride, -1)
    pairs = [axis for i in range(1, rank + 1) for axis in (i, rank + i)]
    y = y.transpose(0, *pairs, 2 * rank + 1)
    return y.reshape(y.shape[0], *map(prod, zip(cells, stride, strict=True)), y.shape[-1])


def _mirrored(g, kernel, size, dilation, before):
    """With stride 1 the transpose is a convolution with the mirrored kernel."""
    rank = len(size)
    window = kernel.shape[:rank]
    kernel = jnp.flip(kernel, range(rank)).swapaxes(-1, -2)
    first = [(k - 1) * d - b for k, d, b in zip(window, dilation, before, strict=True)]
    # Windows that begin inside of g are windows that begin at the edge of less of it.
    inside = [max(0, -f) for f in first]
    if any(i >= m for i, m in zip(inside, g.shape[1:-1], strict=True)):
        return jnp.zeros((g.shape[0], *size, kernel.shape[-1]), g.dtype)
    g = padded(g, tuple((-i, 0) for i in inside))
    first = [max(0, f) for f in first]
    return dense.output(
        g, kernel, geometry(g.shape[1:-1], window, (1,) * rank, dilation, first, size)
    )


def _cells(at):
    """How many cells of each phase, counted from the first of the padding, there are."""
    return [ceil((m + b) / s) for m, (b, _), s in zip(at.size, at.pads, at.stride, strict=True)]


def _padding(at):
    """By how much a kernel grows to multiples of the stride."""
    pairs = zip(at.window, at.stride, strict=True)
    return prod(ceil(k / s) * s / k for k, s in pairs)


def _together(g, kernel, at):
    """All cells within a stride as channels of one convolution, then spread.

    They see the same cells of ``g``, if the kernel is a multiple of the stride (it is padded: for
    3x3 and stride 2 by 1.8, which is still no slower than ``_phases``).
    """
    rank, cells = len(at.size), _cells(at)
    window = [ceil(k / s) for k, s in zip(at.window, at.stride, strict=True)]
    more = [(0, w * s - k, 0) for w, s, k in zip(window, at.stride, at.window, strict=True)]
    kernel = lax.pad(kernel, jnp.zeros((), kernel.dtype), (*more, (0, 0, 0), (0, 0, 0)))
    halves = [n for pair in zip(window, at.stride, strict=True) for n in pair]
    kernel = kernel.reshape(*halves, *kernel.shape[-2:])
    evens, odds = range(0, 2 * rank, 2), range(1, 2 * rank, 2)
    kernel = kernel.transpose(*evens, *odds, 2 * rank, 2 * rank + 1)
    kernel = kernel.reshape(*window, -1, kernel.shape[-1])
    y = _mirrored(g, kernel, cells, at.dilation, [0] * rank)
    return _cropped(_spread(y, cells, at.stride), at)


def _phases(g, kernel, at):
    """Cells of equal place modulo the stride see the same cells of the kernel.

    Each of these phases is a small convolution of stride 1; then they are spread.
    """
    n, c, cells = g.shape[0], kernel.shape[-2], _cells(at)
    parts = []
    for phase in product(*map(range, at.stride)):
        axes = [_seen(*a) for a in zip(phase, at.window, at.stride, at.dilation, strict=True)]
        if all(axes):
            which, before, dilation = zip(*axes, strict=True)
            parts.append(_mirrored(g, kernel[which], cells, dilation, before))
        else:
            parts.append(jnp.zeros((n, *cells, c), g.dtype))
    return _cropped(_spread(jnp.stack(parts, -2), cells, at.stride), at)


def _seen(phase, window, stride, dilation):
    """Which cells of one axis of the kernel a phase sees, where the first lies, how far apart."""
    seen = [k for k in range(window) if (k * dilation - phase) % stride == 0]
    if not seen:
        return None
    step = seen[1] - seen[0] if len(seen) > 1 else window
    first = (phase - seen[0] * dilation) // stride
    return slice(seen[0], None, step), first, max(1, step * dilation // stride)


def kernel_gradient(x: jax.Array, g: jax.Array, at: Geometry) -> jax.Array:
    """``[n, *size, c], [n, *count, d] -> [*window, c, d]``: products of matrices over cells."""
    c, d = x.shape[-1], g.shape[-1]
    many = prod(at.window) > MANY
    if max(at.window) > MANY or (many and len(at.size) == 2 and set(at.stride) != {1}):
        return native.kernel_gradient(x, g, at)
    if dense.tiled(at) or set(at.window) == {1}:
        x = dense.tiles(x, at) if dense.tiled(at) else taps(padded(x, at.pads), at)[0]
        return dot_over_cells(x, g).reshape(*at.window, c, d)
    if len(at.size) == 3:
        x, planes = dense.sliced(x, at)
        y = kernel_gradient(x, g.reshape(-1, *planes.count, d), planes)
        return jnp.moveaxis(y.reshape(*planes.window, at.window[0], c, d), 2, 0)
    if set(at.stride) == {1} and (c > 4 or many):
        return _shifted(x, g, at)

    def some(x, g):
        return _product(jnp.concatenate(taps(padded(x, at.pads), at), -1), g)

    y = _summed(some, bytes_of(x, *at.count, *at.window, c), x, g)
    return y.reshape(*at.window, c, d)


def _shifted(x, g, at):
    """Shifts of ``x`` along its last axis against shifts of ``g`` along the first.

    All cells of the kernel are one product ``[columns * c, rows * d]``, whose operands hold an
    array only as often as a row or a column of the kernel is long.
    """
    c, d, rank = x.shape[-1], g.shape[-1], len(at.size)
    starts = range(0, at.reach[-1] + 1, at.dilation[-1])
    reach = at.reach[0] if rank == 2 else 0
    shifts = range(reach, -1, -at.dilation[0]) if rank == 2 else (0,)

    def some(x, g):
        x, last = padded(x, at.pads), at.count[-1]
        x = jnp.concatenate([lax.slice_in_dim(x, j, j + last, axis=rank) for j in starts], -1)
        if rank == 2:
            g = padded(g, ((reach, reach), (0, 0)))
            rows = at.count[0] + reach
            g = jnp.concatenate([g[:, i : i + rows] for i in shifts], -1)
        return _product(x, g)

    most = max(len(starts) * c, len(shifts) * d)
    y = _summed(some, bytes_of(x, *at.count, most), x, g)
    y = y.reshape(len(starts), c, *at.window[:-1], d)
    return y.transpose(*range(2, rank + 1), 0, 1, rank + 1)


def _summed(some, bytes_each, x, g):
    """``some`` of a few examples at a time, summed: more than elsewhere, as the sums are long."""
    return chunks_summed(some, chunk(x.shape[0], bytes_each / 4, most=x.shape[0]), x, g)


def _product(a, b):
    """``[..., k], [..., m] -> [k, m]``, summed over all that comes before.

    XLA divides a product among threads by its rows and columns, of which there are few here. So
    products of middling size are two, one for each half of the sum: 1.3 to 1.8 times as fast for
    96 x 96; but slower for 48 x 48 and for 192 x 192, and several times so for 512 x 512.
    The narrower operand goes first.
    """
    if a.shape[-1] > b.shape[-1]:
        return _product(b, a).T
    cells = a.size // a.shape[-1]
    if cells % 2 or not 64 * 64 <= a.shape[-1] * b.shape[-1] <= 144 * 144:
        return dot_over_cells(a, b)
    a, b = a.reshape(2, -1, a.shape[-1]), b.reshape(2, -1, b.shape[-1])
    return lax.dot_general(a, b, (((1,), (1,)), ((0,), (0,)))).sum(0)
