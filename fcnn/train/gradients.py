"""Gradients taken in other ways: in parts that need less memory, and for a flatter minimum.

A gradient is a function ``(params, state, batch, key) -> ((total, (state, values)), grads)``: the
loss, the state and the figures after the batch, and the gradient by ``params``. Each function here
makes one of another.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax, random

Gradient = Callable[[Any, Any, Mapping[str, Any], jax.Array], Any]


def check_ways(sharpness: Any, accumulate: Any, size: int) -> None:
    """Refuses a radius that is none, and parts that a batch of this size has not."""
    number = isinstance(sharpness, int | float) and not isinstance(sharpness, bool)
    if sharpness is not None and not (number and 0 < sharpness < math.inf):
        raise ValueError(f"sharpness is a radius above 0, such as 0.05, got {sharpness!r:.80}")
    if isinstance(accumulate, bool) or not isinstance(accumulate, int) or accumulate < 1:
        raise ValueError(f"accumulate must be a positive integer, got {accumulate!r:.80}")
    if size % accumulate:
        raise ValueError(
            f"a batch of {size} has no {accumulate} equal parts; give a batch_size that "
            f"accumulate={accumulate} divides"
        )


def in_parts(gradient: Gradient, parts: int) -> Gradient:
    """The gradient of a batch, computed in equal parts one after the other and added up.

    The activations are those of one part. Each part counts by its weight in the batch, so that the
    sums are those of the whole. What looks at several examples sees those of a part: a batch norm,
    whose running statistics follow part after part. Where the number of examples is no multiple of
    ``parts`` there are fewer.
    """

    def summed(params, state, batch, key):
        n = len(jax.tree.leaves(batch["x"])[0])
        count = math.gcd(parts, n)
        weight = batch.get("weight", jnp.ones(n, jnp.float32))
        pieces = jax.tree.map(
            lambda column: column.reshape(count, n // count, *column.shape[1:]),
            {"x": batch["x"], "y": batch["y"], "weight": weight},
        )
        weights = pieces["weight"].sum(1)
        total = weights.sum()
        shares = jnp.where(total == 0, 1 / count, weights / jnp.where(total == 0, 1, total))

        def part(number, piece, share, state):
            found, grads = gradient(params, state, piece, random.fold_in(key, number))
            loss, (state, values) = found
            return state, jax.tree.map(lambda leaf: leaf * share, ((loss, values), grads))

        def add(carry, given):
            state, sums = carry
            state, found = part(*given, state)
            return (state, jax.tree.map(jnp.add, sums, found)), None

        given = (jnp.arange(count), pieces, shares)
        first = jax.tree.map(lambda leaf: leaf[0], given)
        _, like = jax.eval_shape(part, *first, state)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)
        (state, ((loss, values), grads)), _ = lax.scan(add, (state, zeros), given)
        grads = jax.tree.map(lambda g, p: g.astype(p.dtype), grads, params)
        return (loss, (state, values)), grads

    return summed


def uphill(gradient: Gradient, radius: float) -> Gradient:
    """The gradient where the loss is worst near by: sharpness-aware minimisation, SAM
    (Foret et al., 2021, arXiv:2010.01412).

    The first gradient g says where that is: at ``params + radius * g / |g|``, with the norm over
    all parameters. The second is taken there, on the same batch and with the same randomness. Loss,
    figures and running statistics are those of the first.
    """

    def worst(params, state, batch, key):
        found, grads = gradient(params, state, batch, key)
        norm = jnp.sqrt(sum(jnp.vdot(g, g).real for g in map(_wide, jax.tree.leaves(grads))))
        scale = radius / jnp.where(norm == 0, 1, norm)
        there = jax.tree.map(lambda p, g: p + (scale * _wide(g)).astype(p.dtype), params, grads)
        _, grads = gradient(there, state, batch, key)
        return found, grads

    return worst


def _wide(leaf: jax.Array) -> jax.Array:
    return leaf.astype(jnp.float32) if leaf.dtype.itemsize < 4 else leaf
