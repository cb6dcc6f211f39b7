"""Normalisation: centre and scale, by statistics in float32 (float64 for float64 input).

Every layer here normalises ``[n, ..., c]``, channels last, and differs only in the axes whose mean
and variance it takes. The variance is the mean squared deviation, never ``mean(x²) - mean(x)²``,
which cancels. ``scale`` and ``bias``, one number a channel, can be left out.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..core import Layer, here, layer, stateless
from ..ops.windows import positive, wide
from .channels import (
    affine,
    check_channels,
    check_eps,
    check_input,
    means,
    ones,
    positions,
    zeros,
)


@layer
def batch_norm(
    momentum: float = 0.9,
    eps: float = 1e-5,
    *,
    scale: bool = True,
    bias: bool = True,
    unbiased: bool = True,
) -> Layer:
    """Normalises each channel over the batch: ``[n, ..., c] -> [n, ..., c]``.

    (Ioffe and Szegedy, 2015, arXiv:1502.03167.) In training the statistics are those of the batch,
    and the running ones in the state follow them; in evaluation the running ones are used.

    Args:
        momentum: The part of the running statistics that is kept at each step. PyTorch counts the
            other part, so its 0.1 is 0.9 here.
        eps: Added to the variance.
        scale: Whether to learn a factor for each channel.
        bias: Whether to learn an offset for each channel.
        unbiased: The running variance follows ``n / (n - 1)`` times that of the batch, as in
            PyTorch; Keras does without that factor.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from fcnn.layers.normalization import batch_norm
        >>> norm = batch_norm(momentum=0.5)
        >>> x = jnp.array([[1.0], [3.0]])
        >>> params, state = norm.init(jax.random.key(0), x)
        >>> y, state = norm.apply(params, state, x, train=True)
        >>> state["mean"], state["var"]  # half way from 0 to 2, and from 1 to 2
        (Array([1.], dtype=float32), Array([1.5], dtype=float32))

    Raises:
        ValueError: an option is out of range; or, in training, a channel has fewer than two values.
    """
    check_eps(eps)
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum is the part that is kept, from 0 to 1, got {momentum!r}")

    def init(key, x):
        check_input("batch_norm", x)
        return _start(x, scale, bias), {"mean": zeros(x), "var": ones(x)}

    def apply(params, state, x, *, train=False, key=None):
        x = jnp.asarray(x)
        check_channels("batch_norm", x, (params, state))
        numbers = wide(x)
        if not train:
            mean, var = (state[name].astype(numbers.dtype) for name in ("mean", "var"))
            factor, offset = _factors(params, numbers)
            y = (numbers - mean) * (factor * lax.rsqrt(var + eps)) + offset
            return y.astype(x.dtype), state
        n = math.prod(x.shape[:-1])
        if n < 2:
            raise ValueError(
                f"{here('batch_norm')} cannot train on fewer than two values per channel, the "
                f"input has shape {x.shape}; give it a larger batch"
            )
        axes = tuple(range(x.ndim - 1))
        y, mean, var = normalize(numbers, *_factors(params, numbers), axes, eps)
        seen = {"mean": mean, "var": var * (n / (n - 1)) if unbiased else var}

        def follow(old, new):
            return momentum * old + (1 - momentum) * new.reshape(old.shape).astype(old.dtype)

        state = {name: follow(state[name], new) for name, new in seen.items()}
        return y.astype(x.dtype), state

    return Layer(init, apply)


@layer
def layer_norm(eps: float = 1e-5, *, scale: bool = True, bias: bool = True) -> Layer:
    """Normalises each vector of channels (Ba et al., 2016, arXiv:1607.06450).

    On images this is the norm of ConvNeXt: over the channels of a pixel, not over the picture.
    """
    check_eps(eps)

    def init(key, x):
        check_input("layer_norm", x, rank=1)
        return _start(x, scale, bias)

    def apply(params, x):
        x = jnp.asarray(x)
        check_channels("layer_norm", x, params)
        y, _, _ = standardize(wide(x), (-1,), eps)
        return affine(params, y).astype(x.dtype)

    return stateless(init, apply)


@layer
def group_norm(
    groups: int = 32, eps: float = 1e-5, *, scale: bool = True, bias: bool = True
) -> Layer:
    """Normalises groups of channels of one example (Wu and He, 2018, arXiv:1803.08494).

    Raises:
        ValueError: ``groups`` is not a positive integer; or, from ``init``, does not divide the
            channels.
    """
    check_eps(eps)
    positive(groups=groups)

    def init(key, x):
        check_input("group_norm", x)
        if x.shape[-1] % groups:
            raise ValueError(
                f"{here('group_norm')}: {groups} groups do not divide {x.shape[-1]} channels"
            )
        return _start(x, scale, bias)

    def apply(params, x):
        x = jnp.asarray(x)
        check_channels("group_norm", x, params)
        numbers = wide(x)
        y, _, _ = normalize(numbers, *_factors(params, numbers), positions(x), eps, groups)
        return y.astype(x.dtype)

    return stateless(init, apply)


@layer
def instance_norm(eps: float = 1e-5, *, scale: bool = True, bias: bool = True) -> Layer:
    """Normalises each channel of each picture (Ulyanov et al., 2016, arXiv:1607.08022).

    Raises:
        ValueError: from ``init``: there is a single position, which would always become zero.
    """
    check_eps(eps)

    def init(key, x):
        check_input("instance_norm", x, rank=3)
        if math.prod(x.shape[1:-1]) == 1:
            raise ValueError(
                f"{here('instance_norm')} needs more than one position, got input {x.shape}"
            )
        return _start(x, scale, bias)

    def apply(params, x):
        x = jnp.asarray(x)
        check_channels("instance_norm", x, params)
        numbers = wide(x)
        y, _, _ = normalize(numbers, *_factors(params, numbers), positions(x), eps)
        return y.astype(x.dtype)

    return stateless(init, apply)


@layer
def rms_norm(eps: float = 1e-6, *, scale: bool = True) -> Layer:
    """Divides each vector of channels by its root mean square.

    (Zhang and Sennrich, 2019, arXiv:1910.07467.)
    """
    check_eps(eps)

    def init(key, x):
        check_input("rms_norm", x, rank=1)
        return _start(x, scale, bias=False)

    def apply(params, x):
        x = jnp.asarray(x)
        check_channels("rms_norm", x, params)
        numbers = wide(x)
        y = numbers * lax.rsqrt(means(numbers * numbers, (-1,)) + eps)
        return affine(params, y).astype(x.dtype)

    return stateless(init, apply)


def _start(x: Any, scale: bool, bias: bool) -> dict[str, jax.Array]:
    return ({"scale": ones(x)} if scale else {}) | ({"bias": zeros(x)} if bias else {})


def _factors(params: dict[str, jax.Array], x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Scale and bias in the dtype of ``x``, also where they are left out."""
    scale, bias = params.get("scale", ones(x)), params.get("bias", zeros(x))
    return scale.astype(x.dtype), bias.astype(x.dtype)


