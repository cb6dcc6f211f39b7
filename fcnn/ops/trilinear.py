"""Convolution as a primitive: three operations that are each other's derivatives.

``sum(g * conv(x, kernel))`` is linear in each of ``x``, ``kernel`` and ``g``. Its derivative for
``g`` is the convolution, for ``x`` the transposed convolution, for ``kernel`` the gradient of the
kernel: three bilinear operations, and every derivative of one of them is another of the three. So
these are all that is needed for gradients and tangents of any order.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.interpreters import ad, batching

from . import cpu, native
from .geometry import Geometry
from .primitives import agreeing, divided, front, merge, primitive, split


def _define(name: str, plain: Callable, fast: Callable):
    """A primitive on two arrays, or, if ``stacked``, on two stacks of arrays."""

    def natively(a, b, *, at, stacked):
        run = partial(plain, at=at)
        return (jax.vmap(run) if stacked else run)(a, b)

    def on_cpu(a, b, *, at, stacked):
        dtype = a.dtype
        if jnp.finfo(dtype).bits < 32:  # no CPU multiplies these by itself; sums stay exact
            a, b = a.astype(jnp.float32), b.astype(jnp.float32)
        run = partial(fast, at=at)
        # A grouped convolution of the whole stack would be the slowest of all.
        y = lax.map(lambda pair: run(*pair), (a, b)) if stacked else run(a, b)
        return y.astype(dtype)

    return primitive(name, native=natively, cpu=on_cpu)


output_p = _define("convolution", native.output, cpu.output)
input_p = _define("convolution_input_gradient", native.input_gradient, cpu.input_gradient)
kernel_p = _define("convolution_kernel_gradient", native.kernel_gradient, cpu.kernel_gradient)


def output(x: jax.Array, kernel: jax.Array, at: Geometry) -> jax.Array:
    """The convolution: ``[n, *size, c], [*window, c / groups, d] -> [n, *count, d]``."""
    if divided(x, kernel):
        return native.output(x, kernel, at)
    return output_p.bind(*agreeing(x, kernel), at=at, stacked=False)


def input_gradient(g: jax.Array, kernel: jax.Array, at: Geometry) -> jax.Array:
    """Its transpose: ``[n, *count, d], [*window, c / groups, d] -> [n, *size, c]``."""
    if divided(g, kernel):
        return native.input_gradient(g, kernel, at)
    return input_p.bind(*agreeing(g, kernel), at=at, stacked=False)


def kernel_gradient(x: jax.Array, g: jax.Array, at: Geometry) -> jax.Array:
    """The kernel's: ``[n, *size, c], [n, *count, d] -> [*window, c / groups, d]``."""
    if divided(x, g):
        return native.kernel_gradient(x, g, at)
    return kernel_p.bind(*agreeing(x, g), at=at, stacked=False)


# Each lists what its two operands and its cotangent are to the trilinear form; transposing in an
# operand gives the operation that lacks it.
ad.defbilinear(
    output_p,
    lambda g, x, kernel, **at: input_p.bind(g, kernel, **at),
    lambda g, x, kernel, **at: kernel_p.bind(x, g, **at),
)
ad.defbilinear(
    input_p,
    lambda x, g, kernel, **at: output_p.bind(x, kernel, **at),
    lambda x, g, kernel, **at: kernel_p.bind(x, g, **at),
)
ad.defbilinear(
    kernel_p,
    lambda kernel, x, g, **at: input_p.bind(g, kernel, **at),
    lambda kernel, x, g, **at: output_p.bind(x, kernel, **at),
)


def _batched(made, free, operands, dims, *, at, stacked):
    """``vmap``, as more examples, features or channels of one convolution where that is exact.

    ``free`` has for each operand the axis that holds more if it alone is batched, and the axis of
    the result on which they come out.
    """
    size = next(x.shape[d] for x, d in zip(operands, dims, strict=True) if d is not None)
    for i, (here, there) in enumerate(free):
        if not stacked and dims[1 - i] is None and (here == 0 or at.groups == 1):
            axis = here % (operands[i].ndim - 1)
            more = merge(jnp.moveaxis(operands[i], dims[i], axis), axis)
            pair = (more, operands[1]) if i == 0 else (operands[0], more)
            y = made.bind(*pair, at=at, stacked=False)
            return split(y, there % y.ndim, size), there % y.ndim
    a, b = (front(x, d, size) for x, d in zip(operands, dims, strict=True))
    if stacked:
        return split(made.bind(merge(a, 0), merge(b, 0), at=at, stacked=True), 0, size), 0
    return made.bind(a, b, at=at, stacked=True), 0


for _made, _free in (
    (output_p, ((0, 0), (-1, -1))),  # examples of x; features of the kernel
    (input_p, ((0, 0), (-2, -1))),  # examples of g; channels of the kernel
    (kernel_p, ((-1, -2), (-1, -1))),  # channels of x; features of g
):
    batching.primitive_batchers[_made] = partial(_batched, _made, _free)
