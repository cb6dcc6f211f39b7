"""Pictures as numbers to compute with and back, and the ranges that parameters are drawn from."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
from jax import random

Span = tuple[float, float]  # (low, high); both the same for a fixed value


def as_floats(image: jax.Array) -> jax.Array:
    """The image as float32 from 0 to 1; float64 stays float64.

    Raises:
        TypeError: the image is neither uint8 nor floating.
    """
    image = jnp.asarray(image)
    if image.dtype == jnp.uint8:
        return image.astype(jnp.float32) / 255
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(
            f"an image must be uint8 (0 to 255) or floating (0 to 1), got {image.dtype}; "
            "convert it: x.astype(numpy.uint8)"
        )
    return image.astype(jnp.promote_types(image.dtype, jnp.float32))


def as_before(values: jax.Array, image: jax.Array) -> jax.Array:
    """Floats from 0 to 1, cut off there, in the dtype of ``image``."""
    values = jnp.clip(values, 0, 1)
    if image.dtype == jnp.uint8:
        return jnp.round(values * 255).astype(jnp.uint8)
    return values.astype(image.dtype)


def as_levels(image: jax.Array) -> jax.Array:
    """The image as int32 from 0 to 255; floats go to the nearest level."""
    if image.dtype == jnp.uint8:
        return image.astype(jnp.int32)
    return jnp.round(jnp.clip(as_floats(image), 0, 1) * 255).astype(jnp.int32)


def between(key: jax.Array, span: Span) -> jax.Array:
    """A number drawn evenly from ``(low, high)``; of ``(a, a)`` it is exactly ``a``."""
    return random.uniform(key, minval=span[0], maxval=span[1])


def happens(key: jax.Array, probability: float) -> jax.Array:
    """True with this probability, which may be 0 or 1."""
    return random.uniform(key) < probability


def span_of(
    name: str,
    value: Any,
    problems: list[str],
    *,
    around: float | None = None,
    least: float = -math.inf,
    most: float = math.inf,
) -> Span:
    """What an option asks to draw from: a pair as it is, a number r as ``around - r, around + r``.

    Without ``around`` a number is that number. What is wrong is added to ``problems``.
    """
    span, number = value, _is_number(value)
    if number and around is None:
        span = (value, value)
    elif number and value >= 0:
        span = (max(least, around - value), min(most, around + value))
    if not (isinstance(span, Sequence) and len(span) == 2 and all(map(_is_number, span))):
        form = "a number" if around is None else "a number from 0 on"
        problems.append(f"{name} must be {form} or a pair (low, high), got {value!r}")
        return (0.0, 0.0)
    low, high = map(float, span)
    if low > high:
        problems.append(f"{name} must be (low, high), got {value!r}; write {(high, low)}")
    if low < least or high > most:
        limits = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        problems.append(f"{name} must be {limits}, got {value!r}")
    return low, high


def check_probability(name: str, value: Any, problems: list[str]) -> None:
    """Adds to ``problems`` if this is no probability."""
    if not (_is_number(value) and 0 <= value <= 1):
        problems.append(f"{name} must be a probability from 0 to 1, got {value!r}")


def check_number(
    name: str, value: Any, problems: list[str], *, least: float = 0.0, most: float = 1.0
) -> None:
    """Adds to ``problems`` if this is no number between the two."""
    if not (_is_number(value) and least <= value <= most):
        problems.append(f"{name} must be a number from {least:g} to {most:g}, got {value!r}")


def check_whole(
    name: str, value: Any, problems: list[str], *, least: int = 0, most: float = math.inf
) -> None:
    """Adds to ``problems`` if this is no whole number between the two."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not (whole and least <= value <= most):
        limits = f"{least} on" if most == math.inf else f"{least} to {most:g}"
        problems.append(f"{name} must be a whole number from {limits}, got {value!r}")


def raise_problems(problems: list[str]) -> None:
    """Raises ValueError with all of them, if there are any."""
    if problems:
        raise ValueError("; ".join(problems))


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
