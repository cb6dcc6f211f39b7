"""Where a number that is not finite came from: the step once more, with every output looked at."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import random

from .. import losses
from ..core import Layer, Network, partly_frozen, trees, visits
from .history import History
from .state import TrainState, only
from .stepping import Augment, Loss, augmented, each, squared, weighted_mean

SHOWN = 5  # examples that are named
SMALLER = "A smaller learning rate or optax.clip_by_global_norm usually helps"


class Finding(NamedTuple):
    """What was not finite first: its path, what to call it, what to do, and in which rows of the
    batch it was, bool [n].
    """

    path: str
    what: str
    advice: str
    rows: np.ndarray


class NonFiniteError(FloatingPointError):
    """A loss, a gradient or a value was NaN or infinite; nothing was learned from that step.

    Attributes:
        epoch: Counted from 1.
        step: Within the epoch, counted from 1.
        path: The first output, gradient or value that was not finite.
        index: The examples that it came from, as they are counted in the data, int [k]; the whole
            batch where none stands out.
        network: The network as it was before that step.
        history: The epochs before.
    """

    def __init__(
        self,
        epoch: int,
        step: int,
        found: Finding,
        index: np.ndarray,
        network: Network,
        history: History,
    ):
        which = "all examples of the batch"
        if not found.rows.all():
            more = f" and {len(index) - SHOWN} more" if len(index) > SHOWN else ""
            word = "example" if len(index) == 1 else "examples"
            which = f"{word} {', '.join(map(str, index[:SHOWN]))}{more}"
        super().__init__(
            f"epoch {epoch}, step {step}: {found.what} is not finite, for {which}; nothing was "
            f"learned from that batch. {found.advice}"
        )
        self.epoch, self.step, self.path, self.index = epoch, step, found.path, index
        self.network, self.history = network, history


def first_not_finite(
    layer: Layer,
    ts: TrainState,
    batch: Mapping[str, Any],
    *,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    augment: Augment | None = None,
    penalty: Callable[[Any], jax.Array] | None = None,
    trainable: str = ".*",
) -> Finding:
    """What became NaN or infinite first in a step from this state on this batch.

    It is looked for in the order in which a step computes: inputs, parameters, the output of each
    named layer, the loss, gradients from the last layer back to the first, statistics, and the new
    parameters. The arguments are those of ``make_step``.
    """
    n = len(jax.tree.leaves(batch["x"])[0])
    whole = np.ones(n, bool)

    def found(path, what, advice, finite=None):
        rows = whole if finite is None or finite.all() else ~np.asarray(finite)
        return Finding(path, what, advice, rows)

    if not (finite := _by_row(batch["x"], n)).all():
        return found("x", "x", "Leave such examples out, or mend x", finite)
    if bad := _not_finite(ts.params):
        return found(bad[0], f"the parameter {bad[0]}", "Begin with other values")
    if augment is not None:
        key = ts.key if "epoch" in batch else random.fold_in(ts.key, ts.step)
        batch = jax.jit(lambda key, batch: augmented(augment, key, batch))(key, batch)
        if not (finite := _by_row(batch["x"], n)).all():
            return found("augment", "what the augmentation gives", "Mend it", finite)

    paths: list[str] = []
    x, y, weight = batch["x"], batch["y"], batch.get("weight")

    def forward(params, key):
        run = visits(partly_frozen(layer, trainable).apply)
        (outputs, state), seen = run(params, ts.state, x, train=True, key=key)
        paths[:] = [*(visit.path for visit in seen), ""]
        values = each("loss", losses.given(loss, x), outputs, y)
        told = (*(visit.y for visit in seen), outputs, values)
        looked_at = [_by_row(each_of, n) for each_of in told]
        extra = jnp.float32(0) if penalty is None else penalty(params)
        return weighted_mean(values, weight) + extra, (looked_at, state, extra)

    @jax.jit
    def step(ts):
        key = random.fold_in(ts.key, ts.step)
        gradient = jax.grad(forward, has_aux=True)
        grads, (looked_at, state, extra) = gradient(ts.params, key)
        updates, _ = only(optimizer, trainable).update(grads, ts.opt_state, ts.params)
        return looked_at, extra, grads, state, optax.apply_updates(ts.params, updates)

    (*outputs, fine), extra, grads, state, params = jax.device_get(step(ts))
    for path, finite in zip(paths, outputs, strict=True):
        if not finite.all():
            return found(path, f"the output of {path}" if path else "the output", SMALLER, finite)
    counted = whole if weight is None else np.asarray(weight) != 0
    if not fine[counted].all():
        return found("loss", "the loss, of outputs that are finite,", "Look at the targets", fine)
    if not np.isfinite(extra).all():
        return found("penalty", "the penalty", "Look at it")

    def place(path):
        return paths.index(_owner(path, paths))

    if bad := _not_finite(jax.tree.map(lambda leaf: squared(jnp.asarray(leaf)), grads)):
        last = max(bad, key=place)
        return found(last, f"the gradient of {last}", SMALLER)
    if bad := _not_finite(state):
        first = min(bad, key=place)
        return found(first, f"the new value of {first}, in the state,", SMALLER)
    if bad := _not_finite(params):
        first = min(bad, key=place)
        return found(first, f"the new value of {first}", SMALLER)
    advice = "Computed once more it is finite, so numbers were at the edge of the range"
    return found("", "something", advice)


def _by_row(tree: Any, n: int) -> Any:
    """Whether each example has finite numbers only, bool [n]."""
    finite = jnp.ones(n, bool)
    for leaf in jax.tree.leaves(tree):
        if jnp.issubdtype(leaf.dtype, jnp.inexact):
            fine = jnp.isfinite(leaf)
            own = leaf.ndim and len(leaf) == n
            finite &= fine.reshape(n, -1).all(1) if own else fine.all()
    return finite


def _not_finite(tree: Any) -> list[str]:
    """The paths of leaves that hold a NaN or an infinity."""
    return [
        path
        for path, leaf in trees.flat(tree).items()
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and not bool(jnp.isfinite(leaf).all())
    ]


def _owner(path: str, paths: list[str]) -> str:
    """The innermost layer that a parameter belongs to."""
    inside = [each for each in paths if path.startswith(f"{each}/")]
    return max(inside, key=len, default="")
