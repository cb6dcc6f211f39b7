"""Layers with a kernel and a bias."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import random

from ..core import Layer, here, layer, spec, stateless
from ..ops.windows import describe, floating, positive
from . import initializers
from .initializers import Choice, initializer


@layer
def dense(
    features: int,
    *,
    bias: bool = True,
    kernel_init: Choice = "he_uniform",
    bias_init: Choice = "zeros",
) -> Layer:
    """``x @ kernel + bias`` over the last axis: ``[n, ..., c] -> [n, ..., features]``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> params, _ = dense(10).init(jax.random.key(0), jnp.ones((8, 64)))
        >>> jax.tree.map(jnp.shape, params)
        {'bias': (10,), 'kernel': (64, 10)}

    Args:
        bias: Whether there is one.
        kernel_init: A name, a name with numbers, or a function; see ``initializers``.
        bias_init: The same for the bias; ``"torch"`` takes the fan of the kernel.

    Raises:
        ValueError: from init and apply, there is no batch axis, or the parameters were made for
            another number of channels.
        TypeError: from init and apply, the input is not floating-point.
    """
    positive(features=features)

    def multiply(x, kernel):
        what = here("dense")
        floating(x, what)
        if x.ndim < 2:
            raise ValueError(f"{what} needs an input [n, ..., c] and got {describe(x)}")
        if x.shape[-1] != kernel.shape[0]:
            raise ValueError(
                f"{what}: the kernel is made for {kernel.shape[0]} channels and x has {x.shape[-1]}"
            )
        return x @ kernel

    def kernel_shape(x):
        return (*x.shape[-1:], features)

    return weighted(kernel_shape, multiply, bias, kernel_init, bias_init)


def weighted(
    kernel_shape: Callable[[Any], tuple[int, ...]],
    run: Callable[[jax.Array, jax.Array], jax.Array],
    bias: bool,
    kernel_init: Choice,
    bias_init: Choice,
) -> Layer:
    """A layer that computes ``run(x, kernel)``, plus a bias for each of its features.

    ``init`` runs it on shapes first, so it refuses what ``run`` refuses.
    """
    kernel_init, bias_init = initializer(kernel_init), initializer(bias_init)

    def init(key, x):
        x = spec(x)
        shape = kernel_shape(x)
        y = jax.eval_shape(run, x, jax.ShapeDtypeStruct(shape, x.dtype))
        kernel_key, bias_key = random.split(key)
        params = {"kernel": kernel_init(kernel_key, shape, jnp.float32)}
        if bias:
            draw = bias_init
            if bias_init is initializers.torch:  # the only one that looks at the kernel
                draw = partial(bias_init, fan_in=initializers.fans(shape)[0])
            params["bias"] = draw(bias_key, y.shape[-1:], jnp.float32)
        return params

    def apply(params, x):
        x = jnp.asarray(x)
        y = run(x, params["kernel"].astype(x.dtype))
        return y + params["bias"].astype(y.dtype) if bias else y

    return stateless(init, apply)
