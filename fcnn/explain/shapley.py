"""Shapley values: what each segment adds to an output, on average over all orders to add them."""

import functools
from itertools import product
from math import comb
from typing import Any

import numpy as np

from ..core import Network
from ..ops.windows import positive
from .perturbations import whole
from .segmenting import checked_segments, coalition_scores, counts, spread
from .targets import images


def kernel_shap(
    network: Network,
    x: Any,
    target: Any = None,
    *,
    segments: Any = 50,
    samples: int = 2048,
    baseline: Any = 0.0,
    seed: int = 0,
    batch_size: int = 64,
) -> np.ndarray:
    """The Shapley values of segments: ``[n, h, w, c] -> [n, h, w]``, signed.

    Weighted least squares with the Shapley kernel (Lundberg and Lee, 2017, arXiv:1705.07874). The
    positions of a segment share its value, and the map adds up to ``f(x) - f(baseline)``. They are
    the exact values where ``samples`` is enough for all ``2**k - 2`` coalitions, and else an
    estimate from coalitions drawn by the kernel, each with its complement (Covert and Lee, 2021,
    arXiv:2012.01536).

    Args:
        network: What ``fit`` returned.
        x: A batch of inputs.
        target: Which output to explain: a number, one for each example, or by default the
            predicted class.
        segments: How many superpixels, or the segments themselves: integers ``[h, w]`` or
            ``[n, h, w]``.
        samples: The most coalitions to look at, for each example.
        baseline: What stands in for hidden positions: a number (0 is black), one for each channel,
            one input, or one for each example.
        seed: Of the draws.
        batch_size: Altered examples at a time.

    Raises:
        TypeError: ``target`` is neither None nor integers, or segments are no integers.
        ValueError: ``x`` does not fit the network, it has no such output, there are fewer samples
            than two for each segment, or segments or the baseline have another shape than the
            inputs.
    """
    x = images(network, x)
    segments = checked_segments(x, segments)
    most = max(counts(segments), default=1)
    positive(samples=samples)
    if samples < 2 * most:
        raise ValueError(f"samples must be at least two for each of {most} segments, got {samples}")
    target, before = whole(network, x, target, batch_size)
    draws = [coalitions(k, samples, seed) for k in counts(segments)]
    kept = [np.concatenate([np.zeros((1, z.shape[1]), bool), z]) for z, _ in draws]
    values = coalition_scores(
        network, x, target, segments, kept, baseline=baseline, batch_size=batch_size
    )
    found = [
        shapley_values(z, weight, y[1:] - y[0], total - y[0]) / np.bincount(parts.flat)
        for (z, weight), y, total, parts in zip(draws, values, before, segments, strict=True)
    ]
    return spread(found, segments)


@functools.lru_cache(maxsize=8)  # examples mostly have as many segments as the one before
def coalitions(k: int, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Coalitions ``[m, k]`` between none and all, and their weights ``[m]``.

    All of them where ``samples`` allows, weighted by the kernel ``(k - 1) / (C(k, s) s (k - s))``;
    else draws by the kernel, weighted alike.
    """
    sizes = np.arange(1, k)
    if 2**k - 2 <= samples:
        z = np.array(list(product((False, True), repeat=k))[1:-1], bool).reshape(-1, k)
        kernel = np.array([0, *((k - 1) / (comb(k, s) * s * (k - s)) for s in range(1, k))])
        return z, kernel[z.sum(1)]
    rng = np.random.Generator(np.random.Philox(seed))
    chance = 1 / (sizes * (k - sizes))
    size = rng.choice(sizes, samples // 2, p=chance / chance.sum())
    order = rng.permuted(np.tile(np.arange(k), (samples // 2, 1)), axis=1)
    z = order < size[:, None]
    return np.concatenate([z, ~z]), np.ones(2 * len(z))


def shapley_values(
    z: np.ndarray, weight: np.ndarray, gains: np.ndarray, total: float
) -> np.ndarray:
    """The ``phi [k]`` with ``sum(phi) == total`` for which ``z @ phi`` is nearest to the gains.

    The last value is ``total`` less the others, which leaves ordinary least squares.

    Args:
        z: Coalitions, ``[m, k]``.
        weight: Of each, ``[m]``.
        gains: What each gives beyond none at all, ``[m]``.
        total: What all segments give beyond none.
    """
    z, root = z.astype(float), np.sqrt(weight)
    others = (z[:, :-1] - z[:, -1:]) * root[:, None]
    phi = np.linalg.lstsq(others, (gains - z[:, -1] * total) * root)[0] if len(z) else np.zeros(0)
    return np.append(phi, total - phi.sum())
