"""The operations that policies draw from, as one program that costs the same whichever is drawn.

Under ``vmap`` a ``lax.switch`` computes all its branches for every image. Here every operation is a
choice of numbers instead: those that move pixels are one warp, whose matrix depends on what was
drawn, and the others one formula with one histogram, whose coefficients depend on it.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import random

from .colours import gray, mean_gray
from .filters import smooth
from .tones import equalized
from .values import Span, as_levels, between
from .warping import warp

MOVING = ("rotate", "shear_x", "shear_y", "shift_x", "shift_y")
OPERATIONS = (
    "identity",
    *MOVING,
    "autocontrast",
    "equalize",
    "posterize",
    "solarize",
    "brightness",
    "contrast",
    "saturation",
    "sharpness",
)


@dataclass(frozen=True)
class Strongest:
    """What operations do at strength 1; at 0 they do nothing.

    Solarize goes from the threshold 1 to 0 in all policies; autocontrast and equalize are the same
    at every strength.

    Attributes:
        rotate: Degrees.
        shear: Pixels sideways for each pixel.
        shift: Part of the side.
        factor: Distance from 1 of the factors of brightness, contrast, saturation and sharpness.
        bits: How many are taken by posterize.
        pixels: The longest shift.
    """

    rotate: float
    shear: float
    shift: float
    factor: float
    bits: int
    pixels: float = math.inf


class Drawn(NamedTuple):
    """An operation by its place in ``OPERATIONS``, and its strength, -1 to 1."""

    operation: jax.Array
    strength: jax.Array

    def on(self, name: str, otherwise: float = 0.0) -> jax.Array:
        """The strength, if this is the operation drawn."""
        return jnp.where(self.operation == OPERATIONS.index(name), self.strength, otherwise)


def draw(key: jax.Array, operations: tuple[str, ...], strengths: Span) -> Drawn:
    """One of the operations, all equally likely, with a strength of either sign."""
    which, how, sign = random.split(key, 3)
    places = jnp.array([OPERATIONS.index(name) for name in operations])
    strength = between(how, strengths) * jnp.where(random.bernoulli(sign), 1, -1)
    return Drawn(places[random.randint(which, (), 0, len(operations))], strength)


def apply(
    drawn: Drawn, values: jax.Array, operations: tuple[str, ...], most: Strongest, fill: Any
) -> jax.Array:
    """Floats ``[h, w, c]`` after the operation, which is one of ``operations``."""
    if set(operations) & set(MOVING):
        values = warp(values, matrix(drawn, values.shape[:2], most), fill=fill)
    return toned(drawn, values, operations, most)


def matrix(drawn: Drawn, size: tuple[int, int], most: Strongest) -> jax.Array:
    """The map ``[3, 3]`` from points of the output to points of the input, for ``warp``.

    At most one of its parts is not that of the identity, so they are simply added.
    """
    angle = drawn.on("rotate") * math.radians(most.rotate)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    shear_x, shear_y = (drawn.on(name) * most.shear for name in ("shear_x", "shear_y"))
    h, w = (min(most.shift * side, most.pixels) for side in size)
    shift_x, shift_y = drawn.on("shift_x") * w, drawn.on("shift_y") * h
    rows = [[cos, shear_x - sin, shift_x], [shear_y + sin, cos, shift_y], [0.0, 0.0, 1.0]]
    return jnp.stack([jnp.stack([jnp.float32(number) for number in row]) for row in rows])


def toned(
    drawn: Drawn, values: jax.Array, operations: tuple[str, ...], most: Strongest
) -> jax.Array:
    """Floats ``[h, w, c]`` after the operation, if it moves no pixel; else as they are."""
    if "solarize" in operations:
        # At full strength black too is inverted.
        threshold = 1 - (1 + 0.5 / 255) * jnp.abs(drawn.on("solarize"))
        solarized = drawn.operation == OPERATIONS.index("solarize")
        values = jnp.where(solarized & (values > threshold), 1 - values, values)
    if "posterize" in operations:
        bits = jnp.round(jnp.abs(drawn.on("posterize")) * most.bits).astype(jnp.int32)
        values = jnp.where(bits > 0, (as_levels(values) >> bits << bits) / 255, values)
    if "equalize" in operations:
        chosen = drawn.operation == OPERATIONS.index("equalize")
        values = jnp.where(chosen, equalized(values), values)
    return _blended(drawn, values, operations, most)


def _blended(
    drawn: Drawn, values: jax.Array, operations: tuple[str, ...], most: Strongest
) -> jax.Array:
    """One sum of the values, a constant, and plainer images: factors, and autocontrast."""
    own, total = jnp.float32(1), jnp.float32(0)
    plainer = {
        "brightness": jnp.zeros_like,
        "contrast": mean_gray,
        "saturation": gray if values.shape[-1] == 3 else (lambda values: values),
        "sharpness": smooth,
    }
    for name in (name for name in plainer if name in operations):
        distance = drawn.on(name) * most.factor
        own = own + distance
        total = total - distance * plainer[name](values)
    if "autocontrast" in operations:
        chosen = drawn.operation == OPERATIONS.index("autocontrast")
        low, high = values.min((0, 1)), values.max((0, 1))
        stretch = chosen & (high > low)
        wide = jnp.where(stretch, high - low, 1)
        own, total = own / wide, total - jnp.where(stretch, low / wide, 0)
    return jnp.clip(own * values + total, 0, 1)
