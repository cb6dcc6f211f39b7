"""Where in a feature map the evidence for an output lies."""

import functools
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from ..core import Layer, Network, capture, nudge, spec
from .targets import explained, images, score


def grad_cam(
    network: Network,
    x: Any,
    target: Any = None,
    *,
    path: str | None = None,
    batch_size: int = 32,
    resize: bool = True,
) -> np.ndarray:
    """Evidence for an output in a layer's feature map: ``[n, h, w, c] -> [n, h, w]``, from 0 up.

    The channels, weighted by the mean over positions of the output's gradient, are summed and cut
    off below zero (Selvaraju et al., 2016, arXiv:1610.02391). Values are not scaled.

    Example:
        >>> import fcnn, jax
        >>> from fcnn.core.network import start_network
        >>> from fcnn import conv, dense, global_avg_pool, relu, serial
        >>> x = jax.random.uniform(jax.random.key(0), (3, 8, 8, 1))
        >>> model = serial(conv(4, 3, 2), relu, conv(8), relu, global_avg_pool, dense(10))
        >>> network = start_network(model, jax.random.key(1), x)
        >>> fcnn.explain.grad_cam(network, x, path="conv2").shape
        (3, 8, 8)
        >>> fcnn.explain.grad_cam(network, x, path="conv2", resize=False).shape
        (3, 4, 4)

    Args:
        network: What ``fit`` returned.
        x: A batch of inputs.
        target: Which output to explain: a number, one for each example, or by default the
            predicted class.
        path: The layer whose output is the feature map; by default the last one to run whose
            output has more than one position.
        batch_size: Examples at a time.
        resize: Whether the maps are resized to the sides of the input, bilinearly.

    Raises:
        TypeError: ``target`` is neither None nor integers.
        ValueError: ``x`` does not fit the network, it has no such output, or no feature map is
            called ``path``; the possible paths are listed.
    """
    x = images(network, x)
    like = spec(np.zeros((1, *x.shape[1:]), x.dtype))
    path = _checked_path(path, _feature_maps(network.layer, like))
    return explained(_grad_cam(network.layer, path, resize), network, x, target, batch_size)


@functools.lru_cache(maxsize=64)  # a program for each layer and path that was asked lately
def _grad_cam(layer: Layer, path: str, resize: bool) -> Any:
    @jax.jit
    def program(params, state, x, target):
        def nudged(delta):
            outputs, _ = nudge(layer.apply, path)(delta, params, state, x)
            return score(outputs, target)

        features = capture(layer.apply)(params, state, x)[1][path]
        slope = jax.grad(nudged)(jnp.zeros_like(features))
        space = tuple(range(1, features.ndim - 1))
        weights = slope.astype(jnp.float32).mean(space, keepdims=True)
        maps = jax.nn.relu((weights * features.astype(jnp.float32)).sum(-1))
        return jax.image.resize(maps, x.shape[:-1], "linear") if resize else maps

    return program


def _checked_path(path: str | None, maps: tuple[tuple[str, int], ...]) -> str:
    if path is None:
        path = next((name for name, positions in reversed(maps) if positions > 1), None)
    if path not in dict(maps):
        what = "no layer has" if path is None else f"{path!r} is not the name of"
        names = ", ".join(name for name, _ in maps)
        raise ValueError(f"{what} a feature map; there are {names or 'none'}")
    return path


@functools.lru_cache(maxsize=64)
def _feature_maps(layer: Layer, like: jax.ShapeDtypeStruct) -> tuple[tuple[str, int], ...]:
    """The paths of outputs with spatial axes, as layers end, with the number of positions."""
    order: list[str] = []

    def outputs(x):
        found = capture(layer.apply)(*layer.init(random.key(0), like), x)[1]
        order.extend(found)
        return list(found.values())  # a dict would come back sorted

    maps = dict(zip(order, jax.eval_shape(outputs, like), strict=True))
    again = {path.rpartition("@")[0] for path in maps}  # whose map would it be?
    return tuple(
        (path, prod(y.shape[1:-1]))
        for path, y in maps.items()
        if len(getattr(y, "shape", ())) == len(like.shape) and path not in again and "@" not in path
    )
