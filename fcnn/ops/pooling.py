"""Windows reduced to one number for each channel: ``[n, h, w, c] -> [n, h', w', c]``.

All of them take sequences and volumes as well. Sums are computed in float32 at least.
"""

from functools import partial, reduce
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import ad, batching

from .convolution import conv
from .cpu import pooling as cpu
from .lowerings import is_native
from .primitives import divided, front, linear, merge, primitive, split
from .windows import (
    Padding,
    Sides,
    check,
    describe,
    floating,
    pairs,
    per_side,
    place,
    spatial,
    wide,
)


def max_pool(
    x: jax.Array,
    window: Sides,
    stride: Sides | None = None,
    padding: Padding = "valid",
    *,
    ceil: bool = False,
    what: str = "max_pool",
) -> jax.Array:
    """The largest number in each window; padding never wins. The first of equals gets the gradient.

    Where a window holds NaN, that is its largest; on CPUs it passes no gradient on.

    Args:
        window: The size of a window.
        stride: The step from one window to the next; without it, windows lie side by side.
        padding: ``"same"``, ``"valid"``, numbers or pairs; see ``ops.windows``.
        ceil: Whether cells left over at the end get a window, which begins inside the input.
        what: Who asks, for the text of errors.

    Raises:
        ValueError: the window does not fit.
        TypeError: ``x`` is not of real numbers.
    """
    x = jnp.asarray(x)
    _ordered(x, what)
    at = _place(x, window, stride, padding, ceil, what)
    if is_native() or max(at.window) > _LONGEST or divided(x):
        return _maximum(x, at=at)
    return _maximum_p.bind(x, at=at)


def avg_pool(
    x: jax.Array,
    window: Sides,
    stride: Sides | None = None,
    padding: Padding = "valid",
    *,
    count_padding: bool = False,
    ceil: bool = False,
    what: str = "avg_pool",
) -> jax.Array:
    """The mean of each window.

    Args:
        window: The size of a window.
        stride: The step from one window to the next; without it, windows lie side by side.
        padding: ``"same"``, ``"valid"``, numbers or pairs; see ``ops.windows``.
        count_padding: Whether zeros of the padding count as members of a window. They do not
            here, nor in Keras; in torch they do unless ``count_include_pad=False``.
        ceil: Whether cells left over at the end get a window, which begins inside the input; what
            of it lies beyond the padding never counts.
        what: Who asks, for the text of errors.

    Raises:
        ValueError: the window does not fit.
        TypeError: ``x`` is not floating-point.
    """
    x = jnp.asarray(x)
    floating(x, what)
    at = _place(x, window, stride, padding, ceil, what)
    numbers = wide(x)
    run = _sums if is_native() or max(at.window) > _LONGEST else _sums_p
    sums = run(numbers, at=at, like=numbers.shape[1:])
    sizes = x.shape[1:-1]
    border = at.pads if padding == "same" else pairs(padding, len(sizes), what)
    if not count_padding:
        border = ((0, 0),) * len(sizes)
    members = reduce(
        np.multiply.outer, map(_members, sizes, border, at.window, at.stride, at.pads, at.count)
    )
    return (sums / members[..., None].astype(sums.dtype)).astype(x.dtype)


def adaptive_avg_pool(x: jax.Array, size: Sides, *, what: str = "adaptive_avg_pool") -> jax.Array:
    """The means of ``size`` bins along each spatial dimension, whatever the size of the input.

    Bin ``i`` of ``m`` on ``n`` cells goes from ``floor(i n / m)`` to ``ceil((i + 1) n / m)``:
    bins of an uneven division overlap, as in torch.

    Raises:
        ValueError: the size is not positive or has the wrong number of entries.
        TypeError: ``x`` is not floating-point.
    """
    x = jnp.asarray(x)
    floating(x, what)
    return _adaptive(wide(x), size, jnp.mean, what).astype(x.dtype)


def adaptive_max_pool(x: jax.Array, size: Sides, *, what: str = "adaptive_max_pool") -> jax.Array:
    """The maxima of the bins of ``adaptive_avg_pool``; equals share the gradient."""
    return _adaptive(jnp.asarray(x), size, jnp.max, what)


