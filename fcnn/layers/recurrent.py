"""Recurrent layers: one step after another along the axis of time, ``[n, length, c]``.

The product with the input is one dot for all steps; only that with the hidden state is in the loop.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax, random

from ..core import Layer, here, layer, stateless
from ..ops.windows import floating, positive
from .initializers import glorot_uniform, orthogonal


@layer
def lstm(features: int, *, sequences: bool = False, reverse: bool = False) -> Layer:
    """Long short-term memory: ``[n, length, c] -> [n, features]``, the hidden state at the end.

    (Hochreiter and Schmidhuber, 1997; with the forget gate of Gers et al., 2000, open at first.)
    Gates stand beside each other in the order of PyTorch: input, forget, cell, output.

    Args:
        features: The width of the hidden state.
        sequences: Give the hidden state of each step: ``[n, length, features]``.
        reverse: From the last step to the first; each state stays at its step.

    Raises:
        ValueError: ``features`` is not a positive integer; or, from ``init``, the input has another
            rank.
    """
    positive(features=features)

    def init(key, x):
        params = _start("lstm", key, x, features, gates=4)
        forget = slice(features, 2 * features)
        return {**params, "bias": params["bias"].at[forget].set(1)}

    def apply(params, x):
        x = jnp.asarray(x)
        recurrent = params["recurrent_kernel"].astype(x.dtype)

        def step(carry, inner):
            h, c = carry
            i, f, g, o = jnp.split(inner + h @ recurrent, 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return jax.nn.sigmoid(o) * jnp.tanh(c), c

        zero = jnp.zeros((x.shape[0], features), x.dtype)
        return _unroll(step, (zero, zero), params, x, sequences, reverse)

    return stateless(init, apply)


@layer
def gru(features: int, *, sequences: bool = False, reverse: bool = False) -> Layer:
    """Gated recurrent unit: ``[n, length, c] -> [n, features]``, with the options of ``lstm``.

    (Cho et al., 2014, arXiv:1406.1078.) As in PyTorch the gates stand in the order reset, update,
    new, and the reset gate acts after the product with the hidden state, which has a
    ``recurrent_bias`` of its own.

    Raises:
        ValueError: ``features`` is not a positive integer; or, from ``init``, the input has another
            rank.
    """
    positive(features=features)

    def init(key, x):
        params = _start("gru", key, x, features, gates=3)
        return {**params, "recurrent_bias": jnp.zeros_like(params["bias"])}

    def apply(params, x):
        x = jnp.asarray(x)
        recurrent = params["recurrent_kernel"].astype(x.dtype)
        bias = params["recurrent_bias"].astype(x.dtype)

        def step(carry, inner):
            (h,) = carry
            r, z, n = jnp.split(inner, 3, -1)
            hr, hz, hn = jnp.split(h @ recurrent + bias, 3, -1)
            z = jax.nn.sigmoid(z + hz)
            n = jnp.tanh(n + jax.nn.sigmoid(r + hr) * hn)
            return ((1 - z) * n + z * h,)

        zero = jnp.zeros((x.shape[0], features), x.dtype)
        return _unroll(step, (zero,), params, x, sequences, reverse)

    return stateless(init, apply)


def _start(name: str, key: jax.Array, x: Any, features: int, gates: int) -> dict[str, jax.Array]:
    if x.ndim != 3:
        raise ValueError(f"{here(name)} needs input [n, length, c], got {x.shape}")
    floating(x, here(name))
    key, *keys = random.split(key, 1 + gates)
    recurrent = [orthogonal(key, (features, features)) for key in keys]
    return {
        "kernel": glorot_uniform(key, (x.shape[-1], gates * features)),
        "recurrent_kernel": jnp.concatenate(recurrent, -1),
        "bias": jnp.zeros(gates * features, jnp.float32),
    }


def _unroll(
    step: Callable,
    start: tuple[jax.Array, ...],
    params: dict[str, jax.Array],
    x: jax.Array,
    sequences: bool,
    reverse: bool,
) -> jax.Array:
    """Runs ``step(carry, inner) -> carry`` over time; the first part of the carry is the output."""
    inner = x @ params["kernel"].astype(x.dtype) + params["bias"].astype(x.dtype)

    def one(carry, inner):
        carry = step(carry, inner)
        return carry, carry[0] if sequences else None

    carry, outputs = lax.scan(one, start, inner.swapaxes(0, 1), reverse=reverse)
    return outputs.swapaxes(0, 1) if sequences else carry[0]
