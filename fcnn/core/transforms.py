"""Layer -> layer: the same two functions, run another way."""

from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax, random

from .combinators import LayerLike
from .protocol import Layer, as_layer, named_after
from .recipes import layer
from .scoping import capture, describe, here, observers
from .shapes import out_spec, spec


@layer
def repeat(body: LayerLike, n: int) -> Layer:
    """``n`` copies in a row, compiled once; parameters gain a leading axis of size ``n``.

    Each copy has its own initial values and its own key. What happens inside stays inside: paths
    in there are not captured.

    Raises:
        ValueError: ``n`` is not a positive integer, or the body changes the shape of its input.
    """
    body = as_layer(body)
    if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
        raise ValueError(f"n must be a positive integer, got {n!r}")
    n = int(n)

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
def remat(body: LayerLike) -> Layer:
    """The same layer; activations are computed again in the backward pass, not kept."""
    body = as_layer(body)

    @named_after(remat)
    def apply(params, state, x, *, train=False, key=None):
        @jax.checkpoint
        def run(params, state, x, key):
            return body.apply(params, state, x, train=train, key=key)

        with observers():
            return run(params, state, x, key)

    return Layer(body.init, apply)


@layer
def frozen(body: LayerLike) -> Layer:
    """The same layer, without gradient and always in evaluation mode.

    Its parameters stay where they are, bit for bit: ``fit`` and ``make_step`` keep weight decay
    from them, too, unless it is within ``repeat`` or ``remat``. To freeze by path while training,
    use ``fit(trainable=...)``.
    """
    body = as_layer(body)

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


@layer
def up_to(body: LayerLike, path: str) -> Layer:
    """The layer as far as its output at a path, with all of its parameters.

    Raises:
        ValueError: from apply, no output has this path; all paths are listed.
    """

    body = as_layer(body)

    @named_after(up_to)
    def apply(params, state, x, *, train=False, key=None):
        run = capture(body.apply)
        (_, new_state), outputs = run(params, state, x, train=train, key=key)
        inside = len(here("")) + 1 if here("") else 0  # paths begin at the outermost layer
        outputs = {name[inside:]: y for name, y in outputs.items()}
        if path not in outputs:
            raise ValueError(f"no output is called {path!r}; there are {', '.join(outputs)}")
        return outputs[path], new_state

    return Layer(body.init, apply)
