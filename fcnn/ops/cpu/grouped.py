"""Convolution of groups of channels, each with features of its own."""

import jax
import jax.numpy as jnp

from ..geometry import Geometry
from . import dense

WIDTH = 16
"""Channels up to which groups are joined: up to 1.5 times as fast as 32, where both were tried."""


def output(x: jax.Array, kernel: jax.Array, at: Geometry) -> jax.Array:
    """``[n, *size, c], [*window, c / groups, d] -> [n, *count, d]``."""
    return _each(dense.output, x, kernel, at)


def input_gradient(g: jax.Array, kernel: jax.Array, at: Geometry) -> jax.Array:
    """``[n, *count, d], [*window, c / groups, d] -> [n, *size, c]``."""
    return _each(dense.input_gradient, g, kernel, at)


def kernel_gradient(x: jax.Array, g: jax.Array, at: Geometry) -> jax.Array:
    """``[n, *size, c], [n, *count, d] -> [*window, c / groups, d]``."""
    c, d = x.shape[-1] // at.groups, g.shape[-1] // at.groups
    joined = _joined(at.groups, max(c, d))
    one, parts = at._replace(groups=1), at.groups // joined
    pairs = zip(jnp.split(x, parts, -1), jnp.split(g, parts, -1), strict=True)
    return jnp.concatenate([_own(dense.kernel_gradient(*pair, one), joined) for pair in pairs], -1)


def _each(f, a, kernel, at):
    """``f`` of some groups at a time."""
    joined = _joined(at.groups, max(kernel.shape[-2], kernel.shape[-1] // at.groups))
    one, parts = at._replace(groups=1), at.groups // joined
    pairs = zip(jnp.split(a, parts, -1), jnp.split(kernel, parts, -1), strict=True)
    return jnp.concatenate([f(part, _diagonal(kernel, joined), one) for part, kernel in pairs], -1)


def _joined(groups, width):
    """How many groups of this many channels make one dense convolution."""
    return max(
        n for n in range(1, groups + 1) if groups % n == 0 and n * width <= max(WIDTH, width)
    )


def _diagonal(kernel, groups):
    """``[*window, c, groups * d] -> [*window, groups * c, groups * d]``, zero between groups."""
    if groups == 1:
        return kernel
    *window, c, features = kernel.shape
    kernel = kernel.reshape(*window, 1, c, groups, -1)
    kernel = jnp.where(jnp.eye(groups, dtype=bool)[:, None, :, None], kernel, 0)
    return kernel.reshape(*window, groups * c, features)


def _own(kernel, groups):
    """The reverse: the blocks in which channels and features are of the same group."""
    *window, c, _ = kernel.shape
    blocks = kernel.reshape(*window, groups, c // groups, groups, -1)
    own = [blocks[..., i, :, i, :] for i in range(groups)]
    return jnp.concatenate(own, -1)
