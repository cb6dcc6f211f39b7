"""Erasing: a rectangle of the image is lost, so that no single part of a thing may decide."""

import math

import jax
import jax.numpy as jnp
from jax import random

from .protocol import Augmentation
from .values import (
    Span,
    as_before,
    as_floats,
    between,
    check_number,
    check_probability,
    check_whole,
    happens,
    raise_problems,
    span_of,
)


def erase(
    probability: float = 0.5,
    *,
    area: float | Span = (0.02, 0.33),
    ratio: float | Span = (0.3, 3.3),
    fill: float | str = 0.0,
) -> Augmentation:
    """Fills a random rectangle, with this probability (Zhong et al., 2020, arXiv:1708.04896).

    Args:
        probability: Of erasing anything.
        area: The part of the image that is erased.
        ratio: Height over width of the rectangle, drawn evenly on a logarithmic scale. A side that
            would be longer than the image's is as long as the image's.
        fill: A value, 0 for black to 1 for white, or "noise": every value drawn evenly.
    """
    problems: list[str] = []
    check_probability("probability", probability, problems)
    part = span_of("area", area, problems, least=0.0, most=1.0)
    shape = span_of("ratio", ratio, problems)
    if shape[0] <= 0:
        problems.append(f"ratio must be above 0, got {ratio!r}")
    _check_fill(fill, problems)
    raise_problems(problems)
    logs = (math.log(shape[0]), math.log(shape[1]))

    def image(key, x):
        chance, size, form, place, colour = random.split(key, 5)
        h, w, _ = x.shape
        pixels, root = between(size, part) * h * w, jnp.exp(0.5 * between(form, logs))
        high = jnp.minimum(jnp.round(jnp.sqrt(pixels) * root), h)
        wide = jnp.minimum(jnp.round(jnp.sqrt(pixels) / root), w)
        free = jnp.array([h - high + 1, w - wide + 1])
        top, left = jnp.floor(random.uniform(place, (2,)) * free)
        inside = rectangle(x, top, left, top + high, left + wide)
        return _filled(colour, x, inside & happens(chance, probability), fill)

    options = f"{probability}, area={area}, ratio={ratio}, fill={fill!r}"
    return Augmentation(f"erase({options})", image, levels=True)


def cutout(size: int, *, fill: float | str = 0.0) -> Augmentation:
    """Fills a square whose centre may be any pixel (DeVries and Taylor, 2017, arXiv:1708.04552).

    What of the square is outside the image is lost, so less than its whole area may be erased.

    Args:
        size: Its side in pixels; the paper has 16 for CIFAR-10 and 8 for CIFAR-100. 0 is nothing.
        fill: As for ``erase``.
    """
    problems: list[str] = []
    check_whole("size", size, problems)
    _check_fill(fill, problems)
    raise_problems(problems)

    def image(key, x):
        place, colour = random.split(key)
        row, column = random.randint(place, (2,), 0, jnp.array(x.shape[:2]))
        top, left = row - size // 2, column - size // 2
        return _filled(colour, x, rectangle(x, top, left, top + size, left + size), fill)

    return Augmentation(f"cutout({size}, fill={fill!r})", image, levels=True)


def rectangle(image: jax.Array, top, left, bottom, right) -> jax.Array:
    """Which pixels are inside, bool ``[h, w, 1]``; bottom and right are outside."""
    row, column = jnp.arange(image.shape[0])[:, None, None], jnp.arange(image.shape[1])[:, None]
    return (row >= top) & (row < bottom) & (column >= left) & (column < right)


def _filled(key: jax.Array, image: jax.Array, inside: jax.Array, fill: float | str) -> jax.Array:
    values = as_floats(image)
    new = fill
    if fill == "noise":
        new = random.uniform(key, (values.size,), values.dtype).reshape(values.shape)
    return jnp.where(inside, as_before(jnp.broadcast_to(new, values.shape), image), image)


def _check_fill(fill: float | str, problems: list[str]) -> None:
    if fill != "noise":
        check_number('fill, where not "noise",', fill, problems)