def blur_pool(
    x: jax.Array, window: Sides = 3, stride: Sides = 2, *, what: str = "blur_pool"
) -> jax.Array:
    """Blurs, then takes every ``stride``-th cell (Zhang, 2019, arXiv:1904.11486).

    The blur keeps frequencies that the coarser grid cannot hold from returning as false patterns,
    so that the output moves with its input. Its filter is binomial: ``[1, 2, 1] / 4`` along each
    dimension for a window of 3. The border is reflected; there are ``ceil(n / stride)`` cells.

    Raises:
        ValueError: an option has the wrong number of entries.
        TypeError: ``x`` is not floating-point.
    """
    x = jnp.asarray(x)
    floating(x, what)
    check(window=window, stride=stride)
    sides = per_side(window, len(spatial(x, what)), "window", what)
    lines = [np.array([comb(k - 1, i) for i in range(k)]) / 2 ** (k - 1) for k in sides]
    binomial = reduce(np.multiply.outer, lines)[..., None, None]
    c = x.shape[-1]
    return conv(
        x,
        jnp.broadcast_to(binomial.astype(x.dtype), (*sides, 1, c)),
        stride=stride,
        padding=tuple(((k - 1) // 2, k // 2) for k in sides),
        padding_mode="reflect",
        groups=c,
        what=what,
    )


def _place(x, window, stride, padding, ceil, what):
    stride = window if stride is None else stride
    at = place(spatial(x, what), window, stride, padding, ceil=ceil, what=what)
    for (before, after), k in zip(at.pads, at.window, strict=True):
        if before >= k or (after >= k and not ceil):
            raise ValueError(
                f"{what}: padding {padding!r} is not smaller than the window {window!r}, "
                "so that windows would hold no cell of the input"
            )
    return at


def _ordered(x, what):
    if not any(jnp.issubdtype(x.dtype, kind) for kind in (jnp.floating, jnp.integer)):
        raise TypeError(
            f"{what} takes the largest of real numbers and got {describe(x)}; "
            "put cast('float32') before it"
        )


def _maximum(x, *, at):
    return _reduce_windows(x, np.array(cpu.lowest(x.dtype), x.dtype), lax.max, at)


def _pick(t, x, y, *, at, like):
    return jax.jvp(partial(_maximum, at=at), (x,), (t,))[1]


def _sums(x, *, at, like):
    return _reduce_windows(x, np.array(0, x.dtype), lax.add, at)


def _reduce_windows(x, start, combine, at):
    return lax.reduce_window(
        x,
        start,
        combine,
        (1, *at.window, 1),
        (1, *at.stride, 1),
        ((0, 0), *at.pads, (0, 0)),
    )


def _maximum_jvp(primals, tangents, *, at):
    (x,), (t,) = primals, tangents
    y = _maximum_p.bind(x, at=at)
    return y, _pick_p(t, x, y, at=at, like=x.shape[1:])


def _maximum_batched(operands, dims, *, at):
    size = operands[0].shape[dims[0]]
    return split(_maximum_p.bind(merge(front(operands[0], dims[0], size), 0), at=at), 0, size), 0


_LONGEST = 64  # sides of a window that are written out cell by cell

_maximum_p = primitive("max_pool", native=_maximum, cpu=cpu.maximum)
ad.primitive_jvps[_maximum_p] = _maximum_jvp
batching.primitive_batchers[_maximum_p] = _maximum_batched
_pick_p = linear("max_pool_pick", native=_pick, cpu=cpu.pick, cpu_transposed=cpu.spread)
_sums_p = linear("window_sums", native=_sums, cpu=cpu.sums, cpu_transposed=cpu.shares)


def _members(n, border, k, stride, pads, count):
    """How many cells each window holds along one dimension, with this border around the input."""
    first = np.arange(count) * stride - pads[0]
    return np.minimum(first + k, n + border[1]) - np.maximum(first, -border[0])


def _adaptive(x, size, reduction, what):
    check(size=size)
    sizes = spatial(x, what)
    if min(sizes) < 1:
        raise ValueError(f"{what}: there is nothing to pool in {describe(x)}")
    for axis, (n, m) in enumerate(
        zip(sizes, per_side(size, len(sizes), "size", what), strict=True), start=1
    ):
        bins = [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
        x = jnp.concatenate(
            [reduction(lax.slice_in_dim(x, *b, axis=axis), axis, keepdims=True) for b in bins],
            axis,
        )
    return x
