"""Inputs that a network answers to most strongly: what a unit has learnt to look for."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax, random

from ..core import Layer, Network, up_to
from ..ops.windows import positive


def activation_maximisation(
    network: Network,
    channel: int | Sequence[int],
    path: str | None = None,
    *,
    shape: Sequence[int] | None = None,
    limits: tuple[float, float] = (0.0, 1.0),
    steps: int = 256,
    rate: float = 0.05,
    shift: int | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Inputs that make outputs or channels large: ``[k, h, w, c]``, one for each channel.

    Adam climbs from noise. The input is a sum of waves, the longer the larger, squeezed between the
    limits by a sigmoid, and is shifted at random before every step: without the two, the result is
    a fine noise that no picture holds (Olah et al., 2017, doi:10.23915/distill.00007).

    Example:
        >>> import fcnn, jax
        >>> from fcnn.core.network import start_network
        >>> from fcnn import conv, dense, flatten, relu, serial
        >>> x = jax.ShapeDtypeStruct((1, 8, 8, 1), "float32")
        >>> network = start_network(serial(conv(4), relu, flatten, dense(10)), jax.random.key(1), x)
        >>> x = fcnn.explain.activation_maximisation(network, [0, 3], "conv1", shape=(8, 8, 1))
        >>> x.shape
        (2, 8, 8, 1)

    Args:
        network: What ``fit`` returned.
        channel: Of the layer's output, one or several; its mean over positions is what grows.
        path: The layer, by the names that lead to it; by default the raw outputs of the network,
            whose channels are the classes.
        shape: Of an input, where the network does not know it or takes any.
        limits: The smallest and the largest value of an input.
        steps: How many are climbed.
        rate: The learning rate of Adam.
        shift: The longest shift before a step, in positions; by default a sixteenth of each side.
        seed: Of the noise and the shifts.

    Raises:
        ValueError: there is no such channel, no output has that path, the shape is not known, or
            an option is out of range.
    """
    if shape is None and network.input is None:
        raise ValueError("the network does not know its input; say shape=(height, width, channels)")
    shape = tuple(network.input.shape if shape is None else shape)
    if not 2 <= len(shape) <= 4:
        raise ValueError(f"an input has the shape (height, width, channels), got {shape}")
    positive(steps=steps)
    low, high = limits
    if not low < high:
        raise ValueError(f"limits are the smallest and the largest value, got {limits!r}")
    if not rate > 0:
        raise ValueError(f"rate must be positive, got {rate!r}")
    if shift is not None and shift < 0:
        raise ValueError(f"shift must be a number of positions from 0 up, got {shift!r}")
    channels = np.atleast_1d(np.asarray(channel))
    layer = network.layer if path is None else _part(network.layer, path)
    like = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    outputs, _ = jax.eval_shape(layer.apply, network.params, network.state, like)
    count = outputs.shape[-1]
    whole = channels.dtype.kind in "iu" and channels.ndim == 1
    if not whole or not ((channels >= 0) & (channels < count)).all():
        raise ValueError(f"channels are integers from 0 to {count - 1}, got {channel!r}")
    shifts = tuple(side // 16 if shift is None else shift for side in shape[:-1])
    options = np.asarray(limits, np.float32), np.float32(rate), random.key(seed)
    climb = _climb(layer, shape, shifts, steps)
    return np.asarray(climb(network.params, network.state, channels.astype(np.int32), *options))


@functools.lru_cache(maxsize=64)  # one layer for each path, that programs are kept by
def _part(layer: Layer, path: str) -> Layer:
    return up_to(layer, path)


@functools.lru_cache(maxsize=64)  # a program for each layer that was asked lately
def _climb(layer: Layer, shape: tuple[int, ...], shifts: tuple[int, ...], steps: int) -> Any:
    *space, _ = shape
    axes = tuple(range(1, len(shape)))
    lengths = [np.fft.fftfreq(side) for side in space[:-1]] + [np.fft.rfftfreq(space[-1])]
    frequency = np.sqrt(sum(np.square(each) for each in np.meshgrid(*lengths, indexing="ij")))
    scale = np.sqrt(np.prod(space)) / np.maximum(frequency, 1 / max(space))
    scale = np.float32(scale)[..., None]

    def picture(waves, limits):
        x = jnp.fft.irfftn(scale * lax.complex(*waves), s=space, axes=axes)
        return limits[0] + (limits[1] - limits[0]) * jax.nn.sigmoid(x)

    @jax.jit
    def climb(params, state, channels, limits, rate, key):
        optimizer = optax.adam(rate)
        noise, moves = random.split(key)
        size = 2 * len(channels) * scale.size * shape[-1]
        waves = 0.01 * random.normal(noise, (size,))
        waves = waves.reshape(2, len(channels), *scale.shape[:-1], shape[-1])

        def fall(waves, move):
            x = jnp.roll(picture(waves, limits), move, axes)
            y = layer.apply(params, state, x)[0]
            one = channels.reshape(-1, *(1 for _ in y.shape[1:]))
            y = jnp.take_along_axis(y, one, -1).astype(jnp.float32)
            return -y.mean(tuple(range(1, y.ndim))).sum()

        def step(carry, key):
            waves, memory = carry
            most = jnp.array(shifts)
            move = random.randint(key, most.shape, -most, most + 1)
            change, memory = optimizer.update(jax.grad(fall)(waves, move), memory)
            return (optax.apply_updates(waves, change), memory), None

        start = waves, optimizer.init(waves)
        (waves, _), _ = lax.scan(step, start, random.split(moves, steps))
        return picture(waves, limits)

    return climb
