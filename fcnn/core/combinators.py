"""Ways to put layers together. Each is a line of wiring."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from .protocol import Layer, as_layer, kind, named_after
from .recipes import function, layer
from .scoping import here
from .shapes import giving, out_spec, spec
from .wiring import wire

LayerLike = Layer | Callable[[Any], Any]


@layer
def serial(*layers: LayerLike, **named: LayerLike) -> Layer:
    """One layer after another.

    Unnamed layers are numbered by kind (``conv1``, ``relu1``, ``conv2``), so that a layer without
    parameters can be put anywhere and changes nobody's name; keywords name the rest, which follow.

    Example:
        >>> from fcnn import conv, dense, flatten, max_pool, relu, serial
        >>> serial(conv(32, 3), relu, max_pool(2), flatten, head=dense(10))
        serial(conv(32, 3), relu, max_pool(2), flatten, head=dense(10))
    """

    def serial(f, x):
        for run in vars(f).values():
            x = run(x)
        return x

    return wire(serial, **_named(layers, named))


@layer
def parallel(*layers: LayerLike, **named: LayerLike) -> Layer:
    """Each layer on its own input: ``(x1, x2, ...) -> (y1, y2, ...)``."""
    children = _named(layers, named)

    def parallel(f, xs):
        if not isinstance(xs, tuple | list) or len(xs) != len(children):
            got = f"{len(xs)} inputs" if isinstance(xs, tuple | list) else "one array"
            raise ValueError(
                f"parallel has {len(children)} layers and needs as many inputs, got {got}"
            )
        return tuple(run(x) for run, x in zip(vars(f).values(), xs, strict=True))

    return wire(parallel, **children)


@function
def identity(x: Any) -> Any:
    """The input itself: the skip of a plain residual block."""
    return x


@layer
def residual(body: LayerLike, skip: LayerLike = identity) -> Layer:
    """``body(x) + skip(x)`` (He et al., 2016, arXiv:1512.03385).

    Raises:
        ValueError: the two shapes differ; they are never broadcast.
    """

    def residual(f, x):
        y, z = f.body(x), f.skip(x)
        if jnp.shape(y) != jnp.shape(z):
            raise ValueError(
                f"the body of a residual gives {jnp.shape(y)} and its skip {jnp.shape(z)}; "
                "give the skip a projection, such as conv(features, 1, stride)"
            )
        return y + z

    return wire(residual, body=body, skip=skip)


@layer
def concat(*layers: LayerLike, axis: int = -1, **named: LayerLike) -> Layer:
    """All layers on the same input, outputs concatenated: inception, dense and U-Net blocks.

    Raises:
        ValueError: from init and apply, the outputs differ in another axis, or have not that one.
    """

    def concat(f, x):
        outputs = [run(x) for run in vars(f).values()]
        shapes = [jnp.shape(y) for y in outputs]
        rest = {shape[: axis % len(shape)] + shape[axis % len(shape) + 1 :] for shape in shapes}
        if len({len(shape) for shape in shapes}) > 1 or len(rest) > 1:
            listed = ", ".join(str(list(shape)) for shape in shapes)
            raise ValueError(
                f"{here('concat')}: outputs {listed} cannot be joined along axis {axis}; "
                "all other axes must be equal"
            )
        return jnp.concatenate(outputs, axis)

    return wire(concat, **_named(layers, named))


def lazy(make: Callable[[Any], LayerLike]) -> Layer:
    """A layer chosen once its input is known: ``make(x)`` looks at shapes and returns it.

    Example:
        >>> from fcnn import conv, identity
        >>> def shortcut(features):  # a projection only where the width changes
        ...     return lazy(lambda x: identity if x.shape[-1] == features else conv(features, 1))
    """

    def init(key, x):
        return as_layer(make(spec(x))).init(key, x)

    @named_after(make)
    def apply(params, state, x, *, train=False, key=None):
        return as_layer(make(spec(x))).apply(params, state, x, train=train, key=key)

    return giving(init, apply, lambda x: out_spec(as_layer(make(spec(x))), x))


def _named(layers: tuple[LayerLike, ...], named: dict[str, LayerLike]) -> dict[str, LayerLike]:
    if not layers and not named:
        raise ValueError("no layers given")
    seen: Counter[str] = Counter()
    names: dict[str, LayerLike] = {}
    for position, child in enumerate(layers):
        try:
            child = as_layer(child)
        except TypeError as error:
            raise TypeError(f"layer {position + 1} of {len(layers)}: {error}") from None
        seen[kind(child)] += 1
        names[f"{kind(child)}{seen[kind(child)]}"] = child
    if twice := names.keys() & named.keys():
        raise ValueError(f"two layers are called {', '.join(sorted(twice))}")
    return {**names, **named}
