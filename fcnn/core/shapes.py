"""Shape inference: run the layer on shapes."""

import functools
from typing import Any

import jax
import numpy as np
from jax import random

from .protocol import Layer
from .scoping import observers


def spec(x: Any) -> Any:
    """The shapes and dtypes of ``x``; leaves may be arrays, ShapeDtypeStructs or Python numbers."""

    def of(leaf):
        if not hasattr(leaf, "dtype"):
            leaf = np.asarray(leaf)
        return jax.ShapeDtypeStruct(leaf.shape, jax.dtypes.canonicalize_dtype(leaf.dtype))

    return jax.tree.map(of, x)


def out_spec(layer: Layer, x: Any) -> Any:
    """Shape and dtype of the output of ``layer`` for inputs like ``x``; computes nothing."""
    leaves, treedef = jax.tree.flatten(spec(x))
    return _out_spec(layer, treedef, tuple(leaves))


@functools.lru_cache(maxsize=4096)  # every level of nesting asks again
def _out_spec(layer, treedef, leaves):
    x = jax.tree.unflatten(treedef, leaves)

    def run(key, x):
        params, state = layer.init(key, spec(x))
        return layer.apply(params, state, x)[0]

    with observers():
        return jax.eval_shape(run, random.key(0), x)
