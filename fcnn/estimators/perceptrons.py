"""What fitting a perceptron is, for the classifier and the regressor alike.

Weights and orders are drawn from ``random_state`` as scikit-learn draws them.
"""

import functools
import itertools
import warnings
from typing import Any

import jax
import numpy as np
from jax import random

from .. import layers
from ..core import Layer, Network, serial
from ..extras import require
from ..train import predict
from .arguments import (
    COUNT,
    NOT_NEGATIVE,
    PART,
    PATIENCE,
    POSITIVE,
    check_choices,
    check_numbers,
    weights,
)
from .descent import Plan, descend, placed, room
from .objectives import OBJECTIVES
from .quasi_newton import minimize

base = require("sklearn.base", "sklearn")
exceptions = require("sklearn.exceptions", "sklearn")
selection = require("sklearn.model_selection", "sklearn")
sk_utils = require("sklearn.utils", "sklearn")
validation = require("sklearn.utils.validation", "sklearn")

ACTIVATIONS = {
    "identity": None,
    "logistic": layers.sigmoid,
    "tanh": layers.tanh,
    "relu": layers.relu,
}
CHOICES = {
    "activation": tuple(ACTIVATIONS),
    "solver": ("adam", "sgd", "lbfgs"),
    "learning_rate": ("constant", "invscaling", "adaptive"),
}
TESTS = {
    "alpha": NOT_NEGATIVE,
    "learning_rate_init": POSITIVE,
    "power_t": NOT_NEGATIVE,
    "max_iter": COUNT,
    "tol": NOT_NEGATIVE,
    "momentum": (lambda v: 0 <= v <= 1, "from 0 to 1"),
    "validation_fraction": PART,
    "beta_1": PART,
    "beta_2": PART,
    "epsilon": POSITIVE,
    "n_iter_no_change": PATIENCE,
    "max_fun": COUNT,
    "dropout": PART,
}


CURVES = ("loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_")


@functools.lru_cache(maxsize=64)
def perceptron(
    hidden: tuple[int, ...], outputs: int, activation: str, dropout: float, batch_norm: bool
) -> Layer:
    """The layer of an estimator; one for equal arguments, so that programs are found again."""
    parts: list = []
    for features in hidden:
        parts.append(layers.dense(features))
        if batch_norm:
            parts.append(layers.batch_norm())
        if ACTIVATIONS[activation] is not None:
            parts.append(ACTIVATIONS[activation])
        if dropout > 0:
            parts.append(layers.dropout(dropout))
    return serial(*parts, layers.dense(outputs))


