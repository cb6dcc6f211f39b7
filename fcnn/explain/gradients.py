"""What a small change of each pixel would do to an output."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Layer, Network
from .targets import explained, images, score


def saliency(network: Network, x: Any, target: Any = None, *, batch_size: int = 32) -> np.ndarray:
    """How strongly each pixel moves an output: ``[n, h, w, c] -> [n, h, w]``.

    The absolute gradient of the raw output, before softmax, the largest over channels (Simonyan et
    al., 2013, arXiv:1312.6034).

    Example:
        >>> import fcnn, jax
        >>> from fcnn.core.network import start_network
        >>> from fcnn import conv, dense, flatten, relu, serial
        >>> x = jax.random.uniform(jax.random.key(0), (3, 8, 8, 1))
        >>> network = start_network(serial(conv(4), relu, flatten, dense(10)), jax.random.key(1), x)
        >>> fcnn.explain.saliency(network, x, target=7).shape
        (3, 8, 8)

    Args:
        network: What ``fit`` returned.
        x: A batch of inputs.
        target: Which output to explain: a number, one for each example, or by default the
            predicted class.
        batch_size: Examples at a time.

    Raises:
        TypeError: ``target`` is neither None nor integers.
        ValueError: ``x`` does not fit the network, or it has no such output.
    """
    return explained(_saliency(network.layer), network, images(network, x), target, batch_size)


@functools.lru_cache(maxsize=64)  # a program for each layer that was asked lately
def _saliency(layer: Layer) -> Any:
    @jax.jit
    def program(params, state, x, target):
        slope = jax.grad(lambda x: score(layer.apply(params, state, x)[0], target))(x)
        return jnp.abs(slope).max(-1)

    return program
