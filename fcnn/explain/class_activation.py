"""Where in a feature map the evidence for an output lies.

A feature map is the output of any layer with positions, by its path. Each method weighs its
channels in its own way, sums them, and cuts off below zero; values are not scaled.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from ..core import Layer, Network, capture, nudge, spec
from .rectifiers import guided_backprop
from .targets import chosen, explained, folded, images, score, target_outputs


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
    return _cam(partial(_weighed, _mean_slope), network, x, target, path, batch_size, resize)


def grad_cam_plus_plus(
    network: Network,
    x: Any,
    target: Any = None,
    *,
    path: str | None = None,
    batch_size: int = 32,
    resize: bool = True,
) -> np.ndarray:
    """Grad-CAM that does not prefer one large object to several small ones: ``[n, h, w]``.

    A channel's weight is a sum of positive gradients, each weighted by how much the position
    explains (Chattopadhyay et al., 2017, arXiv:1710.11063, equation 19, for the exponential of the
    output, without the factor that all weights share). Arguments and errors are those of
    ``grad_cam``.
    """
    return _cam(partial(_weighed, _plus_plus), network, x, target, path, batch_size, resize)


def layer_cam(
    network: Network,
    x: Any,
    target: Any = None,
    *,
    path: str | None = None,
    batch_size: int = 32,
    resize: bool = True,
) -> np.ndarray:
    """Grad-CAM with a weight for each position, sharp in early layers too: ``[n, h, w]``.

    The weight is the gradient there, if it is positive (Jiang et al., 2021, "LayerCAM: Exploring
    Hierarchical Class Activation Maps for Localization"). Arguments and errors are those of
    ``grad_cam``.
    """
    return _cam(partial(_weighed, _positive_slope), network, x, target, path, batch_size, resize)


def score_cam(
    network: Network,
    x: Any,
    target: Any = None,
    *,
    path: str | None = None,
    batch_size: int = 32,
    resize: bool = True,
) -> np.ndarray:
    """Evidence without a gradient: what the network says of each channel's part of the picture.

    ``[n, h, w, c] -> [n, h, w]``. Each channel, resized and scaled from 0 to 1, masks the input;
    the softmax over channels of the target's outputs gives the weights (Wang et al., 2019,
    arXiv:1910.01279). It costs a forward pass for each channel. Arguments and errors are those of
    ``grad_cam``.
    """
    return _cam(_score_cam, network, x, target, path, batch_size, resize)


def guided_grad_cam(
    network: Network,
    x: Any,
    target: Any = None,
    *,
    path: str | None = None,
    channels: bool = False,
    batch_size: int = 32,
) -> np.ndarray:
    """Guided backpropagation where Grad-CAM finds evidence: ``[n, h, w, c] -> [n, h, w]``, signed.

    The product of ``guided_backprop`` and ``grad_cam`` (Selvaraju et al., 2016, arXiv:1610.02391),
    whose arguments and errors it has.
    """
    maps = grad_cam(network, x, target, path=path, batch_size=batch_size)
    details = guided_backprop(network, x, target, channels=True, batch_size=batch_size)
    return folded(details * maps[..., None], channels)


def _cam(make, network, x, target, path, batch_size, resize):
    x = images(network, x)
    like = spec(np.zeros((1, *x.shape[1:]), x.dtype))
    path = _checked_path(path, _feature_maps(network.layer, like))
    return explained(make(network.layer, path, resize), network, x, target, batch_size)


@lru_cache(maxsize=64)  # a program for each layer and path that was asked lately
def _weighed(weigh: Callable, layer: Layer, path: str, resize: bool) -> Any:
    """``weigh(features, slope)``: weights from the features and the gradient by them."""

    @jax.jit
    def program(params, state, x, target):
        like = jax.eval_shape(capture(layer.apply), params, state, x)[1][path]

        def nudged(delta):
            (outputs, _), found = capture(nudge(layer.apply, path))(delta, params, state, x)
            return score(outputs, target), found[path]

        slope, features = jax.grad(nudged, has_aux=True)(jnp.zeros(like.shape, like.dtype))
        slope, features = slope.astype(jnp.float32), features.astype(jnp.float32)
        maps = jax.nn.relu((weigh(features, slope) * features).sum(-1))
        return _resized(maps, x.shape[1:-1]) if resize else maps

    return program


def _mean_slope(features: jax.Array, slope: jax.Array) -> jax.Array:
    return slope.mean(_space(slope), keepdims=True)


def _plus_plus(features: jax.Array, slope: jax.Array) -> jax.Array:
    space = _space(slope)
    below = 2 + features.sum(space, keepdims=True) * slope  # of equation 19, both parts over slope²
    alpha = 1 / jnp.where(below == 0, 1, below)
    return (alpha * jax.nn.relu(slope)).sum(space, keepdims=True)


def _positive_slope(features: jax.Array, slope: jax.Array) -> jax.Array:
    return jax.nn.relu(slope)


@lru_cache(maxsize=64)
def _score_cam(layer: Layer, path: str, resize: bool) -> Any:
    @jax.jit
    def program(params, state, x, target):
        (outputs, _), captured = capture(layer.apply)(params, state, x)
        target, features = chosen(outputs, target), captured[path].astype(jnp.float32)

        def output_of(channel):
            mask = _resized(channel, x.shape[1:-1])
            low, high = (f(mask, _space(x), keepdims=True) for f in (jnp.min, jnp.max))
            mask = (mask - low) / jnp.where(high > low, high - low, 1)
            masked = x * mask[..., None].astype(x.dtype)
            return target_outputs(layer.apply(params, state, masked)[0], target)

        scores = lax.map(output_of, jnp.moveaxis(features, -1, 0))
        weights = jax.nn.softmax(scores.astype(jnp.float32), axis=0)
        maps = jax.nn.relu(jnp.einsum("cn,n...c->n...", weights, features))
        return _resized(maps, x.shape[1:-1]) if resize else maps

    return program


def _space(x: jax.Array) -> tuple[int, ...]:
    return tuple(range(1, x.ndim - 1))


def _resized(maps: jax.Array, sides: tuple[int, ...]) -> jax.Array:
    return jax.image.resize(maps, (len(maps), *sides), "linear")


def _checked_path(path: str | None, maps: tuple[tuple[str, int], ...]) -> str:
    if path is None:
        path = next((name for name, positions in reversed(maps) if positions > 1), None)
    if path not in dict(maps):
        what = "no layer has" if path is None else f"{path!r} is not the name of"
        names = ", ".join(name for name, _ in maps)
        raise ValueError(f"{what} a feature map; there are {names or 'none'}")
    return path


@lru_cache(maxsize=64)
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
