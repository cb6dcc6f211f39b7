"""One number for each channel: how a layer starts it, and how it meets an input ``[n, ..., c]``."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from ..core import here
from ..ops.windows import floating


def ones(x: Any) -> jax.Array:
    """A one for each channel of ``x``."""
    return jnp.ones(x.shape[-1], jnp.float32)


def zeros(x: Any) -> jax.Array:
    """A zero for each channel of ``x``."""
    return jnp.zeros(x.shape[-1], jnp.float32)


def affine(params: dict[str, jax.Array], y: jax.Array) -> jax.Array:
    """``y * scale + bias``, of these what there is."""
    if "scale" in params:
        y = y * params["scale"].astype(y.dtype)
    if "bias" in params:
        y = y + params["bias"].astype(y.dtype)
    return y


def positions(x: jax.Array) -> tuple[int, ...]:
    """The axes between examples and channels."""
    return tuple(range(1, x.ndim - 1))


def means(x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """The means along ``axes``, which stay with length one."""
    return x.sum(axes, keepdims=True) / math.prod(x.shape[axis] for axis in axes)


def check_input(name: str, x: Any, rank: int = 2) -> None:
    """Refuses what has no channels to compute with.

    Raises:
        TypeError: ``x`` is not floating-point.
        ValueError: it has fewer than ``rank`` axes.
    """
    floating(x, here(name))
    if x.ndim < rank:
        axes = ("c", "n, c", "n, ..., c")[rank - 1]
        raise ValueError(f"{here(name)} needs input of shape [{axes}], got {x.shape}")


def check_channels(name: str, x: Any, values: Any) -> None:
    """Refuses an input for which ``values`` were not made; it might be broadcast to them.

    Raises:
        TypeError: ``x`` is not floating-point.
        ValueError: a leaf of ``values`` is not one number for each channel of ``x``.
    """
    floating(x, here(name))
    for value in jax.tree.leaves(values):
        if value.shape[-1:] != x.shape[-1:]:
            made, got = (math.prod(shape[-1:]) for shape in (value.shape, x.shape))
            raise ValueError(f"{here(name)} is made for {made} channels and x has {got}")


def check_eps(eps: float) -> None:
    """Refuses an ``eps`` that would not help.

    Raises:
        ValueError: it is not positive, or not finite.
    """
    if not 0 < eps < math.inf:
        raise ValueError(f"eps keeps a division away from zero and must be positive, got {eps!r}")
