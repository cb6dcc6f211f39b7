"""Filters: each pixel and its neighbours, by shifted multiply-adds, and Gaussian noise."""

import jax
import jax.numpy as jnp
from jax import random

from .colours import Amount, factor
from .protocol import Augmentation
from .values import as_before, as_floats, between, raise_problems, span_of

REACH = 3  # standard deviations on either side at which a Gaussian is cut off


def blur(sigma: Amount = (0.1, 2.0)) -> Augmentation:
    """Blurs with a Gaussian, cut off at three standard deviations; the edge pixels go on outside.

    Args:
        sigma: The standard deviation in pixels; of a pair each image draws its own. 0 is no blur.
    """
    problems: list[str] = []
    span = span_of("sigma", sigma, problems, least=0.0)
    raise_problems(problems)
    radius = int(REACH * span[1] + 0.5)

    def image(key, x):
        if radius == 0:
            return x
        taps = gaussian(between(key, span), radius)
        return as_before(along(along(as_floats(x), taps, 0), taps, 1), x)

    return Augmentation(f"blur({sigma})", image, levels=True)


def sharpness(amount: Amount = 0.5) -> Augmentation:
    """Makes an image softer or sharper: a blend with Pillow's ``SMOOTH`` of it.

    Args:
        amount: r draws the factor from (1 - r, 1 + r), never below 0; a pair is the range itself.
            0 is smooth, 1 the image, 2 sharper.
    """
    return factor("sharpness", amount, smooth)


def noise(std: Amount = 0.05) -> Augmentation:
    """Adds Gaussian noise, for each pixel and channel its own.

    Args:
        std: The standard deviation, where white is 1; of a pair each image draws its own.
    """
    problems: list[str] = []
    span = span_of("std", std, problems, least=0.0)
    raise_problems(problems)

    def image(key, x):
        values = as_floats(x)
        strength, pixels = random.split(key)
        drawn = random.normal(pixels, (values.size,), values.dtype).reshape(values.shape)
        return as_before(values + between(strength, span) * drawn, x)

    return Augmentation(f"noise({std})", image, levels=True)


def gaussian(sigma: jax.Array, radius: int) -> jax.Array:
    """The Gaussian at ``-radius .. radius``, with sum 1; at sigma 0 all of it is in the middle."""
    squares = jnp.arange(-radius, radius + 1, dtype=jnp.float32) ** 2
    wide = jnp.maximum(sigma, 1e-6)
    taps = jnp.exp(-0.5 * squares / wide**2)
    return taps / taps.sum()


def along(values: jax.Array, taps: jax.Array, axis: int) -> jax.Array:
    """``[h, w, c]`` filtered along one axis with an odd number of taps."""
    radius, n = len(taps) // 2, values.shape[axis]
    edges = [(radius, radius) if i == axis else (0, 0) for i in range(3)]
    padded = jnp.pad(values, edges, mode="edge")
    parts = (jax.lax.slice_in_dim(padded, i, i + n, axis=axis) for i in range(len(taps)))
    return sum(tap * part for tap, part in zip(taps, parts, strict=True))


def smooth(values: jax.Array) -> jax.Array:
    """``[h, w, c]`` smoothed by 3 x 3: the middle counts 5, its neighbours 1; the border stays."""
    h, w, _ = values.shape
    ones = jnp.ones(3, values.dtype)
    inner = (along(along(values, ones, 0), ones, 1) + 4 * values) / 13
    row, column = jnp.arange(h)[:, None, None], jnp.arange(w)[:, None]
    border = (row == 0) | (row == h - 1) | (column == 0) | (column == w - 1)
    return jnp.where(border, values, inner)
