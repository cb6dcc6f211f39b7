"""Tones: what depends on a pixel's value alone, or on how often each value occurs.

All follow Pillow's ``ImageOps`` and equal it on uint8. Floats have 256 levels where the rule speaks
of levels: 0, 1/255, ... 1.
"""

import jax
import jax.numpy as jnp

from .protocol import Augmentation
from .values import (
    as_before,
    as_floats,
    as_levels,
    check_number,
    check_probability,
    check_whole,
    happens,
    raise_problems,
)


def invert(probability: float = 0.5) -> Augmentation:
    """Makes light dark and dark light, with this probability."""
    problems: list[str] = []
    check_probability("probability", probability, problems)
    raise_problems(problems)

    def image(key, x):
        values = as_floats(x)
        return as_before(jnp.where(happens(key, probability), 1 - values, values), x)

    return Augmentation(f"invert({probability})", image, levels=True)


def posterize(bits: int = 4) -> Augmentation:
    """Keeps the highest bits of each of the 256 levels; all 8 are the image as it is."""
    problems: list[str] = []
    check_whole("bits", bits, problems, least=1, most=8)
    raise_problems(problems)

    def image(key, x):
        if bits == 8:
            return x
        return from_levels(as_levels(x) & (256 - 2 ** (8 - bits)), x)

    return Augmentation(f"posterize({bits})", image, levels=True)


def solarize(threshold: float = 0.5) -> Augmentation:
    """Inverts what is lighter than the threshold, 0 for black to 1 for white.

    0.5 is Pillow's 128: on uint8 the first level that is inverted.
    """
    problems: list[str] = []
    check_number("threshold", threshold, problems)
    raise_problems(problems)

    def image(key, x):
        values = as_floats(x)
        return as_before(jnp.where(values > threshold, 1 - values, values), x)

    return Augmentation(f"solarize({threshold})", image, levels=True)


def autocontrast() -> Augmentation:
    """Stretches each channel so that its darkest pixel is black and its lightest white.

    A channel of one value stays as it is. On uint8 what lies between is rounded down.
    """

    def image(key, x):
        if x.dtype != jnp.uint8:
            return as_before(stretched(as_floats(x)), x)
        levels = as_levels(x)
        low, high = levels.min((0, 1)), levels.max((0, 1))
        spread = (levels - low) * 255 // jnp.maximum(high - low, 1)
        return jnp.where(high > low, spread, levels).astype(jnp.uint8)

    return Augmentation("autocontrast()", image, levels=True)


def equalize() -> Augmentation:
    """Spreads the levels of each channel so that all occur about equally often.

    A channel with less than two values, or whose values but the last fill fewer than 255 pixels,
    stays as it is.
    """

    def image(key, x):
        return equalized(x)

    return Augmentation("equalize()", image, levels=True)


def stretched(values: jax.Array) -> jax.Array:
    """Floats ``[h, w, c]``, each channel from its smallest at 0 to its largest at 1."""
    low, high = values.min((0, 1)), values.max((0, 1))
    return jnp.where(high > low, (values - low) / jnp.where(high > low, high - low, 1), values)


def equalized(image: jax.Array) -> jax.Array:
    """The image with Pillow's equalisation, channel by channel.

    A level becomes the number of darker pixels, in steps of ``(pixels - those of the lightest
    level) // 255``, counted from half a step.
    """
    levels, channels = as_levels(image), image.shape[-1]
    flat = levels + 256 * jnp.arange(channels)  # one table for all channels
    counts = jnp.zeros(256 * channels, jnp.int32).at[flat].add(1).reshape(channels, 256)
    darker = jnp.cumsum(counts, axis=1) - counts
    step = jnp.max(jnp.where(counts > 0, darker, 0), axis=1) // 255
    table = (darker + step[:, None] // 2) // jnp.maximum(step, 1)[:, None]
    new = from_levels(jnp.minimum(table, 255).reshape(-1)[flat], image)
    return jnp.where(step > 0, new, image)


def from_levels(levels: jax.Array, image: jax.Array) -> jax.Array:
    """Levels from 0 to 255 in the dtype of ``image``."""
    if image.dtype == jnp.uint8:
        return levels.astype(jnp.uint8)
    return (levels.astype(jnp.float32) / 255).astype(image.dtype)
