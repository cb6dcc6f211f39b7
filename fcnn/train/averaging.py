"""Averages: of the values along a run, which generalise better than the last ones, and of networks.

A run with an average trains as it would without: it keeps the average beside the values, in
``TrainState.average``, and validates, saves and returns it.
"""

import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Network, Params, State, trees
from ..store import load
from ..store.checkpoints import checkpoint_paths

Averaged = dict[str, Any]  # {"params", "state", "count": values averaged so far}


@dataclass(frozen=True, repr=False)
class Average:
    """Which average is kept of the values that steps leave; ``ema`` and ``swa`` make one.

    Attributes:
        name: The call that made it.
        share: ``count -> part`` of the next values in the average, after ``count`` of them.
        start: Steps before the first one counts; below 1 a part of all steps of the run.
        every: Steps from one that counts to the next.
        recompute: Whether running statistics are computed anew, for the average, from an epoch of
            training data at the end of each epoch; else they are averaged as parameters are.
    """

    name: str
    share: Callable[[jax.Array], jax.Array]
    start: float = 0
    every: int = 1
    recompute: bool = False

    def __repr__(self) -> str:
        return self.name


def ema(decay: float = 0.999) -> Average:
    """An exponential moving average: ``average = decay * average + (1 - decay) * values``.

    In the beginning it forgets sooner, so that the first values do not linger: after ``t`` steps
    the decay is ``min(decay, (1 + t) / (10 + t))``. Running statistics are averaged, too.

    Raises:
        ValueError: the decay is not between 0 and 1.
    """
    if not 0 < decay < 1:
        raise ValueError(f"decay is a part of the average that stays, between 0 and 1, got {decay}")
    return Average(f"ema({decay})", lambda t: 1 - jnp.minimum(decay, (1 + t) / (10 + t)))


def swa(start: float = 0.75, every: int = 1, *, recompute: bool = True) -> Average:
    """Stochastic weight averaging: the mean of the values in the last part of a run
    (Izmailov et al., 2018, arXiv:1803.05407). Until it begins, it is the values themselves.

    It goes with a learning rate that stays high, so that the values still move.

    Args:
        start: Where it begins: a part of the run, below 1, or a number of steps.
        every: Steps from one that counts to the next; the steps of an epoch in the paper.
        recompute: Whether the statistics of batch norms are computed anew for the averaged
            parameters at the end of each epoch, from all training data, as in the paper; it costs
            a third of an epoch. Otherwise they are averaged.

    Raises:
        ValueError: an option is out of range.
    """
    if not start >= 0 or (start >= 1 and start != int(start)):
        raise ValueError(f"start is a part of the run, below 1, or a number of steps, got {start}")
    if not isinstance(every, int | np.integer) or every < 1:
        raise ValueError(f"every must be a positive integer, got {every!r}")
    name = f"swa({start}, {every}{'' if recompute else ', recompute=False'})"
    return Average(name, lambda t: 1 / (1 + t), start, int(every), recompute)


AVERAGES: dict[str, Callable[[], Average]] = {"ema": ema, "swa": swa}


def checked_average(given: Any, steps: int | None) -> Average | None:
    """The average that is asked for, also by its name, in a run of so many steps.

    Raises:
        TypeError: it is no average.
        ValueError: none is called so, no step of the run would count, or it begins at a part of a
            run of unknown length.
    """
    if isinstance(given, str):
        if given not in AVERAGES:
            raise ValueError(f"no average is called {given!r}; there are {', '.join(AVERAGES)}")
        given = AVERAGES[given]()
    if given is None:
        return None
    if not isinstance(given, Average):
        raise TypeError(
            f"average must be 'ema', 'swa', or made by fcnn.train.ema or fcnn.train.swa; "
            f"got {given!r:.80}"
        )
    start = given.start
    if 0 < start < 1:
        if steps is None:
            raise ValueError(
                f"{given} begins at a part of the run, but the steps of an epoch are not known "
                "before; give start as a number of steps"
            )
        start = min(round(start * steps), steps - 1)
    if steps is not None and start + given.every > steps:
        raise ValueError(
            f"{given} would average nothing: the run has {steps} steps, and the first that counts "
            f"is number {start + given.every}; begin earlier"
        )
    return dataclasses.replace(given, start=start)


def begin(params: Params, state: State) -> Averaged:
    """An average of nothing yet, which has these values."""
    return {
        "params": jax.tree.map(_wide, params),
        "state": jax.tree.map(_wide, state),
        "count": jnp.zeros((), jnp.int32),
    }


