"""The maps of a method, and those of chance that they have to be better than."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...core import Network
from ..targets import images

Method = Callable[[Network, np.ndarray, Any], np.ndarray]


def random_maps(network: Network, x: Any, target: Any = None, *, seed: int = 0) -> np.ndarray:
    """Uniform random numbers in the place of maps: ``[n, h, w, c] -> [n, h, w]``.

    A method like the others, that knows nothing: every check has to show it.

    Args:
        network: What ``fit`` returned.
        x: A batch of inputs.
        target: Which output to explain; it makes no difference.
        seed: Of the draw.

    Raises:
        ValueError: ``x`` does not fit the network.
    """
    shape = images(network, x).shape[:-1]
    return np.random.Generator(np.random.Philox(seed)).random(shape, np.float32)


def maps_of(
    network: Network,
    x: np.ndarray,
    maps: np.ndarray | Method,
    target: np.ndarray,
    *,
    channels: bool = False,
) -> np.ndarray:
    """Maps of examples in float64, as they are or as a method makes them.

    Args:
        network: What is explained.
        x: What ``images`` has checked.
        maps: ``[n, h, w]``, or a method.
        target: Which output is explained, ``[n]``.
        channels: Whether maps may have the channels of ``x``.

    Raises:
        ValueError: they have another shape, or are not finite.
    """
    found = np.asarray(maps(network, x, target) if callable(maps) else maps, np.float64)
    if found.shape != x.shape[:-1] and not (channels and found.shape == x.shape):
        raise ValueError(
            f"maps of inputs {list(x.shape)} have the shape {list(x.shape[:-1])}, "
            f"got {list(found.shape)}"
        )
    if not np.isfinite(found).all():
        raise ValueError("maps hold NaN or infinity")
    return found


def some(x: np.ndarray) -> np.ndarray:
    """The examples, of which a check needs at least one.

    Raises:
        ValueError: there is none.
    """
    if not len(x):
        raise ValueError("nothing to check: x has no examples")
    return x
