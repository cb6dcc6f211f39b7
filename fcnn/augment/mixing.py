"""Mixing: two examples of a batch become one, and so do their labels.

Labels become rows of shares, ``[n, classes]``, which ``losses.cross_entropy`` takes as they are.
Every example keeps its place, its weight and a share of itself, and gets a partner from the batch.
The rows that fill up a last batch (``weight`` 0) are real examples repeated, so as partners they
do no harm, and as examples they do not count.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import nn, random

from .erasing import rectangle
from .protocol import Augmentation, BatchFn
from .values import as_floats, check_number, check_whole, raise_problems


def mixup(alpha: float = 0.2, classes: int | None = None) -> Augmentation:
    """Lays a partner over each example of a batch (Zhang et al., 2018, arXiv:1710.09412).

    ``x' = s x + (1 - s) x_partner``, and the same of the labels, with s from Beta(alpha, alpha),
    drawn for each example.

    Args:
        alpha: Small: mostly one of the two; 1: all shares alike; large: mostly halves.
        classes: Their number, for integer labels ``[n]``. Floating ones are mixed as they are.
    """
    _check(alpha, classes)

    def batch(key, x, y):
        y = soft(y, classes)
        shares, partners = random.split(key)
        order = random.permutation(partners, len(x))
        share = random.beta(shares, alpha, alpha, (len(x),))
        values = as_floats(x)
        return _rounded(_mixed(share, values, values[order]), x), _mixed(share, y, y[order])

    return _on_batches("mixup", alpha, classes, batch)


def cutmix(alpha: float = 1.0, classes: int | None = None) -> Augmentation:
    """Puts a rectangle of a partner into each image (Yun et al., 2019, arXiv:1905.04899).

    The rectangle has the image's shape, an area from Beta(alpha, alpha) and its centre anywhere;
    what would lie outside is cut off. The labels are mixed by the pixels that each image has in
    the end.

    Args:
        alpha: As for ``mixup``; 1 draws the area evenly.
        classes: As for ``mixup``.
    """
    _check(alpha, classes)

    def one(key, area, image, partner):
        h, w, _ = image.shape
        size = jnp.array([h, w])
        half = jnp.round(jnp.sqrt(area) * size) / 2
        centre = random.uniform(key, (2,)) * size
        start = jnp.clip(jnp.round(centre - half), 0, size)
        stop = jnp.clip(jnp.round(centre + half), 0, size)
        new = jnp.where(rectangle(image, *start, *stop), partner, image)
        return new, 1 - jnp.prod(stop - start) / (h * w)

    def batch(key, x, y):
        y = soft(y, classes)
        as_floats(x)  # says what is wrong with its dtype
        areas, places, partners = random.split(key, 3)
        order = random.permutation(partners, len(x))
        area = random.beta(areas, alpha, alpha, (len(x),))
        x, share = jax.vmap(one)(random.split(places, len(x)), area, x, x[order])
        return x, _mixed(share, y, y[order])

    return _on_batches("cutmix", alpha, classes, batch)


def soft(y: Any, classes: int | None) -> jax.Array:
    """Labels that can be mixed: integers ``[n]`` as rows ``[n, classes]``, floats as they are.

    A label outside ``0 .. classes - 1`` becomes a row of NaN, as in the losses.

    Raises:
        ValueError: integers need ``classes``, or the rows have another number of them.
        TypeError: the labels are neither.
    """
    y = jnp.asarray(y)
    if jnp.issubdtype(y.dtype, jnp.floating):
        if classes is not None and y.ndim == 2 and y.shape[1] != classes:
            raise ValueError(f"classes is {classes}, but the labels are rows of {y.shape[1]}")
        return y
    if not jnp.issubdtype(y.dtype, jnp.integer) or y.ndim != 1:
        raise TypeError(
            f"mixing needs integer labels [n] or floating ones, got {y.dtype} {list(y.shape)}; "
            "make them floating: y.astype(numpy.float32)"
        )
    if classes is None:
        raise ValueError(
            "integer labels cannot be mixed without the number of classes; write "
            "mixup(classes=10) or cutmix(classes=10)"
        )
    known = (y >= 0) & (y < classes)
    return jnp.where(known[:, None], nn.one_hot(y, classes), jnp.nan)


def _mixed(share: jax.Array, mine: jax.Array, other: jax.Array) -> jax.Array:
    share = share.reshape(-1, *(1,) * (mine.ndim - 1)).astype(mine.dtype)
    return share * mine + (1 - share) * other


def _rounded(values: jax.Array, x: jax.Array) -> jax.Array:
    return (jnp.round(values * 255) if x.dtype == jnp.uint8 else values).astype(x.dtype)


def _on_batches(name: str, alpha: float, classes: int | None, batch: BatchFn) -> Augmentation:
    options = f"{alpha}" if classes is None else f"{alpha}, classes={classes}"
    return Augmentation(f"{name}({options})", lambda key, image: image, batch=batch)


def _check(alpha: Any, classes: Any) -> None:
    problems: list[str] = []
    check_number("alpha", alpha, problems, least=0.01, most=100)
    if classes is not None:
        check_whole("classes", classes, problems, least=1)
    raise_problems(problems)
