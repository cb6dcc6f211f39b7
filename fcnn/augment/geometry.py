"""Moves of the whole picture: each is one map ``[3, 3]``, drawn for the image and resampled once.

A number r draws from (-r, r), or from (1 - r, 1 + r) for the factor of ``zoom``; a pair is the
range (low, high) itself, and (a, a) always gives a. The middle of the picture stays in its place.
What comes into view is ``fill``, and in masks 0; see ``warp`` for ``fill`` and ``interpolation``.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from .protocol import Augmentation
from .values import Span, check_probability, raise_problems, span_of
from .warping import (
    Fill,
    Interpolation,
    check_axis,
    inverse,
    mask_fill,
    moved,
    moved_boxes,
    sampling_problems,
    times,
    warp,
)

Range = float | Span
Draw = Callable[[jax.Array, tuple[int, int]], jax.Array]  # (key, size) -> from output to input


def rotate(
    degrees: Range = 10.0, *, fill: Fill = 0.0, interpolation: Interpolation = "bilinear"
) -> Augmentation:
    """Turns an image about its middle, counter-clockwise for positive angles."""
    problems = sampling_problems(fill, interpolation)
    span = span_of("degrees", degrees, problems, around=0.0)
    raise_problems(problems)

    def draw(key, size):
        return rotation(*drawn(key, span))

    return warped(f"rotate({degrees})", draw, fill, interpolation)


def translate(
    fraction: Range = 0.1,
    axis: Literal["both", "horizontal", "vertical"] = "both",
    *,
    fill: Fill = 0.0,
    interpolation: Interpolation = "bilinear",
) -> Augmentation:
    """Shifts an image, by a fraction of its height and another of its width.

    Args:
        fraction: r draws from (-r, r); positive is down and to the right.
        axis: ``"horizontal"`` or ``"vertical"`` for one of the two only.
        fill: What comes into view.
        interpolation: Between pixels.
    """
    problems = sampling_problems(fill, interpolation)
    span = span_of("fraction", fraction, problems, around=0.0)
    check_axis(axis, ("both", "horizontal", "vertical"), problems)
    raise_problems(problems)
    still = (0.0, 0.0)
    spans = (still if axis == "vertical" else span, still if axis == "horizontal" else span)

    def draw(key, size):
        return translation(*drawn(key, *spans), size)

    return warped(f"translate({fraction}, {axis!r})", draw, fill, interpolation)


def zoom(
    factor: Range = 0.1, *, fill: Fill = 0.0, interpolation: Interpolation = "bilinear"
) -> Augmentation:
    """Makes what an image shows larger (a factor above 1) or smaller."""
    problems = sampling_problems(fill, interpolation)
    span = factors("factor", factor, problems)
    raise_problems(problems)

    def draw(key, size):
        return scaling(*drawn(key, span))

    return warped(f"zoom({factor})", draw, fill, interpolation)


def shear(
    degrees: Range = 10.0,
    axis: Literal["horizontal", "vertical"] = "horizontal",
    *,
    fill: Fill = 0.0,
    interpolation: Interpolation = "bilinear",
) -> Augmentation:
    """Slants an image: rows move against each other, or columns where the axis is vertical.

    Args:
        degrees: r draws from (-r, r); positive moves the lower rows to the right, or the right
            columns down.
        axis: ``"horizontal"`` or ``"vertical"``, the direction of the movement.
        fill: What comes into view.
        interpolation: Between pixels.
    """
    problems = sampling_problems(fill, interpolation)
    span = slants("degrees", degrees, problems)
    check_axis(axis, ("horizontal", "vertical"), problems)
    raise_problems(problems)

    def draw(key, size):
        slant = shearing(*drawn(key, span))
        return slant if axis == "horizontal" else slant.T

    return warped(f"shear({degrees}, {axis!r})", draw, fill, interpolation)


def affine(
    *,
    rotate: Range = 0.0,
    translate: Range = 0.0,
    zoom: Range = 0.0,
    shear: Range = 0.0,
    flip: float = 0.0,
    fill: Fill = 0.0,
    interpolation: Interpolation = "bilinear",
) -> Augmentation:
    """All of these in a single resampling, so that the image is blurred once.

    The image is flipped, zoomed, sheared, turned and then shifted.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from fcnn import augment
        >>> change = augment.affine(rotate=15, translate=0.1, zoom=(0.8, 1.2), flip=0.5)
        >>> change(jax.random.key(0), jnp.ones([32, 32, 3])).shape
        (32, 32, 3)

    Args:
        rotate: Degrees, counter-clockwise.
        translate: Fractions of the height and of the width, drawn apart.
        zoom: r draws the factor from (1 - r, 1 + r).
        shear: Degrees, of the rows.
        flip: The probability of a change of left and right.
        fill: What comes into view.
        interpolation: Between pixels.
    """
    problems = sampling_problems(fill, interpolation)
    spans = (
        span_of("rotate", rotate, problems, around=0.0),
        *[span_of("translate", translate, problems, around=0.0)] * 2,
        factors("zoom", zoom, problems),
        slants("shear", shear, problems),
        (0.0, 1.0),
    )
    check_probability("flip", flip, problems)
    raise_problems(problems)

    def draw(key, size):
        angle, right, down, factor, slant, chance = drawn(key, *spans)
        mirror = jnp.diag(jnp.array([jnp.where(chance < flip, -1.0, 1.0), 1.0, 1.0]))
        back = times(rotation(angle), translation(right, down, size))
        return times(times(mirror, scaling(factor)), times(shearing(slant), back))

    given = {"rotate": rotate, "translate": translate, "zoom": zoom, "shear": shear, "flip": flip}
    name = ", ".join(f"{option}={value}" for option, value in given.items() if value != 0)
    return warped(f"affine({name})", draw, fill, interpolation)


def perspective(
    strength: Range = 0.3, *, fill: Fill = 0.0, interpolation: Interpolation = "bilinear"
) -> Augmentation:
    """Looks at an image aslant: each of its corners moves towards the middle.

    Args:
        strength: How far, vertically and horizontally, as a share of half the size: s draws from
            (0, s). At most 0.6, for then the four corners always span a convex picture.
        fill: What comes into view.
        interpolation: Between pixels.
    """
    problems = sampling_problems(fill, interpolation)
    given = strength if isinstance(strength, tuple | list) else (0, strength)
    span = span_of("strength", given, problems, least=0.0, most=0.6)
    raise_problems(problems)

    def draw(key, size):
        inwards = drawn(key, *[span] * 8).reshape(4, 2)
        return inverse(projection((1 - inwards) * CORNERS, size))

    return warped(f"perspective({strength})", draw, fill, interpolation)


def warped(name: str, draw: Draw, fill: Fill, interpolation: Interpolation) -> Augmentation:
    """The augmentation that draws a map and resamples with it; masks by their nearest pixel."""

    def image(key, image):
        matrix = draw(key, image.shape[:2])
        return warp(image, matrix, fill=fill, interpolation=interpolation)

    def mask(key, mask):
        matrix = draw(key, mask.shape[:2])
        return warp(mask, matrix, fill=mask_fill(fill), interpolation="nearest")

    def boxes(key, boxes, size):
        there = functools.partial(moved, inverse(draw(key, size)))
        return moved_boxes(boxes, there, size, size)

    return Augmentation(name, image, mask, boxes)


def factors(name: str, value: Any, problems: list[str]) -> Span:
    """The range of an enlargement."""
    span = span_of(name, value, problems, around=1.0)
    if span[0] <= 0:
        problems.append(f"{name} must stay above 0, got {value!r} for {span}")
    return span


def slants(name: str, value: Any, problems: list[str]) -> Span:
    """The range of the degrees of a shear."""
    span = span_of(name, value, problems, around=0.0)
    if max(map(abs, span)) > 80:
        problems.append(f"{name} of a shear must lie between -80 and 80, got {value!r}")
    return span


def drawn(key: jax.Array, *spans: Span) -> jax.Array:
    """A number from each range, in one draw, ``[n]``; from (a, a) exactly a."""
    low, high = np.asarray(spans, np.float32).T
    return low + (high - low) * random.uniform(key, (len(spans),), jnp.float32)


def rotation(degrees: jax.Array) -> jax.Array:
    """From the turned picture back to the picture, ``[3, 3]``; likewise the three below."""
    angle = degrees * (math.pi / 180)
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    return jnp.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], jnp.float32)


def translation(right: jax.Array, down: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Back from a shift by fractions of the width and of the height."""
    h, w = size
    return jnp.array([[1, 0, -right * w], [0, 1, -down * h], [0, 0, 1]], jnp.float32)


