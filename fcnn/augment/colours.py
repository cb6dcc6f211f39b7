"""Colours: factors that blend an image with a plainer one, and turns of the hue.

As in Pillow's ``ImageEnhance``, a factor of 1 gives the image, 0 the plainer one (black, or gray),
and one above 1 goes beyond the image, away from the plainer one.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import random

from .protocol import Augmentation
from .values import (
    Span,
    as_before,
    as_floats,
    between,
    check_probability,
    happens,
    raise_problems,
    span_of,
)

Amount = float | Span


def brightness(amount: Amount = 0.2) -> Augmentation:
    """Makes an image darker or lighter: a blend with black.

    Args:
        amount: r draws the factor from (1 - r, 1 + r), never below 0; a pair is the range itself.
    """
    return factor("brightness", amount, jnp.zeros_like)


def contrast(amount: Amount = 0.2) -> Augmentation:
    """Makes light and dark less or more different: a blend with the image's mean gray.

    Args:
        amount: As for ``brightness``.
    """
    return factor("contrast", amount, mean_gray)


def saturation(amount: Amount = 0.2) -> Augmentation:
    """Makes colours paler or stronger: a blend of ``[h, w, 3]`` with its gray.

    Args:
        amount: As for ``brightness``.
    """
    return factor("saturation", amount, gray)


def hue(amount: Amount = 0.05) -> Augmentation:
    """Turns the colours of ``[h, w, 3]`` on the colour circle; grays stay as they are.

    Args:
        amount: r draws from (-r, r), in whole turns: 1/3 makes red green. At most 0.5.
    """
    problems: list[str] = []
    span = span_of("hue", amount, problems, around=0.0, least=-0.5, most=0.5)
    raise_problems(problems)

    def image(key, x):
        return as_before(turn_hue(as_floats(x), between(key, span)), x)

    return Augmentation(f"hue({amount})", image, levels=True)


def color_jitter(
    *,
    brightness: Amount = 0.0,
    contrast: Amount = 0.0,
    saturation: Amount = 0.0,
    hue: Amount = 0.0,
) -> Augmentation:
    """Changes brightness, contrast, saturation and hue, in this order, and rounds once.

    What is left at 0 costs nothing, and without ``saturation`` and ``hue`` any number of channels
    will do.

    Example:
        >>> color_jitter(brightness=0.4, hue=(-0.1, 0.1))
        color_jitter(brightness=0.4, hue=(-0.1, 0.1))
    """
    amounts = {
        "brightness": brightness,
        "contrast": contrast,
        "saturation": saturation,
        "hue": hue,
    }
    amounts = {name: amount for name, amount in amounts.items() if amount != 0}
    steps, problems = [], []
    for name, amount in amounts.items():
        try:
            steps.append(_STEPS[name](amount))
        except ValueError as error:
            problems.append(str(error))
    raise_problems(problems)

    def image(key, x):
        values = as_floats(x)
        for i, step in enumerate(steps):
            values = step(random.fold_in(key, i), values)
        return as_before(values, x)

    options = ", ".join(f"{name}={amount}" for name, amount in amounts.items())
    return Augmentation(f"color_jitter({options})", image, levels=True)


def grayscale(probability: float = 0.1) -> Augmentation:
    """Takes the colours of ``[h, w, 3]`` away, with this probability; there remain 3 channels."""
    problems: list[str] = []
    check_probability("probability", probability, problems)
    raise_problems(problems)

    def image(key, x):
        values = as_floats(x)
        return as_before(jnp.where(happens(key, probability), gray(values), values), x)

    return Augmentation(f"grayscale({probability})", image, levels=True)


def factor(name: str, amount: Amount, plainer: Callable[[jax.Array], jax.Array]) -> Augmentation:
    """Blends an image with ``plainer(image)``; 1 is the image itself."""
    problems: list[str] = []
    span = span_of(name, amount, problems, around=1.0, least=0.0)
    raise_problems(problems)

    def image(key, x):
        values, f = as_floats(x), between(key, span)
        return as_before(f * values + (1 - f) * plainer(values), x)  # exact at f = 1

    return Augmentation(f"{name}({amount})", image, levels=True)


def gray(values: jax.Array) -> jax.Array:
    """``[h, w, 3]`` in gray: how light each pixel looks (ITU-R BT.601).

    Raises:
        ValueError: there are not three channels.
    """
    return jnp.broadcast_to(_lightness(values)[..., None], values.shape)


def mean_gray(values: jax.Array) -> jax.Array:
    """One gray for all of ``[h, w, c]``: the mean, of ``gray`` where there are three channels."""
    mean = values.mean((0, 1))  # of each channel first, which is one pass over the image
    mean = _lightness(mean[None, None])[0, 0] if len(mean) == 3 else mean.mean()
    return jnp.broadcast_to(mean, values.shape)


def turn_hue(values: jax.Array, turns: jax.Array) -> jax.Array:
    """``[h, w, 3]`` with the H of its HSV moved; S and V are kept.

    A channel is ``V - C max(0, min(k, 4 - k, 1))`` with ``k = (n + 6 H) mod 6``, where C is V
    less the smallest channel and n is 5, 3, 1 for red, green and blue.
    """
    r, g, b = _channels(values)
    top, low = jnp.maximum(jnp.maximum(r, g), b), jnp.minimum(jnp.minimum(r, g), b)
    chroma = top - low
    per = 1 / jnp.where(chroma == 0, 1, chroma)
    sixth = jnp.where(
        top == r, (g - b) * per, jnp.where(top == g, 2 + (b - r) * per, 4 + (r - g) * per)
    )
    k = jnp.stack([5 + sixth, 3 + sixth, 1 + sixth], -1) + 6 * turns
    k = k - 6 * jnp.floor(k / 6)  # jnp.mod is several times as slow
    turned = top[..., None] - chroma[..., None] * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)
    return jnp.where(turns == 0, values, turned)


def _lightness(values: jax.Array) -> jax.Array:
    r, g, b = _channels(values)
    return 0.299 * r + 0.587 * g + 0.114 * b


def _channels(values: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    if values.ndim != 3 or values.shape[-1] != 3:
        raise ValueError(
            f"saturation, hue and gray need an image [h, w, 3] of red, green and blue, got "
            f"{list(values.shape)}; leave them out, or repeat the gray: x.repeat(3, axis=-1)"
        )
    return values[..., 0], values[..., 1], values[..., 2]


_STEPS = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
