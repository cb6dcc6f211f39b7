"""A layer together with its values."""

import dataclasses
from typing import Any

import jax

from . import trees
from .protocol import Layer, Params, State
from .scoping import describe
from .shapes import spec


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Network:
    """A layer and the values it was trained to: what ``fit`` returns and everything after it takes.

    A pytree: ``params`` and ``state`` are its leaves, the rest is static. ``network(x)`` is the raw
    output in evaluation mode.

    Attributes:
        layer: The pair of functions.
        params: What was trained.
        state: What else persists, such as the running statistics of batch norm.
        classes: The names of the outputs, for a classifier.
        output: What turns raw outputs into predictions: "softmax", "sigmoid",
            "exp" or "identity".
        input: Shape and dtype of one example, without the batch axis, where it is known.
    """

    layer: Layer = dataclasses.field(metadata={"static": True})
    params: Params
    state: State
    classes: tuple[str, ...] | None = dataclasses.field(default=None, metadata={"static": True})
    output: str = dataclasses.field(default="softmax", metadata={"static": True})
    input: jax.ShapeDtypeStruct | None = dataclasses.field(default=None, metadata={"static": True})

    def __call__(self, x: Any) -> Any:
        """The raw output for a batch ``x`` in evaluation mode."""
        return self.layer.apply(self.params, self.state, x)[0]

    def replace(self, **changes: Any) -> "Network":
        """The same network with some fields changed."""
        return dataclasses.replace(self, **changes)

    def __repr__(self) -> str:
        what = f"{self.layer!r}, {trees.count(self.params):,} parameters"
        if self.input is not None:
            what += f", input {describe(self.input)}"
        if self.classes is not None:
            what += f", {len(self.classes)} classes"
        return f"<network {what}>"


def start_network(layer: Layer, key: jax.Array, x: Any, **fields: Any) -> Network:
    """A network with fresh values for inputs like ``x``."""
    params, state = layer.init(key, spec(x))
    return Network(layer, params, state, **fields)
