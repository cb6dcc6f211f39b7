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

from .. import losses
from ..core import Layer, Network, Params, State, identity
from ..data import Dataset, as_dataset, batches
from ..data.streams import Stream
from ..data.workers import Ahead, workers_for
from .arriving import Arrivals
from .checks import checked_inputs, first, outputs_of
from .feeding import feed
from .regression import RegressionReport, regression_report
from .report import Report, classification_report
from .stepping import Batch, Loss, each

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
    workers: int | None = None,
) -> Report | RegressionReport:
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
        workers: Threads that read the data, as for ``fit``.

    Returns:
        The report: for classes its ``loss, accuracy, precision, recall, f1, per_class, confusion``;
        for numbers ``loss, mse, mae, r2``.

    Raises:
        ValueError: the data is empty, does not fit the network, or cannot be read.
        TypeError: labels of the wrong type.
    """
    _check_network(network, "evaluate")
    loss = loss_for(network, loss)
    dataset = checked_inputs(data, network, "data", workers=workers)
    found = evaluated(network, dataset, batch_size=batch_size, loss=loss, workers=workers)
    outputs, y, per_example, weight = (found[name] for name in ("outputs", "y", "loss", "weight"))
    if network.output in ("identity", "exp"):
        numbers = np.exp(outputs) if network.output == "exp" else outputs
        return regression_report(y.reshape(numbers.shape), numbers, loss=per_example, weight=weight)
    if network.output == "sigmoid":
        labels, predictions = y.reshape(outputs.shape) > 0.5, outputs > 0
        one = outputs.size == len(outputs)
        classes = network.classes if one and network.classes else ("0", "1")
    else:
        labels = y.argmax(-1) if y.ndim == outputs.ndim else y
        predictions = outputs.argmax(-1)
        classes = network.classes or range(outputs.shape[-1])
    each = labels.size // len(labels)  # decisions in an example: pixels, or labels of several
    return classification_report(
        labels.reshape(-1),
        predictions.reshape(-1),
        classes=classes,
        loss=np.repeat(per_example, each),
        weight=None if (weight == 1).all() else np.repeat(weight, each),
    )


def predict(
    network: Network,
    x: Any,
    *,
    batch_size: int = 32,
    raw: bool = False,
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

    Args:
        network: What ``fit`` returned.
        x: Inputs ``[n, ...]``, any n from zero on; a dataset stands for its inputs.
        batch_size: Examples at a time; the program is compiled once for each size.
        raw: Whether to return the outputs as they are (logits).
        workers: Threads that read the inputs of a dataset, as for ``fit``.

    Raises:
        ValueError: inputs of another shape than the network was made for, NaN in them, or examples
            that cannot be read: every one has its prediction.
    """
    _check_network(network, "predict")
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
    run = forward(network.layer, "identity" if raw else network.output)
    source = batches(dataset, batch_size, workers=workers_for(dataset, workers))
    results = _followed(source, lambda batch: run(network.params, network.state, batch["x"]))
    return np.concatenate(results)[: len(dataset)]


@functools.lru_cache(maxsize=64)  # a program for each layer that was asked lately
def forward(layer: Layer, output: str) -> Any:
    """The jitted ``(params, state, x) -> predictions`` in evaluation mode."""
    activation = ACTIVATIONS[output]

    @jax.jit
    def run(params: Params, state: State, x: Any) -> jax.Array:
        outputs, _ = layer.apply(params, state, x)
        return activation(outputs.astype(np.float32) if outputs.dtype.itemsize < 4 else outputs)

    return run


@functools.lru_cache(maxsize=64)
def evaluation_step(layer: Layer, loss: Loss, metrics: tuple[tuple[str, Loss], ...]) -> Any:
    """The jitted ``(params, state, batch) -> {"outputs", "loss", ...}``, a value per example."""

    @jax.jit
    def run(params: Params, state: State, batch: Batch) -> dict[str, jax.Array]:
        outputs, _ = layer.apply(params, state, batch["x"])
        named = (("loss", loss), *metrics)
        values = {name: each(name, function, outputs, batch["y"]) for name, function in named}
        return {"outputs": outputs, **values}

    return run


def _followed(source: Ahead, function: Callable[[Batch], Any]) -> list[Any]:
    """What a function of the device finds for each batch, brought back while it goes on."""
    results = []
    with contextlib.closing(source):
        arrivals = Arrivals(source)
        for batch in arrivals:
            results.append(function(batch))
            arrivals.follow(results[-1])
            results[-2:-1] = jax.device_get(results[-2:-1])
    return jax.device_get(results)


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
) -> dict[str, np.ndarray]:
    """Outputs, loss and metrics of every example on the host, with its target ``y`` and its weight;
    only those called ``names``, if there are any. ``watch`` is called before each batch.

    Raises:
        ValueError: a label that the network cannot have.
        TypeError: labels of the wrong type.
    """
    run = evaluation_step(network.layer, loss, metrics)
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
        found = {**batch, **run(network.params, network.state, batch)}
        kept = names or [name for name in found if name != "x"]
        return {name: found[name] for name in {*kept, "index"}}

    parts = _followed(source, look)
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    index = found.pop("index")
    real = index >= 0 if isinstance(dataset, Stream) else slice(len(dataset))
    return {name: column[real] for name, column in found.items()}


def _check_network(network: Any, name: str) -> None:
    if not isinstance(network, Network):
        raise TypeError(f"{name} takes a Network, as fit returns it, got {network!r:.80}")


def loss_for(network: Network, loss: Loss | str | None) -> Loss:
    """The loss by name, or the one that goes with the network's outputs."""
    if loss is None:
        return LOSSES[network.output]
    return losses.named(loss) if isinstance(loss, str) else loss
