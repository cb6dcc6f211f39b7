"""From a dataset to the batches of a step: labels counted as the network counts them, looked at,
and weighted by class.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import losses
from ..core import Network
from ..data import Dataset
from ..data.batching import numbered
from ..data.streams import Stream
from ..data.workers import Ahead, workers_for
from .checks import check_labels, first


def feed(
    dataset: Dataset | Stream,
    batch_size: int,
    *,
    classes: tuple[str, ...] | None,
    outputs: Any,
    loss: Any,
    what: str,
    weights: np.ndarray | None = None,
    seed: int | None = None,
    epoch: int = 0,
    start: int = 0,
    workers: int | None = None,
) -> Ahead:
    """The batches of one epoch from number ``start`` on, ready for a step; ``workers`` threads make
    them ahead, as many as suit the data if it is None.

    Raises:
        ValueError: a label that the network cannot have, or a class that it does not know.
        TypeError: labels of the wrong type.
    """
    if isinstance(dataset, Stream):
        make, numbers = dataset.numbered(epoch, start)
    else:
        make, numbers = numbered(dataset, batch_size, seed=seed, epoch=epoch, start=start)

    def ready(number):
        if (batch := make(number)) is None:
            return None
        batch["y"] = translated(batch["y"], dataset.classes, classes)
        check_labels(batch["y"], outputs, loss, what)
        if weights is not None:
            batch["weight"] = batch["weight"] * weights[class_numbers(batch["y"], outputs)]
        return batch

    return Ahead(ready, numbers, workers_for(dataset, workers))


def columns(
    dataset: Dataset,
    classes: tuple[str, ...] | None,
    outputs: Any,
    weights: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """All examples of a dataset in memory as ``feed`` would give them: ``x``, ``y`` and, where some
    count more than others, ``weight``.
    """
    found = {"x": dataset.x, "y": translated(dataset.y, dataset.classes, classes)}
    if dataset.weight is not None:
        found["weight"] = dataset.weight
    if weights is not None:
        by_class = weights[class_numbers(found["y"], outputs)]
        found["weight"] = found.get("weight", np.float32(1)) * by_class
    return found


def class_numbers(y: np.ndarray, outputs: Any) -> np.ndarray:
    """Classes as integers [n], from integers, one column of them, or one-hot rows.

    Raises:
        ValueError: examples have several labels each.
    """
    if y.ndim == 2 and y.shape[1] > 1 and y.shape[1:] == outputs.shape[1:]:
        return y.argmax(-1)
    if y.size != len(y):
        raise ValueError("class_weight needs one label for each example; give weights in the data")
    return y.reshape(len(y)).astype(np.int32)


def translated(
    y: np.ndarray, data: tuple[str, ...] | None, network: tuple[str, ...] | None
) -> np.ndarray:
    """Labels of the data, numbers or one-hot rows, as the network numbers its classes.

    Raises:
        ValueError: the data names a class that the network does not have.
    """
    if data is None or network is None or tuple(data) == tuple(network):
        return y
    if unknown := [name for name in data if name not in network]:
        raise ValueError(
            f"the data has classes the network does not know: {', '.join(unknown)}; "
            f"it knows {', '.join(network)}"
        )
    table = np.array([network.index(name) for name in data], np.int32)
    if y.dtype.kind in "iu" and y.shape[-1:] != (len(data),):
        return table[y]
    rows = np.zeros((*y.shape[:-1], len(network)), y.dtype)
    rows[..., table] = y
    return rows


def classes_of(
    model: Any, dataset: Dataset | Stream, outputs: Any, form: str
) -> tuple[str, ...] | None:
    """The names of the classes: the network's own, the data's, or their numbers.

    Raises:
        ValueError: the model has not as many outputs as the data has classes.
    """
    count = outputs.shape[-1] if len(outputs.shape) > 1 else 1
    if isinstance(model, Network) and model.classes is not None and len(model.classes) == count:
        return model.classes
    if form == "softmax":
        wanted = count
    elif form == "sigmoid":
        wanted = 2 if count == 1 else count
    else:
        return None
    if dataset.classes is None:
        return tuple(map(str, range(wanted))) if form == "softmax" or count == 1 else None
    if len(dataset.classes) != wanted:
        names = ", ".join(dataset.classes[:8])
        raise ValueError(
            f"the data has {len(dataset.classes)} classes ({names}), the model {count} outputs; "
            f"end it in dense({len(dataset.classes)}), or build it with "
            f"classes={len(dataset.classes)}"
        )
    return tuple(dataset.classes)


def count_classes(*parts: Dataset) -> int:
    """How many classes the targets of classification data have.

    Raises:
        TypeError: the targets are numbers to predict, or not at hand.
    """
    counts = []
    for part in parts:
        if part.classes is not None:
            counts.append(len(part.classes))
        elif part.y is None:
            raise TypeError(f"{part.name}: y is not at hand; say how many classes there are")
        elif part.y.ndim > 1 and part.y.shape[-1] > 1:
            counts.append(part.y.shape[-1])
        elif part.y.dtype.kind == "f":
            raise TypeError(
                f"{part.name}: y holds {part.y.dtype}, but classes are needed: integers from 0 on, "
                "one-hot rows or names"
            )
        else:
            counts.append(int(part.y.max(initial=0)) + 1)
    return max(counts)


def output_form(loss: Any, dataset: Dataset, outputs: Any) -> str:
    """What turns outputs into predictions: from the loss, or for a loss of the user's own from the
    targets, which are classes if they are integers where outputs have several numbers.
    """
    form = losses.output_of(loss)
    if form is None:
        y = first(dataset, "y")
        classes = y.dtype.kind in "iu" and outputs.shape[-1] > 1
        form = "softmax" if classes and y.ndim == len(outputs.shape) - 1 else "identity"
    return form


def class_weights(
    given: Mapping[Any, float] | str | None,
    dataset: Dataset,
    classes: tuple[str, ...] | None,
    outputs: Any,
) -> np.ndarray | None:
    """A weight for each class; "balanced" is n / (classes that occur * count), as in scikit-learn.

    Raises:
        ValueError: a class that does not exist, a negative weight, or several labels an example.
        TypeError: neither a mapping nor "balanced", or the data has no labels to count.
    """
    if given is None:
        return None
    if classes is None:
        raise TypeError("class_weight needs one class for each example; weigh the examples instead")
    if given == "balanced":
        if dataset.y is None:
            raise TypeError("class_weight='balanced' needs data whose labels are at hand (data.y)")
        labels = class_numbers(translated(dataset.y, dataset.classes, classes), outputs)
        counts = np.bincount(labels, minlength=len(classes))
        weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
        return np.where(counts > 0, weights, 0).astype(np.float32)
    if not isinstance(given, Mapping):
        raise TypeError(f"class_weight must be {{class: weight}} or 'balanced', got {given!r:.80}")
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
