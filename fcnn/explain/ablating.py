"""What hiding a part of an input does to an output: window by window, or segment by segment."""

from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Network
from ..ops.windows import Sides, place
from .perturbations import every_pair, scores, whole
from .segmenting import checked_segments, coalition_scores, counts, spread
from .targets import baselines, images


def occlusion(
    network: Network,
    x: Any,
    target: Any = None,
    *,
    window: Sides | None = None,
    stride: Sides | None = None,
    baseline: Any = 0.0,
    batch_size: int = 64,
) -> np.ndarray:
    """How much an output falls when a window is hidden: ``[n, h, w, c] -> [n, h, w]``, signed.

    The window slides over the input, and each position has the mean over the windows that cover it
    (Zeiler and Fergus, 2013, arXiv:1311.2901).

    Example:
        >>> import fcnn, jax
        >>> from fcnn.core.network import start_network
        >>> from fcnn import conv, dense, flatten, relu, serial
        >>> x = jax.random.uniform(jax.random.key(0), (3, 8, 8, 1))
        >>> network = start_network(serial(conv(4), relu, flatten, dense(10)), jax.random.key(1), x)
        >>> fcnn.explain.occlusion(network, x, target=7, window=4, stride=2).shape
        (3, 8, 8)

    Args:
        network: What ``fit`` returned.
        x: A batch of inputs.
        target: Which output to explain: a number, one for each example, or by default the
            predicted class.
        window: The sides of the window; by default an eighth of those of the input.
        stride: The step from one window to the next, at most a window; by default half of one. The
            last window is cut off at the end of the input.
        baseline: What stands in for hidden positions: a number (0 is black), one for each channel,
            one input, or one for each example.
        batch_size: Altered examples at a time.

    Raises:
        TypeError: ``target`` is neither None nor integers.
        ValueError: ``x`` does not fit the network, it has no such output, the window does not fit
            the input, windows would leave gaps, or the baseline has another shape than the inputs.
    """
    x = images(network, x)
    space = x.shape[1:-1]
    starts, ends = _windows(space, window, stride)
    target, before = whole(network, x, target, batch_size)
    examples, pairs = (target, x, baselines(baseline, x)), every_pair(len(x), len(starts))
    hidden = scores(network, _hidden, examples, (starts, ends), pairs, batch_size=batch_size)
    falls = before[:, None] - hidden.reshape(len(x), len(starts))

    total, times = np.zeros(x.shape[:-1]), np.zeros(space)
    for fall, start, end in zip(falls.T, starts, ends, strict=True):
        inside = tuple(map(slice, start, end))
        total[:, *inside] += fall.reshape(-1, *(1 for _ in space))
        times[inside] += 1
    return (total / times).astype(np.float32)


def feature_ablation(
    network: Network,
    x: Any,
    target: Any = None,
    *,
    segments: Any = 50,
    baseline: Any = 0.0,
    batch_size: int = 64,
) -> np.ndarray:
    """How much an output falls when a segment is hidden: ``[n, h, w, c] -> [n, h, w]``, signed.

    Each position has the value of its segment.

    Args:
        network: What ``fit`` returned.
        x: A batch of inputs.
        target: Which output to explain, as for ``occlusion``.
        segments: How many superpixels, or the segments themselves: integers ``[h, w]`` or
            ``[n, h, w]``.
        baseline: What stands in for hidden positions, as for ``occlusion``.
        batch_size: Altered examples at a time.

    Raises:
        TypeError: ``target`` is neither None nor integers, or segments are no integers.
        ValueError: ``x`` does not fit the network, it has no such output, or segments or the
            baseline have another shape than the inputs.
    """
    x = images(network, x)
    segments = checked_segments(x, segments)
    target, before = whole(network, x, target, batch_size)
    coalitions = [~np.eye(k, dtype=bool) for k in counts(segments)]
    after = coalition_scores(
        network, x, target, segments, coalitions, baseline=baseline, batch_size=batch_size
    )
    return spread([one - each for one, each in zip(before, after, strict=True)], segments)


def _windows(
    space: tuple[int, ...], window: Sides | None, stride: Sides | None
) -> tuple[np.ndarray, np.ndarray]:
    """Where windows begin and end, ``[m, rank]`` both; together they cover the input."""
    window = [max(1, side // 8) for side in space] if window is None else window
    if stride is None:
        sides = [window] * len(space) if isinstance(window, int) else window
        stride = [max(1, side // 2) for side in sides]
    placed = place(space, window, stride, ceil=True, what="occlusion")
    if any(side > most for side, most in zip(placed.window, space, strict=True)):
        raise ValueError(f"a window of {window!r} does not fit an input of {list(space)}")
    if any(step > side for step, side in zip(placed.stride, placed.window, strict=True)):
        raise ValueError(
            f"a stride of {stride!r} leaves gaps between windows of {window!r}; "
            "it can be as large as the window"
        )
    starts = np.array(list(product(*map(range, placed.count))), np.int32) * placed.stride
    return starts, np.minimum(starts + placed.window, space)


def _hidden(x: jax.Array, baseline: jax.Array, start: jax.Array, end: jax.Array) -> jax.Array:
    rank = start.shape[-1]
    places = jnp.stack(jnp.meshgrid(*map(jnp.arange, x.shape[1:-1]), indexing="ij"), -1)
    corner = (-1, *(1,) * rank, rank)
    inside = (places >= start.reshape(corner)) & (places < end.reshape(corner))
    return jnp.where(inside.all(-1, keepdims=True), baseline, x)
