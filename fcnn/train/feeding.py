"""From a dataset to the batches of a step: labels counted as the network counts them, looked at,
and weighted by class.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .. import losses
from ..core import Network
from ..data import Dataset, batches
from .checks import check_labels


def feed(
    dataset: Dataset,
    batch_size: int,
    *,
    classes: tuple[str, ...] | None,
    outputs: Any,
    loss: Any,
    what: str,
    weights: np.ndarray | None = None,
    seed: int | None = None,
    epoch: int = 0,
) -> Iterator[dict[str, Any]]:
    """The batches of one epoch, ready for a step.

    Raises:
        ValueError: a label that the network cannot have, or a class that it does not know.
        TypeError: labels of the wrong type.
    """
    table = translation(dataset.classes, classes)
    for batch in batches(dataset, batch_size, seed=seed, epoch=epoch):
        if table is not None:
            batch["y"] = table[batch["y"]]
        check_labels(batch["y"], outputs, loss, what)
        if weights is not None:
            batch["weight"] = batch["weight"] * weights[class_numbers(batch["y"], outputs)]
        yield batch


def class_numbers(y: np.ndarray, outputs: Any) -> np.ndarray:
    """Classes as integers, from integers or from one-hot rows of the shape of the outputs."""
    return y if y.dtype.kind in "iub" and y.ndim < len(outputs.shape) else y.argmax(-1)


def translation(data: tuple[str, ...] | None, network: tuple[str, ...] | None) -> np.ndarray | None:
    """From the data's class numbers to the network's, where both have names that differ."""
    if data is None or network is None or tuple(data) == tuple(network):
        return None
    if unknown := [name for name in data if name not in network]:
        raise ValueError(
            f"the data has classes the network does not know: {', '.join(unknown)}; "
            f"it knows {', '.join(network)}"
        )
    return np.array([network.index(name) for name in data], np.int32)


def classes_of(model: Any, dataset: Dataset, outputs: Any, loss: Any) -> tuple[str, ...] | None:
    """The names of the classes: the network's own, the data's, or their numbers.

    Raises:
        ValueError: the model has fewer outputs than the data has classes.
    """
    count = outputs.shape[-1]
    if isinstance(model, Network) and model.classes is not None and len(model.classes) == count:
        return model.classes
    if dataset.classes is not None:
        names = tuple(dataset.classes)
        if losses.output_of(loss) == "softmax" and len(names) > count:
            raise ValueError(
                f"the data has {len(names)} classes ({', '.join(names[:8])}), "
                f"the model {count} outputs; end it in dense({len(names)})"
            )
        return names
    return tuple(map(str, range(count))) if losses.output_of(loss) == "softmax" else None


def output_form(loss: Any, dataset: Dataset) -> str:
    """What turns outputs into predictions: from the loss, or for a loss of the user's own from the
    targets.
    """
    form = losses.output_of(loss)
    if form is None:
        form = "softmax" if np.asarray(dataset[np.arange(1)][1]).dtype.kind in "iub" else "identity"
    return form


def class_weights(
    given: Mapping[Any, float] | str | None,
    dataset: Dataset,
    classes: tuple[str, ...] | None,
    outputs: Any,
) -> np.ndarray | None:
    """A weight for each class; "balanced" is n / (classes that occur * count), as in scikit-learn.

    Raises:
        ValueError: a class that does not exist, a negative weight, or another word.
        TypeError: the data has no labels to count.
    """
    if given is None:
        return None
    if classes is None:
        raise TypeError("class_weight needs classes, and this loss predicts numbers")
    if isinstance(given, str):
        if given != "balanced":
            raise ValueError(f"class_weight must be a mapping or 'balanced', got {given!r}")
        if getattr(dataset, "y", None) is None:
            raise TypeError("class_weight='balanced' needs data whose labels are at hand (data.y)")
        table = translation(dataset.classes, classes)
        labels = dataset.y if table is None else table[dataset.y]
        labels = class_numbers(np.asarray(labels), outputs)
        counts = np.bincount(labels.reshape(-1), minlength=len(classes))
        present = counts > 0
        weights = counts.sum() / (present.sum() * np.maximum(counts, 1))
        return np.where(present, weights, 0).astype(np.float32)
    weights = np.ones(len(classes), np.float32)
    for name, weight in given.items():
        number = classes.index(name) if name in classes else name
        if not isinstance(number, int | np.integer) or not 0 <= number < len(classes):
            raise ValueError(f"class_weight: no class {name!r}; there are {', '.join(classes)}")
        if not weight >= 0:
            raise ValueError(
                f"class_weight: the weight of {name!r} must be at least 0, got {weight!r}"
            )
        weights[number] = weight
    return weights
