"""Noise in training, nothing in evaluation.

``rate`` is the probability of dropping. What is kept grows so that the mean stays what it was.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import random

from ..core import Layer, here, layer, named_after
from ..ops.windows import floating

_SELU_FLOOR = -1.7580993408473766  # what selu tends to: -scale * alpha


@layer
def dropout(rate: float) -> Layer:
    """Drops single numbers (Srivastava et al., 2014): ``x -> x * keep / (1 - rate)``.

    Example:
        >>> import jax, fcnn
        >>> drop = fcnn.dropout(0.5)
        >>> x = jax.numpy.ones((1, 6))
        >>> drop.apply({}, {}, x)[0]
        Array([[1., 1., 1., 1., 1., 1.]], dtype=float32)
        >>> drop.apply({}, {}, x, train=True, key=jax.random.key(0))[0]
        Array([[0., 0., 2., 2., 0., 2.]], dtype=float32)

    Raises:
        ValueError: ``rate`` is out of range; or, in training, there is no key.
    """
    _check_rate("dropout", rate)
    return _in_training(dropout, rate, lambda key, x: _drop(key, x, rate, x.shape))


@layer
def spatial_dropout(rate: float) -> Layer:
    """Drops whole channels of ``[n, ..., c]`` (Tompson et al., 2015, arXiv:1411.4280)."""
    _check_rate("spatial_dropout", rate)

    def disturb(key, x):
        n, *size, c = x.shape
        return _drop(key, x, rate, (n, *[1] * len(size), c))

    return _in_training(spatial_dropout, rate, disturb)


@layer
def drop_path(rate: float) -> Layer:
    """Drops whole examples, ``[n, ...]``: stochastic depth, at the end of the body of a residual.

    (Huang et al., 2016, arXiv:1603.09382.)
    """
    _check_rate("drop_path", rate)

    def disturb(key, x):
        return _drop(key, x, rate, (x.shape[0], *[1] * (x.ndim - 1)))

    return _in_training(drop_path, rate, disturb)


@layer
def alpha_dropout(rate: float) -> Layer:
    """Dropout that keeps mean 0 and variance 1, for ``selu``.

    What is dropped becomes what ``selu`` tends to on the left (Klambauer et al., 2017,
    arXiv:1706.02515).
    """
    _check_rate("alpha_dropout", rate)
    a = ((1 - rate) * (1 + rate * _SELU_FLOOR**2)) ** -0.5
    b = -a * rate * _SELU_FLOOR

    def disturb(key, x):
        keep = random.bernoulli(key, 1 - rate, x.shape)
        return a * jnp.where(keep, x, _SELU_FLOOR) + b

    return _in_training(alpha_dropout, rate, disturb)


@layer
def gaussian_dropout(rate: float) -> Layer:
    """Multiplies by noise of mean 1 and the variance of dropout, ``rate / (1 - rate)``."""
    _check_rate("gaussian_dropout", rate)
    stddev = math.sqrt(rate / (1 - rate))

    def disturb(key, x):
        return x * (1 + stddev * random.normal(key, x.shape, x.dtype))

    return _in_training(gaussian_dropout, rate, disturb)


@layer
def gaussian_noise(stddev: float) -> Layer:
    """Adds noise of mean 0."""
    if not 0 <= stddev < math.inf:
        raise ValueError(f"stddev of gaussian_noise cannot be negative or infinite, got {stddev!r}")

    def disturb(key, x):
        return x + stddev * random.normal(key, x.shape, x.dtype)

    return _in_training(gaussian_noise, stddev, disturb)


def _in_training(
    make: Callable[..., Layer],
    strength: float,
    disturb: Callable[[jax.Array, jax.Array], jax.Array],
) -> Layer:
    name = make.__name__

    def init(key, x):
        floating(x, here(name))
        return {}, {}

    @named_after(make)
    def apply(params, state, x, *, train=False, key=None):
        if not train or (not isinstance(strength, jax.Array) and strength == 0):
            return x, state
        if key is None:
            raise ValueError(f"{here(name)} needs a key to train: apply(..., train=True, key=key)")
        return disturb(key, jnp.asarray(x)), state

    return Layer(init, apply)


def _drop(key: jax.Array, x: jax.Array, rate: float, shape: tuple[int, ...]) -> jax.Array:
    kept = jnp.asarray(1 - rate, x.dtype) if isinstance(rate, jax.Array) else 1 - rate
    return jnp.where(random.bernoulli(key, 1 - rate, shape), x / kept, 0)


def _check_rate(name: str, rate: Any) -> None:
    if isinstance(rate, jax.core.Tracer):
        return  # an input of the program, whose value nobody knows here
    if not 0 <= rate < 1:
        raise ValueError(
            f"the rate of {name} is the probability of dropping, from 0 to below 1, got {rate!r}"
        )
