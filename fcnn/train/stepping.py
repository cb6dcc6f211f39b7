"""The step: one batch, one update, as a pure and jitted function."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax, random

from .. import losses
from ..augment import on_batch
from ..core import Layer, Network, Visit, as_layer, partly_frozen, trees, visits
from ..core.recipes import Recipe
from .averaging import Average, follow
from .compiling import compiled
from .gradients import in_parts, uphill
from .state import TrainState, only

FEW = 2**14  # numbers of a leaf that is looked at together with others

Batch = Mapping[str, Any]
Loss = Callable[[Any, Any], jax.Array]
Augment = Callable[[jax.Array, Any], Any]
Step = Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]


def make_step(
    model: Layer | Network,
    *,
    loss: Loss = losses.cross_entropy,
    optimizer: optax.GradientTransformation,
    metrics: Mapping[str, Loss] | None = None,
    augment: Augment | None = None,
    penalty: Callable[[Any], jax.Array] | None = None,
    trainable: str = ".*",
    average: Average | None = None,
    sharpness: float | None = None,
    accumulate: int = 1,
) -> Step:
    """A jitted ``step(ts, batch) -> (ts, metrics)``.

    ``ts`` is donated: its buffers are reused, so keep the one that comes back. A batch is
    ``{"x": [n, ...], "y": [n, ...]}``, with ``"weight": [n]`` where examples count differently
    (zero for the filling of a last batch). The loss is the weighted mean, so a weight of two equals
    an example that is there twice.

    An update with a non-finite loss, gradient (or square of one), parameter or statistic is not
    made: everything that learns keeps its value and ``metrics["finite"]`` is false.

    Example:
        >>> import jax, optax, fcnn
        >>> model = fcnn.serial(fcnn.flatten, fcnn.dense(10))
        >>> train, _ = fcnn.data.digits()
        >>> optimizer = optax.adam(1e-2)
        >>> ts = fcnn.train.start(model, optimizer, jax.random.key(0), train.x)
        >>> step = fcnn.train.make_step(model, optimizer=optimizer)
        >>> for batch in fcnn.data.batches(train, 32, seed=0):
        ...     ts, metrics = step(ts, batch)
        >>> int(ts.step)
        45

    Args:
        model: The layer to train (of a network: its layer; the values are those of ``ts``).
        loss: ``(outputs, targets) -> [n]``.
        optimizer: Any optax transformation; the same as in ``start``.
        metrics: More functions like ``loss``, by name, reported as weighted means.
        augment: An augmentation of ``fcnn.augment``, or any ``(key, image) -> image`` for one
            example, applied on the device. Metrics and loss are those of what comes out. What an
            example becomes follows from the key of ``ts`` and the example's ``epoch`` and
            ``index``, columns of ``fcnn.data.batches``; without them from the step.
        penalty: ``params -> scalar``, added to the loss and reported apart.
        trainable: Which parameters are trained, as a pattern on their paths; the others keep every
            bit. A part without any that match runs as in evaluation, and keeps its statistics.
        average: The average of the values to keep, as ``ema`` makes it; the same as in ``start``.
        sharpness: The radius of sharpness-aware minimisation (arXiv:2010.01412): the gradient is
            taken where the loss is worst within it, which takes twice the time.
        accumulate: Parts of a batch that are computed one after the other, so that the activations
            are those of one part. The gradient is that of the batch; batch norms see a part.

    Returns:
        The step. Its metrics are scalars: ``loss``, ``weight`` (the sum), ``finite``, those asked
        for, and ``penalty`` where there is one.
    """
    layer = model.layer if isinstance(model, Network) else as_layer(model)
    layer = partly_frozen(layer, trainable)
    optimizer = only(optimizer, trainable)
    metrics = dict(metrics or {})
    still: list[str] = []  # paths of layers that `frozen` made

    def forward(params, state, x, key):
        return layer.apply(params, state, x, train=True, key=key)

    def objective(params, state, batch, key):
        x, y, weight = batch["x"], batch["y"], batch.get("weight")
        of_batch = losses.given(loss, x)
        (outputs, state), seen = visits(forward)(params, state, x, key)
        still[:] = [visit.path for visit in seen if _is_frozen(visit)]
        values = {
            name: weighted_mean(each(name, metric, outputs, y), weight)
            for name, metric in metrics.items()
        }
        values["loss"] = total = weighted_mean(each("loss", of_batch, outputs, y), weight)
        if penalty is not None:
            trained = keep(without(still, trainable), lax.stop_gradient(params), params)
            values["penalty"] = penalty(trained)
            total = total + values["penalty"]
        return total, (state, values)

    gradient = jax.value_and_grad(objective, has_aux=True)
    if accumulate > 1:
        gradient = in_parts(gradient, accumulate)
    if sharpness is not None:
        gradient = uphill(gradient, sharpness)

    def step(ts: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        key = random.fold_in(ts.key, ts.step)
        if augment is not None:
            batch = augmented(augment, ts.key if "epoch" in batch else key, batch)
        (total, (state, values)), grads = gradient(ts.params, ts.state, batch, key)
        weight = batch.get("weight")
        values["weight"] = jnp.float32(len(batch["x"])) if weight is None else weight.sum()
        updates, opt_state = optimizer.update(grads, ts.opt_state, ts.params)
        params = optax.apply_updates(ts.params, updates)
        params = keep(without(still, trainable), ts.params, params)

        kept = None
        if average is not None:
            kept = follow(average, ts.average, params, state, ts.step + 1)
        new = (params, state, opt_state, kept)
        squares = jax.tree.map(squared, grads)  # which optimizers sum up
        finite = all_finite((total, squares, params, state)) & batch.get("going", True)
        values["finite"] = finite
        old = (ts.params, ts.state, ts.opt_state, ts.average)
        # One branch for all, where a `where` for each leaf would be a kernel to compile.
        params, state, opt_state, kept = lax.cond(finite, lambda n, o: n, lambda n, o: o, new, old)
        return TrainState(params, state, opt_state, ts.step + 1, ts.key, kept), values

    return compiled(step, donate=(0,))


def augmented(augment: Augment, key: jax.Array, batch: Batch) -> dict[str, Any]:
    """A batch as the step of the run with this key sees it.

    It is held apart from what follows, whose compilation could otherwise change its last bits. On
    CPUs, where XLA gives up barriers before it fuses, it is a branch, which is always taken.
    """
    if jax.default_backend() != "cpu":
        return lax.optimization_barrier(on_batch(augment, key, batch))
    made = functools.partial(on_batch, augment)
    shapes = jax.eval_shape(made, key, batch)

    def never(key, batch):
        return jax.tree.map(lambda like: jnp.zeros(like.shape, like.dtype), shapes)

    always = random.key_data(key)[0] | 1 > 0
    return lax.cond(always, made, never, key, dict(batch))


def each(name: str, function: Loss, outputs: Any, targets: Any) -> jax.Array:
    """A loss or a metric of every example, ``[n]``.

    Raises:
        ValueError: it gives another shape, which weights would multiply the wrong way.
    """
    values, n = function(outputs, targets), len(jax.tree.leaves(outputs)[0])
    if jnp.shape(values) != (n,):
        raise ValueError(
            f"{name} must give one number for each of {n} examples, ({n},), "
            f"and gives {jnp.shape(values)}; take the mean over the other axes"
        )
    return values


def weighted_mean(values: jax.Array, weight: jax.Array | None) -> jax.Array:
    """The mean of ``[n]`` by weights ``[n]``; zero if they are all zero."""
    if weight is None:
        return values.mean()
    total = weight.sum()
    return (values * weight).sum() / jnp.where(total == 0, 1, total)


def without(paths: Sequence[str], pattern: str) -> str:
    """The pattern, of which what lies below these paths does not match."""
    below = "|".join(f"{re.escape(path)}/" for path in paths)
    return f"(?!{below})(?:{pattern})" if paths else pattern


def _is_frozen(visit: Visit) -> bool:
    """Whether all of a layer is ``frozen``: itself, or what it runs again or in copies."""
    made_by = visit.layer.made_by
    while made_by is not None and made_by.name in ("remat", "repeat"):
        inner = (*made_by.args, *made_by.options.values())[0]
        made_by = inner if isinstance(inner, Recipe) else None
    return made_by is not None and made_by.name == "frozen"


def keep(trainable: str, old: Any, new: Any) -> Any:
    """The new leaves whose paths match, the old ones elsewhere."""
    if trainable == ".*":
        return new
    return jax.tree.map(
        lambda train, n, o: n if train else o, trees.matching(trainable)(old), new, old
    )


def squared(gradient: jax.Array) -> jax.Array:
    """The square, unless it is a number of 16 bits, whose squares are kept in wider ones."""
    return gradient if gradient.dtype.itemsize < 4 else gradient * gradient


def all_finite(tree: Any) -> jax.Array:
    """Whether no number in the tree is NaN or infinite.

    Small leaves are looked at together: each of their shapes would take three kernels to compile.
    """
    finite = [
        jnp.isfinite(x) for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)
    ]
    few = jnp.concatenate([x.ravel() for x in finite if x.size <= FEW])
    each = [few.all(), *(x.all() for x in finite if x.size > FEW)]
    # Of `any` XLA makes a chain of `or`s, and in a loop copies it into the update of every leaf:
    # ResNet-20 took three times as long to compile.
    bad = (~jnp.stack(each)).astype(jnp.float32)
    return jnp.dot(bad, bad) == 0
