"""First values of parameters: functions ``(key, shape, dtype=float32) -> array``, as in jax.

A layer takes a name (``"he_normal"``), a name with numbers (``("normal", 0.02)``), or a function.

Fans are those of a kernel ``[*window, c, features]``: ``fan_in`` is the product of all but the last
axis, ``fan_out`` of all but the one before it. In a convolution with groups, ``c`` are the channels
that a feature sees; in a transposed one the kernel is that of the convolution it transposes, which
gives the fans that torch and Keras compute.

Numbers are drawn flat and then shaped, and outside of transformations as the beginning of a longer
draw of one of a few sizes: they are the same, and the generator is compiled for fewer forms.
"""

from collections.abc import Callable, Sequence
from math import prod, sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from ..core import function

Initializer = Callable[..., jax.Array]
Choice = str | tuple | Initializer


@function
def zeros(key, shape, dtype=jnp.float32):
    """All 0."""
    return _filled(key, shape, 0.0, dtype)


@function
def ones(key, shape, dtype=jnp.float32):
    """All 1."""
    return _filled(key, shape, 1.0, dtype)


@function
def constant(key, shape, dtype=jnp.float32, value=0.0):
    """All ``value``."""
    return _filled(key, shape, value, dtype)


@function
def normal(key, shape, dtype=jnp.float32, stddev=0.01):
    """Normal around 0."""
    return _drawn(key, shape, lambda n: stddev * random.normal(key, (n,), dtype))


@function
def truncated_normal(key, shape, dtype=jnp.float32, stddev=0.01):
    """Normal around 0, drawn again beyond two ``stddev``; its own deviation is 0.88 of that."""
    return _drawn(key, shape, lambda n: stddev * random.truncated_normal(key, -2, 2, (n,), dtype))


@function
def uniform(key, shape, dtype=jnp.float32, bound=0.01):
    """Uniform on ``[-bound, bound)``."""
    return _drawn(key, shape, lambda n: random.uniform(key, (n,), dtype, -bound, bound))


@function
def variance_scaling(
    key, shape, dtype=jnp.float32, scale=1.0, mode="fan_in", distribution="truncated_normal"
):
    """Variance ``scale / fan`` around 0.

    Args:
        scale: The variance of a sum over the fan, for inputs of variance 1.
        mode: ``"fan_in"`` keeps the variance of outputs, ``"fan_out"`` of gradients, ``"fan_avg"``
            lies between.
        distribution: ``"truncated_normal"`` (with just that variance), ``"normal"``, ``"uniform"``.
    """
    fan_in, fan_out = fans(shape)
    fan_of = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    draw, spread = _chosen(_DISTRIBUTIONS, distribution, "distribution")
    return draw(key, shape, dtype, spread * sqrt(scale / max(_chosen(fan_of, mode, "mode"), 1)))


@function
def glorot_uniform(key, shape, dtype=jnp.float32):
    """Uniform with variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)."""
    return variance_scaling(key, shape, dtype, 1.0, "fan_avg", "uniform")


@function
def glorot_normal(key, shape, dtype=jnp.float32):
    """Truncated normal with variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)."""
    return variance_scaling(key, shape, dtype, 1.0, "fan_avg")


@function
def he_uniform(key, shape, dtype=jnp.float32):
    """Uniform with variance 2 / fan_in (He et al., 2015, arXiv:1502.01852)."""
    return variance_scaling(key, shape, dtype, 2.0, "fan_in", "uniform")


@function
def he_normal(key, shape, dtype=jnp.float32):
    """Truncated normal with variance 2 / fan_in (He et al., 2015, arXiv:1502.01852)."""
    return variance_scaling(key, shape, dtype, 2.0)


@function
def lecun_uniform(key, shape, dtype=jnp.float32):
    """Uniform with variance 1 / fan_in (LeCun et al., 1998)."""
    return variance_scaling(key, shape, dtype, 1.0, "fan_in", "uniform")


@function
def lecun_normal(key, shape, dtype=jnp.float32):
    """Truncated normal with variance 1 / fan_in (LeCun et al., 1998)."""
    return variance_scaling(key, shape, dtype, 1.0)


@function
def torch(key, shape, dtype=jnp.float32, fan_in=None):
    """Uniform within 1 / sqrt(fan_in), torch's default for convolutions and dense layers.

    A bias has no fan of its own; its layer passes that of the kernel.
    """
    return uniform(key, shape, dtype, 1 / sqrt(max(fan_in or fans(shape)[0], 1)))


