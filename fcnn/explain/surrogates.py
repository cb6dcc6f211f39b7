"""A simple model that follows a network around one example, and is read in its place."""

import functools
from typing import Any

import numpy as np

from ..core import Network
from ..ops.windows import positive
from .perturbations import whole
from .segmenting import checked_segments, coalition_scores, counts, spread
from .targets import images


def lime(
    network: Network,
    x: Any,
    target: Any = None,
    *,
    segments: Any = 50,
    samples: int = 1000,
    width: float = 0.25,
    ridge: float = 1.0,
    baseline: Any = 0.0,
    seed: int = 0,
    batch_size: int = 64,
) -> np.ndarray:
    """What each segment adds to an output, by a linear model: ``[n, h, w, c] -> [n, h, w]``.

    LIME (Ribeiro et al., 2016, arXiv:1602.04938): segments are hidden at random, each with
    probability 1/2, and ridge regression with an intercept is fitted to the outputs. A sample that
    keeps k of K segments has the cosine distance ``d = 1 - sqrt(k / K)`` to the example and the
    weight ``exp(-d**2 / (2 * width**2))``. Each position has the coefficient of its segment.

    Args:
        network: What ``fit`` returned.
        x: A batch of inputs.
        target: Which output to explain: a number, one for each example, or by default the
            predicted class.
        segments: How many superpixels, or the segments themselves: integers ``[h, w]`` or
            ``[n, h, w]``.
        samples: How often segments are hidden, for each example; the first time none is.
        width: Of the kernel that weighs the samples.
        ridge: The penalty on squared coefficients.
        baseline: What stands in for hidden positions: a number (0 is black), one for each channel,
            one input, or one for each example.
        seed: Of the draws.
        batch_size: Altered examples at a time.

    Raises:
        TypeError: ``target`` is neither None nor integers, or segments are no integers.
        ValueError: ``x`` does not fit the network, it has no such output, an option is out of
            range, or segments or the baseline have another shape than the inputs.
    """
    positive(samples=samples)
    if width <= 0 or ridge < 0:
        raise ValueError(
            f"width must be positive and ridge not negative, got {width!r} and {ridge!r}"
        )
    x = images(network, x)
    segments = checked_segments(x, segments)
    target, _ = whole(network, x, target, batch_size)
    coalitions = [drawn(k, samples, seed) for k in counts(segments)]
    values = coalition_scores(
        network, x, target, segments, coalitions, baseline=baseline, batch_size=batch_size
    )
    pairs = zip(coalitions, values, strict=True)
    return spread([coefficients(kept, y, width, ridge) for kept, y in pairs], segments)


@functools.lru_cache(maxsize=8)  # examples mostly have as many segments as the one before
def drawn(k: int, samples: int, seed: int) -> np.ndarray:
    """Which of k segments are kept, ``[samples, k]``: first all, then half of them."""
    kept = np.random.Generator(np.random.Philox(seed)).random((samples, k)) < 0.5
    kept[0] = True
    return kept


def coefficients(kept: np.ndarray, y: np.ndarray, width: float, ridge: float) -> np.ndarray:
    """Weighted ridge regression of ``y [m]`` on ``kept [m, k]``: ``[k]``, without intercept."""
    distance = 1 - np.sqrt(kept.mean(1))
    weight = np.exp(-(distance**2) / (2 * width**2))
    z, y = kept - np.average(kept, 0, weight), y - np.average(y, 0, weight)
    gram = (z.T * weight) @ z + ridge * np.eye(kept.shape[1])
    return np.linalg.lstsq(gram, (z.T * weight) @ y)[0]
