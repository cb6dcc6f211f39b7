"""Attention: every position looks at every other."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Layer, describe, here, layer, lazy, wire
from ..ops.windows import positive
from .linear import dense
from .regularization import dropout


@layer
def attention(
    heads: int = 8, *, features: int | None = None, causal: bool = False, rate: float = 0.0
) -> Layer:
    """Multi-head attention (Vaswani et al., 2017, arXiv:1706.03762).

    ``[n, length, c] -> [n, length, features]`` is self-attention; for a pair ``(query, context)``,
    the query looks at the context. The softmax runs in float32. ``capture`` shows the weights,
    ``[n, heads, length, length of the context]``, as the output of the child ``weights``.

    Args:
        heads: How many looks at once, each of width ``features / heads``.
        features: The width of the projections and of the output; that of the query if not given.
        causal: No position looks at later ones.
        rate: The probability of dropping a weight in training.

    Raises:
        ValueError: an option is out of range; or, from ``init``, the input is not
            ``[n, length, c]``, or ``heads`` do not divide the width.
    """
    positive(heads=heads)
    if features is not None:
        positive(features=features)
        if features % heads:
            raise ValueError(f"{heads} heads do not divide {features} features")
    drop = dropout(rate)

    def attention(f, x):
        query, context = _pair(x)
        q, k, v = (
            y.reshape(*y.shape[:-1], heads, -1)
            for y in (f.query(query), f.key(context), f.value(context))
        )
        wide = np.promote_types(q.dtype, np.float32)
        logits = jnp.einsum("nqhd,nkhd->nhqk", q, k, preferred_element_type=wide)
        logits = logits / math.sqrt(q.shape[-1])
        if causal:
            logits = jnp.where(jnp.tri(*logits.shape[-2:], dtype=bool), logits, -jnp.inf)
        weights = f.weights(jax.nn.softmax(logits).astype(v.dtype))
        return f.out(jnp.einsum("nhqk,nkhd->nqhd", weights, v).reshape(*query.shape[:-1], -1))

    def make(x):
        query, context = _pair(x)
        width = features or query.shape[-1]
        if width % heads:
            raise ValueError(f"{here('attention')}: {heads} heads do not divide {width} features")
        if causal and query.shape[1] != context.shape[1]:
            raise ValueError(
                f"{here('attention')} is causal: the query and its context must be of one length, "
                f"got {query.shape[1]} and {context.shape[1]}"
            )
        projection = dense(width, kernel_init="glorot_uniform")
        projections = dict.fromkeys(("query", "key", "value", "out"), projection)
        return wire(attention, weights=drop, **projections)

    return lazy(make)


def _pair(x: Any) -> tuple[Any, Any]:
    parts = x if isinstance(x, tuple | list) else (x, x)
    if len(parts) != 2 or any(part.ndim != 3 for part in parts):
        raise ValueError(
            f"{here('attention')} needs [n, length, c], or a pair (query, context) of these, got "
            f"{describe(x)}; for pictures, put reshape(-1, c) before it"
        )
    return tuple(parts)
