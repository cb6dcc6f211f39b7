"""Is a network fit to be trained: what its layers give, what gradients reach them, how far a step
would move them.
"""

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import random

from .. import losses, optimizers
from ..core import Layer, Network, Visit, kind, trees, visits
from ..tables import html_table, text_table
from .preparing import check_counts, prepare
from .state import start
from .stepping import Loss, each, weighted_mean

DEAD = 0.5  # part of the units of a layer
LARGE, SMALL = 1e3, 1e-3  # of outputs
APART = 1e4  # between the gradients of two layers
FAR, NEAR = 0.1, 1e-6  # of a step, as part of the parameters


class LayerHealth(NamedTuple):
    """One layer in one step. What a layer without parameters has not is None.

    Attributes:
        path: The name of the layer.
        kind: What it is: 'conv', 'relu'.
        mean: Of its outputs.
        std: Standard deviation of its outputs.
        dead: Part of its units, channels or features, that give the same number for every example
            at every position.
        params: Root mean square of its parameters.
        gradient: Root mean square of the gradient by them.
        update: How far the step moves them, as part of ``params``.
    """

    path: str
    kind: str
    mean: float
    std: float
    dead: float
    params: float | None
    gradient: float | None
    update: float | None


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What one step shows; prints as a table with what is wrong below it.

    Attributes:
        rows: One for each layer, in the order in which they run.
        loss: Of the batch.
        findings: What is wrong and what to do about it, in sentences; empty where all is well.
    """

    rows: tuple[LayerHealth, ...]
    loss: float
    findings: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join([text_table(self._table(), SIDES), "", *self._text()])

    def _repr_html_(self) -> str:
        lines = html_table([["findings"], *([line] for line in self._text())], "l")
        return f"{html_table(self._table(), SIDES)}\n{lines}"

    def _table(self) -> list[tuple[str, ...]]:
        return [HEAD, *((row.path, row.kind, *map(_shown, row[2:])) for row in self.rows)]

    def _text(self) -> list[str]:
        return [f"loss {self.loss:.4g}", *(self.findings or ["nothing unusual"])]


HEAD = ("layer", "kind", "mean", "std", "dead", "parameters", "gradient", "update")
SIDES = "llrrrrrr"


def diagnose(
    model: Layer | Network,
    data: Any,
    *,
    loss: Loss | str = losses.cross_entropy,
    optimizer: optax.GradientTransformation | None = None,
    batch_size: int = 128,
    seed: int = 0,
) -> Diagnosis:
    """What one training step does to each layer: outputs, gradients and updates; nothing is kept.

    A layer's health before training tells what hours of training would: units that are dead,
    numbers that grow or vanish with depth, gradients that do not arrive, steps too large or too
    small for the parameters they move.

    Example:
        >>> import fcnn
        >>> from fcnn import conv, dense, flatten, relu, serial
        >>> train, _ = fcnn.data.digits()
        >>> found = fcnn.train.diagnose(serial(conv(8), relu, flatten, dense(10)), train)
        >>> [row.path for row in found.rows]
        ['conv1', 'relu1', 'flatten1', 'dense1']

    Args:
        model: A layer, whose values are drawn, or a network.
        data: As for ``fit``; the first batch of its first epoch is taken.
        loss: The loss, as for ``fit``.
        optimizer: As for ``fit``; what its first step would do.
        batch_size: Examples in the batch, at least two: units are judged by how they differ.
        seed: Of the values, the batch and the dropout.

    Raises:
        ValueError: there are fewer than two examples.
        ValueError, TypeError: as ``fit`` does, for the same reasons.
    """
    check_counts(batch_size=batch_size)
    task = prepare(
        model,
        data,
        loss=loss,
        metrics=(),
        validation=None,
        class_weight=None,
        monitor=None,
        mode=None,
        penalized=False,
        seed=seed,
        check=False,
    )
    optimizer = optimizers.adam() if optimizer is None else optimizer
    ts = start(model, optimizer, random.key(seed), task.x)
    with contextlib.closing(task.batches(batch_size, seed, 0, None)) as source:
        batch = next(source)
    if (examples := _examples(batch)) < 2:
        raise ValueError(
            f"diagnose compares examples and needs at least two, got {examples}; "
            "take a larger batch_size or more data"
        )
    layers: list[tuple[str, str]] = []

    def forward(params, batch, key):
        run = visits(task.layer.apply)
        (outputs, _), seen = run(params, ts.state, batch["x"], train=True, key=key)
        seen.append(Visit("", task.layer, params, ts.state, batch["x"], outputs))
        ends = _leaves([visit for visit in seen if isinstance(visit.y, jax.Array)], params)
        layers[:] = [(visit.path, kind(visit.layer)) for visit in ends]
        values = each("loss", losses.given(task.loss, batch["x"]), outputs, batch["y"])
        weight = batch.get("weight")
        return weighted_mean(values, weight), [_outputs(visit.y, weight) for visit in ends]

    @jax.jit
    def step(ts, batch):
        key = random.fold_in(ts.key, ts.step)
        gradient = jax.value_and_grad(forward, has_aux=True)
        (loss, outputs), grads = gradient(ts.params, batch, key)
        updates, _ = optimizer.update(grads, ts.opt_state, ts.params)
        squares = jax.tree.map(_mean_square, (ts.params, grads, updates))
        return loss, outputs, squares

    value, outputs, squares = jax.device_get(step(ts, batch))
    sizes = {path: leaf.size for path, leaf in trees.flat(ts.params).items()}
    flat = [trees.flat(tree) for tree in squares]
    owners = [path for path, _ in layers]

    def size_of(path: str, which: int) -> float | None:
        own = [leaf for leaf in sizes if _owner(leaf, owners) == path]
        total = sum(sizes[leaf] for leaf in own)
        if not total:
            return None
        return math.sqrt(sum(float(flat[which][leaf]) * sizes[leaf] for leaf in own) / total)

    rows, known = [], set[str]()
    for (path, what), found in zip(layers, outputs, strict=True):
        held = [None] * 3 if path in known else [size_of(path, which) for which in range(3)]
        known.add(path)
        params, gradient, update = held
        moved = None if update is None or not params else update / params
        name = path or what
        rows.append(LayerHealth(name, what, *map(float, found), params, gradient, moved))
    rows = tuple(rows)
    return Diagnosis(rows, float(value), tuple(_findings(rows, float(value))))


def _examples(batch: dict[str, Any]) -> int:
    """How many examples of a batch count."""
    weight = batch.get("weight")
    return len(jax.tree.leaves(batch["x"])[0]) if weight is None else np.count_nonzero(weight)


def _leaves(seen: list[Visit], params: Any) -> list[Visit]:
    """The layers that no other runs in, and those that hold parameters of their own."""
    paths = [visit.path for visit in seen]
    holders = {_owner(path, paths) for path in trees.flat(params)}

    def composite(path):
        return any(other.startswith(f"{path}/" if path else "") for other in {*paths} - {path})

    return [v for v in seen if v.path in holders or not composite(v.path)]


def _outputs(y: jax.Array, weight: jax.Array | None) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Mean and deviation of the outputs of a batch, and which part of the units is dead."""
    y = y.astype(jnp.float32)
    real = jnp.ones(len(y)) if weight is None else (weight > 0).astype(jnp.float32)
    shape = (len(y), *(1,) * (y.ndim - 1))
    share = jnp.broadcast_to(real.reshape(shape), y.shape)
    total = jnp.maximum(share.sum(), 1)
    mean = (y * share).sum() / total
    variance = (jnp.square(y - mean) * share).sum() / total
    others = tuple(range(y.ndim - 1))
    low = jnp.where(share > 0, y, jnp.inf).min(others)
    high = jnp.where(share > 0, y, -jnp.inf).max(others)
    return mean, jnp.sqrt(variance), (low == high).mean()


