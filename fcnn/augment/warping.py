"""Pictures looked at from other places: one resampling for any affine or perspective map.

A picture of size (h, w) has its pixel (row i, column j) centred at the point (x, y) = (j, i), and
its middle is ((w - 1) / 2, (h - 1) / 2). Maps are float32 ``[3, 3]`` and act on homogeneous points
(x, y, 1) measured from the middle; a resampling asks for each pixel of the *output* where in the
*input* it lies. Boxes (left, top, right, bottom) measure the borders of pixels: the whole picture
is (0, 0, w, h).
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

Fill = float | Literal["nearest", "reflect"]
Interpolation = Literal["bilinear", "nearest"]
Points = Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]  # (x, y) -> (x, y)


def warp(
    image: jax.Array,
    matrix: jax.Array,
    *,
    fill: Fill = 0.0,
    interpolation: Interpolation = "bilinear",
    size: tuple[int, int] | None = None,
) -> jax.Array:
    """The image ``[h, w, c]`` or ``[h, w]`` resampled once: ``[h', w', ...]`` of its dtype.

    The identity gives back the image bit for bit. Outside lies ``fill``, and at the border is
    mixed with the last pixels (``grid-constant`` of ``scipy.ndimage``).

    Example:
        >>> import jax.numpy as jnp
        >>> image = jnp.arange(6, dtype=jnp.uint8).reshape(2, 3)
        >>> shift = jnp.array([[1, 0, 1], [0, 1, 0], [0, 0, 1.0]])
        >>> warp(image, shift, fill=1.0).tolist()
        [[1, 2, 255], [4, 5, 255]]

    Args:
        image: uint8, floating, or with ``interpolation="nearest"`` of any dtype.
        matrix: float32 ``[3, 3]``, from points of the output to points of the input, both in
            pixels from the middle of their picture.
        fill: What lies outside: a number from 0 (black) to 1 (white), ``"nearest"`` for the pixels
            of the border, ``"reflect"`` for the picture mirrored at the centres of the last pixels.
        interpolation: ``"bilinear"``, or ``"nearest"`` for labels.
        size: (h', w') of the output; that of the image if None.
    """
    (h, w), (rows, columns) = image.shape[:2], size or image.shape[:2]
    x = jnp.arange(columns, dtype=jnp.float32) - (columns - 1) / 2
    y = jnp.arange(rows, dtype=jnp.float32)[:, None] - (rows - 1) / 2
    x, y = moved(matrix, x, y)
    return sample(image, x + (w - 1) / 2, y + (h - 1) / 2, fill=fill, interpolation=interpolation)


def moved(matrix: jax.Array, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The points (x, y) under a map ``[3, 3]``."""
    # Sums of products, not a dot: exact for the identity on every device.
    x, y, scale = (row[0] * x + row[1] * y + row[2] for row in matrix)
    scale = jnp.where(scale == 0, 1e-6, scale)  # the horizon, which no picture shows
    return x / scale, y / scale


def sample(
    image: jax.Array,
    x: jax.Array,
    y: jax.Array,
    *,
    fill: Fill = 0.0,
    interpolation: Interpolation = "bilinear",
) -> jax.Array:
    """The image ``[h, w, ...]`` at the points ``x``, ``y`` ``[h', w']``, in columns and rows."""
    image = jnp.asarray(image)
    (h, w), rest = image.shape[:2], image.shape[2:]
    if fill == "reflect":
        x, y = reflected(x, w), reflected(y, h)
    pixels = bordered(image, fill)
    x, y = jnp.clip(x, -1, w), jnp.clip(y, -1, h)  # further out it looks the same

    def at(column, row):
        place = (row.astype(jnp.int32) + 1) * (w + 2) + column.astype(jnp.int32) + 1
        return pixels.reshape((h + 2) * (w + 2), -1).at[place].get(mode="promise_in_bounds")

    if interpolation == "nearest":
        values = at(jnp.floor(x + 0.5), jnp.floor(y + 0.5))
        return values.reshape(*values.shape[:2], *rest)
    if image.dtype != jnp.uint8 and not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(
            f"an image must be uint8 or floating, got {image.dtype}; "
            "labels take interpolation='nearest'"
        )
    pixels = pixels.astype(jnp.promote_types(image.dtype, jnp.float32))
    left, top = jnp.minimum(jnp.floor(x), w - 1), jnp.minimum(jnp.floor(y), h - 1)
    right, bottom = (x - left)[..., None], (y - top)[..., None]  # how far towards them
    above = mix(at(left, top), at(left + 1, top), right)
    below = mix(at(left, top + 1), at(left + 1, top + 1), right)
    values = mix(above, below, bottom)
    if image.dtype == jnp.uint8:
        values = jnp.round(values)
    return values.astype(image.dtype).reshape(*values.shape[:2], *rest)


