"""The operations in fcnn: functions of ``fcnn.ops``, and a layer for batch norm."""

import jax.numpy as jnp

from fcnn import batch_norm, ops

from ..operations import Operation


def _conv(op: Operation, x, kernel):
    return ops.conv(
        x,
        kernel,
        stride=op.stride,
        padding=op.padding,
        dilation=op.dilation,
        groups=op.groups,
    )


def _conv_transpose(op: Operation, x, kernel):
    return ops.conv_transpose(
        x, kernel, stride=op.stride, padding=op.padding, output_padding=op.extra
    )


def _max_pool(op: Operation, x):
    return ops.max_pool(x, op.window, op.stride, op.padding)


def _avg_pool(op: Operation, x):
    return ops.avg_pool(x, op.window, op.stride, op.padding)


def _resize(op: Operation, x):
    return ops.resize(x, tuple(2 * s for s in x.shape[1:-1]), op.method)


def _batch_norm(op: Operation, x, scale, bias):
    state = {"mean": jnp.zeros_like(bias), "var": jnp.ones_like(scale)}
    return batch_norm().apply({"scale": scale, "bias": bias}, state, x, train=True)[0]


FUNCTIONS = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "resize": _resize,
    "batch_norm": _batch_norm,
}
