"""The one combinator: named children and a function that says how data flows through them."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp

from .freezing import Frozen
from .protocol import Layer, as_layer, named_after
from .scoping import child_key, child_scope, here, observed, trace_level
from .shapes import giving, out_spec, spec


def wire(forward: Callable[[Any, Any], Any], /, **children: Layer | Callable) -> Layer:
    """A layer made of named children.

    ``forward(f, x) -> y`` calls the children as ``f.name(x)``. It is written once and serves
    both functions of the pair: ``init`` runs it on shapes to learn what each child receives,
    ``apply`` runs it on arrays. A child called twice shares its parameters and gets a second key.

    Example:
        >>> import jax, fcnn
        >>> def gate(f, x):
        ...     return x * jax.nn.sigmoid(f.inner(x.mean((1, 2), keepdims=True)))
        >>> layer = fcnn.wire(gate, inner=fcnn.dense(64))
        >>> fcnn.out_spec(layer, jax.ShapeDtypeStruct((2, 8, 8, 64), "float32")).shape
        (2, 8, 8, 64)

    Args:
        forward: How data flows; pure, and free to use any JAX function. It sees neither ``train``
            nor ``key``: those go to the layers. A child that updates its state is called from
            ``forward`` itself, not from inside ``jax.vmap``, ``scan`` or ``jit``.
        **children: Layers, or plain functions, by name. Names become the keys of the parameters
            and the path in errors, profiles and summaries.

    Returns:
        A layer whose parameters are ``{name: parameters of the child}``; children without
        parameters leave no trace in them.

    Raises:
        TypeError: a child is neither a layer nor a function.
        ValueError: a name holds a slash; from ``init``, a child is never called; from ``apply``, a
            child updates its state inside a transformation, which the new state cannot leave.
    """
    layers = {name: _as_child(name, child) for name, child in children.items()}

    def run(visit, x):
        return forward(_Children(**{name: partial(visit, name) for name in layers}), x)

    def traced(x):
        """The output for ``x``, as shapes, and what each child receives."""
        received: dict[str, Any] = {}

        def visit(name, x):
            first = received.setdefault(name, spec(x))
            with child_scope(name, layers[name], x):
                y = out_spec(layers[name], x, made_for=first)
            return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), y)

        y = jax.eval_shape(partial(run, visit), spec(x))
        if idle := [name for name in layers if name not in received]:
            raise ValueError(f"{forward.__qualname__} never calls {', '.join(idle)}")
        return y, received

    def init(key, x):
        _, received = traced(x)
        params, state = {}, {}
        for name, child_x in received.items():
            with child_scope(name, layers[name], child_x):
                params[name], state[name] = layers[name].init(child_key(key, name), child_x)
        return _nonempty(params), _nonempty(state)

    @named_after(forward)
    def apply(params, state, x, *, train=False, key=None):
        new_state, times, level = dict(state), Counter(), trace_level()

        def visit(name, x):
            own_params, own_state = params.get(name, {}), new_state.get(name, {})
            own_key = child_key(key, name, times[name])
            frozen = isinstance(own_params, Frozen) or isinstance(own_state, Frozen)
            mode = False if frozen else train  # which may be traced
            with child_scope(name, layers[name], x):
                y, after = layers[name].apply(own_params, own_state, x, train=mode, key=own_key)
                if trace_level() != level and not _same_leaves(after, own_state):
                    raise ValueError(
                        f"{here()} updates its state: call it from the forward function itself, "
                        "not from inside jax.vmap, scan, jit or grad"
                    )
                y = observed(layers[name], own_params, own_state, x, y)
            times[name] += 1
            if after:
                new_state[name] = after
            return y

        return run(visit, x), new_state

    return giving(init, apply, lambda x: traced(x)[0])


class _Children(SimpleNamespace):
    """The children as functions, by name."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no child is called {name!r}; there are {', '.join(vars(self))}")


def _as_child(name: str, child: Layer | Callable) -> Layer:
    if "/" in name:
        raise ValueError(
            f"a child's name cannot hold a slash, which parts the names of a path: {name!r}"
        )
    try:
        return as_layer(child)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None


def _same_leaves(after: Any, before: Any) -> bool:
    """Whether a state was handed through, leaf by leaf, and not computed anew."""
    return [*map(id, jax.tree.leaves(after))] == [*map(id, jax.tree.leaves(before))]


def _nonempty(tree: dict[str, Any]) -> dict[str, Any]:
    return {name: child for name, child in tree.items() if child}
