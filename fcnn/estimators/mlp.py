"""scikit-learn's multi-layer perceptrons, compiled.

Arguments, attributes and meaning are those of ``sklearn.neural_network``; with one ``random_state``
initial weights and batches are the same numbers, and results differ by rounding: here everything is
float32. More than there: ``dropout``, ``batch_norm``, ``class_weight``, and ``network_``, which can
be saved, explained and exported. Less: sparse ``X`` has to be made dense.

As there, ``max_iter`` counts epochs for "adam" and "sgd", and steps for "lbfgs".
"""

from typing import Any

import numpy as np

from ..extras import require
from .arguments import check_choices, keep, weighed
from .classes import check_classes, told_classes
from .perceptrons import Perceptron

base = require("sklearn.base", "sklearn")
metaestimators = require("sklearn.utils.metaestimators", "sklearn")
multiclass = require("sklearn.utils.multiclass", "sklearn")


def _trains_in_parts(estimator: Any) -> bool:
    """Whether ``partial_fit`` is there."""
    if estimator.solver == "lbfgs":
        raise AttributeError("solver='lbfgs' takes all examples at once, and has no partial_fit")
    return True


class MLPClassifier(base.ClassifierMixin, Perceptron):
    """A perceptron that tells classes apart: two, more, or several labels at once.

    Example:
        >>> import fcnn
        >>> from fcnn.estimators import MLPClassifier
        >>> train, test = fcnn.data.digits()
        >>> x, x_test = (part.x.reshape(len(part.x), -1) for part in (train, test))
        >>> model = MLPClassifier((32,), max_iter=500, learning_rate_init=0.01, random_state=0)
        >>> bool(model.fit(x, train.y).score(x_test, test.y) > 0.9)
        True

    Args:
        hidden_layer_sizes: Units of each hidden layer; ``()`` for logistic regression.
        activation: Of the hidden layers: "identity", "logistic", "tanh" or "relu".
        solver: "adam", "sgd", or "lbfgs" on all examples at once.
        alpha: Strength of the penalty ``alpha / (2 n)`` times the sum of all squared weights, where
            ``n`` are the examples of a batch.
        batch_size: Examples in a step; "auto" for ``min(200, n)``.
        learning_rate: For "sgd": "constant"; "invscaling", divided by ``t ** power_t`` after ``t``
            examples; "adaptive", divided by 5 where training would end.
        learning_rate_init: The rate at the beginning.
        power_t: The exponent of "invscaling".
        max_iter: Epochs at most, or steps of "lbfgs".
        shuffle: Whether each epoch has an order of its own.
        random_state: Where weights and orders come from.
        tol: What counts as better: a loss lower, or a validation score higher, by that much; for
            "lbfgs", the slope at which it ends.
        verbose: Whether to print the loss of each epoch.
        warm_start: Whether ``fit`` goes on from the weights that are there.
        momentum: For "sgd".
        nesterovs_momentum: Whether it looks one step ahead.
        early_stopping: Whether a part of the data is held out, whose score ends training and
            chooses the epoch.
        validation_fraction: That part.
        beta_1: For "adam", how much of the mean gradient is kept.
        beta_2: The same of its square.
        epsilon: Added to the root of the mean square.
        n_iter_no_change: Epochs without anything better before training ends.
        max_fun: Evaluations of the loss by "lbfgs", at most.
        class_weight: ``{class: weight}`` or "balanced"; not in scikit-learn.
        dropout: The part of the hidden units that is left out in a step; not in scikit-learn.
        batch_norm: Whether hidden units are normalised over the batch; not in scikit-learn.
    """

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        class_weight=None,
        dropout=0.0,
        batch_norm=False,
    ):
        keep(self, locals())

    @metaestimators.available_if(_trains_in_parts)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> "MLPClassifier":
        """One epoch over the data given; the first call has to be told all ``classes``."""
        told_classes(self, classes)
        return self._fit(X, y, sample_weight, more=True)

    def _targets(
        self, y: np.ndarray, weight: np.ndarray, fresh: bool, more: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Classes as rows, [n, k], and the weights with those of the classes."""
        multiclass.check_classification_targets(y)
        several = multiclass.type_of_target(y).startswith("multilabel")
        found = multiclass.unique_labels(y)
        if fresh and not more:
            self.classes_ = found
        check_classes(found, self.classes_, partly=more)
        if several:
            rows, activation = y, "logistic"
        elif len(self.classes_) > 2:
            rows, activation = y[:, None] == self.classes_, "softmax"
        else:
            last = self.classes_[1:]  # no column of ones where there is only one class
            rows = y[:, None] == last if len(last) else np.zeros((len(y), 1))
            activation = "logistic"
        self.out_activation_, self._several = activation, several
        return rows.astype(np.float32), weighed(weight, self.class_weight, y)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each example, ``[n]``; several labels as ``[n, k]``."""
        probabilities = self._outputs(X)
        if self._several:
            return (probabilities > 0.5).astype(int)
        if self.out_activation_ == "softmax":
            return self.classes_[probabilities.argmax(-1)]
        return self.classes_[(probabilities[:, 0] > 0.5).astype(int)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, in the order of ``classes_``, ``[n, classes]``."""
        probabilities = self._outputs(X)
        if self.n_outputs_ == 1:
            return np.concatenate([1 - probabilities, probabilities], 1)
        return probabilities

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of ``predict_proba``."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(base.RegressorMixin, Perceptron):
    """A perceptron that predicts numbers, one or several for each example.

    Example:
        >>> from fcnn.estimators import MLPRegressor
        >>> import numpy as np
        >>> x = np.linspace(-1, 1, 100)[:, None]
        >>> model = MLPRegressor(hidden_layer_sizes=(20,), solver="lbfgs", random_state=0)
        >>> bool(model.fit(x, x[:, 0] ** 2).score(x, x[:, 0] ** 2) > 0.99)
        True

    Args:
        loss: "squared_error", halved; or "poisson", half the deviance, for ``y`` of at least 0,
            whose network ends in an exponential.
        hidden_layer_sizes: Units of each hidden layer. This and what follows is as in
            ``MLPClassifier``.
    """

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        dropout=0.0,
        batch_norm=False,
    ):
        keep(self, locals())

    @metaestimators.available_if(_trains_in_parts)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "MLPRegressor":
        """One epoch over the data given."""
        return self._fit(X, y, sample_weight, more=True)

    def _targets(
        self, y: np.ndarray, weight: np.ndarray, fresh: bool, more: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Numbers as [n, k]."""
        check_choices(self, {"loss": ("squared_error", "poisson")})
        if self.loss == "poisson" and y.min() < 0:
            raise ValueError(f"loss='poisson' needs y of at least 0, got {y.min()}")
        self.out_activation_ = "exp" if self.loss == "poisson" else "identity"
        return y.reshape(len(y), -1).astype(np.float32), weight

    def predict(self, X: Any) -> np.ndarray:
        """A number for each example, ``[n]``, or several, ``[n, k]``, as float64."""
        numbers = self._outputs(X).astype(np.float64)
        return numbers[:, 0] if self.n_outputs_ == 1 else numbers

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
