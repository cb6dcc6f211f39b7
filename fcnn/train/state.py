"""What changes from step to step, as one value."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import random

from ..core import Layer, Network, Params, State, as_layer, spec, trees
from .averaging import Average, Averaged, begin, in_types_of


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """Everything a step reads and writes; with the data order it determines the rest of a run.

    Attributes:
        params: What gradient descent changes.
        state: What the forward pass changes, such as running statistics.
        opt_state: What the optimizer remembers.
        step: Steps taken, an int32 scalar. The random key of a step is ``fold_in(key, step)``.
        key: The key of the run.
        average: The averages of ``params`` and ``state`` and how many values are in them, where
            some are kept.
    """

    params: Params
    state: State
    opt_state: Any
    step: jax.Array
    key: jax.Array
    average: Averaged | None = None

    @property
    def result(self) -> tuple[Params, State]:
        """Parameters and state of the network that the run gives: the averages, if there are."""
        if self.average is None:
            return self.params, self.state
        means = (self.average["params"], self.average["state"])
        return in_types_of(means, (self.params, self.state))


def with_statistics(ts: TrainState, state: State) -> TrainState:
    """The train state whose average has these statistics."""
    own = in_types_of(state, ts.average["state"])
    return replace(ts, average={**ts.average, "state": own})


def start(
    model: Layer | Network,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
    x: Any = None,
    *,
    trainable: str = ".*",
    average: Average | None = None,
) -> TrainState:
    """The state before the first step.

    Args:
        model: A layer, whose values are drawn now; or a network, whose values are copied.
        optimizer: Any optax transformation.
        key: A typed key, ``jax.random.key(seed)``.
        x: Inputs or their shapes and dtypes, batch axis included; not needed for a network.
        trainable: Which parameters are trained, as a pattern on their paths.
        average: The average of the values to keep, as ``ema`` makes it.

    Raises:
        ValueError: the pattern matches no parameter, or a layer comes without ``x``.
    """
    init_key, _ = random.split(key)
    model = model if isinstance(model, Network) else as_layer(model)
    if isinstance(model, Network):
        params, state = jax.tree.map(jnp.array, (model.params, model.state))  # steps donate theirs
    elif x is None:
        raise ValueError("a layer needs x, inputs or their shapes, to draw its values")
    else:
        params, state = model.init(init_key, spec(x))
    # Of definite types, as they are when they come back from a file.
    opt_state = jax.tree.map(_definite, only(optimizer, trainable).init(params))
    check_pattern(trainable, params)
    averaged = None if average is None else begin(params, state)
    return TrainState(params, state, opt_state, jnp.zeros((), jnp.int32), run_key(key), averaged)


def _definite(leaf: Any) -> jax.Array:
    """The leaf as an array whose type is not that of a Python number, open to others."""
    weak = not hasattr(leaf, "dtype") or getattr(leaf, "weak_type", False)
    return jnp.asarray(leaf, jnp.result_type(leaf)) if weak else jnp.asarray(leaf)


def run_key(key: jax.Array) -> jax.Array:
    """The key of a run's steps, from the one that it is started with."""
    return random.split(key)[1]


def only(optimizer: optax.GradientTransformation, trainable: str) -> optax.GradientTransformation:
    """The optimizer for the parameters whose paths match; it never sees the others."""
    if trainable == ".*":
        return optimizer

    def labels(params):
        chosen = trees.matching(trainable)(params)
        return jax.tree.map(lambda train: "trained" if train else "frozen", chosen)

    return optax.partition({"trained": optimizer, "frozen": optax.set_to_zero()}, labels)


def check_pattern(trainable: str, params: Params) -> None:
    """Refuses a pattern that matches nothing, and shows what there is."""
    chosen = jax.tree.leaves(trees.matching(trainable)(params))
    if chosen and not any(chosen):
        known = ", ".join(list(trees.flat(params))[:12])
        raise ValueError(
            f"trainable={trainable!r} matches no parameter; their paths are {known}, ..."
        )
