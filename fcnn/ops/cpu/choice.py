"""Which program computes a convolution or one of its gradients: by groups, window and stride."""

import jax

from ..geometry import Geometry
from . import dense, depthwise, grouped


def output(x: jax.Array, kernel: jax.Array, at: Geometry) -> jax.Array:
    """The convolution: ``[n, *size, c], [*window, c / groups, d] -> [n, *count, d]``."""
    return _family(at, x.shape[-1]).output(x, kernel, at)


def input_gradient(g: jax.Array, kernel: jax.Array, at: Geometry) -> jax.Array:
    """Its transpose: ``[n, *count, d], [*window, c / groups, d] -> [n, *size, c]``."""
    return _family(at, kernel.shape[-2] * at.groups).input_gradient(g, kernel, at)


def kernel_gradient(x: jax.Array, g: jax.Array, at: Geometry) -> jax.Array:
    """The kernel's: ``[n, *size, c], [n, *count, d] -> [*window, c / groups, d]``."""
    return _family(at, x.shape[-1]).kernel_gradient(x, g, at)


def _family(at, channels):
    if at.groups == 1:
        return dense
    return depthwise if at.groups == channels else grouped
