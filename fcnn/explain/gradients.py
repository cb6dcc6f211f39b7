"""What a small change of each pixel would do to an output.

All of these take a gradient of the raw output, before softmax. ``saliency`` is its size; the others
are signed: positive where a pixel speaks for the output. A signed map is summed over channels, or
``[n, h, w, c]`` with ``channels=True``.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from ..core import Layer, Network
from ..ops.windows import positive
from .targets import chosen, explained, folded, images, slopes


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


def gradient_x_input(
    network: Network,
    x: Any,
    target: Any = None,
    *,
    channels: bool = False,
    batch_size: int = 32,
) -> np.ndarray:
    """What each pixel adds to an output, were the network linear: ``[n, h, w, c] -> [n, h, w]``.

    The gradient times the input (Shrikumar et al., 2016, arXiv:1605.01713). A black pixel, 0, gets
    nothing. Arguments and errors are those of ``saliency``.

    Args:
        channels: Whether to keep the channels apart, ``[n, h, w, c]``.
    """
    program = _gradient_x_input(network.layer)
    return folded(explained(program, network, images(network, x), target, batch_size), channels)


def smooth_grad(
    network: Network,
    x: Any,
    target: Any = None,
    *,
    samples: int = 32,
    noise: float = 0.15,
    seed: int = 0,
    squared: bool = False,
    channels: bool = False,
    batch_size: int = 32,
) -> np.ndarray:
    """The mean gradient around an input: ``[n, h, w, c] -> [n, h, w]``.

    The gradients of several noisy copies, averaged (Smilkov et al., 2017, arXiv:1706.03825): what
    differs from copy to copy cancels, and with ``samples`` the error falls as its square root.
    An example gets the same noise whatever batch it is in. Other arguments are those of
    ``saliency``.

    Args:
        samples: How many noisy copies.
        noise: The standard deviation of the noise, as a part of the range of each input's values.
        seed: Decides the noise.
        squared: Whether to average the squares of the gradients (Hooker et al., 2018,
            arXiv:1806.10758), which are at least 0.
        channels: Whether to keep the channels apart, ``[n, h, w, c]``.

    Raises:
        TypeError: ``target`` is neither None nor integers.
        ValueError: ``x`` does not fit the network, it has no such output, or ``samples`` or
            ``noise`` is out of range.
    """
    measure = _mean_square if squared else _mean
    return _noisy(measure, network, x, target, samples, noise, seed, channels, batch_size)


def var_grad(
    network: Network,
    x: Any,
    target: Any = None,
    *,
    samples: int = 32,
    noise: float = 0.15,
    seed: int = 0,
    channels: bool = False,
    batch_size: int = 32,
) -> np.ndarray:
    """The variance of the gradient around an input: ``[n, h, w, c] -> [n, h, w]``, from 0 up.

    It is large where the output bends, whatever the direction (Adebayo et al., 2018,
    arXiv:1810.03307). Arguments and errors are those of ``smooth_grad``, and so is the noise.
    """
    return _noisy(_variance, network, x, target, samples, noise, seed, channels, batch_size)


def _noisy(measure, network, x, target, samples, noise, seed, channels, batch_size):
    positive(samples=samples)
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise must be a number from 0 up, got {noise!r}")
    x = images(network, x)
    program = functools.partial(
        _noisy_slopes(network.layer, measure),
        samples=samples,
        noise=np.asarray(noise, x.dtype),
        key=random.key(seed),
    )
    maps = explained(program, network, x, target, batch_size, np.arange(len(x), dtype=np.int32))
    return folded(maps, channels)


@functools.lru_cache(maxsize=64)  # a program for each layer that was asked lately
def _saliency(layer: Layer) -> Any:
    @jax.jit
    def program(params, state, x, target):
        return jnp.abs(slopes(layer, params, state, x, target)).max(-1)

    return program


@functools.lru_cache(maxsize=64)
def _gradient_x_input(layer: Layer) -> Any:
    @jax.jit
    def program(params, state, x, target):
        return slopes(layer, params, state, x, target) * x

    return program


@functools.lru_cache(maxsize=64)
def _noisy_slopes(layer: Layer, measure: Callable) -> Any:
    @jax.jit
    def program(params, state, x, target, number, *, samples, noise, key):
        target = chosen(layer.apply(params, state, x)[0], target)
        every = tuple(range(1, x.ndim))
        spread = noise * (x.max(every, keepdims=True) - x.min(every, keepdims=True))

        def add(i, sums):
            mean, squares = sums  # by Welford: a variance as a difference of sums would cancel
            slope = slopes(layer, params, state, x + spread * drawn(i), target).astype(jnp.float32)
            step = slope - mean
            mean = mean + step / (i.astype(jnp.float32) + 1)
            return mean, squares + step * (slope - mean)

        def drawn(i):
            keys = jax.vmap(lambda j: random.fold_in(random.fold_in(key, j), i))(number)
            size = math.prod(x.shape[1:])
            return jax.vmap(lambda key: random.normal(key, size, x.dtype))(keys).reshape(x.shape)

        nothing = jnp.zeros(x.shape, jnp.float32)
        mean, squares = lax.fori_loop(0, samples, add, (nothing, nothing))
        return measure(mean, squares / samples)

    return program


def _mean(mean, variance):
    return mean


def _mean_square(mean, variance):
    return variance + mean**2


def _variance(mean, variance):
    return variance
