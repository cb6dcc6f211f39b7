"""Training: a layer and data in, a network and its history out."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import optax

from .. import losses, optimizers
from ..core import Layer, Network, spec, trees
from ..data import Dataset
from ..data.streams import Stream
from ..data.workers import check_workers
from ..store import CheckpointError
from .augmenting import checked_augment
from .averaging import Average, checked_average
from .batch_statistics import restating
from .checkpointing import basis_of, go_with_checkpoints
from .epochs import trainer, validator
from .gradients import check_ways
from .history import History
from .interruptions import listening
from .memory import is_out_of_memory, out_of_memory
from .preparing import Task, check_choice, check_counts, prepare
from .progress import Progress
from .running import Callback, Position, Run
from .state import TrainState, start
from .stepping import Augment, Loss, make_step


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
    average: Average | str | None = None,
    sharpness: float | None = None,
    accumulate: int = 1,
    class_weight: Mapping[Any, float] | str | None = None,
    patience: int | None = None,
    monitor: str | None = None,
    mode: str | None = None,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
    check: bool = True,
    checkpoint: str | os.PathLike | None = None,
    keep: int = 3,
    every: int | None = None,
    on_save_error: str = "raise",
    non_finite: str = "raise",
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

    With ``checkpoint`` a run that was killed goes on where its newest checkpoint stands when the
    same call is made again, and ends bit for bit as if nothing had happened, on the same versions
    and device; a finished one comes back at once. Callbacks with a memory of their own begin anew.

    Ctrl-C ends a run after the step it is at, with the network as it is then and
    ``history.interrupted``; with ``checkpoint`` it is written first. So it is before SIGTERM ends
    the process, with exit code 143.

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
        loss: ``(outputs, targets) -> [n]``, or its name in ``fcnn.losses``; or, to learn from
            another network, what ``fcnn.losses.distillation`` makes.
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
        trainable: Which parameters are trained, as a pattern on their paths; the others keep every
            bit. A part of which none is trained runs as in evaluation, with all that is in it: its
            batch norms use their running statistics and keep them, its dropout is off.
        average: "ema", "swa", or what ``fcnn.train.ema(decay)`` and ``fcnn.train.swa(start)`` make:
            an average of the values along the run, which is what is validated, saved and returned.
            The run itself goes on as without; the loss of training is that of its own values.
        sharpness: The radius within which the loss is to be low, such as 0.05, for a flatter
            minimum (SAM, arXiv:2010.01412); a step takes twice the time.
        accumulate: Parts of a batch that are computed one after the other, with the memory of one:
            the step is the same, except that batch norms see a part at a time.
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
        checkpoint: A folder for the checkpoints of this run: one at the end of each epoch, written
            beside the next steps. Damaged ones are passed over, with a warning.
        keep: How many of them stay.
        every: Steps after which there is one within an epoch, too. One is written at a time: the
            next waits for it.
        on_save_error: What becomes of a run whose checkpoint cannot be written: "raise", or "warn"
            and go on.
        non_finite: What is done about a step in which something is NaN or infinite, from which
            nothing is learned: "raise"; "skip" it, up to ten in a row; or "rollback" to the last
            checkpoint (the values that would be in it, if none are written), up to ten times, and
            go on with the next batch. ``history["skipped"]`` counts such steps.

    Returns:
        The network, with the class names, and the history.

    Raises:
        ValueError: data that is empty, cannot be read, or does not fit the model or the loss, or
            an impossible model; found before anything is trained.
        TypeError: inputs or labels of the wrong type.
        NonFiniteError: a step was not finite. It says at which, for which examples, and what was
            so first; it has the network, and is a ``FloatingPointError``.
        OutOfMemoryError: a step does not fit into memory. It says what needs how much, and which
            batch size would fit. What the run had learned was given to that step, and is in its
            checkpoints only; a network that was given keeps its values.
        CheckpointError: the folder is in use, holds another run, or cannot be written to. Once the
            run has begun it has the ``network`` and the ``history``.
    """
    check_counts(epochs=epochs, batch_size=batch_size, patience=patience, keep=keep, every=every)
    folder = _folder(checkpoint, every, non_finite)
    check_choice("on_save_error", on_save_error, "raise", "warn")
    check_choice("non_finite", non_finite, "raise", "skip", "rollback")
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
    lesson = {
        "loss": task.loss,
        "optimizer": _optimizer(optimizer),
        "augment": checked_augment(augment, task.train),
        "penalty": penalty,
        "trainable": trainable,
    }
    size = task.train.size if isinstance(task.train, Stream) else batch_size
    check_ways(sharpness, accumulate, size)
    shown.steps = steps = _steps(task.train, batch_size)
    mean = checked_average(average, None if steps is None else epochs * steps)
    key = jax.random.key(seed)
    ts = start(model, lesson["optimizer"], key, task.x, trainable=trainable, average=mean)
    ways = {"average": mean, "sharpness": sharpness, "accumulate": accumulate}
    step = make_step(task.layer, metrics=task.metrics, **lesson, **ways)
    shown.say(f"{_introduction(ts, trainable, task)}; seed {seed}")

    signals = [signal.SIGINT] if checkpoint is None else [signal.SIGINT, signal.SIGTERM]
    shapes = spec(ts)
    with listening(*signals) as asked:
        try:
            look = None
            if task.held_out is not None:
                look = validator(task, ts.result, batch_size, workers, watch=asked.check)
            run = Run(
                task=task,
                lesson=lesson,
                ts=ts,
                at=Position(),
                history=History(monitor=task.monitor, mode=task.mode),
                begin=trainer(step, ts, task, batch_size, seed, workers, held=non_finite != "skip"),
                look=look,
                epochs=epochs,
                batch_size=batch_size,
                patience=patience,
                callbacks=callbacks,
                non_finite=non_finite,
                every=every,
                shown=shown,
                asked=asked,
            )
            if mean is not None and mean.recompute:
                feeding = (batch_size, seed, workers)
                run.restate = restating(task, trainable, lesson["augment"], feeding, asked.check)
            if folder is None:
                run.go()
            else:
                warm = isinstance(model, Network)
                basis = basis_of(task, step, ts, batch_size, seed, warm=warm)
                go_with_checkpoints(run, folder, basis, keep=keep, on_error=on_save_error)
        except jax.errors.JaxRuntimeError as error:
            if is_out_of_memory(error):
                raise out_of_memory(step, shapes, task, batch_size) from error
            raise
        except CheckpointError as error:
            asked.end_if_told(error)
            raise
    asked.pass_on()
    history = run.history
    history.last = run.network()
    best = patience is not None and history.best is not None and not history.interrupted
    return (history.best if best else history.last), history


def _folder(
    checkpoint: str | os.PathLike | None, every: int | None, non_finite: str
) -> Path | None:
    """Where the checkpoints go, if there are to be any."""
    if checkpoint is None:
        if every is not None and non_finite != "rollback":
            raise ValueError(f"every={every} is of checkpoints: name their folder, checkpoint=DIR")
        return None
    if not isinstance(checkpoint, str | os.PathLike) or not os.fspath(checkpoint):
        raise TypeError(f"checkpoint must be the name of a folder, got {checkpoint!r:.80}")
    return Path(checkpoint)


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