def scaling(factor: jax.Array) -> jax.Array:
    """Back from an enlargement."""
    return jnp.array([[1 / factor, 0, 0], [0, 1 / factor, 0], [0, 0, 1]], jnp.float32)


def shearing(degrees: jax.Array) -> jax.Array:
    """Back from a slant of the rows."""
    slope = jnp.tan(degrees * (math.pi / 180))
    return jnp.array([[1, -slope, 0], [0, 1, 0], [0, 0, 1]], jnp.float32)


CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)  # (x, y), clockwise


def projection(corners: jax.Array, size: tuple[int, int]) -> jax.Array:
    """The map ``[3, 3]`` of a picture that takes its ``CORNERS`` to other four, ``[4, 2]``.

    The corners go from -1 to 1 in the width and in the height (Heckbert, 1989, "Fundamentals of
    Texture Mapping and Image Warping", 2.2.3).
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = (corners + 1) / 2
    dx1, dx2, dx3 = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, dy3 = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    area = dx1 * dy2 - dx2 * dy1
    g, h = (dx3 * dy2 - dx2 * dy3) / area, (dx1 * dy3 - dx3 * dy1) / area
    unit = jnp.array(
        [
            [x1 - x0 + g * x1, x3 - x0 + h * x3, x0],
            [y1 - y0 + g * y1, y3 - y0 + h * y3, y0],
            [g, h, 1],
        ]
    )
    to_unit = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]], np.float32)
    from_unit = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]], np.float32)
    sides = np.array([size[1], size[0], 1.0])
    pixels = (sides[:, None] / sides).astype(np.float32)
    return times(from_unit, times(unit, to_unit)) * pixels
