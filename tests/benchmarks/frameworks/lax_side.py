"""XLA's own operations, as ``jax.lax`` and ``jax.image`` give them."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..cases import Settings
from ..operations import Operation, operation_named
from ..runs import Run
from .jax_operations import run_of


def operation(case: str, backward: bool, settings: Settings) -> Run:
    op = operation_named(case)
    return run_of(op, lambda *arrays: FUNCTIONS[op.function](op, *arrays), backward, settings)


def _conv(op: Operation, x, kernel):
    return lax.conv_general_dilated(
        x,
        kernel,
        (op.stride,) * op.rank,
        [(op.padding, op.padding)] * op.rank,
        rhs_dilation=(op.dilation,) * op.rank,
        dimension_numbers=_dimensions(op),
        feature_group_count=op.groups,
    )


def _conv_transpose(op: Operation, x, kernel):
    before = kernel.shape[0] - 1 - op.padding
    return lax.conv_transpose(
        x,
        kernel,
        (op.stride,) * op.rank,
        [(before, before + op.extra)] * op.rank,
        dimension_numbers=_dimensions(op),
        transpose_kernel=True,
    )


def _max_pool(op: Operation, x):
    return _windows(op, x, -jnp.inf, lax.max)


def _avg_pool(op: Operation, x):
    return _windows(op, x, 0.0, lax.add) / op.window**op.rank


def _resize(op: Operation, x):
    n, *size, c = x.shape
    return jax.image.resize(x, (n, *(2 * s for s in size), c), op.method)


def _batch_norm(op: Operation, x, scale, bias):
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) * lax.rsqrt(var + 1e-5) * scale + bias


def _windows(op, x, start, combine):
    pads = [(0, 0), *[(op.padding, op.padding)] * op.rank, (0, 0)]
    window, strides = ((1, *(side,) * op.rank, 1) for side in (op.window, op.stride))
    start = np.array(start, x.dtype)  # of numpy: known while it is traced, else no gradient
    return lax.reduce_window(x, start, combine, window, strides, pads)


def _dimensions(op):
    sides = "DHW"[-op.rank :]
    return f"N{sides}C", f"{sides}IO", f"N{sides}C"


FUNCTIONS = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "resize": _resize,
    "batch_norm": _batch_norm,
}
