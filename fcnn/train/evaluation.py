"""What a trained network says about data: predictions and figures.

Any number of examples runs through one compiled program: the last batch is filled up and the
filling is cut off again, so every figure is exact.
"""

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from .. import losses
from ..core import Layer, Network, Params, State, identity
from ..data import Dataset, as_dataset, batches
from ..data.streams import Stream
from ..data.workers import Ahead, workers_for
from ..evaluation import (
    LabelReport,
    RegressionReport,
    Report,
    SegmentationReport,
    classification_report,
    label_report,
    regression_report,
)
from .arriving import Arrivals
from .checks import checked_inputs, first, outputs_of
from .deciding import CLASSES, class_probabilities, decided, labels_of, names_of, rows_of
from .feeding import feed
from .segmenting import Pixels
from .stepping import Augment, Batch, Loss, each
from .views import Views, checked_views, outputs_for

ACTIVATIONS = {
    "softmax": jax.nn.softmax,
    "sigmoid": jax.nn.sigmoid,
    "exp": jnp.exp,
    "identity": identity,
}
LOSSES = {
    "softmax": losses.cross_entropy,
    "sigmoid": losses.binary_cross_entropy,
    "exp": losses.poisson,
    "identity": losses.squared_error,
}


def evaluate(
    network: Network,
    data: Any,
    *,
    batch_size: int = 128,
    loss: Loss | str | None = None,
    augment: Augment | str | None = None,
    views: int | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> Report | SegmentationReport | LabelReport | RegressionReport:
    """How good a network is on data, every example counted exactly once.

    Example:
        >>> import fcnn
        >>> from fcnn import dense, flatten, serial
        >>> train, test = fcnn.data.digits()
        >>> network, _ = fcnn.fit(serial(flatten, dense(10)), train, epochs=20, progress=False)
        >>> fcnn.evaluate(network, test).accuracy > 0.9
        True

    Args:
        network: What ``fit`` returned.
        data: A dataset, or ``(x, y)``, or ``(x, y, weight)``, or batches, as for ``fit``. Labels
            may be integers, one-hot rows or the names of the network's classes.
        batch_size: Examples at a time; batches from elsewhere keep their own size.
        loss: The loss to report; by default cross-entropy for a classifier, and the squared error
            for a network that predicts numbers.
        augment: For test-time augmentation, an augmentation or the name of a recipe: predictions
            are means over the example as it is and drawn views of it. The loss is that of the
            means.
        views: How many views are drawn with ``augment``; 8 if nothing is said.
        seed: Of the views.
        workers: Threads that read the data, as for ``fit``.

    Returns:
        For classes a ``Report``; where an example has a class at every pixel or step, a
        ``SegmentationReport``; where it has several labels that are there or not, a
        ``LabelReport``; for numbers a ``RegressionReport``.

    Raises:
        ValueError: the data is empty, does not fit the network, or cannot be read; or views do not
            suit it.
        TypeError: labels of the wrong type.
    """
    check_network(network, "evaluate")
    loss = loss_for(network, loss)
    dataset = checked_inputs(data, network, "data", workers=workers)
    views = checked_views(augment, views, dataset)
    look = functools.partial(
        evaluated,
        network,
        dataset,
        batch_size=batch_size,
        loss=loss,
        workers=workers,
        views=views,
        seed=seed,
    )
    shape, form = outputs_of(network, first(dataset)).shape, network.output
    if form in CLASSES and len(shape) > 2:
        pixels = Pixels(names_of(network, shape[1:]), form)
        found = look(decide=True, keep=pixels.count)
        return pixels.report(found)
    found = look()
    outputs, y, rows = found["outputs"], found["y"], rows_of(found)
    if form not in CLASSES:
        numbers = outputs.astype(np.float64)
        if form == "exp":
            with np.errstate(over="ignore"):  # of a network that has diverged: infinite
                numbers = np.exp(numbers)
        return regression_report(y.reshape(numbers.shape), numbers, **rows)
    said, probabilities = decided(outputs, form), class_probabilities(outputs, form)
    report = classification_report if said.ndim == 1 else label_report
    rows |= {"classes": names_of(network, shape[1:]), "probabilities": probabilities}
    return report(labels_of(y, said, form), said, **rows)


def predict(
    network: Network,
    x: Any,
    *,
    batch_size: int = 32,
    raw: bool = False,
    augment: Augment | str | None = None,
    views: int | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> np.ndarray:
    """What a network says about inputs: probabilities ``[n, classes]`` for a classifier.

    Example:
        >>> import fcnn
        >>> from fcnn import dense, flatten, serial
        >>> train, test = fcnn.data.digits()
        >>> network, _ = fcnn.fit(serial(flatten, dense(10)), train, epochs=1, progress=False)
        >>> fcnn.predict(network, test.x[:3]).shape
        (3, 10)
        >>> shifted = fcnn.augment.translate(0.1)
        >>> fcnn.predict(network, test.x[:3], augment=shifted, views=4).shape
        (3, 10)

    Args:
        network: What ``fit`` returned.
        x: Inputs ``[n, ...]``, any n from zero on; a dataset stands for its inputs.
        batch_size: Examples at a time; the program is compiled once for each size.
        raw: Whether to return the outputs as they are (logits).
        augment: For test-time augmentation, an augmentation or the name of a recipe: predictions
            are means over the example as it is and drawn views of it. What is drawn for an example
            follows from ``seed`` and its place in ``x``.
        views: How many views are drawn with ``augment``; 8 if nothing is said.
        seed: Of the views.
        workers: Threads that read the inputs of a dataset, as for ``fit``.

    Raises:
        ValueError: inputs of another shape than the network was made for, NaN in them, or examples
            that cannot be read: every one has its prediction; or views that do not suit them.
    """
    check_network(network, "predict")
    if not isinstance(x, Dataset):
        x = as_dataset((x, np.zeros(len(x), np.int32)))
    if len(x) == 0:
        if network.input is None:
            raise ValueError("nothing to predict: x is empty")
        like = np.zeros((1, *network.input.shape), network.input.dtype)
        return np.zeros((0, *outputs_of(network, like).shape[1:]), np.float32)
    dataset = checked_inputs(x, network, "x", workers=workers)
    if len(dataset) < len(x):
        raise ValueError(
            f"{len(x) - len(dataset)} of {len(x)} examples of x cannot be read; predict for what "
            "fcnn.data.readable(x) leaves, so that each prediction has its example"
        )
    views = checked_views(augment, views, dataset)
    run = forward(network.layer, network.output, raw, views)
    source = batches(dataset, batch_size, workers=workers_for(dataset, workers))
    key = {} if views is None else {"key": random.key(seed)}

    def look(batch: Batch) -> jax.Array:
        asked = {"x": batch["x"], "index": batch["index"], **key}
        return run(network.params, network.state, asked)

    return np.concatenate(_followed(source, look))[: len(dataset)]


@functools.lru_cache(maxsize=64)  # a program for each layer that was asked lately
def forward(layer: Layer, output: str, raw: bool, views: Views | None = None) -> Any:
    """The jitted ``(params, state, batch) -> predictions`` in evaluation mode; raw outputs if asked
    for. A batch has ``x``, and for views ``index`` and ``key``.
    """
    activation = identity if raw else ACTIVATIONS[output]
    compute = outputs_for(layer, output, views)

    @jax.jit
    def run(params: Params, state: State, batch: Batch) -> jax.Array:
        outputs = compute(params, state, batch)
        return activation(outputs.astype(np.float32) if outputs.dtype.itemsize < 4 else outputs)

    return run


@functools.lru_cache(maxsize=64)
def evaluation_step(
    layer: Layer,
    loss: Loss,
    metrics: tuple[tuple[str, Loss], ...],
    output: str = "identity",
    views: Views | None = None,
) -> Any:
    """The jitted ``(params, state, batch) -> {"outputs", "loss", ...}``, a value per example."""
    compute = outputs_for(layer, output, views)

    @jax.jit
    def run(params: Params, state: State, batch: Batch) -> dict[str, jax.Array]:
        outputs = compute(params, state, batch)
        named = (("loss", loss), *metrics)
        values = {name: each(name, function, outputs, batch["y"]) for name, function in named}
        return {"outputs": outputs, **values}

    return run


def _followed(
    source: Ahead, function: Callable[[Batch], Any], keep: Callable[[Any], Any] = identity
) -> list[Any]:
    """What a function of the device finds for each batch, brought back while it goes on; of that
    what ``keep`` returns.
    """
    results = []
    with contextlib.closing(source):
        arrivals = Arrivals(source)
        for batch in arrivals:
            results.append(function(batch))
            arrivals.follow(results[-1])
            results[-2:-1] = map(keep, jax.device_get(results[-2:-1]))
    results[-1:] = map(keep, jax.device_get(results[-1:]))
    return results


def evaluated(
    network: Network,
    dataset: Dataset | Stream,
    *,
    batch_size: int,
    loss: Loss,
    metrics: tuple[tuple[str, Loss], ...] = (),
    what: str = "data",
    workers: int | None = None,
    names: Sequence[str] | None = None,
    watch: Callable[[], None] = lambda: None,
    views: Views | None = None,
    seed: int = 0,
    decide: bool = False,
    keep: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]] = identity,
) -> dict[str, np.ndarray]:
    """Outputs, loss and metrics of every example on the host, with its target ``y``, its weight and
    its ``index``; only those called ``names``, if there are any.

    Args:
        network: What is looked at.
        dataset: What it looks at.
        batch_size: Examples at a time.
        loss: A number for each example.
        metrics: More of these, by name.
        what: What errors call the data.
        workers: Threads that read it.
        names: What is kept; all but ``x`` if None.
        watch: Called before each batch.
        views: What outputs are means over.
        seed: Of the views.
        decide: Whether classes stand in place of outputs, as ``decided`` gives them.
        keep: What is left of a batch on the host, called on each in order.

    Raises:
        ValueError: a label that the network cannot have.
        TypeError: labels of the wrong type.
    """
    run = evaluation_step(network.layer, loss, metrics, network.output, views)
    key = {} if views is None else {"key": random.key(seed)}
    outputs = outputs_of(network, first(dataset))
    source = feed(
        dataset,
        batch_size,
        classes=network.classes,
        outputs=outputs,
        loss=loss,
        what=what,
        workers=workers,
    )

    def look(batch):
        watch()
        found = {**batch, **run(network.params, network.state, {**batch, **key})}
        if decide:
            found["outputs"] = decided(found["outputs"], network.output)
        kept = names or [name for name in found if name not in ("x", "epoch")]
        return {name: found[name] for name in {*kept, "index"}}

    parts = _followed(source, look, keep)
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    real = found["index"] >= 0 if isinstance(dataset, Stream) else slice(len(dataset))
    kept = names or found
    return {name: column[real] for name, column in found.items() if name in kept}


def check_network(network: Any, name: str) -> None:
    """Refuses what is no network; ``name`` is the function that was given it."""
    if not isinstance(network, Network):
        raise TypeError(f"{name} takes a Network, as fit returns it, got {network!r:.80}")


def loss_for(network: Network, loss: Loss | str | None) -> Loss:
    """The loss by name, or the one that goes with the network's outputs."""
    if loss is None:
        return LOSSES[network.output]
    return losses.named(loss) if isinstance(loss, str) else loss
