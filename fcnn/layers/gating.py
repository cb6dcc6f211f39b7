"""Gates: factors for channels, computed from the input or learned."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ..core import Layer, here, layer, lazy, stateless, wire
from ..ops.windows import floating, positive
from .channels import check_channels
from .linear import dense


@layer
def squeeze_excite(
    ratio: float = 16,
    *,
    features: int | None = None,
    activation: Callable = jax.nn.relu,
    gate: Callable = jax.nn.sigmoid,
) -> Layer:
    """Weighs each channel by what all of them see: ``[n, ..., c] -> [n, ..., c]``.

    ``x * gate(expand(activation(reduce(mean of x))))`` (Hu et al., 2018, arXiv:1709.01507).

    Args:
        ratio: How many times fewer channels there are between ``reduce`` and ``expand``.
        features: Their number, in place of ``ratio``.
        activation: Between ``reduce`` and ``expand``; swish in EfficientNet.
        gate: To factors; ``hard_sigmoid`` in MobileNetV3.

    Raises:
        ValueError: ``ratio`` is not positive, or ``features`` not a positive integer; from
            ``init``, the input has no positions.
    """
    if not ratio > 0:
        raise ValueError(f"ratio must be positive, got {ratio!r}")
    if features is not None:
        positive(features=features)

    def squeeze_excite(f, x):
        means = jnp.mean(x, tuple(range(1, x.ndim - 1)))
        factors = gate(f.expand(activation(f.reduce(means))))
        return x * factors.reshape(x.shape[0], *[1] * (x.ndim - 2), x.shape[-1])

    @functools.cache  # one layer for all inputs of this width: what is known of its shapes stays
    def of(c):
        reduce = dense(features or max(1, int(c / ratio)))
        return wire(squeeze_excite, reduce=reduce, expand=dense(c))

    def make(x):
        if x.ndim < 3:
            raise ValueError(f"{here('squeeze_excite')} needs input [n, ..., c], got {x.shape}")
        return of(x.shape[-1])

    return lazy(make)


@layer
def layer_scale(initial: float = 1e-4) -> Layer:
    """One learned factor a channel, small at first (Touvron et al., 2021, arXiv:2103.17239).

    Raises:
        ValueError: ``initial`` is not finite.
    """
    if not math.isfinite(initial):
        raise ValueError(f"initial must be finite, got {initial!r}")

    def init(key, x):
        floating(x, here("layer_scale"))
        return {"scale": jnp.full(x.shape[-1], initial, jnp.float32)}

    def apply(params, x):
        x = jnp.asarray(x)
        check_channels("layer_scale", x, params)
        return x * params["scale"].astype(x.dtype)

    return stateless(init, apply)
