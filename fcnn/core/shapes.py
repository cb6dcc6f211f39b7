"""Shape inference: run the layer on shapes."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

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
        dtype = leaf.dtype
        if not jax.dtypes.issubdtype(dtype, jax.dtypes.extended):  # keys stay what they are
            dtype = jax.dtypes.canonicalize_dtype(dtype)
        return jax.ShapeDtypeStruct(leaf.shape, dtype)

    return jax.tree.map(of, x)


def out_spec(layer: Layer, x: Any, *, made_for: Any = None) -> Any:
    """Shape and dtype of the output of ``layer`` for inputs like ``x``; computes nothing.

    Args:
        made_for: What the parameters are initialised for, where it is not ``x``.
    """
    x = spec(x)
    leaves, treedef = jax.tree.flatten((x, x if made_for is None else spec(made_for)))
    settings = jax.config.jax_enable_x64, jax.config.jax_numpy_dtype_promotion
    return _out_spec(layer, treedef, tuple(leaves), settings)


@functools.lru_cache(maxsize=4096)  # every level of nesting asks again
def _out_spec(layer, treedef, leaves, settings):
    x, made_for = jax.tree.unflatten(treedef, leaves)

    def run(key, x):
        params, state = layer.init(key, made_for)
        return layer.apply(params, state, x)[0]

    with observers():
        own = getattr(layer.apply, "gives", None)
        if x == made_for and own and own[:2] == (layer.init, layer.apply):
            return own.shapes(x)
        return jax.eval_shape(run, random.key(0), x)


class _Gives(NamedTuple):
    init: Any
    apply: Any
    shapes: Callable[[Any], Any]


def giving(init: Any, apply: Any, shapes: Callable[[Any], Any]) -> Layer:
    """The layer of a pair of functions that knows what it gives without drawing its values:
    ``shapes(x)``. That is known of this pair alone, not of a layer that shares one of the two.
    """
    apply.gives = _Gives(init, apply, shapes)
    return Layer(init, apply)
