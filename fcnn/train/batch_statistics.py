"""The statistics of batch norms, computed anew: for parameters that no step has left, such as
averages, the running ones are not right.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import random

from ..core import Layer, Network, Params, State, partly_frozen, trees
from ..data import batches
from ..data.streams import Stream
from ..data.workers import Ahead, workers_for
from .arriving import Arrivals
from .checks import checked_inputs
from .compiling import compiled
from .preparing import Task
from .state import TrainState, run_key
from .stepping import Augment, augmented

STATISTICS = (".*mean", ".*var")


def recompute_statistics(
    network: Network,
    data: Any,
    *,
    batch_size: int = 128,
    augment: Augment | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> Network:
    """The network whose batch norms have the statistics of this data: the means, over its batches,
    of the mean and of the variance.

    Each is that of a batch in training mode, as the running ones follow it, whatever the momentum.
    Leaves of the state that are called otherwise than ``mean`` and ``var`` stay.

    Example:
        >>> import fcnn
        >>> from fcnn import batch_norm, dense, flatten, serial
        >>> train, _ = fcnn.data.digits()
        >>> model = serial(flatten, batch_norm(), dense(10))
        >>> network, _ = fcnn.fit(model, train, epochs=1, progress=False)
        >>> network = recompute_statistics(network, train)
        >>> mean = train.x.reshape(len(train), -1).mean(0)
        >>> bool(abs(network.state["batch_norm1"]["mean"] - mean).max() < 0.05)
        True

    Args:
        network: The network.
        data: What it was trained on, as for ``fit``; all of it is run through once.
        batch_size: Examples at a time; the smaller, the more the variance of a batch differs from
            that of all.
        augment: The augmentation of the training.
        seed: Of the order of the examples and of what is drawn.
        workers: Threads that read the data, as for ``fit``.

    Raises:
        ValueError: the data is empty, cannot be read, or does not fit the network.
    """
    dataset = checked_inputs(data, network, "data", workers=workers)
    if isinstance(dataset, Stream):
        source = dataset.batches(workers=workers or 0)
    else:
        count = workers_for(dataset, workers)
        source = batches(dataset, batch_size, seed=seed, workers=count)
    key = run_key(random.key(seed))
    state = statistics(network.layer, network.params, network.state, source, key, augment)
    return network.replace(state=state)


def restating(
    task: Task,
    trainable: str,
    augment: Augment | None,
    feeding: tuple[int, int, int | None],
    watch: Callable[[], None],
) -> Callable[[TrainState, int], State]:
    """``(ts, epoch) -> state`` for what a run gives, by the batches of that epoch.

    Args:
        task: What is learned.
        trainable: What is not trained keeps its statistics.
        augment: The augmentation of the run.
        feeding: Its batch size, seed and workers.
        watch: Called before each batch; may raise to end it.

    Raises:
        ValueError: the data can be read only once.
    """
    if isinstance(task.train, Stream) and task.train.once:
        raise ValueError(
            "the statistics for an average are computed from the training data, but "
            f"{task.train.name} can be read only once; write recompute=False"
        )
    layer, (batch_size, seed, workers) = partly_frozen(task.layer, trainable), feeding

    def restate(ts, epoch):
        source = task.batches(batch_size, seed, epoch, workers)
        return statistics(layer, *ts.result, source, ts.key, augment, watch)

    return restate


def statistics(
    layer: Layer,
    params: Params,
    state: State,
    source: Ahead,
    key: jax.Array,
    augment: Augment | None = None,
    watch: Callable[[], None] = lambda: None,
) -> State:
    """The state with the mean statistics of these batches; ``watch`` is called before each."""
    leaves, structure = jax.tree.flatten(state)
    if not any(_chosen(state)):
        source.close()
        return state
    run, sums, count = _program(layer, augment), [jnp.zeros_like(leaf) for leaf in leaves], 0
    with contextlib.closing(source):
        arrivals = Arrivals(source)
        for batch in arrivals:
            watch()
            sums = run(params, state, sums, random.fold_in(key, count), key, batch)
            arrivals.follow(sums)
            count += 1
    means = [
        total / count if chosen else leaf
        for chosen, total, leaf in zip(_chosen(state), sums, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, means)


@functools.lru_cache(maxsize=16)
def _program(layer: Layer, augment: Augment | None) -> Callable[..., list[jax.Array]]:
    """``(params, state, sums, key of the batch, key of the run, batch) -> sums``, with what the
    batch gives added to each leaf of the state that is a statistic.
    """

    def run(params, state, sums, key, of_run, batch):
        if augment is not None:
            batch = augmented(augment, of_run if "epoch" in batch else key, batch)
        leaves, structure = jax.tree.flatten(state)

        def after(leaves):
            state = jax.tree.unflatten(structure, leaves)
            _, new = layer.apply(params, state, batch["x"], train=True, key=key)
            moves[:] = [a is not b for a, b in zip(jax.tree.leaves(new), leaves, strict=True)]
            return jax.tree.leaves(new)

        moves: list[bool] = []
        jax.eval_shape(after, leaves)  # what runs as in evaluation hands its state through
        rows = zip(_chosen(state), moves, strict=True)
        numbers = [i for i, (chosen, moved) in enumerate(rows) if chosen and moved]

        def of_statistics(some):
            given = list(leaves)
            for i, leaf in zip(numbers, some, strict=True):
                given[i] = leaf
            new = after(given)
            return [new[i] for i in numbers]

        # A running statistic becomes kept * old + (1 - kept) * that of the batch, on which alone
        # all outputs depend: so the derivative by the old one is what is kept of it.
        old = [leaves[i] for i in numbers]
        new, kept = jax.jvp(of_statistics, (old,), ([jnp.ones_like(leaf) for leaf in old],))
        found = list(leaves)
        for i, before, now, part in zip(numbers, old, new, kept, strict=True):
            rest = jnp.where(part == 1, 1, 1 - part)
            found[i] = jnp.where(part == 1, before, (now - part * before) / rest)
        return [total + leaf for total, leaf in zip(sums, found, strict=True)]

    return compiled(run)


def _chosen(state: State) -> list[bool]:
    """Of each leaf of a state whether it is a statistic."""
    by_name = [jax.tree.leaves(trees.matching(pattern)(state)) for pattern in STATISTICS]
    floats = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(state)]
    return [real and any(named) for real, *named in zip(floats, *by_name, strict=True)]
