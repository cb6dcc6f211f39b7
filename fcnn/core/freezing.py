"""Parts that are not trained: they run as in evaluation, while the others learn.

Which parts those are travels with the values: what ``wire`` finds in a ``Frozen`` dict belongs to a
child that is not trained, and it runs that child, and all that is in it, in evaluation mode.
"""

from typing import Any

import jax
from jax import lax

from . import trees
from .protocol import Layer, named_after


@jax.tree_util.register_pytree_with_keys_class
class Frozen(dict):
    """The parameters, or the state, of a part that is not trained."""

    def tree_flatten_with_keys(self) -> tuple[Any, Any]:
        """Children with their keys, and the names of them, as for a dict."""
        names = sorted(self)
        return [(jax.tree_util.DictKey(name), self[name]) for name in names], tuple(names)

    @classmethod
    def tree_unflatten(cls, names: tuple[str, ...], children: Any) -> "Frozen":
        """The same with other leaves."""
        return cls(zip(names, children, strict=True))


def partly_frozen(body: Layer, trainable: str) -> Layer:
    """The same layer, of which only what matches is trained.

    A part that has values, none of which matches, runs in evaluation mode with all that is in it:
    its batch norms use their running statistics and keep them bit for bit, its dropout is off. A
    part without values, such as a dropout between two convolutions, is as the part that it is in.
    Other parameters have no gradient, and none is computed for the layers before the first that is
    trained.

    Args:
        body: Any layer. What a layer of the user's own hands to others runs as they are told there,
            where ``wire`` has no part in it; the state of what is frozen is kept there as well.
        trainable: A pattern on the paths of parameters and state.
    """
    if trainable == ".*":
        return body
    matches = trees.regex(trainable).fullmatch

    @named_after(body.apply)
    def apply(params, state, x, *, train=False, key=None):
        known = {**trees.flat(state), **trees.flat(params)}
        trained = {path for path in known if matches(path)}
        parts = {above for path in trained for above in _above(path)}

        def learned(path, leaf):
            return leaf if path in trained else lax.stop_gradient(leaf)

        def moved(path, old, new):
            return new if path.rpartition("/")[0] in parts else old

        def marked(tree, at=""):
            if not isinstance(tree, dict):
                return tree
            inside = {name: marked(part, f"{at}/{name}".lstrip("/")) for name, part in tree.items()}
            return inside if at in parts else Frozen(inside)

        params = jax.tree.map(learned, trees.paths(params), params)
        y, after = body.apply(marked(params), marked(state), x, train=train, key=key)
        after = jax.tree.unflatten(jax.tree.structure(state), jax.tree.leaves(after))
        return y, jax.tree.map(moved, trees.paths(state), state, after)

    return Layer(body.init, apply)


def _above(path: str) -> list[str]:
    """The parts that a leaf is in, from the whole, which is ``""``, inwards."""
    names = path.split("/")
    return ["/".join(names[:n]) for n in range(len(names))]
