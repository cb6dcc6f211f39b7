"""An output divided among the pixels, by what changes from a baseline to the input."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Layer, Network
from .rescaling import Both, rescaled, settled
from .rewriting import evaluate
from .targets import baselines, explained, folded, images, score


def deep_lift(
    network: Network,
    x: Any,
    target: Any = None,
    *,
    baseline: Any = 0.0,
    channels: bool = False,
    batch_size: int = 32,
) -> np.ndarray:
    """What each pixel adds to an output, over a baseline: ``[n, h, w, c] -> [n, h, w]``.

    The rescale rule of DeepLIFT (Shrikumar et al., 2017, arXiv:1704.02685), at the cost of one
    gradient. The map adds up to ``f(x) - f(baseline)``. An activation is any function of the
    elements of one array, however it is written. A product of two arrays that both change, as in a
    gate, gives each the mean of the other; the maximum of several passes the change on from where
    the baseline has it to where the input has it.

    Example:
        >>> import fcnn, jax
        >>> from fcnn.core.network import start_network
        >>> from fcnn import conv, dense, flatten, max_pool, relu, serial
        >>> x = jax.random.uniform(jax.random.key(0), (3, 8, 8, 1))
        >>> model = serial(conv(4), relu, max_pool(2), flatten, dense(10))
        >>> network = start_network(model, jax.random.key(1), x)
        >>> maps = fcnn.explain.deep_lift(network, x, target=7)
        >>> bool((abs(fcnn.explain.completeness_gap(network, x, maps, target=7)) < 1e-4).all())
        True

    Args:
        network: What ``fit`` returned.
        x: A batch of inputs.
        target: Which output to explain: a number, one for each example, or by default the class
            predicted for the input.
        baseline: An input that says nothing: a number (0 is black), one for each channel, one
            input, or one for each example. What equals it gets nothing.
        channels: Whether to keep the channels apart, ``[n, h, w, c]``.
        batch_size: Examples at a time.

    Raises:
        TypeError: ``target`` is neither None nor integers.
        ValueError: ``x`` or the baseline does not fit the network, it has no such output, or it
            computes something that has no rule, such as a sorted array; its layer is named.
    """
    x = images(network, x)
    program = _deep_lift(network.layer)
    maps = explained(program, network, x, target, batch_size, baselines(baseline, x))
    return folded(maps, channels)


@functools.lru_cache(maxsize=64)  # a program for each layer that was asked lately
def _deep_lift(layer: Layer) -> Any:
    @jax.jit
    def program(params, state, x, target, baseline):
        baseline = jnp.broadcast_to(baseline, x.shape)
        equations = jax.make_jaxpr(lambda x: layer.apply(params, state, x)[0])(x)

        def total(x):
            (outputs,) = evaluate(equations, [Both(x, baseline)], rescaled)
            return score(settled(outputs).x, target)

        return jax.grad(total)(x).astype(jnp.float32) * (x - baseline).astype(jnp.float32)

    return program
