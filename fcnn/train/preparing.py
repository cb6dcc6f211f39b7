"""What a run needs, settled and looked at before anything is traced for training."""

import functools
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from .. import losses
from .. import metrics as metric_functions
from ..core import Layer, Network, as_layer, spec
from ..data import Dataset, split
from ..data.streams import Stream
from ..data.workers import Ahead
from .checks import check_ending, check_labels, checked_inputs, first, outputs_of
from .feeding import class_weights, classes_of, feed, output_form, translated
from .stepping import Loss

OF_STEPS = {"loss", "penalty", "weight", "finite", "outputs", "x", "y", "index", "going"}
OF_EPOCHS = {"epoch", "seconds", "rate", "waited", "skipped"}
RESERVED = OF_STEPS | OF_EPOCHS  # what no metric can be called


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
        output: What turns outputs into predictions.
        monitor: The column of the history that decides.
        mode: Whether its smallest or largest value is the best: "min" or "max".
    """

    layer: Layer
    train: Dataset | Stream
    held_out: Dataset | Stream | None
    x: Any
    outputs: Any
    loss: Loss
    metrics: dict[str, Loss]
    classes: tuple[str, ...] | None
    weights: np.ndarray | None
    output: str
    monitor: str
    mode: str

    def batches(
        self, batch_size: int, seed: int, epoch: int, workers: int | None, start: int = 0
    ) -> Ahead:
        """The batches of an epoch of training, from number ``start`` on."""
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
            start=start,
            workers=workers,
        )

    def network(self, params: Any, state: Any) -> Network:
        """The network with these values."""
        example = None
        if isinstance(self.x, jax.ShapeDtypeStruct):
            example = jax.ShapeDtypeStruct(self.x.shape[1:], self.x.dtype)
        return Network(self.layer, params, state, self.classes, self.output, example)


def prepare(
    model: Layer | Network,
    train: Any,
    *,
    loss: Loss | str,
    metrics: Sequence[Loss | str] | Mapping[str, Loss] | None,
    validation: Any,
    class_weight: Mapping[Any, float] | str | None,
    monitor: str | None,
    mode: str | None,
    penalized: bool,
    seed: int,
    check: bool,
    workers: int | None = None,
    say: Callable[[str], None] | None = None,
) -> Task:
    """The task that the arguments of ``fit`` describe.

    Raises:
        ValueError: data that is empty, cannot be read or does not fit the model or the loss, an
            impossible model, or a name that does not exist.
        TypeError: inputs or labels of the wrong type.
    """
    model = model if isinstance(model, Network) else as_layer(model)
    loss = losses.named(loss) if isinstance(loss, str) else loss
    metrics = _named(metrics, losses.output_of(loss))
    look = functools.partial(checked_inputs, deep=check, workers=workers, say=say)
    dataset, held_out = _both(model, train, validation, seed, look)
    monitor, mode = _monitored(monitor, mode, metrics, penalized, held_out is not None)

    x = spec(first(dataset))
    outputs = outputs_of(model, x)
    check_ending(model, loss)
    form = output_form(loss, dataset, outputs)
    for data in (dataset, held_out):
        _check_amounts(data, loss)
    classes = classes_of(model, dataset, outputs, form)
    for data, what in ((dataset, "train"), (held_out, "validation")):
        if data is not None and data.y is not None:  # else each batch is looked at as it comes
            check_labels(translated(data.y, data.classes, classes), outputs, loss, what)
    return Task(
        layer=model.layer if isinstance(model, Network) else model,
        train=dataset,
        held_out=held_out,
        x=x,
        outputs=outputs,
        loss=loss,
        metrics=metrics,
        classes=classes,
        weights=class_weights(class_weight, dataset, classes, outputs),
        output=form,
        monitor=monitor,
        mode=mode,
    )


def check_counts(**counts: int | None) -> None:
    """Refuses what is no positive integer."""
    for name, count in counts.items():
        if count is not None and (not isinstance(count, int | np.integer) or count < 1):
            raise ValueError(f"{name} must be a positive integer, got {count!r}")


def check_choice(name: str, given: Any, *known: str) -> None:
    """Refuses what is none of the choices."""
    if given not in known:
        raise ValueError(f"{name} must be {' or '.join(map(repr, known))}, got {given!r:.80}")


def _check_amounts(data: Dataset | Stream | None, loss: Loss) -> None:
    """Refuses names of classes where a loss would take their numbers for amounts."""
    if data is None or data.classes is None or losses.output_of(loss) not in ("identity", "exp"):
        return
    if first(data, "y").ndim == 1:
        names = ", ".join(data.classes[:3]) + (", ..." if len(data.classes) > 3 else "")
        raise TypeError(
            f"the targets of {data.name} are the classes {names}, and this loss would take them "
            "for the amounts 0, 1, ...; give a loss over classes, such as cross_entropy, or "
            "numbers as targets: (x, y)"
        )


def _named(metrics: Any, form: str | None) -> dict[str, Loss]:
    """Metrics as ``{name: function}``, from functions, names, or none for the usual one."""
    if metrics is None:
        usual = {"softmax": ["accuracy"], "sigmoid": ["binary_accuracy"]}
        metrics = usual.get(form or "", [])
    if isinstance(metrics, Mapping):
        return dict(metrics)
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    named: dict[str, Loss] = {}
    for metric in metrics:
        function = metric_functions.named(metric) if isinstance(metric, str) else metric
        plain = function.func if isinstance(function, functools.partial) else function
        name = getattr(plain, "__name__", type(plain).__name__).strip("<>")
        if name in named:
            raise ValueError(f"two metrics are called {name}; give them as {{name: function}}")
        named[name] = function
    return named


def _monitored(
    monitor: str | None,
    mode: str | None,
    metrics: dict[str, Loss],
    penalized: bool,
    validated: bool,
) -> tuple[str, str]:
    """The column that decides which epoch is best, and in which direction."""
    if taken := RESERVED & metrics.keys():
        raise ValueError(f"a metric cannot be called {', '.join(sorted(taken))}")
    columns = ["loss", *metrics, *(["penalty"] if penalized else [])]
    if validated:
        columns += [f"validation_{column}" for column in ("loss", *metrics)]
    monitor = monitor or ("validation_loss" if validated else "loss")
    if monitor not in columns:
        raise ValueError(f"monitor {monitor!r} is no column; there are {', '.join(columns)}")
    if mode is None:
        name = monitor.removeprefix("validation_")
        if name in ("loss", "penalty") or metrics.get(name) in losses.OUTPUTS:
            return monitor, "min"
        if name in metric_functions.names() or name.startswith("top_"):
            return monitor, "max"
    if mode not in ("min", "max"):
        raise ValueError(f"is a larger {monitor} better? mode must be 'min' or 'max', got {mode!r}")
    return monitor, mode


def _both(model: Any, train: Any, validation: Any, seed: int, look: Any) -> tuple[Any, Any]:
    """Training and validation data, looked at."""
    train = look(train, model, "train")
    if validation is None:
        return train, None
    if isinstance(validation, numbers.Real):
        if isinstance(train, Stream):
            raise ValueError(
                f"validation={validation} cannot be held out of batches that come one by one; "
                "give data for it"
            )
        return split(train, float(validation), seed=seed)
    held_out = look(validation, model, "validation")
    here, there = (jax.tree.map(lambda x: x.shape[1:], first(data)) for data in (train, held_out))
    if here != there:
        raise ValueError(f"validation inputs are {there}, training inputs {here}")
    return train, held_out
