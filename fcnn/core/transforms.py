"""Layer -> layer: the same two functions, run another way."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax, random

from .protocol import Layer, named_after
from .recipes import layer
from .scoping import describe, here, observers
from .shapes import out_spec, spec


@layer
def repeat(body: Layer, n: int) -> Layer:
    """``n`` copies in a row, compiled once; parameters gain a leading axis of size ``n``.

    Each copy has its own initial values and its own key. What happens inside stays inside: paths
    in there are not captured.

    Raises:
        ValueError: ``n`` is not a positive integer, or the body changes the shape of its input.
    """
    if not isinstance(body, Layer):
        raise TypeError(f"repeat takes a layer, got {body!r}")
    if not isinstance(n, int) or n < 1:
        raise ValueError(f"n must be a positive integer, got {n!r}")

    def init(key, x):
        x, y = spec(x), out_spec(body, x)
        if x != y:
            raise ValueError(
                f"{here('repeat')} needs a layer whose output is like its input; "
                f"{describe(x)} became {describe(y)}"
            )
        return jax.vmap(lambda key: body.init(key, x))(random.split(key, n))

    @named_after(repeat)
    def apply(params, state, x, *, train=False, key=None):
        keys = None if key is None else random.split(key, n)

        def step(x, copy):
            params, state, key = copy
            return body.apply(params, state, x, train=train, key=key)

        with observers():  # what happens inside a scan stays inside
            return lax.scan(step, x, (params, state, keys), length=n)

    return Layer(init, apply)


@layer
def remat(body: Layer) -> Layer:
    """The same layer; activations are computed again in the backward pass, not kept."""

    @named_after(remat)
    def apply(params, state, x, *, train=False, key=None):
        @jax.checkpoint
        def run(params, state, x, key):
            return body.apply(params, state, x, train=train, key=key)

        with observers():
            return run(params, state, x, key)

    return Layer(body.init, apply)


@layer
def frozen(body: Layer) -> Layer:
    """The same layer, without gradient and always in evaluation mode.

    Its parameters stay where they are, so an optimizer with weight decay still shrinks them: to
    freeze by path while training, use ``fit(trainable=...)``, which leaves them bit for bit alone.
    """

    @named_after(frozen)
    def apply(params, state, x, *, train=False, key=None):
        y, _ = body.apply(lax.stop_gradient(params), state, x)
        return y, state

    return Layer(body.init, apply)


@layer
def cast(dtype: Any) -> Layer:
    """Casts its input. Layers compute in the dtype they receive, so this sets the precision.

    Example:
        >>> import fcnn
        >>> net = fcnn.serial(fcnn.conv(8), fcnn.relu)
        >>> fcnn.serial(fcnn.cast("bfloat16"), net, fcnn.cast("float32"))
        serial(cast('bfloat16'), serial(conv(8), relu), cast('float32'))

    Raises:
        TypeError: there is no such dtype.
    """
    dtype = jnp.dtype(dtype)

    @named_after(cast)
    def apply(params, state, x, *, train=False, key=None):
        return jax.tree.map(lambda leaf: leaf.astype(dtype), x), state

    return Layer(lambda key, x: ({}, {}), apply)
