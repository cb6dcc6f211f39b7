"""Convolution and its gradients by lax's own operations."""

import jax
from jax import lax

from .geometry import Geometry


def output(x: jax.Array, kernel: jax.Array, at: Geometry) -> jax.Array:
    """lax's own convolution."""
    sides = "DHW"[-len(at.size) :]
    return lax.conv_general_dilated(
        x,
        kernel,
        at.stride,
        at.pads,
        rhs_dilation=at.dilation,
        dimension_numbers=(f"N{sides}C", f"{sides}IO", f"N{sides}C"),
        feature_group_count=at.groups,
    )


def input_gradient(g: jax.Array, kernel: jax.Array, at: Geometry) -> jax.Array:
    """lax's own gradient of the input."""
    x = jax.ShapeDtypeStruct((g.shape[0], *at.size, kernel.shape[-2] * at.groups), g.dtype)
    (gradient,) = jax.linear_transpose(lambda x: output(x, kernel, at), x)(g)
    return gradient


def kernel_gradient(x: jax.Array, g: jax.Array, at: Geometry) -> jax.Array:
    """lax's own gradient of the kernel."""
    shape = (*at.window, x.shape[-1] // at.groups, g.shape[-1])
    kernel = jax.ShapeDtypeStruct(shape, x.dtype)
    (gradient,) = jax.linear_transpose(lambda kernel: output(x, kernel, at), kernel)(g)
    return gradient