def _mean_square(leaf: jax.Array) -> jax.Array:
    return jnp.square(leaf.astype(jnp.float32)).mean()


def _owner(path: str, layers: list[str]) -> str:
    """The innermost layer that a parameter belongs to."""
    return max((each for each in layers if path.startswith(f"{each}/")), key=len, default="")


def _findings(rows: tuple[LayerHealth, ...], loss: float) -> list[str]:
    """What is wrong, the gravest first."""
    if not math.isfinite(loss):
        bad = next((row.path for row in rows if not math.isfinite(row.mean + row.std)), "the loss")
        return [f"{bad} is the first that is not finite: fit would stop at this step"]
    held = [row for row in rows if row.params is not None]
    strongest = max(held, key=lambda row: row.gradient, default=None)
    judgements: list[tuple[Callable[[LayerHealth], bool], str]] = [
        (
            lambda row: row.std > LARGE,
            "{row.path}: outputs of about {row.std:.2g}; normalise the inputs or add batch_norm",
        ),
        (
            lambda row: row.dead < 1 and row.std < SMALL,
            "{row.path}: outputs hardly vary ({row.std:.2g}); look at the initial values before it",
        ),
        (
            lambda row: row.dead >= DEAD,
            "{row.path}: {row.dead:.0%} of its units give the same for every example; a smaller "
            "learning rate, he_normal initial values or leaky_relu keep units alive",
        ),
    ]
    found = [
        text.format(row=row)
        for fits, text in judgements
        for before, row in zip((None, *rows), rows, strict=False)
        if fits(row) and not (before and fits(before))  # what follows passes it on
    ]
    if held and not any(row.update for row in held):
        found.append("the first step moves no layer; is the learning rate 0, or does it begin so?")
    for row in held:
        if row.gradient == 0:
            found.append(f"{row.path}: no gradient arrives; it would not learn")
        elif strongest.gradient > APART * row.gradient:
            found.append(
                f"{row.path}: its gradient is {row.gradient / strongest.gradient:.1g} of that of "
                f"{strongest.path}; skip connections or normalisation carry gradients further"
            )
        elif row.update is not None and row.update > FAR:
            found.append(
                f"{row.path}: a step moves it by {row.update:.0%} of its size; "
                "lower the learning rate"
            )
        elif row.update and row.update < NEAR:  # what the optimizer leaves alone is meant so
            found.append(
                f"{row.path}: a step moves it by {row.update:.1g} of its size; "
                "raise the learning rate"
            )
    return found


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
