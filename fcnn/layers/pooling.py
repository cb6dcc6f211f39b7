"""Layers that reduce space and keep channels: ``[n, h, w, c] -> [n, h', w', c]``.

``padding`` and the other options of windows are those of ``ops``.
"""

import jax
import jax.numpy as jnp

from .. import ops
from ..core import Layer, function, here, layer, pure
from ..ops.windows import Padding, Sides, check, floating, spatial


@layer
def max_pool(
    window: Sides, stride: Sides | None = None, padding: Padding = "valid", *, ceil: bool = False
) -> Layer:
    """The largest number in each window; padding never wins.

    Args:
        window: The size of a window.
        stride: The step from one window to the next; without it, windows lie side by side.
        padding: ``"same"``, ``"valid"``, numbers or pairs, as in ``conv``.
        ceil: Whether cells left over at the end get a window, which begins inside the input.

    Raises:
        ValueError: an option suits no input; or, from init and apply, the window does not fit.
        TypeError: from init and apply, the input is not of real numbers.
    """
    _check_window(window, stride, padding)

    def max_pool(x):
        return ops.max_pool(x, window, stride, padding, ceil=ceil, what=here("max_pool"))

    return pure(max_pool)


@layer
def avg_pool(
    window: Sides,
    stride: Sides | None = None,
    padding: Padding = "valid",
    *,
    count_padding: bool = False,
    ceil: bool = False,
) -> Layer:
    """The mean of each window.

    Args:
        window: The size of a window.
        stride: The step from one window to the next; without it, windows lie side by side.
        padding: ``"same"``, ``"valid"``, numbers or pairs, as in ``conv``.
        count_padding: Whether zeros of the padding count, as by default they do in torch.
        ceil: Whether cells left over at the end get a window, which begins inside the input.

    Raises:
        ValueError: an option suits no input; or, from init and apply, the window does not fit.
        TypeError: from init and apply, the input is not floating-point.
    """
    _check_window(window, stride, padding)

    def avg_pool(x):
        return ops.avg_pool(
            x,
            window,
            stride,
            padding,
            count_padding=count_padding,
            ceil=ceil,
            what=here("avg_pool"),
        )

    return pure(avg_pool)


@layer
def adaptive_avg_pool(size: Sides) -> Layer:
    """The means of ``size`` bins along each spatial dimension, whatever the size of the input.

    Raises:
        ValueError: the size is not positive; or, from init and apply, has too many entries.
        TypeError: from init and apply, the input is not floating-point.
    """
    check(size=size)

    def adaptive_avg_pool(x):
        return ops.adaptive_avg_pool(x, size, what=here("adaptive_avg_pool"))

    return pure(adaptive_avg_pool)


@layer
def adaptive_max_pool(size: Sides) -> Layer:
    """The maxima of ``size`` bins along each spatial dimension, whatever the size of the input.

    Raises:
        ValueError: the size is not positive; or, from init and apply, has too many entries.
    """
    check(size=size)

    def adaptive_max_pool(x):
        return ops.adaptive_max_pool(x, size, what=here("adaptive_max_pool"))

    return pure(adaptive_max_pool)


@layer
def blur_pool(window: Sides = 3, stride: Sides = 2) -> Layer:
    """Blurs, then takes every ``stride``-th cell (Zhang, 2019, arXiv:1904.11486).

    In place of a stride elsewhere it lets the output move with the input:
    ``max_pool(2, 1, "same"), blur_pool()`` for ``max_pool(2)``.

    Raises:
        ValueError: an option is not positive; or, from init and apply, has too many entries.
        TypeError: from init and apply, the input is not floating-point.
    """
    check(window=window, stride=stride)

    def blur_pool(x):
        return ops.blur_pool(x, window, stride, what=here("blur_pool"))

    return pure(blur_pool)


@function
def global_avg_pool(x: jax.Array) -> jax.Array:
    """The mean over space: ``[n, h, w, c] -> [n, c]``, and so for sequences and volumes."""
    what = here("global_avg_pool")
    floating(x, what)
    return jnp.mean(x, _space(x, what))


@function
def global_max_pool(x: jax.Array) -> jax.Array:
    """The maximum over space: ``[n, h, w, c] -> [n, c]``; equals share the gradient."""
    return jnp.max(x, _space(x, here("global_max_pool")))


def _space(x, what):
    return tuple(range(1, 1 + len(spatial(x, what))))


def _check_window(window, stride, padding):
    check(window=window, stride=window if stride is None else stride, padding=padding)
