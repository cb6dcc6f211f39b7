"""What is explained: which output for which examples, in batches of one size.

An explanation is a jitted program ``(params, state, x, target) -> map`` for a batch. Any number of
examples runs through one compilation: the last batch is filled up and the filling is cut off again.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Layer, Network, describe, spec


def explained(
    program: Callable[..., jax.Array],
    network: Network,
    x: np.ndarray,
    target: Any,
    batch_size: int,
    *each: np.ndarray,
) -> np.ndarray:
    """The maps of all examples ``x``, which ``images`` has checked, as float32.

    Args:
        program: Takes, beside what the module's docstring names, its rows of ``each``.
        each: More that belongs to the examples, ``[n, ...]``.

    Raises:
        TypeError: ``target`` is neither None nor integers.
        ValueError: a target is none of the outputs, there are not as many as examples, or
            ``batch_size`` is not positive.
    """
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size must be a positive integer, got {batch_size!r}")
    outputs = outputs_for(network, x)
    target = None if target is None else _checked(target, len(x), outputs.shape[-1])

    def run(rows):
        chosen = None if target is None else target[rows]
        parts = [part[rows] for part in each]
        maps = program(network.params, network.state, x[rows], chosen, *parts)
        return np.asarray(maps, np.float32)

    if not len(x):
        like, *parts = (np.zeros((1, *part.shape[1:]), part.dtype) for part in (x, *each))
        shape = jax.eval_shape(program, network.params, network.state, like, None, *parts).shape
        return np.zeros((0, *shape[1:]), np.float32)
    starts = np.arange(0, len(x), batch_size)
    rows = np.minimum(starts[:, None] + np.arange(batch_size), len(x) - 1)
    return np.concatenate([run(batch) for batch in rows])[: len(x)]


def images(network: Network, x: Any) -> np.ndarray:
    """A batch of inputs as a floating array: images, signals or volumes, channels last.

    Raises:
        ValueError: it has not the rank or the channels that the network was made for.
    """
    x = np.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        x = x.astype(np.float32)
    if x.ndim < 3:
        raise ValueError(f"expected images [n, height, width, channels], got {list(x.shape)}")
    one = x.shape[1:] if network.input is None else network.input.shape
    if x.ndim != len(one) + 1 or x.shape[-1:] != one[-1:]:
        hint = "; for one example write x[None]" if x.ndim == len(one) else ""
        takes = ", ".join(map(str, ("n", *one)))
        raise ValueError(f"the network takes inputs [{takes}], got {list(x.shape)}{hint}")
    return x


def baselines(baseline: Any, x: np.ndarray) -> np.ndarray:
    """Inputs that say nothing, a row for each example, with axes of 1 where values are the same.

    Raises:
        ValueError: ``baseline`` is not a number, one for each channel, one input, or one for each
            example.
    """
    given = np.asarray(baseline, x.dtype)
    try:
        np.broadcast_to(given, x.shape)
    except ValueError:
        raise ValueError(
            f"a baseline is a number, one for each of {x.shape[-1]} channels, one input "
            f"{list(x.shape[1:])}, or one for each of {len(x)} examples, "
            f"got shape {list(given.shape)}"
        ) from None
    given = given.reshape(*(1 for _ in range(x.ndim - given.ndim)), *given.shape)
    return np.broadcast_to(given, (len(x), *given.shape[1:]))


def outputs_for(network: Network, x: np.ndarray) -> jax.ShapeDtypeStruct:
    """Shape and dtype of the raw output for one example.

    Raises:
        ValueError: it is not one number for each class.
    """
    like = spec(np.zeros((1, *x.shape[1:]), x.dtype))
    outputs, _ = jax.eval_shape(network.layer.apply, network.params, network.state, like)
    if not hasattr(outputs, "shape") or len(outputs.shape) != 2:
        raise ValueError(f"only outputs [n, classes] are explained, got {describe(outputs)}")
    return outputs


def chosen(outputs: jax.Array, target: jax.Array | None) -> jax.Array:
    """The target of each example: by default the predicted class."""
    return outputs.argmax(-1) if target is None else target


def target_outputs(outputs: jax.Array, target: jax.Array | None) -> jax.Array:
    """The raw output of each example's target: ``[n, classes] -> [n]``."""
    return jnp.take_along_axis(outputs, chosen(outputs, target)[:, None], -1)[:, 0]


def score(outputs: jax.Array, target: jax.Array | None) -> jax.Array:
    """The sum over examples of the target's raw output; by default that of the predicted class.

    An example's output depends on itself alone, so the gradient of the sum is each one's own.
    """
    return target_outputs(outputs, target).sum()


def slopes(
    layer: Layer, params: Any, state: Any, x: jax.Array, target: jax.Array | None
) -> jax.Array:
    """The gradient of each target's raw output by its input: ``[n, ..., c] -> [n, ..., c]``."""
    return jax.grad(lambda x: score(layer.apply(params, state, x)[0], target))(x)


def folded(maps: np.ndarray, channels: bool) -> np.ndarray:
    """Signed maps ``[n, ..., c]`` as they are, or summed over channels, which keeps their total."""
    return maps if channels else maps.sum(-1)


def _checked(target: Any, n: int, outputs: int) -> np.ndarray:
    given = np.asarray(target)
    if given.dtype.kind not in "iu" and given.size:
        raise TypeError(f"target must be None, an integer or {n} integers, got {target!r}")
    if given.shape not in ((), (n,)):
        got = f"got shape {given.shape}"
        raise ValueError(f"target must be one integer or one for each of {n} examples, {got}")
    if (wrong := given[(given < 0) | (given >= outputs)]).size:
        raise ValueError(f"there is no output {wrong[0]}; the network has {outputs}, from 0")
    return np.broadcast_to(given, n).astype(np.int32)
