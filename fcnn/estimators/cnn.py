"""Networks of fcnn as scikit-learn estimators, on arrays of rank 2 to 5."""

from typing import Any

import numpy as np

from ..extras import require
from .arguments import keep, weighed
from .classes import check_classes, told_classes
from .convolutional import Convolutional

base = require("sklearn.base", "sklearn")
multiclass = require("sklearn.utils.multiclass", "sklearn")
validation = require("sklearn.utils.validation", "sklearn")


class CNNClassifier(base.ClassifierMixin, Convolutional):
    """Any network of fcnn as a classifier, on features, sequences, images or volumes.

    Example:
        >>> import fcnn
        >>> from fcnn.estimators import CNNClassifier
        >>> train, test = fcnn.data.digits()
        >>> model = CNNClassifier(epochs=5, random_state=0).fit(train.x, train.y)
        >>> bool(model.score(test.x, test.y) > 0.9)
        True

    ``X`` is ``[n, features]``, ``[n, length, channels]``, ``[n, height, width, channels]`` or
    ``[n, depth, height, width, channels]``; ``y`` holds any labels. After ``fit`` there are
    ``classes_``, ``network_``, ``n_iter_`` (epochs), ``loss_curve_`` and ``validation_curve_``.

    Args:
        model: A layer that ends in one output for each class; a name of ``fcnn.models``; a function
            of the shape of an example that returns a layer; or None for a small network: two
            convolutions, or one hidden layer for features.
        loss: A loss over classes: its name in ``fcnn.losses``, or ``(outputs, targets) -> [n]``.
        optimizer: A name in ``fcnn.optimizers``, or an optax transformation.
        learning_rate: A number or a schedule, ``step -> rate``; the optimizer's own if None.
        epochs: How often every example is seen, at most.
        batch_size: Examples in a step.
        augment: An augmentation of ``fcnn.augment``, or the name of one of its recipes.
        class_weight: ``{class: weight}``, or "balanced".
        validation_fraction: The part of the examples that is held out and looked at after each
            epoch, if any.
        patience: Epochs without a better loss, on what is held out or else in training, after which
            training ends; the best values are kept.
        warm_start: Whether ``fit`` goes on from the values that are there.
        random_state: Where initial values, order, dropout and augmentation come from.
        verbose: Whether to print the loss of each epoch.
    """

    _forms = ("softmax",)

    def __init__(
        self,
        model=None,
        *,
        loss="cross_entropy",
        optimizer="adam",
        learning_rate=None,
        epochs=10,
        batch_size=32,
        augment=None,
        class_weight=None,
        validation_fraction=None,
        patience=None,
        warm_start=False,
        random_state=None,
        verbose=False,
    ):
        keep(self, locals())

    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> "CNNClassifier":
        """One epoch over the data given; the first call has to be told all ``classes``."""
        told_classes(self, classes)
        return self._fit(X, y, sample_weight, more=True)

    def _targets(
        self, y: np.ndarray, weight: np.ndarray, fresh: bool, more: bool
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Labels as numbers, the weights with those of the classes, and the number of outputs."""
        multiclass.check_classification_targets(y)
        y = validation.column_or_1d(y)
        found = np.unique(y)
        if fresh and not more:
            self.classes_ = found
        check_classes(found, self.classes_, partly=more)
        if len(self.classes_) < 2:
            raise ValueError(f"y has 1 class, {found[0]!r}; a classifier needs two at least")
        weight = weighed(weight, self.class_weight, y)
        return np.searchsorted(self.classes_, y).astype(np.int32), weight, len(self.classes_)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each example, ``[n]``."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(-1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, in the order of ``classes_``, ``[n, classes]``."""
        return self._predictions(X)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of ``predict_proba``."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))


class CNNRegressor(base.RegressorMixin, Convolutional):
    """Any network of fcnn as a regressor, for one number an example or several.

    Example:
        >>> import fcnn
        >>> from fcnn.estimators import CNNRegressor
        >>> train, test = fcnn.data.digits()
        >>> ink = [part.x.mean((1, 2, 3)) for part in (train, test)]
        >>> linear = fcnn.serial(fcnn.flatten, fcnn.dense(1))
        >>> model = CNNRegressor(linear, epochs=60, learning_rate=0.01, random_state=0)
        >>> model = model.fit(train.x, ink[0])
        >>> bool(model.score(test.x, ink[1]) > 0.9)
        True

    Args:
        model: As in ``CNNClassifier``, with one output for each number.
        loss: A loss over numbers: its name in ``fcnn.losses``, or ``(outputs, targets) -> [n]``.
            What follows is as in ``CNNClassifier``.
    """

    _forms = ("identity", "exp")

    def __init__(
        self,
        model=None,
        *,
        loss="squared_error",
        optimizer="adam",
        learning_rate=None,
        epochs=10,
        batch_size=32,
        augment=None,
        validation_fraction=None,
        patience=None,
        warm_start=False,
        random_state=None,
        verbose=False,
    ):
        keep(self, locals())

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "CNNRegressor":
        """One epoch over the data given."""
        return self._fit(X, y, sample_weight, more=True)

    def _targets(
        self, y: np.ndarray, weight: np.ndarray, fresh: bool, more: bool
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Numbers, their weights, and how many there are for an example."""
        self._flat = y.ndim == 1
        return y.reshape(len(y), -1).astype(np.float32), weight, y[:1].size

    def predict(self, X: Any) -> np.ndarray:
        """A number for each example, ``[n]``, or several, ``[n, k]``, as float64."""
        numbers = self._predictions(X).astype(np.float64)
        return numbers[:, 0] if self._flat else numbers

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
