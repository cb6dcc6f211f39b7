"""Parts of pictures, and pictures of another size."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax, random

from .geometry import Range, drawn
from .protocol import Augmentation
from .values import as_before, as_floats, raise_problems, span_of
from .warping import Fill, Interpolation, fill_value, mask_fill, moved_boxes, sampling_problems

Number = float | jax.Array
Pair = tuple[int, int]
Size = int | Pair
Corner = Callable[[jax.Array, Pair], jax.Array]  # (key, room) -> (top, left)
Window = Callable[[jax.Array, Pair], Any]  # (key, size) -> top, left, height, width


def crop(size: Size | None = None, padding: int = 4, *, fill: Fill = 0.0) -> Augmentation:
    """Cuts out a part anywhere in the padded image, of whole pixels.

    Args:
        size: h or (h, w) of the part; the size of the image if None.
        padding: Pixels put on each side before.
        fill: What they are: a number from 0 (black) to 1 (white), ``"nearest"`` for the pixels of
            the border, ``"reflect"`` for the mirrored image; in masks 0 for a number.
    """
    problems = sampling_problems(fill)
    size = None if size is None else size_of(size, problems)
    if not (isinstance(padding, int) and padding >= 0):
        problems.append(f"padding must be a number of pixels from 0 on, got {padding!r}")
    raise_problems(problems)

    def corner(key, room):
        return random.randint(key, (2,), 0, jnp.array(room) + 1)

    name = f"crop({'' if size is None else f'{size}, '}padding={padding})"
    return _cut(name, corner, size, padding, fill)


def center_crop(size: Size) -> Augmentation:
    """Cuts out the middle: h or (h, w) pixels of an image that is at least as large."""
    problems: list[str] = []
    size = size_of(size, problems)
    raise_problems(problems)

    def corner(key, room):
        return jnp.array(room) // 2

    return _cut(f"center_crop({size})", corner, size, 0, 0.0)


def random_resized_crop(
    size: Size,
    scale: Range = (0.08, 1.0),
    ratio: Range = (3 / 4, 4 / 3),
    *,
    interpolation: Interpolation = "bilinear",
) -> Augmentation:
    """Cuts out a part of random area and shape, and resizes it (Szegedy et al., 2014, 1409.4842).

    Where the drawn part is higher or wider than the image it is cut to it. What shrinks is
    averaged, as in ``resize``.

    Args:
        size: h or (h, w) of the result.
        scale: The area, as a share of the image's.
        ratio: Width by height, drawn evenly in its logarithm.
        interpolation: Between pixels.
    """
    problems = sampling_problems(0.0, interpolation)
    size = size_of(size, problems)
    scales = span_of("scale", scale, problems, least=1e-4, most=1.0)
    ratios = span_of("ratio", ratio, problems, least=0.01, most=100.0)
    raise_problems(problems)
    logs = (math.log(ratios[0]), math.log(ratios[1]))

    def window(key, whole):
        area, shape, down, right = drawn(key, scales, logs, (0.0, 1.0), (0.0, 1.0))
        area, shape = area * math.prod(whole), jnp.exp(shape)
        height = jnp.minimum(jnp.sqrt(area / shape), whole[0])
        width = jnp.minimum(jnp.sqrt(area * shape), whole[1])
        return down * (whole[0] - height), right * (whole[1] - width), height, width

    return _resampled(f"random_resized_crop({size})", window, size, interpolation)


def resize(size: Size, *, interpolation: Interpolation = "bilinear") -> Augmentation:
    """Makes images h or (h, w) pixels large; what shrinks is averaged (antialiased), as in Pillow.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from fcnn import augment
        >>> augment.resize((8, 16))(jax.random.key(0), jnp.ones([32, 32, 3])).shape
        (8, 16, 3)
    """
    problems = sampling_problems(0.0, interpolation)
    size = size_of(size, problems)
    raise_problems(problems)

    def window(key, whole):
        return 0.0, 0.0, *map(float, whole)

    return _resampled(f"resize({size})", window, size, interpolation)


def size_of(size: Any, problems: list[str]) -> Pair:
    """(h, w) of a number or a pair."""
    pair = (size, size) if isinstance(size, int) else size
    if (
        isinstance(pair, tuple | list)
        and len(pair) == 2
        and all(isinstance(n, int) and n > 0 for n in pair)
    ):
        return pair[0], pair[1]
    problems.append(f"size must be a number of pixels or (height, width), got {size!r}")
    return 1, 1


def _cut(name: str, corner: Corner, size: Pair | None, padding: int, fill: Fill) -> Augmentation:
    def place(key, whole):
        new = size or whole
        room = tuple(n + 2 * padding - m for n, m in zip(whole, new, strict=True))
        if min(room) < 0:
            raise ValueError(
                f"{name} needs images of at least {tuple(m - 2 * padding for m in new)}, "
                f"got {tuple(whole)}; resize them before"
            )
        return corner(key, room), new

    def part(key, image, fill):
        (top, left), new = place(key, image.shape[:2])
        image = padded(image, padding, fill)
        none = (0,) * (image.ndim - 2)
        return lax.dynamic_slice(image, (top, left, *none), (*new, *image.shape[2:]))

    def boxes(key, boxes, size):
        (top, left), new = place(key, size)
        return cut_boxes(boxes, size, new, top - padding, left - padding, *new)

    return Augmentation(
        name,
        lambda key, image: part(key, image, fill),
        lambda key, mask: part(key, mask, mask_fill(fill)),
        boxes,
    )


def padded(image: jax.Array, padding: int, fill: Fill) -> jax.Array:
    """The image ``[h, w, ...]`` with more pixels on each side."""
    image = jnp.asarray(image)
    widths = ((padding, padding),) * 2 + ((0, 0),) * (image.ndim - 2)
    if isinstance(fill, str):
        return jnp.pad(image, widths, mode={"nearest": "edge", "reflect": "reflect"}[fill])
    return jnp.pad(image, widths, constant_values=fill_value(fill, image.dtype))


def _resampled(name: str, window: Window, size: Pair, interpolation: Interpolation) -> Augmentation:
    def smooth(key, image):
        return averaged(image, *window(key, image.shape[:2]), size)

    def sharp(key, image):
        return picked(image, *window(key, image.shape[:2]), size)

    def boxes(key, boxes, whole):
        return cut_boxes(boxes, whole, size, *window(key, whole))

    return Augmentation(name, smooth if interpolation == "bilinear" else sharp, sharp, boxes)


def averaged(
    image: jax.Array, top: Number, left: Number, height: Number, width: Number, size: Pair
) -> jax.Array:
    """A window of the image ``[h, w, c]`` at another size, by triangles as wide as its pixels."""
    scale = jnp.array([size[0] / height, size[1] / width], jnp.float32)
    shift = -scale * jnp.array([top, left], jnp.float32)
    floats = as_floats(image)
    values = jax.image.scale_and_translate(
        floats, (*size, *image.shape[2:]), (0, 1), scale, shift, "linear", antialias=True
    )
    # A mean of pixels: whatever the floats of an image mean, it lies among them.
    return as_before(values, image) if image.dtype == jnp.uint8 else values.astype(image.dtype)


def picked(
    image: jax.Array, top: Number, left: Number, height: Number, width: Number, size: Pair
) -> jax.Array:
    """The same by the pixels that lie under the new ones' centres."""

    def places(n, start, length, whole):
        centres = start + (jnp.arange(n, dtype=jnp.float32) + 0.5) * length / n
        return jnp.clip(jnp.floor(centres).astype(jnp.int32), 0, whole - 1)

    image = jnp.asarray(image)
    rows = places(size[0], top, height, image.shape[0])
    return image[rows][:, places(size[1], left, width, image.shape[1])]


def cut_boxes(
    boxes: jax.Array,
    whole: Pair,
    size: Pair,
    top: Number,
    left: Number,
    height: Number,
    width: Number,
) -> jax.Array:
    """Boxes of a picture in the window of it that is given another size."""

    def points(x, y):
        x = (x + whole[1] / 2 - left) * (size[1] / width) - size[1] / 2
        y = (y + whole[0] / 2 - top) * (size[0] / height) - size[0] / 2
        return x, y

    return moved_boxes(boxes, points, whole, size)
