"""Pictures on rubber: every pixel moves a little, and neighbours move alike."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from .protocol import Augmentation
from .values import raise_problems, span_of
from .warping import Fill, Interpolation, mask_fill, sample, sampling_problems


def elastic(
    strength: float = 1.0,
    smoothness: float = 4.0,
    *,
    fill: Fill = 0.0,
    interpolation: Interpolation = "bilinear",
) -> Augmentation:
    """Moves pixels along a smooth random field (Simard et al., 2003, "Best Practices for CNNs").

    The shifts of a pixel, down and to the right, are normal with a standard deviation of
    ``strength``, also at the border. Above about a third of ``smoothness`` the picture folds in
    places. Boxes become the smallest ones of whole pixels around what they held.

    Args:
        strength: In pixels.
        smoothness: How far alike movements reach: the width (sigma) of the Gaussian, in pixels.
        fill: What comes into view; in masks 0.
        interpolation: Between pixels.
    """
    problems = sampling_problems(fill, interpolation)
    span_of("strength", strength, problems, least=0.0)
    span_of("smoothness", smoothness, problems, least=0.5)
    raise_problems(problems)

    def sources(key, size):  # the points of the input, [h, w] both
        right, down = strength * smooth_noise(key, size, smoothness)
        rows, columns = (jnp.arange(n, dtype=jnp.float32) for n in size)
        return columns + right, rows[:, None] + down

    def image(key, image):
        x, y = sources(key, image.shape[:2])
        return sample(image, x, y, fill=fill, interpolation=interpolation)

    def mask(key, mask):
        x, y = sources(key, mask.shape[:2])
        return sample(mask, x, y, fill=mask_fill(fill), interpolation="nearest")

    def boxes(key, boxes, size):
        return enclosing(boxes, *sources(key, size))

    return Augmentation(f"elastic({strength:g}, {smoothness:g})", image, mask, boxes)


def smooth_noise(key: jax.Array, size: tuple[int, int], smoothness: float) -> jax.Array:
    """Two fields ``[2, h, w]`` of standard normal numbers, alike within ``smoothness`` pixels."""
    rows, columns = (bumps(n, smoothness) for n in size)
    shape = (2, rows.shape[1], columns.shape[1])
    noise = random.normal(key, (math.prod(shape),), jnp.float32).reshape(shape)
    noise = jnp.einsum("nij,bj->nib", noise, columns, precision="highest")
    return jnp.einsum("ai,nib->nab", rows, noise, precision="highest")


def bumps(n: int, sigma: float) -> np.ndarray:
    """Gaussians a sigma apart (at least a pixel), at n pixels: ``[n, k]``, rows of length 1."""
    apart = max(sigma, 1.0)
    centres = np.arange(-4, math.ceil((n - 1) / apart) + 5) * apart
    values = np.exp(-0.5 * ((np.arange(n)[:, None] - centres) / sigma) ** 2)
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def enclosing(boxes: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """Boxes ``[n, 4]`` around the pixels whose sources ``x``, ``y`` ``[h, w]`` lie in ``boxes``."""
    left, top, right, bottom = jnp.moveaxis(boxes, -1, 0)[..., None, None]
    x, y = x + 0.5, y + 0.5  # from the border
    inside = (x > left) & (x < right) & (y > top) & (y < bottom)
    columns, rows = inside.any(1), inside.any(2)

    def last(flags):
        return flags.shape[1] - flags[:, ::-1].argmax(1)

    new = jnp.stack([columns.argmax(1), rows.argmax(1), last(columns), last(rows)], axis=-1)
    return jnp.where(columns.any(1, keepdims=True), new, 0).astype(jnp.float32)
