"""Segments: each position of an input belongs to one of a few, which are hidden or kept together.

Segments are integers ``[n, h, w]``, and those of an example are numbered from 0 without a gap. A
coalition says which segments are kept, ``[k]`` booleans; the baseline stands in for the others.
"""

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Network
from ..ops.windows import positive
from .perturbations import scores
from .targets import baselines


def superpixels(
    x: Any, count: int = 50, *, compactness: float = 0.1, iterations: int = 10
) -> np.ndarray:
    """Parts alike in place and colour: ``[n, h, w, c] -> [n, h, w]``, numbered from 0.

    Simple linear iterative clustering (Achanta et al., 2012, doi:10.1109/TPAMI.2012.120): k-means
    from a grid of ``count`` cells or about as many, in which a position chooses among the centres
    of its own cell and of those around it. Parts need not be connected.

    Example:
        >>> import numpy as np
        >>> x = np.zeros((1, 4, 6, 1))
        >>> x[:, :, 2:] = 1
        >>> superpixels(x, 2)[0]
        array([[0, 0, 1, 1, 1, 1],
               [0, 0, 1, 1, 1, 1],
               [0, 0, 1, 1, 1, 1],
               [0, 0, 1, 1, 1, 1]])

    Args:
        x: A batch of images, signals or volumes, channels last.
        count: How many there are to be.
        compactness: What the width of a cell weighs against the range of the example's values.
        iterations: Steps of k-means.

    Raises:
        ValueError: an option is not positive, or ``x`` has no spatial axis.
    """
    x = np.asarray(x, np.float32)
    if x.ndim < 3:
        raise ValueError(f"expected images [n, height, width, channels], got {list(x.shape)}")
    positive(count=count, iterations=iterations)
    if compactness <= 0:
        raise ValueError(f"compactness must be positive, got {compactness!r}")
    n, *space, channels = x.shape
    step = (math.prod(space) / count) ** (1 / len(space))
    grid = [min(side, max(1, round(side / step))) for side in space]
    places = np.stack(np.indices(space), -1).reshape(-1, len(space))
    cells = places * grid // space  # [p, rank]

    colours = x.reshape(n, len(places), channels)
    low, high = colours.min((1, 2), keepdims=True), colours.max((1, 2), keepdims=True)
    colours = (colours - low) / np.where(high > low, high - low, 1)
    where = np.broadcast_to(np.float32(places * (compactness / step)), (n, *places.shape))
    features = np.concatenate([colours, where], -1)

    labels = np.broadcast_to(np.ravel_multi_index(cells.T, grid), (n, len(places)))
    centres = np.zeros((n, math.prod(grid), features.shape[-1]), np.float32)
    for _ in range(iterations):
        centres = _means(features, labels, centres)
        labels = _nearest(features, centres, cells, grid)
    return _numbered(labels).reshape(n, *space)


def checked_segments(x: np.ndarray, segments: Any) -> np.ndarray:
    """Segments ``[n, h, w]`` of examples: so many superpixels, or those given, numbered anew.

    Raises:
        TypeError: they are no integers.
        ValueError: they have another shape than the examples.
    """
    if np.ndim(segments) == 0:
        return superpixels(x, segments)
    given = np.asarray(segments)
    if given.dtype.kind not in "iu":
        raise TypeError(f"segments must be a number or integers [h, w], got {given.dtype}")
    if given.shape not in (x.shape[:-1], x.shape[1:-1]):
        raise ValueError(
            f"segments must have the shape {list(x.shape[1:-1])}, or {list(x.shape[:-1])} with "
            f"one set for each example, got {list(given.shape)}"
        )
    given = np.broadcast_to(given, x.shape[:-1])
    return _numbered(given.reshape(len(x), -1)).reshape(given.shape)


def counts(segments: np.ndarray) -> list[int]:
    """How many segments each example has."""
    return [int(each.max()) + 1 for each in segments]


def coalition_scores(
    network: Network,
    x: np.ndarray,
    target: np.ndarray,
    segments: np.ndarray,
    coalitions: Sequence[np.ndarray],
    *,
    baseline: Any,
    batch_size: int,
) -> list[np.ndarray]:
    """The targets' raw outputs when only some segments are kept, for each example ``[m]``.

    Args:
        network: What is explained.
        x: What ``images`` has checked.
        target: Which output is explained, ``[n]``.
        segments: What ``checked_segments`` gave.
        coalitions: For each example, ``[m, k]``.
        baseline: What stands in for the others.
        batch_size: Altered examples at a time.
    """
    largest = max((kept.shape[1] for kept in coalitions), default=0)
    kept = np.zeros((sum(map(len, coalitions)), -(-largest // 32) * 32), bool)  # few programs
    ends = np.cumsum([len(each) for each in coalitions], dtype=int)
    for end, each in zip(ends, coalitions, strict=True):
        kept[end - len(each) : end, : each.shape[1]] = each
    pairs = np.repeat(np.arange(len(x)), list(map(len, coalitions))), np.arange(len(kept))
    examples = target, x, baselines(baseline, x), segments.astype(np.int32)
    values = scores(network, _kept, examples, (kept,), pairs, batch_size=batch_size)
    return np.split(values, ends[:-1]) if len(x) else []


def spread(values: Sequence[np.ndarray], segments: np.ndarray) -> np.ndarray:
    """Maps in which each position has the value of its segment, float32."""
    maps = np.zeros(segments.shape, np.float32)
    for each, value, parts in zip(maps, values, segments, strict=True):
        each[...] = value[parts]
    return maps


def _kept(x: jax.Array, baseline: jax.Array, segments: jax.Array, kept: jax.Array) -> jax.Array:
    flat = segments.reshape(len(segments), -1)
    shown = jnp.take_along_axis(kept, flat, -1).reshape(*segments.shape, 1)
    return jnp.where(shown, x, baseline)


def _means(features: np.ndarray, labels: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The centre of each cluster ``[n, k, f]``; one that is empty stays where it was."""
    n, k, _ = before.shape
    rows = (labels + k * np.arange(n)[:, None]).reshape(-1)
    size = np.bincount(rows, minlength=n * k).reshape(n, k, 1)
    columns = features.reshape(len(rows), features.shape[-1]).T
    sums = [np.bincount(rows, column, minlength=n * k) for column in columns]
    means = np.stack(sums, -1).reshape(before.shape) / np.maximum(size, 1)
    return np.where(size, means, before).astype(np.float32)


def _nearest(
    features: np.ndarray, centres: np.ndarray, cells: np.ndarray, grid: Sequence[int]
) -> np.ndarray:
    """The nearest centre of each position ``[n, p]``, among its own cell and those around it."""
    best = np.full(features.shape[:2], np.inf, np.float32)
    labels = np.zeros(features.shape[:2], int)
    for offset in product((0, -1, 1), repeat=len(grid)):  # a tie stays at home
        there = cells + offset
        inside = ((there >= 0) & (there < grid)).all(-1)
        label = np.ravel_multi_index(there.T, grid, mode="clip")
        distance = np.square(features - centres[:, label]).sum(-1)
        closer = inside & (distance < best)
        best, labels = np.where(closer, distance, best), np.where(closer, label, labels)
    return labels


def _numbered(labels: np.ndarray) -> np.ndarray:
    """Labels ``[n, p]`` of each example as 0, 1, ... in their order, without a gap."""
    return (
        np.stack([np.unique(each, return_inverse=True)[1].reshape(-1) for each in labels])
        if len(labels)
        else np.zeros(labels.shape, int)
    )
