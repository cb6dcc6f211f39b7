"""Gradients summed along the way from a baseline to the input, where they add up to the output."""

import functools
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..core import Layer, Network
from ..ops.windows import positive
from .targets import baselines, chosen, explained, folded, images, slopes, target_outputs

DOUBLINGS = 7  # of the steps, to meet a tolerance


def integrated_gradients(
    network: Network,
    x: Any,
    target: Any = None,
    *,
    baseline: Any = 0.0,
    steps: int = 64,
    tolerance: float | None = None,
    channels: bool = False,
    batch_size: int = 32,
) -> np.ndarray:
    """What each pixel adds to an output, over a baseline: ``[n, h, w, c] -> [n, h, w]``.

    The gradient, averaged over the straight line from the baseline to the input, times their
    difference (Sundararajan et al., 2017, arXiv:1703.01365). The map adds up to
    ``f(x) - f(baseline)``; ``completeness_gap`` says how nearly, and ``tolerance`` sees to it. The
    steps are the nodes of Gauss and Legendre's quadrature, a few of which suffice where the network
    is smooth. Where its gradient jumps, as with relu, the gap falls as one over the steps: for
    pictures of CIFAR-10 in ResNet-20 from 2 % with 64 steps to 0.1 % with 1024.

    Example:
        >>> import fcnn, jax
        >>> from fcnn.core.network import start_network
        >>> from fcnn import conv, dense, flatten, gelu, serial
        >>> x = jax.random.uniform(jax.random.key(0), (3, 8, 8, 1))
        >>> network = start_network(serial(conv(4), gelu, flatten, dense(10)), jax.random.key(1), x)
        >>> maps = fcnn.explain.integrated_gradients(network, x, target=7)
        >>> bool((abs(fcnn.explain.completeness_gap(network, x, maps, target=7)) < 1e-4).all())
        True

    Args:
        network: What ``fit`` returned.
        x: A batch of inputs.
        target: Which output to explain: a number, one for each example, or by default the class
            predicted for the input.
        baseline: An input that says nothing: a number (0 is black), one for each channel, one
            input, or one for each example. What equals it gets nothing.
        steps: Gradients for each example.
        tolerance: How large the gap may be, as part of ``f(x) - f(baseline)``. Examples with a
            larger one take twice the steps until it is so, at most 128 times as many; those that
            still miss it are said in a warning. None takes the steps as they are.
        channels: Whether to keep the channels apart, ``[n, h, w, c]``.
        batch_size: Examples at a time.

    Raises:
        TypeError: ``target`` is neither None nor integers.
        ValueError: ``x`` or the baseline does not fit the network, it has no such output,
            ``steps`` is not a positive integer, or ``tolerance`` no positive number.
    """
    positive(steps=steps)
    if tolerance is not None and not tolerance > 0:
        raise ValueError(f"tolerance must be a positive number or None, got {tolerance!r}")
    x = images(network, x)
    start = baselines(baseline, x)
    nodes, weights = np.polynomial.legendre.leggauss(steps)  # on [-1, 1]

    def integrated(rows: Any, target: Any, parts: int) -> np.ndarray:
        """Over the whole way, cut into equal parts with all the nodes in each."""
        total = 0.0
        for part in range(parts):
            program = functools.partial(
                _integrated_gradients(network.layer),
                nodes=np.asarray((part + (1 + nodes) / 2) / parts, x.dtype),
                weights=np.asarray(weights / 2 / parts, np.float32),
            )
            total += explained(program, network, x[rows], target, batch_size, start[rows])
        return total

    maps = integrated(slice(None), target, 1)
    if tolerance is not None:
        change = explained(_difference(network.layer), network, x, target, batch_size, start)
        each = None if target is None else np.broadcast_to(target, len(x))
        for parts in 2 ** np.arange(1, DOUBLINGS + 1):
            if not len(rows := _missing(maps, change, tolerance)):
                break
            maps[rows] = integrated(rows, None if each is None else each[rows], parts)
        if len(rows := _missing(maps, change, tolerance)):
            warnings.warn(
                f"{parts * steps:,} steps leave a gap of more than {tolerance:g} of the change in "
                f"{len(rows)} of {len(x)} examples, the first of them {rows[0]}",
                RuntimeWarning,
                stacklevel=2,
            )
    return folded(maps, channels)


def completeness_gap(
    network: Network,
    x: Any,
    maps: Any,
    target: Any = None,
    *,
    baseline: Any = 0.0,
    batch_size: int = 32,
) -> np.ndarray:
    """By how much maps miss what they should add up to: ``sum(map) - (f(x) - f(baseline))``, [n].

    It is 0 for a method that divides the output among the pixels: ``integrated_gradients`` with
    enough steps, ``deep_lift``, Shapley values. In the units of the raw output.

    Args:
        maps: What the method gave for ``x`` and this target and baseline, with or without channels.

    Raises:
        TypeError: ``target`` is neither None nor integers.
        ValueError: there are not as many maps as examples, ``x`` or the baseline does not fit the
            network, or it has no such output.
    """
    x, maps = images(network, x), np.asarray(maps, np.float64)
    if len(maps) != len(x):
        raise ValueError(f"got {len(maps)} maps for {len(x)} examples")
    program = _difference(network.layer)
    differences = explained(program, network, x, target, batch_size, baselines(baseline, x))
    return maps.sum(tuple(range(1, maps.ndim))) - differences


def _missing(maps: np.ndarray, change: np.ndarray, tolerance: float) -> np.ndarray:
    """The examples whose maps do not add up to the change of the output."""
    total = maps.sum(tuple(range(1, maps.ndim)), dtype=np.float64)
    return np.flatnonzero(np.abs(total - change) > tolerance * np.abs(change))


@functools.lru_cache(maxsize=64)  # a program for each layer that was asked lately
def _integrated_gradients(layer: Layer) -> Any:
    @jax.jit
    def program(params, state, x, target, baseline, *, nodes, weights):
        target = chosen(layer.apply(params, state, x)[0], target)
        way = x - baseline

        def add(total, step):
            node, weight = step
            slope = slopes(layer, params, state, baseline + node * way, target)
            return total + weight * slope.astype(jnp.float32), None

        mean, _ = lax.scan(add, jnp.zeros(x.shape, jnp.float32), (nodes, weights))
        return mean * way.astype(jnp.float32)

    return program


@functools.lru_cache(maxsize=64)
def _difference(layer: Layer) -> Any:
    @jax.jit
    def program(params, state, x, target, baseline):
        empty = jnp.broadcast_to(baseline, x.shape)
        outputs, nothing = (layer.apply(params, state, at)[0] for at in (x, empty))
        target = chosen(outputs, target)
        return target_outputs(outputs, target) - target_outputs(nothing, target)

    return program