@function
def orthogonal(key, shape, dtype=jnp.float32, scale=1.0):
    """Columns, one a feature, or where there are more features rows, of length ``scale`` and at
    right angles (Saxe et al., 2014, arXiv:1312.6120).
    """
    features = shape[-1]
    rest = prod(shape) // max(features, 1)
    draw = random.normal(key, (prod(shape),), dtype).reshape(max(rest, features), -1)
    q, r = jnp.linalg.qr(draw)
    q = q * jnp.sign(jnp.diag(r))  # without the signs, not uniform over all such matrices
    return scale * (q if rest >= features else q.T).reshape(shape)


@function
def identity_kernel(key, shape, dtype=jnp.float32):
    """Lets the channels pass: the unit matrix, in the middle cell of a window."""
    *window, c, features = shape
    middle = tuple((k - 1) // 2 for k in window)
    return jnp.zeros(shape, dtype).at[middle].set(jnp.eye(c, features, dtype=dtype))


# What a standard deviation of 1 is in the number that each of them takes; a standard normal that
# is cut at 2 has a deviation of 0.88.
_DISTRIBUTIONS = {
    "truncated_normal": (truncated_normal, 1 / 0.87962566103423978),
    "normal": (normal, 1.0),
    "uniform": (uniform, sqrt(3)),
}

_CHOICES: dict[str, Initializer] = {
    **{
        fn.__name__: fn
        for fn in (
            *(zeros, ones, constant, normal, truncated_normal, uniform, variance_scaling),
            *(glorot_uniform, glorot_normal, he_uniform, he_normal, lecun_uniform, lecun_normal),
            *(orthogonal, torch),
        )
    },
    "identity": identity_kernel,
    "keras": glorot_uniform,
}


def initializer(choice: Choice) -> Initializer:
    """The function that a layer's option means.

    >>> initializer(("constant", 0.5))(jax.random.key(0), (2,))
    Array([0.5, 0.5], dtype=float32)

    Raises:
        ValueError: no initializer has this name.
        TypeError: it is neither a name, nor a name with numbers, nor a function.
    """
    match choice:
        case str(name) | (str(name),):
            return _chosen(_CHOICES, name, "initializer")
        case (str(name), *numbers):
            fn = _chosen(_CHOICES, name, "initializer")
            return lambda key, shape, dtype=jnp.float32: fn(key, shape, dtype, *numbers)
    if not callable(choice):
        raise TypeError(
            "an initializer is a name, a name with numbers such as ('normal', 0.02), or a function "
            f"(key, shape, dtype) -> array; got {choice!r}"
        )
    return choice


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """``(fan_in, fan_out)`` of a kernel ``[*window, c, features]``."""
    *window, c, features = shape if len(shape) > 1 else (1, *shape)
    return prod(window) * c, prod(window) * features


def _chosen(table: dict[str, Any], name: str, noun: str) -> Any:
    if name not in table:
        raise ValueError(f"no {noun} is called {name!r}; there are {', '.join(table)}")
    return table[name]


def _filled(key: Any, shape: Sequence[int], value: Any, dtype: Any) -> jax.Array:
    """One value everywhere; made by numpy where nothing is traced, which compiles nothing."""
    if isinstance(key, jax.core.Tracer) or not isinstance(value, int | float):
        return jnp.full(shape, value, dtype)
    return jax.device_put(np.full(shape, value, dtype))


def _drawn(key: jax.Array, shape: Sequence[int], draw: Callable[[int], jax.Array]) -> jax.Array:
    """The numbers of ``draw(n)``, shaped."""
    n = int(prod(shape))
    if not _extends(key):
        return draw(n).reshape(shape)
    values = draw(_room(n))
    if isinstance(values, jax.core.Tracer):  # a known key inside a traced function
        return values[:n].reshape(shape)
    return jax.device_put(np.asarray(values)[:n].reshape(shape).copy())


def _extends(key: Any) -> bool:
    """Whether a longer draw begins with the shorter one and may be taken through the host.

    Threefry makes each number from the key and its index alone, if it is partitionable, the default
    of jax. Keys that are placed on devices leave their numbers there.
    """
    return (
        not isinstance(key, jax.core.Tracer)
        and jax.config.jax_threefry_partitionable
        and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
        and str(random.key_impl(key)) == "threefry2x32"
        and not key.committed
    )


def _room(n: int) -> int:
    """The next size that draws are made in: few where they are small, then powers of two."""
    return next(
        (size for size in (1 << 10, 1 << 13, 1 << 16) if size >= n), 1 << (n - 1).bit_length()
    )
