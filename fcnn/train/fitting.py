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
from .. import metrics as metric_functions
from ..core import Layer, Network, spec, trees
from ..data import split
from .checks import check_ending, check_labels, checked_inputs, first, outputs_of
from .evaluation import evaluated
from .feeding import class_weights, classes_of, feed, output_form, translation
from .history import History
from .progress import Progress
from .state import start
from .stepping import Loss, make_step

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
    augment: Callable[[jax.Array, Any], Any] | None = None,
    penalty: Callable[[Any], jax.Array] | None = None,
    trainable: str = ".*",
    class_weight: Mapping[Any, float] | str | None = None,
    patience: int | None = None,
    monitor: str | None = None,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    progress: bool = True,
    check: bool = True,
) -> tuple[Network, History]:
    """Trains a layer from fresh values, or goes on from a network.

    The run follows from its arguments: initial values, order and dropout come from ``seed``. With
    validation data the best epoch is known: ``history.best`` and ``history.last`` are both kept,
    and with ``patience`` the best one is returned.

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
            rows, or strings, which become sorted classes.
        loss: ``(outputs, targets) -> [n]``, or its name in ``fcnn.losses``.
        optimizer: An optax transformation or a name in ``fcnn.optimizers``; Adam at 1e-3 if none.
        epochs: How often every example is seen.
        batch_size: Examples in a step; the last batch of an epoch is filled up with examples that
            weigh nothing, so that one program serves all.
        validation: Data that is only looked at, after each epoch; or the fraction of ``train`` to
            hold out for it.
        metrics: More functions like ``loss``, or their names; the accuracy if none, for classes.
        augment: ``(key, image) -> image`` for one example, run on the device.
        penalty: ``params -> scalar``, such as ``optimizers.l2(1e-4)``.
        trainable: Which parameters are trained, as a pattern on their paths; the others, and their
            running statistics, keep every bit.
        class_weight: ``{class: weight}``, or "balanced" for n / (classes * count).
        patience: Stop after that many epochs without a better value of ``monitor``.
        monitor: The column that says which epoch is best; the validation loss if there is one,
            else the loss. Columns other than losses and errors count as better when larger.
        callbacks: Functions that receive a ``Moment`` after each epoch; true ends the run.
        seed: Where all randomness comes from.
        progress: Whether to show the run.
        check: Whether to look for NaN, swapped axes and the like before the first step.

    Returns:
        The network, with the class names, and the history.

    Raises:
        ValueError: data that is empty or does not fit the model or the loss, or an impossible
            model; found before anything is trained.
        TypeError: inputs or labels of the wrong type.
        FloatingPointError: the loss or a gradient is NaN or infinite; says at which step.
    """
    _check_counts(epochs=epochs, batch_size=batch_size, patience=patience)
    loss = losses.named(loss) if isinstance(loss, str) else loss
    optimizer = optimizers.adam() if optimizer is None else optimizer
    optimizer = optimizers.named(optimizer) if isinstance(optimizer, str) else optimizer
    metrics = _named(metrics, losses.output_of(loss))
    dataset, held_out = _both(model, train, validation, seed, check)
    x = spec(first(dataset))
    outputs = outputs_of(model, x)
    check_ending(model, loss)
    classes = classes_of(model, dataset, outputs, loss)
    targets = {"classes": classes, "outputs": outputs, "loss": loss}
    for data, what in ((dataset, "train"), (held_out, "validation")):
        _check_targets(data, what, **targets)
    weights = class_weights(class_weight, dataset, classes, outputs)

    ts = start(model, optimizer, jax.random.key(seed), x, trainable=trainable)
    step = make_step(
        model, loss=loss, optimizer=optimizer, metrics=metrics, augment=augment, penalty=penalty,
        trainable=trainable,
    )  # fmt: skip
    blank = Network(
        model.layer if isinstance(model, Network) else model, {}, {},
        classes=classes, output=output_form(loss, dataset), input=_example(x),
    )  # fmt: skip

    def copied() -> Network:  # the next step takes the buffers of ts
        params, state = jax.tree.map(jnp.copy, (ts.params, ts.state))
        return blank.replace(params=params, state=state)

    history = History(monitor=monitor or ("loss" if held_out is None else "validation_loss"))
    shown = Progress(epochs, -(-len(dataset) // batch_size), shown=progress)
    shown.say(_introduction(ts, trainable, dataset, held_out))
    for epoch in range(epochs):
        begun, found = time.perf_counter(), []
        with shown.epoch(epoch + 1) as bar:
            for batch in feed(
                dataset,
                batch_size,
                **targets,
                what="train",
                weights=weights,
                seed=seed,
                epoch=epoch,
            ):
                ts, values = step(ts, batch)
                found.append(values)
                bar.step(values, batch_size)
            row = {"epoch": epoch + 1, **_means(found, epoch)}
        seconds = time.perf_counter() - begun
        if held_out is not None:
            now = blank.replace(params=ts.params, state=ts.state)
            row |= _validated(now, held_out, batch_size, loss, metrics)
        row |= {"seconds": seconds, "rate": len(dataset) / seconds}
        better = history.record(row, copied)
        shown.row(row)
        wishes = [callback(Moment(row, history, copied)) for callback in callbacks]  # all are asked
        if any(wishes):
            history.stopped = f"stopped by a callback after epoch {epoch + 1}"
        elif patience is not None and not better and epoch + 1 - history.best_epoch >= patience:
            history.stopped = (
                f"stopped: no better {history.monitor} since epoch {history.best_epoch}"
            )
        if history.stopped:
            shown.say(history.stopped)
            break
    history.last = blank.replace(params=ts.params, state=ts.state)
    return (history.last if patience is None else history.best), history


def _check_counts(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and (not isinstance(count, int | np.integer) or count < 1):
            raise ValueError(f"{name} must be a positive integer, got {count!r}")


def _named(metrics: Any, form: str | None) -> dict[str, Loss]:
    """Metrics as ``{name: function}``, from functions, names, or none for the usual one."""
    if metrics is None:
        usual = {"softmax": ["accuracy"], "sigmoid": ["binary_accuracy"], "identity": []}
        metrics = usual.get(form, [])
    if isinstance(metrics, Mapping):
        return dict(metrics)
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    functions = [metric_functions.named(m) if isinstance(m, str) else m for m in metrics]
    return {
        getattr(function, "__name__", f"metric{i}"): function
        for i, function in enumerate(functions, 1)
    }


def _both(model: Any, train: Any, validation: Any, seed: int, check: bool) -> tuple[Any, Any]:
    """Training and validation data, looked at."""
    train = checked_inputs(train, model, "train", deep=check)
    if validation is None:
        return train, None
    if isinstance(validation, float):
        return split(train, validation, seed=seed)
    held_out = checked_inputs(validation, model, "validation", deep=check)
    here, there = (jax.tree.map(lambda x: x.shape[1:], first(data)) for data in (train, held_out))
    if here != there:
        raise ValueError(f"validation inputs are {there}, training inputs {here}")
    return train, held_out


def _check_targets(data: Any, what: str, *, classes: Any, outputs: Any, loss: Loss) -> None:
    """Looks at all labels at once where they are at hand; else ``feed`` does it batch by batch."""
    if data is None or getattr(data, "y", None) is None:
        return
    table = translation(data.classes, classes)
    check_labels(data.y if table is None else table[data.y], outputs, loss, what)


def _example(x: Any) -> jax.ShapeDtypeStruct | None:
    """Shape and dtype of one example, where the input is one array."""
    if not isinstance(x, jax.ShapeDtypeStruct):
        return None
    return jax.ShapeDtypeStruct(x.shape[1:], x.dtype)


def _introduction(ts: Any, trainable: str, dataset: Any, held_out: Any) -> str:
    total = trees.count(ts.params)
    chosen = trees.matching(trainable)(ts.params)
    trained = sum(
        leaf.size
        for leaf, train in zip(jax.tree.leaves(ts.params), jax.tree.leaves(chosen), strict=True)
        if train
    )
    text = f"{trained:,} parameters to train" + (
        f", {total - trained:,} frozen" if trained < total else ""
    )
    text += f", on {len(dataset):,} examples"
    return text if held_out is None else f"{text}; {len(held_out):,} held out"


def _means(found: list[dict[str, jax.Array]], epoch: int) -> dict[str, float]:
    """The weighted means of an epoch, from those of its steps.

    Raises:
        FloatingPointError: a step was not finite.
    """
    found = jax.device_get(found)
    for number, values in enumerate(found):
        if not values["finite"]:
            raise FloatingPointError(
                f"epoch {epoch + 1}, step {number + 1}: the loss or a gradient is not finite "
                f"(loss {float(values['loss'])}); nothing was learned from that batch. "
                "A smaller learning rate or optax.clip_by_global_norm usually helps"
            )
    weight = np.array([values["weight"] for values in found], np.float64)
    names = [name for name in found[0] if name not in ("weight", "finite")]
    names.sort(key=lambda name: (name != "loss", name))
    total = weight.sum() or 1.0
    return {
        name: float(np.dot([values[name] for values in found], weight) / total) for name in names
    }


def _validated(
    network: Network, held_out: Any, batch_size: int, loss: Loss, metrics: dict[str, Loss]
) -> dict[str, float]:
    found = evaluated(
        network,
        held_out,
        batch_size=batch_size,
        loss=loss,
        metrics=tuple(metrics.items()),
        what="validation",
    )
    weight = np.asarray(found["weight"], np.float64)
    names = ["loss", *sorted(metrics)]
    return {f"validation_{name}": float(np.average(found[name], weights=weight)) for name in names}