class Perceptron(base.BaseEstimator):
    """What the classifier and the regressor share: fitting, and the outputs of the network."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Trains on ``X`` ``[n, features]`` and ``y``, from fresh weights unless ``warm_start``.

        Raises:
            ValueError: arguments, data or weights that cannot be used, or a result not finite.
        """
        return self._fit(X, y, sample_weight, more=False)

    @property
    def network_(self) -> Network:
        """The trained network, for ``fcnn.save``, ``fcnn.explain`` and the like."""
        validation.check_is_fitted(self, "coefs_")
        names = getattr(self, "classes_", None)
        return Network(
            self._layer,
            *self._values(),
            classes=None if names is None else tuple(map(str, names)),
            output=OBJECTIVES[self.out_activation_].output,
            input=jax.ShapeDtypeStruct((self.n_features_in_,), np.float32),
        )

    @property
    def _layer(self) -> Layer:
        return perceptron(*self._made)

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, more: bool) -> Any:
        """Trains; with ``more`` one epoch, after those before."""
        hidden = self._checked_arguments(more)
        fresh = not hasattr(self, "coefs_") or not (self.warm_start or more)
        X, y = self._checked_data(X, y, fresh)
        weight = weights(sample_weight, len(X))
        targets, weight = self._targets(y, weight, fresh, more)
        draw = sk_utils.check_random_state(self.random_state)
        made = (hidden, targets.shape[1], self.activation, float(self.dropout), self.batch_norm)
        if fresh:
            self._begin(made, X.shape[1], draw)
        elif made != self._made:
            raise ValueError(
                f"the network was made as {self._layer!r}; to go on from it, leave "
                "hidden_layer_sizes, activation, dropout, batch_norm and the targets as they were"
            )
        if self.solver == "lbfgs":
            self._minimize(X, targets, weight)
        else:
            self._descend(X, targets, weight, draw, more)
        if not all(np.isfinite(values).all() for values in (*self.coefs_, *self.intercepts_)):
            raise ValueError(
                "training ended in weights that are not finite: scale X (StandardScaler), or lower "
                f"learning_rate_init={self.learning_rate_init}"
            )
        return self

    def _checked_arguments(self, more: bool) -> tuple[int, ...]:
        """The sizes of the hidden layers, when all arguments have been looked at."""
        check_choices(self, CHOICES)
        check_numbers(self, TESTS)
        sizes = self.hidden_layer_sizes
        sizes = tuple(sizes) if np.iterable(sizes) else (sizes,)
        if not all(isinstance(size, int | np.integer) and size > 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0 and whole numbers, got {sizes}")
        if self.batch_size != "auto":
            check_numbers(self, {"batch_size": COUNT})
        if self.solver == "lbfgs" and (self.dropout or self.batch_norm):
            raise ValueError(
                "dropout and batch_norm make the loss random; solver='lbfgs' needs one that is "
                "not: take 'adam'"
            )
        if self.early_stopping and more:
            raise ValueError("partial_fit sees one epoch, and has no use for early_stopping=True")
        return tuple(map(int, sizes))

    def _begin(self, made: tuple[Any, ...], features: int, draw: Any) -> None:
        """Draws the weights: uniform, within the bounds of Glorot and Bengio (2010)."""
        self._made = made
        hidden, outputs, *_ = made
        units = [features, *hidden, outputs]
        self.coefs_, self.intercepts_ = [], []
        for inputs, features in itertools.pairwise(units):
            bound = np.sqrt((2 if self.activation == "logistic" else 6) / (inputs + features))
            kernel = draw.uniform(-bound, bound, (inputs, features))
            self.coefs_.append(kernel.astype(np.float32))
            self.intercepts_.append(draw.uniform(-bound, bound, features).astype(np.float32))
        self._norms, self._statistics = {}, {}
        if self.batch_norm:
            x = jax.ShapeDtypeStruct((1, units[0]), np.float32)
            params, self._statistics = jax.device_get(self._layer.init(random.key(0), x))
            self._norms = {k: v for k, v in params.items() if k.startswith("batch_norm")}
        self.n_layers_, self.n_outputs_ = len(units), outputs
        self.n_iter_ = self.t_ = 0
        for name in ("_solver", *CURVES):
            vars(self).pop(name, None)

    def _values(self) -> tuple[Any, Any]:
        """Parameters and state as the layer takes them."""
        pairs = zip(self.coefs_, self.intercepts_, strict=True)
        dense = {f"dense{i}": {"kernel": w, "bias": b} for i, (w, b) in enumerate(pairs, start=1)}
        return {**dense, **self._norms}, self._statistics

    def _keep(self, params: Any, state: Any) -> None:
        names = [f"dense{i}" for i in range(1, self.n_layers_)]
        self.coefs_ = [np.array(params[name]["kernel"]) for name in names]
        self.intercepts_ = [np.array(params[name]["bias"]) for name in names]
        self._norms = {name: part for name, part in params.items() if name not in names}
        self._statistics = state

    def _minimize(self, X: np.ndarray, targets: np.ndarray, weight: np.ndarray) -> None:
        found = minimize(
            self._layer,
            self.out_activation_,
            self._values()[0],
            placed(X, targets, weight),
            alpha=self.alpha,
            tol=self.tol,
            steps=min(self.max_iter, 2**31 - 1),
            evaluations=min(self.max_fun, 2**31 - 1),
        )
        self._keep(found.params, {})
        self.loss_, self.n_iter_ = float(found.loss), int(found.steps)
        if not found.converged:
            self._warn_of_the_end("steps of lbfgs")

    def _descend(
        self, X: np.ndarray, targets: np.ndarray, weight: np.ndarray, draw: Any, more: bool
    ) -> None:
        held_out, early = None, bool(self.early_stopping)
        if not hasattr(self, "loss_curve_") or early != (self.best_loss_ is None):
            curves = ([], None, [], -np.inf) if early else ([], np.inf, None, None)
            vars(self).update(zip(CURVES, curves, strict=True), _idle=0)
        if early:
            train, held = self._split(targets, draw)
            held_out = placed(X[held], targets[held], weight[held])
            X, targets, weight = X[train], targets[train], weight[train]
        n = len(X)
        batch = min(200, n) if self.batch_size == "auto" else int(self.batch_size)
        if batch > n:
            warnings.warn(f"batch_size={batch} is taken as {n}, all examples", stacklevel=4)
            batch = n
        wide = batch == n and not self.batch_norm  # which would see examples twice
        plan = Plan(
            self._layer,
            self.out_activation_,
            self.solver,
            self.learning_rate,
            bool(self.nesterovs_momentum),
            room(n) if wide else batch,
            self.dropout > 0,
        )
        rows = np.arange(n)

        def order():
            nonlocal rows
            if self.shuffle:  # drawn as scikit-learn draws it
                rows = sk_utils.shuffle(rows, random_state=draw)
            return rows

        now = self._now(more, draw)
        after, losses, scores = descend(
            plan,
            now,
            placed(X, targets, weight),
            held_out,
            self._options(),
            batch=batch,
            epochs=1 if more else int(self.max_iter),
            order=order,
            tell=self._tell if self.verbose else lambda *_: None,
        )
        self._record(after, losses, scores, n)
        if self.n_iter_ == self.max_iter and after["going"] and not more:
            self._warn_of_the_end("epochs")

    def _options(self) -> dict[str, float]:
        names = ("alpha", "beta_1", "beta_2", "epsilon", "momentum", "power_t", "tol")
        options = {name: getattr(self, name) for name in names}
        return {**options, "rate": self.learning_rate_init, "patience": self.n_iter_no_change}

    def _now(self, more: bool, draw: Any) -> dict[str, Any]:
        """What the first epoch begins with."""
        params, state = self._values()
        count = 2 if self.solver == "adam" else 1  # vectors that the solver remembers
        if not (more and hasattr(self, "_solver") and len(self._solver["slots"]) == count):
            size = sum(leaf.size for leaf in jax.tree.leaves(params))
            slots = tuple(np.zeros(size, np.float32) for _ in range(count))
            rate = np.float32(self.learning_rate_init)
            seed = np.int32(draw.randint(2**31 - 1)) if self.dropout > 0 else None
            self._solver = {"slots": slots, "step": np.int32(0), "rate": rate, "seed": seed}
        now = {
            "params": params,
            "state": state,
            "seen": np.float32(self.t_),
            "idle": np.int32(self._idle),
            "going": np.bool_(True),
            **{name: self._solver[name] for name in ("slots", "step", "rate")},
        }
        now["key"] = random.key(self._solver["seed"]) if self.dropout > 0 else None
        if self.early_stopping:
            now |= {"best": (params, state), "best_score": np.float32(self.best_validation_score_)}
        else:
            now["best_loss"] = np.float32(self.best_loss_)
        return now

    def _record(self, after: Any, losses: list[float], scores: list[float], n: int) -> None:
        """What the epochs have come to, as attributes."""
        self._solver |= {name: after[name] for name in ("slots", "step", "rate")}
        self._idle = int(after["idle"])
        self.n_iter_ = len(losses)
        self.t_ += n * len(losses)
        self.loss_curve_ += losses
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else np.nan
        self._keep(*(after["best"] if self.early_stopping else (after["params"], after["state"])))
        if self.early_stopping:
            self.validation_scores_ += scores
            self.best_validation_score_ = float(after["best_score"])
        else:
            self.best_loss_ = float(after["best_loss"])

    def _split(self, targets: np.ndarray, draw: Any) -> tuple[np.ndarray, np.ndarray]:
        """Which examples are trained on, and which are held out: drawn as scikit-learn does."""
        classes = targets if base.is_classifier(self) and targets.shape[1] == 1 else None
        train, held = selection.train_test_split(
            np.arange(len(targets)),
            random_state=draw,
            test_size=self.validation_fraction,
            stratify=classes,
        )
        if len(held) < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {len(targets)} examples is "
                "too small to stop by; hold out more, or set early_stopping=False"
            )
        return train, held

    def _tell(self, epoch: int, loss: float, score: float) -> None:
        text = f"Iteration {epoch}, loss = {loss:.8f}"
        print(f"{text}, validation score = {score:.6f}" if self.early_stopping else text)

    def _warn_of_the_end(self, what: str) -> None:
        warnings.warn(
            f"all {self.n_iter_} {what} are taken (max_iter={self.max_iter}) and training has not "
            "converged; raise max_iter, or scale X",
            exceptions.ConvergenceWarning,
            stacklevel=5,
        )

    def _checked_data(self, X: Any, y: Any, fresh: bool) -> tuple[np.ndarray, np.ndarray]:
        numeric = base.is_regressor(self)
        X, y = validation.validate_data(
            self, X, y, reset=fresh, multi_output=True, dtype=np.float32, y_numeric=numeric
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = validation.column_or_1d(y, warn=True)
        return X, y

    def _outputs(self, X: Any) -> np.ndarray:
        """The outputs of the network for each example, [n, k]."""
        validation.check_is_fitted(self, "coefs_")
        X = validation.validate_data(self, X, reset=False, dtype=np.float32)
        return predict(self.network_, X, batch_size=256)
