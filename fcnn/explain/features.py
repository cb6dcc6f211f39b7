"""What a network has learnt to see: the outputs of its layers, and their filters."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ..core import Layer, Network, Params, State, describe, spec, trees, visits
from .perturbations import in_batches
from .targets import images


def feature_maps(network: Network, x: Any, path: str, *, batch_size: int = 32) -> np.ndarray:
    """The output of a layer for examples: ``[n, h, w, c] -> [n, h', w', c']``, or ``[n, c']``.

    Example:
        >>> import fcnn, jax
        >>> from fcnn.core.network import start_network
        >>> from fcnn import conv, dense, flatten, relu, serial
        >>> x = jax.random.uniform(jax.random.key(0), (3, 8, 8, 1))
        >>> network = start_network(serial(conv(4), relu, flatten, dense(10)), jax.random.key(1), x)
        >>> fcnn.explain.feature_maps(network, x, "relu1").shape
        (3, 8, 8, 4)

    Args:
        network: What ``fit`` returned.
        x: A batch of inputs.
        path: The layer, by the names that lead to it.
        batch_size: Examples at a time.

    Raises:
        ValueError: ``x`` does not fit the network, or no output has that path; the paths are
            listed.
    """
    return features(network, images(network, x), _maps(network.layer, path), batch_size)


def filters(network: Network, path: str) -> np.ndarray:
    """The filters of a layer, one after another: kernel ``[h, w, c, n] -> [n, h, w, c]``.

    Args:
        network: What ``fit`` returned.
        path: The layer, by the names that lead to it.

    Raises:
        ValueError: it has no kernel; the layers that have one are listed.
    """
    places = (name.rpartition("/") for name in trees.flat(network.params))
    having = [layer for layer, _, name in places if name == "kernel"]
    if path not in having:
        names = ", ".join(having) or "none"
        raise ValueError(f"{path!r} is not the name of a layer with a kernel; there are {names}")
    kernel = trees.flat(network.params)[f"{path}/kernel" if path else "kernel"]
    return np.moveaxis(np.asarray(kernel, np.float32), -1, 0)


def features(
    network: Network, x: np.ndarray, program: Callable[..., jax.Array], batch_size: int
) -> np.ndarray:
    """What the jitted ``program(params, state, x)`` gives for examples, float32 ``[n, ...]``."""
    if not len(x):
        one = spec(np.zeros((1, *x.shape[1:]), x.dtype))
        shape = jax.eval_shape(program, network.params, network.state, one).shape
        return np.zeros((0, *shape[1:]), np.float32)

    def run(rows):
        return program(network.params, network.state, x[rows])

    return in_batches(run, len(x), batch_size).astype(np.float32)


def output_at(layer: Layer, path: str | None, params: Params, state: State, x: Any) -> jax.Array:
    """The output at a path; without one, what goes into the last layer with parameters.

    Raises:
        ValueError: there is none; or it is not one array with a batch axis.
    """
    _, seen = visits(layer.apply)(params, state, x)
    parents = {visit.path.rpartition("/")[0] for visit in seen}
    if path is None:
        leaves = [visit for visit in seen if visit.path not in parents]
        last = [visit.x for visit in leaves if jax.tree.leaves(visit.params)]
        found = last[-1:]
    else:
        found = [visit.y for visit in seen if visit.path == path][:1]
    if not found:
        what = "no layer has parameters" if path is None else f"no output is called {path!r}"
        names = ", ".join(dict.fromkeys(visit.path for visit in seen))
        raise ValueError(f"{what}; there are {names or 'none'}")
    if not getattr(found[0], "ndim", 0):
        raise ValueError(f"features are one array [n, ..., c], got {describe(found[0])}")
    return found[0]


@functools.lru_cache(maxsize=64)  # a program for each layer and path that was asked lately
def _maps(layer: Layer, path: str) -> Any:
    return jax.jit(functools.partial(output_at, layer, path))
