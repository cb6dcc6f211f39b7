"""The examples that a network finds alike."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Layer, Network
from ..data import as_dataset
from ..ops.windows import positive
from .features import features, output_at
from .targets import images


class Neighbours(NamedTuple):
    """The examples most alike to each input, ``[n, k]``, the nearest first.

    Attributes:
        index: Which examples of the data they are.
        distance: Euclidean, between the features.
    """

    index: np.ndarray
    distance: np.ndarray


def nearest_examples(
    network: Network,
    data: Any,
    x: Any,
    k: int = 5,
    *,
    path: str | None = None,
    batch_size: int = 128,
) -> Neighbours:
    """The ``k`` examples of the data that a network finds most alike to inputs.

    Features of an example are the output of a layer, its mean over positions where it has any. The
    data is read a batch at a time, and only the nearest so far are kept.

    Example:
        >>> import fcnn
        >>> from fcnn import dense, flatten, serial
        >>> train, test = fcnn.data.digits()
        >>> network, _ = fcnn.fit(serial(flatten, dense(10)), train, epochs=1, progress=False)
        >>> found = fcnn.explain.nearest_examples(network, train, train.x[[7, 90]], k=3)
        >>> found.index[:, 0]
        array([ 7, 90])

    Args:
        network: What ``fit`` returned.
        data: A dataset, which may read its examples from files, or ``(x, y)``.
        x: A batch of inputs.
        k: How many examples for each.
        path: The layer whose outputs are the features; by default what goes into the last layer
            with parameters is.
        batch_size: Examples at a time.

    Raises:
        TypeError: ``data`` is no dataset.
        ValueError: ``k`` is not positive or more than there are, ``x`` or the data does not fit
            the network, or no output has that path; the paths are listed.
    """
    data, x = as_dataset(data), images(network, x)
    positive(k=k, batch_size=batch_size)
    if k > len(data):
        raise ValueError(f"{data.name} has {len(data)} examples, not k={k}")
    program = _means(network.layer, path)
    wanted = features(network, x, program, batch_size).astype(np.float64)
    index, square = np.zeros((len(x), 0), int), np.zeros((len(x), 0))
    for start in range(0, len(data), batch_size):
        rows = np.arange(start, min(start + batch_size, len(data)))
        found = features(network, images(network, data[rows][0]), program, batch_size)
        index = np.concatenate([index, np.tile(rows, (len(x), 1))], 1)
        square = np.concatenate([square, _squares(wanted, found.astype(np.float64))], 1)
        nearest = np.argsort(square, 1, kind="stable")[:, :k]
        index, square = (np.take_along_axis(kept, nearest, 1) for kept in (index, square))
    return Neighbours(index, np.sqrt(square))


@functools.lru_cache(maxsize=64)  # a program for each layer and path that was asked lately
def _means(layer: Layer, path: str | None) -> Any:
    @jax.jit
    def program(params, state, x):
        y = output_at(layer, path, params, state, x)
        y = y.astype(jnp.promote_types(y.dtype, jnp.float32))
        return y.mean(tuple(range(1, y.ndim - 1)))

    return program


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances ``[n, m]`` of rows."""
    square = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    return np.maximum(square, 0)
