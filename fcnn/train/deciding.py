"""From raw outputs to classes and their probabilities, and from targets to labels.

Where outputs are of form "softmax", ``[n, ..., k]``, each of their rows tells k classes apart. Of
form "sigmoid" each number tells two: in ``[n]`` and ``[n, 1]`` there is one for an example, in
``[n, k]`` k labels are each there or not.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core import Network

CLASSES = ("softmax", "sigmoid")  # forms of outputs that tell classes apart


def decided(outputs: Any, form: str) -> Any:
    """The class that each of the outputs says, on the host or on the device; a last axis of one is
    dropped.
    """
    if form == "softmax":
        return outputs.argmax(-1)
    return (outputs[..., 0] if outputs.ndim > 1 and outputs.shape[-1] == 1 else outputs) > 0


def labels_of(y: np.ndarray, said: np.ndarray, form: str) -> np.ndarray:
    """Targets as classes, in the shape of those that were decided for; of one-hot and soft rows the
    largest.
    """
    if form == "softmax":
        return y if y.ndim == said.ndim else y.argmax(-1)
    return y.reshape(said.shape) > 0.5


def class_probabilities(outputs: np.ndarray, form: str) -> np.ndarray:
    """The probability of each class in float64: ``[n, k]`` of softmax and of k labels that are each
    there or not; ``[n, 2]`` where one number tells two classes apart.
    """
    z = outputs.astype(np.float64)
    if form == "sigmoid":
        if z.size > len(z):
            return _logistic(z)
        z = z.reshape(len(z))
        return np.stack([_logistic(-z), _logistic(z)], 1)
    with np.errstate(invalid="ignore"):  # of what is not finite nothing is known: NaN
        z -= z.max(-1, keepdims=True)
        np.exp(z, out=z)
        z /= z.sum(-1, keepdims=True)
    return z


def names_of(network: Network, shape: tuple[int, ...]) -> tuple[str, ...]:
    """The names of what outputs of this ``shape``, without the axis of examples, tell apart."""
    last = shape[-1] if shape else 1
    if network.output == "sigmoid" and (len(shape) > 1 or last == 1):
        two = network.classes is not None and len(network.classes) == 2
        return network.classes if two else ("0", "1")
    return network.classes or tuple(map(str, range(last)))


def rows_of(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray | None]:
    """What a report is told of each example beside what was said of it; ``weight`` is None where
    all count the same.
    """
    alike = (found["weight"] == 1).all()
    weight = None if alike else found["weight"]
    return {"loss": found["loss"], "weight": weight, "index": found["index"]}


def _logistic(z: np.ndarray) -> np.ndarray:
    """``1 / (1 + exp(-z))``, without overflow and exact for small results."""
    small = np.exp(-np.abs(z))
    return np.where(z < 0, small, 1) / (1 + small)
