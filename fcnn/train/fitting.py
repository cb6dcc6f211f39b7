"""Training: a layer and data in, a network and its history out."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .. import losses, optimizers
from ..core import Layer, Network, trees
from ..data import Dataset
from ..data.streams import Stream
from ..data.workers import check_workers
from .augmenting import checked_augment
from .epochs import trainer, validator
from .history import History
from .looping import Found
from .preparing import Task, check_counts, prepare
from .progress import Progress
from .state import TrainState, start
from .stepping import Augment, Loss, make_step

Callback = Callable[["Moment"], bool | None]


@dataclass(frozen=True)
class Moment:
    """What a callback sees at the end of an epoch.

    Attributes:
        row: The row of the epoch that ended; ``row["epoch"]`` counts from 1.
        history: The history so far.
        copied: Makes a copy of the network as it is now.
    """

    row: dict[str, float]
    history: History
    copied: Callable[[], Network]


def fit(
    model: Layer | Network,
    train: Any,
    *,
    loss: Loss | str = losses.cross_entropy,
    optimizer: optax.GradientTransformation | str | None = None,
    epochs: int = 10,
    batch_size: int = 32,
    validation: Any = None,
    metrics: Sequence[Loss | str] | Mapping[str, Loss] | None = None,
    augment: Augment | str | None = None,
    penalty: Callable[[Any], jax.Array] | None = None,
    trainable: str = ".*",
    class_weight: Mapping[Any, float] | str | None = None,
    patience: int | None = None,
    monitor: str | None = None,
    mode: str | None = None,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
    check: bool = True,
) -> tuple[Network, History]:
    """Trains a layer from fresh values, or goes on from a network.

    The run follows from its arguments: initial values, order and dropout come from ``seed``. With
    validation data the best epoch is known: ``history.best`` and ``history.last`` are both kept,
    and with ``patience`` the best one is returned.

    Examples that are arrays in memory, of up to 512 MB, are put on the device once, as they are,
    where a loop takes many steps in one call; what is done to the arrays later it does not see.
    Pictures in files are read once, and kept as such arrays if there is room. Other data comes
    batch by batch, ahead of the steps; the results are the same. ``history["waited"]`` is the part
    of the time in which the device had no batch to work on.

    Example:
        >>> import fcnn
        >>> from fcnn import dense, flatten, serial
        >>> train, test = fcnn.data.digits()
        >>> network, history = fcnn.fit(serial(flatten, dense(10)), train, epochs=2, progress=False)
        >>> history["loss"][1] < history["loss"][0]
        True

    Args:
        model: A layer that ends in raw outputs; or a network, for a warm start or fine-tuning.
        train: A dataset, or ``(x, y)``, or ``(x, y, weight)``. Labels may be integers, one-hot
            rows, or strings, which become sorted classes. Or what gives batches of these whenever
            it is iterated, in an order and a size of its own: see ``fcnn.data.stream``.
        loss: ``(outputs, targets) -> [n]``, or its name in ``fcnn.losses``.
        optimizer: An optax transformation or a name in ``fcnn.optimizers``; Adam at 1e-3 if none.
        epochs: How often every example is seen.
        batch_size: Examples in a step; the last batch of an epoch is filled up with examples that
            weigh nothing, so that one program serves all.
        validation: Data that is only looked at, after each epoch; or the fraction of ``train`` to
            hold out for it.
        metrics: More functions like ``loss``, or their names; the accuracy if none, for classes.
        augment: An augmentation of ``fcnn.augment``, the name of one of its recipes, or any
            ``(key, image) -> image`` for one example, run on the device. ``fcnn.train.seen`` shows
            what comes out.
        penalty: ``params -> scalar``, such as ``optimizers.l2(1e-4)``.
        trainable: Which parameters are trained, as a pattern on their paths; the others, and their
            running statistics, keep every bit. All layers run in training mode: what is to run as
            in evaluation, put into ``frozen``.
        class_weight: ``{class: weight}``, or "balanced" for n / (classes * count).
        patience: Stop after that many epochs without a better value of ``monitor``.
        monitor: The column that says which epoch is best; the validation loss if there is one,
            else the loss.
        mode: Whether the smallest or the largest value of ``monitor`` is the best: "min" or "max".
            Known for the losses and metrics of fcnn.
        callbacks: Functions that receive a ``Moment`` after each epoch; true ends the run.
        seed: Where all randomness comes from.
        workers: Threads that read data ahead of the steps; up to four if None, and none for arrays.
            No result depends on it.
        progress: Whether to show the run.
        check: Whether to look for NaN, swapped axes and the like before the first step.

    Returns:
        The network, with the class names, and the history.

    Raises:
        ValueError: data that is empty, cannot be read, or does not fit the model or the loss, or
            an impossible model; found before anything is trained.
        TypeError: inputs or labels of the wrong type.
        FloatingPointError: the loss or a gradient is NaN or infinite; says at which step.
    """
    check_counts(epochs=epochs, batch_size=batch_size, patience=patience)
    if workers is not None:
        check_workers(workers)
    shown = Progress(epochs, shown=progress)
    task = prepare(
        model,
        train,
        loss=loss,
        metrics=metrics,
        validation=validation,
        class_weight=class_weight,
        monitor=monitor,
        mode=mode,
        penalized=penalty is not None,
        seed=seed,
        check=check,
        workers=workers,
        say=shown.say if progress else None,
    )
    _check_passes(epochs, task)
    optimizer = _optimizer(optimizer)
    ts = start(model, optimizer, jax.random.key(seed), task.x, trainable=trainable)
    step = make_step(
        task.layer,
        loss=task.loss,
        optimizer=optimizer,
        metrics=task.metrics,
        augment=checked_augment(augment, task.train),
        penalty=penalty,
        trainable=trainable,
    )

    train_epoch = trainer(step, ts, task, batch_size, seed, workers)
    look = None
    if task.held_out is not None:
        look = validator(task, (ts.params, ts.state), batch_size, workers)

    def copied() -> Network:  # the next step takes the buffers of ts
        return task.network(*_copy((ts.params, ts.state)))

    history = History(monitor=task.monitor, mode=task.mode)
    shown.steps = _steps(task.train, batch_size)
    shown.say(_introduction(ts, trainable, task))
    for epoch in range(epochs):
        begun = time.perf_counter()
        with shown.epoch(epoch + 1) as bar:
            ts, found = train_epoch(ts, epoch, bar)
            _check_finite(found, epoch)
        seconds = time.perf_counter() - begun
        row = {"epoch": epoch + 1, **_means(found)}
        if look is not None:
            seen = _means(look(ts.params, ts.state))
            row |= {f"validation_{name}": mean for name, mean in seen.items()}
        examples = bar.came if isinstance(task.train, Stream) else len(task.train)
        row |= {"seconds": seconds, "rate": examples / seconds, "waited": bar.waited / seconds}
        better = history.record(row, copied)
        shown.row(row)
        wishes = [callback(Moment(row, history, copied)) for callback in callbacks]  # all are asked
        if any(wishes):
            history.stopped = f"stopped by a callback after epoch {epoch + 1}"
        elif patience is not None and not better and epoch + 1 - history.best_epoch >= patience:
            history.stopped = f"stopped: no better {task.monitor} since epoch {history.best_epoch}"
        if history.stopped:
            shown.say(history.stopped)
            break
    history.last = task.network(ts.params, ts.state)
    return (history.last if patience is None else history.best), history


def _optimizer(
    given: optax.GradientTransformation | str | None,
) -> optax.GradientTransformation:
    if given is None:
        return optimizers.adam()
    if isinstance(given, str):
        return optimizers.named(given)
    if not (hasattr(given, "init") and hasattr(given, "update")):
        raise TypeError(
            f"optimizer must be an optax transformation, such as optax.adam(1e-3), or a name; "
            f"got {given!r:.80}"
        )
    return given


def _introduction(ts: TrainState, trainable: str, task: Task) -> str:
    total = trees.count(ts.params)
    chosen = trees.matching(trainable)(ts.params)
    trained = sum(
        leaf.size
        for leaf, train in zip(jax.tree.leaves(ts.params), jax.tree.leaves(chosen), strict=True)
        if train
    )
    text = f"{trained:,} parameters to train"
    if trained < total:
        text += f", {total - trained:,} frozen"
    text += f", on {_amount(task.train)}"
    return text if task.held_out is None else f"{text}; {_amount(task.held_out, '')} held out"


def _amount(data: Dataset | Stream, what: str = " examples") -> str:
    return f"batches of {data.size}" if isinstance(data, Stream) else f"{len(data):,}{what}"


def _steps(data: Dataset | Stream, batch_size: int) -> int | None:
    """How many steps an epoch has, if that is known."""
    return data.steps or None if isinstance(data, Stream) else -(-len(data) // batch_size)


def _check_passes(epochs: int, task: Task) -> None:
    for data in (task.train, task.held_out):
        if isinstance(data, Stream) and data.once and epochs > 1:
            raise ValueError(
                f"{data.name} can be read only once, which does for epochs=1 and not for {epochs}; "
                "give fcnn.data.stream a function that makes a new one, or an object with __iter__"
            )


def _check_finite(found: Found, epoch: int) -> None:
    if found["finite"].all():
        return
    number = found["finite"].argmin()
    raise FloatingPointError(
        f"epoch {epoch + 1}, step {number + 1}: the loss or a gradient is not finite "
        f"(loss {float(found['loss'][number])}); nothing was learned from that batch. "
        "A smaller learning rate or optax.clip_by_global_norm usually helps"
    )


def _means(found: Found) -> dict[str, float]:
    """The weighted means of what steps or examples gave, the loss first."""
    weight = found["weight"].astype(np.float64)
    names = sorted(found.keys() - {"weight", "finite"}, key=lambda name: (name != "loss", name))
    total = weight.sum() or 1.0
    return {name: float(np.dot(found[name].astype(np.float64), weight) / total) for name in names}


@jax.jit
def _copy(tree: Any) -> Any:
    return jax.tree.map(jnp.copy, tree)
