"""Integers to vectors."""

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Layer, here, layer, stateless
from ..ops.windows import positive
from .initializers import normal


@layer
def embedding(vocabulary: int, features: int) -> Layer:
    """One learned vector for each integer: ``[...] -> [..., features]``, in float32.

    Vectors begin standard normal, as in PyTorch.

    Integers outside 0 to ``vocabulary - 1`` have no vector. Where the values can be seen, outside
    of ``jit``, they are an error; inside they give NaN, never the vector of another integer.

    Example:
        >>> import jax
        >>> from fcnn import embedding
        >>> words = embedding(1000, 8)
        >>> params, _ = words.init(jax.random.key(0), jax.ShapeDtypeStruct((2, 5), "int32"))
        >>> words.apply(params, {}, jax.numpy.zeros((2, 5), int))[0].shape
        (2, 5, 8)

    Raises:
        ValueError: a size is not a positive integer; or an integer is out of range.
        TypeError: the input does not hold integers.
    """
    positive(vocabulary=vocabulary, features=features)

    def init(key, x):
        _check_integers(x)
        return {"kernel": normal(key, (vocabulary, features), stddev=1.0)}

    def apply(params, x):
        _check_integers(x)
        if not isinstance(x, jax.core.Tracer):
            _check_range(np.asarray(x), vocabulary)
        kernel = params["kernel"]
        return kernel.at[x].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)

    return stateless(init, apply)


def _check_integers(x):
    if not jnp.issubdtype(x.dtype, jnp.integer):
        raise TypeError(f"{here('embedding')} takes integers, got {x.dtype.name}")


def _check_range(x, vocabulary):
    outside = x[(x < 0) | (x >= vocabulary)]
    if outside.size:
        raise ValueError(
            f"{here('embedding')} has vectors for 0 to {vocabulary - 1}, got {outside.flat[0]}"
            + (f" and {outside.size - 1} others outside" if outside.size > 1 else "")
        )