def mix(a: jax.Array, b: jax.Array, share: jax.Array) -> jax.Array:
    """``a`` and ``b`` by the share of ``b``; exact at 0 and at 1."""
    return a * (1 - share) + b * share


def bordered(image: jax.Array, fill: Fill) -> jax.Array:
    """The image as ``[h + 2, w + 2, c]``, with one pixel more of what lies outside."""
    pixels = image.reshape(*image.shape[:2], -1)
    width = ((1, 1), (1, 1), (0, 0))
    if isinstance(fill, str):
        return jnp.pad(pixels, width, mode="edge")
    return jnp.pad(pixels, width, constant_values=fill_value(fill, image.dtype))


def fill_value(fill: float, dtype: jnp.dtype) -> jax.Array:
    """What stands for a brightness from 0 to 1 in pictures of a dtype."""
    return jnp.asarray(round(fill * 255) if dtype == jnp.uint8 else fill, dtype)


def mask_fill(fill: Fill) -> Fill:
    """What comes into view in a mask where ``fill`` does in its image: 0 for any number."""
    return fill if isinstance(fill, str) else 0.0


def reflected(x: jax.Array, n: int) -> jax.Array:
    """Points mirrored at the first and the last of n pixels, until they lie between them."""
    if n == 1:
        return jnp.zeros_like(x)
    x = jnp.mod(x, 2 * (n - 1))
    return jnp.minimum(x, 2 * (n - 1) - x)


def moved_boxes(
    boxes: jax.Array, points: Points, size: tuple[int, int], new_size: tuple[int, int]
) -> jax.Array:
    """Boxes ``[n, 4]`` whose corners go where ``points`` says, enclosed and clipped.

    ``points`` takes x and y of a picture of ``size`` to those of ``new_size``, both from the
    middle. A box that leaves the picture, or had no area, is (0, 0, 0, 0).
    """
    (h, w), (rows, columns) = size, new_size
    left, top, right, bottom = jnp.moveaxis(boxes, -1, 0)
    x, y = jnp.stack([left, right, left, right]), jnp.stack([top, top, bottom, bottom])
    x, y = points(x - w / 2, y - h / 2)
    x, y = jnp.clip(x + columns / 2, 0, columns), jnp.clip(y + rows / 2, 0, rows)
    new = jnp.stack([x.min(0), y.min(0), x.max(0), y.max(0)], axis=-1)
    return jnp.where(with_area(boxes) & with_area(new), new, 0)


def with_area(boxes: jax.Array) -> jax.Array:
    """Whether boxes ``[n, 4]`` are wider and higher than nothing, ``[n, 1]``."""
    return ((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))[:, None]


def times(a: jax.Array, b: jax.Array) -> jax.Array:
    """The product of two maps ``[3, 3]``, exact if one is the identity: first b, then a."""
    return a[:, :1] * b[:1] + a[:, 1:2] * b[1:2] + a[:, 2:] * b[2:]


def inverse(matrix: jax.Array) -> jax.Array:
    """The map back, up to a factor, which homogeneous points do not see: the adjugate."""
    a, b, c = matrix
    return jnp.stack([jnp.cross(b, c), jnp.cross(c, a), jnp.cross(a, b)], axis=1)


def sampling_problems(fill: Fill, interpolation: Interpolation = "bilinear") -> list[str]:
    """What is wrong with these two options, in words."""
    problems = []
    if isinstance(fill, str):
        if fill not in ("nearest", "reflect"):
            problems.append(f"fill must be a number, 'nearest' or 'reflect', got {fill!r}")
    elif not (math.isfinite(fill) and 0 <= fill <= 1):
        problems.append(f"fill goes from 0 (black) to 1 (white) for every dtype, got {fill!r}")
    if interpolation not in ("bilinear", "nearest"):
        problems.append(f"interpolation must be 'bilinear' or 'nearest', got {interpolation!r}")
    return problems


def check_axis(axis: Any, axes: tuple[str, ...], problems: list[str]) -> None:
    """Adds to ``problems`` if the axis is none of these."""
    if axis not in axes:
        problems.append(f"axis must be {' or '.join(map(repr, axes))}, got {axis!r}")
