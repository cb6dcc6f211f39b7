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
import numpy as np
from jax import lax

from ..core import Layer, here, layer, stateless
from ..ops.windows import floating


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
        ValueError: an option is out of range; or, in training, a channel has a single value.
    """
    _check_eps(eps)
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum is the part that is kept, from 0 to 1, got {momentum!r}")

    def init(key, x):
        _check_input("batch_norm", x)
        return _start(x, scale, bias), {"mean": _zeros(x), "var": _ones(x)}

    def apply(params, state, x, *, train=False, key=None):
        x = jnp.asarray(x)
        wide = _widened(x)
        if not train:
            mean, var = (state[name].astype(wide.dtype) for name in ("mean", "var"))
            y = (wide - mean) * lax.rsqrt(var + eps)
            return _affine(params, y).astype(x.dtype), state
        n = math.prod(x.shape[:-1])
        if n == 1:
            raise ValueError(
                f"{here('batch_norm')} cannot train on one value per channel, the input has shape "
                f"{x.shape}; give it a larger batch"
            )
        y, mean, var = _standardize(wide, tuple(range(x.ndim - 1)), eps)
        seen = {"mean": mean, "var": var * (n / (n - 1)) if unbiased else var}

        def follow(old, new):
            return momentum * old + (1 - momentum) * new.reshape(old.shape).astype(old.dtype)

        state = {name: follow(state[name], new) for name, new in seen.items()}
        return _affine(params, y).astype(x.dtype), state

    return Layer(init, apply)


@layer
def layer_norm(eps: float = 1e-5, *, scale: bool = True, bias: bool = True) -> Layer:
    """Normalises each vector of channels (Ba et al., 2016, arXiv:1607.06450).

    On images this is the norm of ConvNeXt: over the channels of a pixel, not over the picture.
    """
    _check_eps(eps)

    def init(key, x):
        _check_input("layer_norm", x, rank=1)
        return _start(x, scale, bias)

    def apply(params, x):
        x = jnp.asarray(x)
        y, _, _ = _standardize(_widened(x), (-1,), eps)
        return _affine(params, y).astype(x.dtype)

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
    _check_eps(eps)
    if not isinstance(groups, int) or groups < 1:
        raise ValueError(f"groups must be a positive integer, got {groups!r}")

    def init(key, x):
        _check_input("group_norm", x)
        if x.shape[-1] % groups:
            raise ValueError(
                f"{here('group_norm')}: {groups} groups do not divide {x.shape[-1]} channels"
            )
        return _start(x, scale, bias)

    def apply(params, x):
        x = jnp.asarray(x)
        n, *size, c = x.shape
        grouped = _widened(x).reshape(n, math.prod(size), groups, c // groups)
        y, _, _ = _standardize(grouped, (1, 3), eps)
        return _affine(params, y.reshape(x.shape)).astype(x.dtype)

    return stateless(init, apply)


@layer
def instance_norm(eps: float = 1e-5, *, scale: bool = True, bias: bool = True) -> Layer:
    """Normalises each channel of each picture (Ulyanov et al., 2016, arXiv:1607.08022).

    Raises:
        ValueError: from ``init``: there is a single position, which would always become zero.
    """
    _check_eps(eps)

    def init(key, x):
        _check_input("instance_norm", x, rank=3)
        if math.prod(x.shape[1:-1]) == 1:
            raise ValueError(
                f"{here('instance_norm')} needs more than one position, got input {x.shape}"
            )
        return _start(x, scale, bias)

    def apply(params, x):
        x = jnp.asarray(x)
        y, _, _ = _standardize(_widened(x), _positions(x), eps)
        return _affine(params, y).astype(x.dtype)

    return stateless(init, apply)


@layer
def rms_norm(eps: float = 1e-6, *, scale: bool = True) -> Layer:
    """Divides each vector of channels by its root mean square.

    (Zhang and Sennrich, 2019, arXiv:1910.07467.)
    """
    _check_eps(eps)

    def init(key, x):
        _check_input("rms_norm", x, rank=1)
        return _start(x, scale, bias=False)

    def apply(params, x):
        x = jnp.asarray(x)
        wide = _widened(x)
        y = wide * lax.rsqrt(_mean(wide * wide, (-1,)) + eps)
        return _affine(params, y).astype(x.dtype)

    return stateless(init, apply)


@layer
def local_response_norm(
    size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Layer:
    """Damps a channel where its ``size`` neighbours are active, as in AlexNet and GoogLeNet.

    ``x / (k + alpha * mean(x² of the neighbours)) ** beta``, with zeros beyond the first and last
    channel and ``alpha`` divided by ``size``, as in PyTorch (Krizhevsky et al., 2012; the paper
    does not divide).
    """
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"size must be a positive integer, got {size!r}")

    def init(key, x):
        _check_input("local_response_norm", x)
        return {}

    def apply(params, x):
        x = jnp.asarray(x)
        wide, c = _widened(x), x.shape[-1]
        around = [(0, 0)] * (x.ndim - 1) + [(size // 2, (size - 1) // 2)]
        squares = jnp.pad(wide * wide, around)
        total = sum(squares[..., i : i + c] for i in range(size))
        return (wide * (k + alpha / size * total) ** -beta).astype(x.dtype)

    return stateless(init, apply)


@layer
def global_response_norm(eps: float = 1e-6) -> Layer:
    """Lets channels compete by their norms over the picture (Woo et al., 2023, arXiv:2301.00808).

    ``x + scale * x * norm / mean(norm) + bias``; ``scale`` and ``bias`` start at zero, so that the
    layer starts as the identity.
    """
    _check_eps(eps)

    def init(key, x):
        _check_input("global_response_norm", x, rank=3)
        return {"scale": _zeros(x), "bias": _zeros(x)}

    def apply(params, x):
        x = jnp.asarray(x)
        wide = _widened(x)
        energy = (wide * wide).sum(_positions(x), keepdims=True)
        alive = energy > 0  # the root has no gradient at zero
        norm = jnp.where(alive, jnp.sqrt(jnp.where(alive, energy, 1)), 0)
        response = wide * (norm / (_mean(norm, (-1,)) + eps))
        return (wide + _affine(params, response)).astype(x.dtype)

    return stateless(init, apply)


def _start(x: Any, scale: bool, bias: bool) -> dict[str, jax.Array]:
    return ({"scale": _ones(x)} if scale else {}) | ({"bias": _zeros(x)} if bias else {})


def _ones(x: Any) -> jax.Array:
    return jnp.ones(x.shape[-1], jnp.float32)


def _zeros(x: Any) -> jax.Array:
    return jnp.zeros(x.shape[-1], jnp.float32)


def _affine(params: dict[str, jax.Array], y: jax.Array) -> jax.Array:
    if "scale" in params:
        y = y * params["scale"].astype(y.dtype)
    if "bias" in params:
        y = y + params["bias"].astype(y.dtype)
    return y


def _widened(x: jax.Array) -> jax.Array:
    return x.astype(np.promote_types(x.dtype, np.float32))


def _positions(x: jax.Array) -> tuple[int, ...]:
    return tuple(range(1, x.ndim - 1))


def _mean(x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    return x.sum(axes, keepdims=True) / math.prod(x.shape[axis] for axis in axes)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _standardize(
    x: jax.Array, axes: tuple[int, ...], eps: float
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """``x`` with mean 0 and variance 1 along ``axes``, and the two that it had."""
    mean = _mean(x, axes)
    centred = x - mean
    var = _mean(jnp.square(centred), axes)
    return centred * lax.rsqrt(var + eps), mean, var


@_standardize.defjvp
def _standardize_jvp(axes, eps, primals, tangents):
    # The map t -> dy is its own transpose: both its sums, in either mode, are one pass over the
    # data, where differentiating the lines above takes two.
    (x,), (t,) = primals, tangents
    y, mean, var = _standardize(x, axes, eps)
    stddev = jnp.sqrt(var + eps)
    along, shift = _mean(y * t, axes), _mean(t, axes)
    return (y, mean, var), ((t - shift - y * along) / stddev, shift, 2 * stddev * along)


def _check_eps(eps: float) -> None:
    if not 0 < eps < math.inf:
        raise ValueError(f"eps keeps a division away from zero and must be positive, got {eps!r}")


def _check_input(name: str, x: Any, rank: int = 2) -> None:
    floating(x, here(name))
    if x.ndim < rank:
        axes = ("c", "n, c", "n, ..., c")[rank - 1]
        raise ValueError(f"{here(name)} needs input of shape [{axes}], got {x.shape}")
