"""What a run needs, settled and looked at before anything is traced for training."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from .. import losses
from .. import metrics as metric_functions
from ..core import Layer, Network, spec
from ..data import Dataset, split
from .checks import check_ending, check_labels, checked_inputs, first, outputs_of
from .feeding import class_weights, classes_of, feed, output_form, translation
from .stepping import Loss


@dataclass(frozen=True)
class Task:
    """What is to be learned, from what, and which epoch counts as the best.

    Attributes:
        layer: What is trained.
        train: What it is trained on.
        held_out: What is only looked at, if there is such data.
        x: Shape and dtype of the inputs, in a batch of one.
        outputs: The same of the outputs.
        loss: The loss.
        metrics: What else is reported, by name.
        classes: The names of the classes, for a classifier.
        weights: A weight for each class, where they differ.
        monitor: The column of the history that decides.
    """

    layer: Layer
    train: Dataset
    held_out: Dataset | None
    x: Any
    outputs: Any
    loss: Loss
    metrics: dict[str, Loss]
    classes: tuple[str, ...] | None
    weights: np.ndarray | None
    monitor: str

    def batches(self, batch_size: int, seed: int, epoch: int) -> Iterator[dict[str, Any]]:
        """The batches of an epoch of training."""
        return feed(
            self.train,
            batch_size,
            classes=self.classes,
            outputs=self.outputs,
            loss=self.loss,
            what="train",
            weights=self.weights,
            seed=seed,
            epoch=epoch,
        )

    def network(self, params: Any, state: Any) -> Network:
        """The network with these values."""
        example = None
        if isinstance(self.x, jax.ShapeDtypeStruct):
            example = jax.ShapeDtypeStruct(self.x.shape[1:], self.x.dtype)
        form = output_form(self.loss, self.train)
        return Network(self.layer, params, state, self.classes, form, example)


def prepare(
    model: Layer | Network,
    train: Any,
    *,
    loss: Loss | str,
    metrics: Sequence[Loss | str] | Mapping[str, Loss] | None,
    validation: Any,
    class_weight: Mapping[Any, float] | str | None,
    monitor: str | None,
    penalized: bool,
    seed: int,
    check: bool,
) -> Task:
    """The task that the arguments of ``fit`` describe.

    Raises:
        ValueError: data that is empty or does not fit the model or the loss, an impossible model,
            or a name that does not exist.
        TypeError: inputs or labels of the wrong type.
    """
    loss = losses.named(loss) if isinstance(loss, str) else loss
    metrics = _named(metrics, losses.output_of(loss))
    dataset, held_out = _both(model, train, validation, seed, check)
    columns = ["loss", *metrics, *(["penalty"] if penalized else [])]
    if held_out is not None:
        columns += [f"validation_{column}" for column in ("loss", *metrics)]
    monitor = monitor or ("loss" if held_out is None else "validation_loss")
    if monitor not in columns:
        raise ValueError(f"monitor {monitor!r} is no column; there are {', '.join(columns)}")

    x = spec(first(dataset))
    outputs = outputs_of(model, x)
    check_ending(model, loss)
    classes = classes_of(model, dataset, outputs, loss)
    for data, what in ((dataset, "train"), (held_out, "validation")):
        if data is not None and data.y is not None:  # else each batch is looked at as it comes
            table = translation(data.classes, classes)
            check_labels(data.y if table is None else table[data.y], outputs, loss, what)
    weights = class_weights(class_weight, dataset, classes, outputs)
    layer = model.layer if isinstance(model, Network) else model
    return Task(
        layer, dataset, held_out, x, outputs, loss, metrics, classes, weights, monitor
    )  # fmt: skip


def check_counts(**counts: int | None) -> None:
    """Refuses what is no positive integer."""
    for name, count in counts.items():
        if count is not None and (not isinstance(count, int | np.integer) or count < 1):
            raise ValueError(f"{name} must be a positive integer, got {count!r}")


def _named(metrics: Any, form: str | None) -> dict[str, Loss]:
    """Metrics as ``{name: function}``, from functions, names, or none for the usual one."""
    if metrics is None:
        usual = {"softmax": ["accuracy"], "sigmoid": ["binary_accuracy"]}
        metrics = usual.get(form or "", [])
    if isinstance(metrics, Mapping):
        return dict(metrics)
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    functions = [metric_functions.named(m) if isinstance(m, str) else m for m in metrics]
    named = {getattr(fn, "__name__", f"metric{i}"): fn for i, fn in enumerate(functions, 1)}
    if len(named) < len(functions):
        raise ValueError("two metrics have one name; give them as {name: function}")
    return named


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
