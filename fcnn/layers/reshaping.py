"""Layers that only move numbers about, in each example alike."""

from math import prod

import jax
import jax.numpy as jnp

from ..core import Layer, function, here, layer, pure
from ..ops.windows import Padding, check, describe, pad, pairs, positive, spatial


@function
def flatten(x: jax.Array) -> jax.Array:
    """All but the first axis in one: ``[n, h, w, c] -> [n, h * w * c]``."""
    return jnp.reshape(x, (x.shape[0], prod(x.shape[1:])))


@layer
def reshape(*shape: int) -> Layer:
    """Another shape for each example: ``[n, ...] -> [n, *shape]``; one side may be -1, the rest.

    Raises:
        ValueError: sides are not positive integers; or, from init and apply, the numbers do not
            fill them.
    """
    if shape.count(-1) > 1:
        raise ValueError(f"one side may be -1, the rest, got {shape}")
    positive(**{f"side {i}": side for i, side in enumerate(shape, 1) if side != -1})

    def reshape(x):
        size, known = prod(x.shape[1:]), prod(side for side in shape if side != -1)
        sides = tuple(size // known if side == -1 else side for side in shape)
        if prod(sides) != size:
            raise ValueError(
                f"{here('reshape')}: the {size} numbers of each example in {describe(x)} "
                f"cannot take the shape {shape}"
            )
        return jnp.reshape(x, (x.shape[0], *sides))

    return pure(reshape)


@layer
def zero_pad(padding: Padding) -> Layer:
    """Zeros around the spatial dimensions: ``[n, h, w, c] -> [n, h', w', c]``.

    ``padding`` is a number for all sides, or for each dimension a number or a pair.

    Raises:
        ValueError: it is negative or has a name; or, from init and apply, has too many entries.
    """
    _check_numbers("padding", padding)

    def zero_pad(x):
        what = here("zero_pad")
        return pad(x, pairs(padding, len(spatial(x, what)), what))

    return pure(zero_pad)


@layer
def crop(cropping: Padding) -> Layer:
    """Cells cut off around the spatial dimensions: ``[n, h, w, c] -> [n, h', w', c]``.

    ``cropping`` is a number for all sides, or for each dimension a number or a pair.

    Raises:
        ValueError: it is negative or has a name; or, from init and apply, nothing would be left.
    """
    _check_numbers("cropping", cropping)

    def crop(x):
        what = here("crop")
        size = spatial(x, what)
        cuts = pairs(cropping, len(size), what, "cropping")
        if any(before + after >= n for n, (before, after) in zip(size, cuts, strict=True)):
            raise ValueError(f"{what}: cropping {cropping!r} leaves nothing of {describe(x)}")
        inside = (slice(a, n - b) for n, (a, b) in zip(size, cuts, strict=True))
        return x[(slice(None), *inside)]

    return pure(crop)


def _check_numbers(name: str, sides: Padding) -> None:
    if isinstance(sides, str):
        raise ValueError(f"{name} must be in numbers, got {sides!r}")
    check(padding=sides)
