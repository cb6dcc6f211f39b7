"""What is done to the input before anything is learned: part of the network, so part of its file.

Integers become float32. The numbers given here are no parameters: they stand in the recipe, and
training leaves them alone.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Layer, here, layer


@layer
def normalize(mean: float | Sequence[float], std: float | Sequence[float]) -> Layer:
    """``(x - mean) / std``, for all channels or for each: ``[..., c] -> [..., c]``.

    Example:
        >>> import jax.numpy as jnp
        >>> from fcnn.layers.preprocessing import normalize
        >>> pixels = jnp.array([[0, 100, 200]], "uint8")
        >>> normalize((50, 100, 150), 50).apply({}, {}, pixels)[0]
        Array([[-1.,  0.,  1.]], dtype=float32)

    Raises:
        ValueError: a number is not finite, ``std`` is not positive, or, from ``init``, there is not
            one number for each channel.
    """
    mean, std = _numbers("mean", mean), _numbers("std", std)
    if (std <= 0).any():
        raise ValueError(f"std must be positive, got {std.tolist()}")

    def check(x):
        for name, value in (("mean", mean), ("std", std)):
            if value.ndim and x.shape[-1:] != value.shape:
                raise ValueError(
                    f"{here('normalize')} has {value.size} numbers as {name}, got input {x.shape}"
                )

    def standardize(x):
        return (x - jnp.asarray(mean, x.dtype)) / jnp.asarray(std, x.dtype)

    return _on_floats("normalize", standardize, check)


@layer
def rescale(scale: float, offset: float = 0.0) -> Layer:
    """``x * scale + offset``: ``rescale(1 / 255)`` takes pixels to [0, 1].

    Raises:
        ValueError: a number is not finite.
    """
    if not (math.isfinite(scale) and math.isfinite(offset)):
        raise ValueError(f"scale and offset must be finite, got {scale!r} and {offset!r}")
    return _on_floats("rescale", lambda x: x * scale + offset)


def _on_floats(
    name: str,
    fn: Callable[[jax.Array], jax.Array],
    check: Callable[[Any], None] = lambda x: None,
) -> Layer:
    """A layer that runs ``fn`` in float32 or wider, and returns the dtype of floating input."""

    def init(key, x):
        if jnp.issubdtype(x.dtype, jnp.complexfloating):
            raise TypeError(f"{here(name)} takes integers or floats, got {x.dtype.name}")
        check(x)
        return {}, {}

    def apply(params, state, x, *, train=False, key=None):
        x = jnp.asarray(x)
        check(x)
        dtype = x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.float32
        return fn(x.astype(np.promote_types(dtype, np.float32))).astype(dtype), state

    return Layer(init, apply)


def _numbers(name: str, value: float | Sequence[float]) -> np.ndarray:
    numbers = np.asarray(value, np.float64)
    if numbers.ndim > 1 or not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be a finite number, or one for each channel, got {value!r}")
    return numbers
