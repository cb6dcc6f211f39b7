"""A layer is a pair of pure functions.

``init(key, x) -> (params, state)`` makes the values, and ``apply(params, state, x, *, train, key)
-> (y, state)`` uses them. What gradient descent trains is in ``params``; what else persists from
call to call (the running statistics of batch norm) is in ``state``; nothing is kept in an object.
Both are nested dicts of arrays, ``{}`` where there is nothing to keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import jax

if TYPE_CHECKING:
    from .recipes import Recipe

Key: TypeAlias = jax.Array
Params: TypeAlias = dict[str, Any]
State: TypeAlias = dict[str, Any]


class InitFn(Protocol):
    """Makes parameters and state for inputs like ``x`` (an array or a ShapeDtypeStruct)."""

    def __call__(self, key: Key, x: Any) -> tuple[Params, State]:
        """Draws the values."""


class ApplyFn(Protocol):
    """Computes the output and the next state."""

    def __call__(
        self, params: Params, state: State, x: Any, *, train: bool = False, key: Key | None = None
    ) -> tuple[Any, State]:
        """Runs the layer on a batch."""


@dataclass(frozen=True, eq=False, repr=False)
class Layer:
    """Two pure functions: one makes the parameters, the other uses them.

    A layer is a value: it unpacks as ``init, apply = layer``, is compared by identity, and can be
    closed over by any JAX transformation.

    Attributes:
        init: ``(key, x) -> (params, state)``; reads only the shape and dtype of ``x``.
        apply: ``(params, state, x, *, train=False, key=None) -> (y, state)``; ``train`` is a
            Python bool, ``key`` is needed only where something random happens.
        made_by: The call that made the layer, where a constructor of the registry made it.
    """

    init: InitFn
    apply: ApplyFn
    made_by: Recipe | None = None

    @property
    def recipe(self) -> Recipe | None:
        """How the layer was made, as data; None if a lambda or a private function is part of it."""
        return self.made_by if self.made_by is not None and self.made_by.complete else None

    def __iter__(self) -> Iterator[InitFn | ApplyFn]:
        return iter((self.init, self.apply))

    def __repr__(self) -> str:
        return f"<layer {kind(self)}>" if self.made_by is None else repr(self.made_by)


def stateless(init: Callable[[Key, Any], Params], apply: Callable[[Params, Any], Any]) -> Layer:
    """A layer that keeps no state: ``init(key, x) -> params`` and ``apply(params, x) -> y``.

    Example:
        >>> import jax.numpy as jnp
        >>> def layer_scale(initial=1e-4):
        ...     def init(key, x):
        ...         return {"gamma": jnp.full(x.shape[-1], initial)}
        ...
        ...     def apply(params, x):
        ...         return x * params["gamma"].astype(x.dtype)
        ...
        ...     return stateless(init, apply)
        >>> layer_scale()
        <layer layer_scale>
    """

    def full_init(key, x):
        return init(key, x), {}

    @named_after(apply)
    def full_apply(params, state, x, *, train=False, key=None):
        return apply(params, x), state

    return Layer(full_init, full_apply)


def pure(fn: Callable[[Any], Any]) -> Layer:
    """A layer that is only a function ``x -> y``: an activation, a pooling, a reshape.

    ``init`` runs it on shapes, so that it refuses what the function refuses.
    """

    def init(key, x):
        jax.eval_shape(fn, x)
        return {}

    @named_after(fn)
    def apply(params, x):
        return fn(x)

    return stateless(init, apply)


def as_layer(layer: Layer | Callable[[Any], Any]) -> Layer:
    """Lets a plain function stand wherever a layer can.

    Raises:
        TypeError: for anything else, and for a constructor that was not called.
    """
    if isinstance(layer, Layer):
        return layer
    if getattr(layer, "makes_layer", False):
        raise TypeError(
            f"{layer.__name__} makes layers and has to be called: {layer.__name__}(...)"
        )
    if not callable(layer):
        raise TypeError(f"expected a layer or a function x -> y, got {type(layer).__name__}")
    return pure(layer)


def kind(layer: Layer) -> str:
    """What a layer is, after the function that made it: 'conv', 'relu', 'basic_block'."""
    if layer.made_by is not None:
        return layer.made_by.name.rpartition(":")[2]
    *around, name = layer.apply.__qualname__.split(".<locals>.")
    if name in ("apply", "forward") and around:
        name = around[-1]
    return name.rpartition(".")[2].strip("<>")


def named_after(source: Callable) -> Callable[[Callable], Callable]:
    """Gives a function the name of ``source``, but keeps its own signature.

    Not ``functools.wraps``: its ``__wrapped__`` would make ``jax.jit(apply,
    static_argnames="train")`` look for ``train`` in the signature of ``source``.
    """

    def rename(fn):
        fn.__name__ = getattr(source, "__name__", type(source).__name__)
        fn.__qualname__ = getattr(source, "__qualname__", fn.__name__)
        fn.__doc__ = getattr(source, "__doc__", None)
        return fn

    return rename