@partial(jax.custom_jvp, nondiff_argnums=(3, 4, 5))
def normalize(
    x: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    axes: tuple[int, ...],
    eps: float,
    groups: int | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """``x`` with mean 0 and variance 1, times ``scale`` plus ``bias``; and the two that it had.

    They are taken along ``axes``, and along the channels of each of the ``groups`` if there are.
    """
    mean = _means(x, axes, groups)
    var = _means(jnp.square(x - mean), axes, groups)
    return _centred(x, mean) * (scale * lax.rsqrt(var + eps)) + bias, mean, var


@normalize.defjvp
def _normalize_jvp(axes, eps, groups, primals, tangents):
    # What the statistics, the scale and the bias add is one factor and one offset for each mean.
    # Transposed, that is two sums over the data, from which all the gradients follow.
    x, scale, bias = primals
    t, scale_t, bias_t = tangents
    y, mean, var = normalize(x, scale, bias, axes, eps, groups)
    inverse = lax.rsqrt(var + eps)
    along, shift = _means(_centred(x, mean) * t, axes, groups), _means(t, axes, groups)
    factor = inverse * scale_t - scale * inverse**3 * along
    offset = bias_t - scale * inverse * shift
    dy = scale * inverse * t + _centred(x, mean) * factor + offset
    return (y, mean, var), (dy, shift, 2 * along)


def _means(x, axes, groups):
    mean = means(x, axes)
    if groups is None:
        return mean
    each = mean.shape[-1] // groups
    shared = means(mean.reshape(*mean.shape[:-1], groups, each), (-1,))
    return jnp.broadcast_to(shared, (*shared.shape[:-1], each)).reshape(mean.shape)


def _centred(x, mean):
    # The barrier keeps apart what looks equal: XLA computes a difference within the sum or the pass
    # that uses it, but writes it to memory, and reads it again, where it finds several uses.
    return x - lax.optimization_barrier(mean)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def standardize(
    x: jax.Array, axes: tuple[int, ...], eps: float
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """``x`` with mean 0 and variance 1 along ``axes``, and the two that it had."""
    mean = means(x, axes)
    centred = x - mean
    var = means(jnp.square(centred), axes)
    return centred * lax.rsqrt(var + eps), mean, var


@standardize.defjvp
def _standardize_jvp(axes, eps, primals, tangents):
    # The map t -> dy is its own transpose: both its sums, in either mode, are one pass over the
    # data, where differentiating the lines above takes two.
    (x,), (t,) = primals, tangents
    y, mean, var = standardize(x, axes, eps)
    stddev = jnp.sqrt(var + eps)
    along, shift = means(y * t, axes), means(t, axes)
    return (y, mean, var), ((t - shift - y * along) / stddev, shift, 2 * stddev * along)