def follow(
    average: Average, before: Averaged, params: Params, state: State, step: jax.Array
) -> Averaged:
    """The average after step number ``step``, counted from 1, which left these values."""
    if 0 < average.start < 1:
        raise ValueError(f"{average} begins at a part of a run; for a step give a number of steps")
    count, since = before["count"], step - int(average.start)
    due = (since > 0) & (since % average.every == 0)
    share = average.share(count.astype(float))
    share = jnp.where(due, share, jnp.where(count == 0, 1, 0))

    def moved(old, new):
        if not jnp.issubdtype(old.dtype, jnp.inexact):
            return new
        new = new.astype(old.dtype)
        part = share.astype(old.dtype)
        return jnp.where(part == 1, new, old + part * (new - old))  # where both are one, that one

    values = {"params": before["params"], "state": before["state"]}
    values = jax.tree.map(moved, values, {"params": params, "state": state})
    return {**values, "count": count + due}


def in_types_of(average: Any, values: Any) -> Any:
    """Averages in the types of what was averaged."""
    return jax.tree.map(lambda mean, like: mean.astype(like.dtype), average, values)


def _wide(leaf: jax.Array) -> jax.Array:
    """A copy; numbers of 16 bits or less in 32, in which small changes are not lost."""
    leaf = jnp.array(leaf)
    narrow = jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.dtype.itemsize < 4
    return leaf.astype(jnp.float32) if narrow else leaf


def average(
    networks: Sequence[Network] | str | os.PathLike, weights: Sequence[float] | None = None
) -> Network:
    """The network whose parameters and statistics are the means of those of several.

    They should come from one beginning: checkpoints of a run, or fine-tunings of one network
    (arXiv:2203.05482). Between networks that began apart lies no good one. The statistics of batch
    norms suit averaged parameters better when they are computed anew: ``recompute_statistics``.

    Example:
        >>> import fcnn
        >>> from fcnn import dense, flatten, serial
        >>> train, test = fcnn.data.digits()
        >>> model = serial(flatten, dense(10))
        >>> network, _ = fcnn.fit(model, train, epochs=3, progress=False)
        >>> tuned = [fcnn.fit(network, train, epochs=1, seed=s, progress=False)[0] for s in (1, 2)]
        >>> average(tuned)
        <network serial(flatten, dense(10)), 650 parameters, input float32[8,8,1], 10 classes>

    Args:
        networks: The networks, or the folder of a run, whose checkpoints are taken.
        weights: How much each counts; all alike if None.

    Returns:
        The last network with other values.

    Raises:
        ValueError: there are none, or they differ in layer, classes or shapes.
        CheckpointError: a checkpoint of the folder cannot be read.
    """
    if isinstance(networks, str | os.PathLike):
        folder, networks = networks, [load(path) for path in checkpoint_paths(networks)]
        if not networks:
            raise ValueError(f"{os.fspath(folder)} holds no checkpoints")
    networks = list(networks)
    _check_alike(networks)
    shares = _shares(weights, len(networks))

    def mean(*leaves):
        last = leaves[-1]
        if not jnp.issubdtype(last.dtype, jnp.inexact):
            return last
        exact = np.complex128 if jnp.issubdtype(last.dtype, jnp.complexfloating) else np.float64
        total = sum(
            share * np.asarray(leaf).astype(exact)
            for share, leaf in zip(shares, leaves, strict=True)
        )
        return jnp.asarray(total.astype(last.dtype))

    values = [{"params": network.params, "state": network.state} for network in networks]
    return networks[-1].replace(**jax.tree.map(mean, *values))


def _check_alike(networks: list[Any]) -> None:
    """Refuses what cannot be averaged, and tells all differences."""
    if not networks:
        raise ValueError("there is nothing to average: give at least one network")
    for network in networks:
        if not isinstance(network, Network):
            raise TypeError(f"average takes Networks, got {network!r:.80}")
    *others, last = networks
    problems, there = [], _shapes(last)
    for number, network in enumerate(others):
        if network.classes != last.classes:
            problems.append(f"network {number} has other classes than the last")
        if network.layer.recipe != last.layer.recipe:
            problems.append(f"network {number} is {network.layer!r:.80}, not {last.layer!r:.80}")
        elif (here := _shapes(network)) != there:
            paths = [path for path in here | there if here.get(path) != there.get(path)]
            problems.append(f"network {number} has other shapes: {', '.join(paths[:5])}")
    if problems:
        raise ValueError("such networks have no average\n  " + "\n  ".join(problems))


def _shapes(network: Network) -> dict[str, tuple[Any, ...]]:
    values = trees.flat({"params": network.params, "state": network.state})
    return {path: (leaf.shape, leaf.dtype) for path, leaf in values.items()}


def _shares(weights: Sequence[float] | None, count: int) -> list[float]:
    """Parts of one for so many networks."""
    weights = [1.0] * count if weights is None else [float(weight) for weight in weights]
    if len(weights) != count:
        raise ValueError(f"there are {count} networks and {len(weights)} weights")
    total = math.fsum(weights)
    if not all(0 <= weight < math.inf for weight in weights) or not total > 0:
        raise ValueError(f"weights must be at least 0, and not all of them 0; got {weights}")
    return [weight / total for weight in weights]
