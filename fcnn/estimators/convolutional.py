"""Convolutional networks as estimators, on arrays of rank 2 to 5.

Training is that of ``fcnn.train.make_step``, batch by batch, and a step is compiled once for a
layer, a loss and an optimizer: all folds and candidates of a search that share them run the same
program, with a learning rate of their own. What an estimator has learned it keeps as numpy, and
layers go into pickles as their recipes.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from .. import data, losses
from ..core import Layer, Network, build, spec
from ..data import Dataset
from ..extras import require
from ..train import TrainState, predict, start
from ..train.augmenting import checked_augment
from ..train.checks import check_ending, check_labels, outputs_of
from ..train.evaluation import evaluated
from ..train.running import copied
from .arguments import COUNT, NOT_NEGATIVE, check_numbers, weights
from .compositions import augmentation_for, layer_for, optimizer_for, shared, step_for

base = require("sklearn.base", "sklearn")
sk_utils = require("sklearn.utils", "sklearn")
validation = require("sklearn.utils.validation", "sklearn")

PREDICTED = 256  # examples at a time


class Stored(NamedTuple):
    """A layer in a pickle, as its recipe."""

    recipe: Mapping[str, Any]


class Convolutional(base.BaseEstimator):
    """What the classifier and the regressor share."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Trains on ``X`` ``[n, ...]`` and ``y``, from fresh values unless ``warm_start``.

        Raises:
            ValueError: arguments, data or weights that cannot be used, a model that does not fit
                the data, or numbers that are not finite.
        """
        return self._fit(X, y, sample_weight, more=False)

    @property
    def network_(self) -> Network:
        """The trained network, for ``fcnn.save``, ``fcnn.explain`` and the like."""
        validation.check_is_fitted(self, "_values")
        names = getattr(self, "classes_", None)
        return Network(
            self._layer,
            *self._values,
            classes=None if names is None else tuple(map(str, names)),
            output=self._output,
            input=jax.ShapeDtypeStruct(self.input_shape_, np.float32),
        )

    def __getstate__(self):
        def stored(value):
            has_recipe = isinstance(value, Layer) and value.recipe is not None
            return Stored(value.recipe.to_json()) if has_recipe else value

        return {name: stored(value) for name, value in super().__getstate__().items()}

    def __setstate__(self, state):
        def built(value):
            return shared(build(value.recipe)) if isinstance(value, Stored) else value

        super().__setstate__({name: built(value) for name, value in state.items()})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, more: bool) -> Any:
        """Trains; with ``more`` one epoch, after those before."""
        self._check_arguments()
        fresh = not hasattr(self, "_values") or not (self.warm_start or more)
        X, y = self._checked_inputs(X, fresh), self._checked_targets(y)
        sk_utils.check_consistent_length(X, y)
        targets, weight, outputs = self._targets(y, weights(sample_weight, len(X)), fresh, more)
        examples = data.arrays(X, targets, weight=weight, name="X")
        layer = layer_for(self.model, X.shape[1:], outputs) if fresh else self._layer
        loss = losses.named(self.loss) if isinstance(self.loss, str) else self.loss
        _check_model(layer, loss, examples, outputs)
        augmentation = checked_augment(augmentation_for(self.augment), examples)
        optimizer, rate = optimizer_for(self.optimizer, self.learning_rate)
        if fresh:
            self._layer, self.input_shape_ = layer, X.shape[1:]
            self._output = losses.output_of(loss) or self._forms[0]
            self.n_iter_, self.loss_curve_, self.validation_curve_ = 0, [], []
        seed = int(sk_utils.check_random_state(self.random_state).randint(2**31 - 1))
        ts = self._state(optimizer, seed, fresh, more, X)
        ts = dataclasses.replace(ts, opt_state=(*ts.opt_state[:-1], jnp.float32(rate)))
        step = step_for(layer, loss, optimizer, augmentation)
        self._train(step, ts, examples, loss, seed, more)
        return self

    def _check_arguments(self) -> None:
        check_numbers(self, {"epochs": COUNT, "batch_size": COUNT})
        if self.patience is not None:
            check_numbers(self, {"patience": NOT_NEGATIVE})
        if self.validation_fraction is not None:
            between = (lambda v: 0 < v < 1, "between 0 and 1, or None")
            check_numbers(self, {"validation_fraction": between})
        form = None if callable(self.loss) else losses.output_of(losses.named(self.loss))
        if form is not None and form not in self._forms:
            known = [n for n in losses.names() if losses.output_of(losses.named(n)) in self._forms]
            raise ValueError(f"loss must be one of {', '.join(known)}; got {self.loss!r}")

    def _checked_inputs(self, X: Any, fresh: bool) -> np.ndarray:
        """Arrays of any rank as float32; those of rank 2 with scikit-learn's checks of features."""
        rank = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
        if not fresh and rank > 1 and rank != len(self.input_shape_) + 1:
            shape = ", ".join(map(str, ("n", *self.input_shape_)))
            raise ValueError(f"the network was made for X of shape [{shape}], got {rank} axes")
        if rank > 5:
            raise ValueError(f"X must have 2 to 5 axes, [n, ..., channels], got {rank}")
        if rank <= 2:
            return validation.validate_data(self, X, reset=fresh, dtype=np.float32)
        if fresh:  # of another fit, to features
            vars(self).pop("n_features_in_", None)
            vars(self).pop("feature_names_in_", None)
        return sk_utils.check_array(X, dtype=np.float32, allow_nd=True, input_name="X")

    def _checked_targets(self, y: Any) -> np.ndarray:
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        kind = "numeric" if base.is_regressor(self) else None
        y = sk_utils.check_array(y, ensure_2d=False, dtype=kind, input_name="y")
        return validation.column_or_1d(y, warn=True) if y.shape[1:] == (1,) else y

    def _state(self, optimizer: Any, seed: int, fresh: bool, more: bool, X: Any) -> TrainState:
        """What the first step begins with: fresh values, or those that are there."""
        if fresh:
            return start(self._layer, optimizer, random.key(seed), spec(X[:1]))
        ts = start(self.network_, optimizer, random.key(seed))
        opt_state, step, key = self._rest
        same = jax.tree.structure(opt_state) == jax.tree.structure(ts.opt_state)
        if not (more and same):
            return ts
        opt_state, step, key = jax.tree.map(jnp.array, (opt_state, step, key))
        key = random.wrap_key_data(key)
        return dataclasses.replace(ts, opt_state=opt_state, step=step, key=key)

    def _train(
        self, step: Any, ts: TrainState, examples: Dataset, loss: Any, seed: int, more: bool
    ) -> None:
        held_out, best, least, since = None, None, np.inf, 0
        if self.validation_fraction is not None and not more:
            examples, held_out = data.split(examples, self.validation_fraction, seed=seed)
        for _ in range(1 if more else int(self.epochs)):
            ts, mean = self._epoch(step, ts, examples, seed)
            watched = mean if held_out is None else self._loss_of(held_out, ts, loss)
            if self.verbose:
                note = "" if held_out is None else f", validation loss = {watched:.6f}"
                print(f"epoch {self.n_iter_}, loss = {mean:.6f}{note}")
            if held_out is not None:
                self.validation_curve_.append(watched)
            if self.patience is not None and not more:
                since = 0 if watched < least else since + 1
                if watched < least:
                    best, least = copied((ts.params, ts.state)), watched
                if since > self.patience:
                    break
        self._values = jax.device_get(best or (ts.params, ts.state))
        self._rest = jax.device_get((ts.opt_state, ts.step, random.key_data(ts.key)))

    def _epoch(
        self, step: Any, ts: TrainState, examples: Dataset, seed: int
    ) -> tuple[TrainState, float]:
        """One epoch, and its mean loss."""
        found = []
        for batch in data.batches(examples, int(self.batch_size), seed=seed, epoch=self.n_iter_):
            ts, values = step(ts, batch)
            found.append(values)
        found = jax.device_get(found)
        if not all(values["finite"] for values in found):
            raise ValueError(
                f"epoch {self.n_iter_ + 1} met NaN or infinite numbers: scale X, or lower "
                f"learning_rate={self.learning_rate}"
            )
        total = sum(float(values["weight"]) for values in found)
        mean = sum(float(values["loss"]) * float(values["weight"]) for values in found) / total
        self.n_iter_ += 1
        self.loss_curve_.append(mean)
        return ts, mean

    def _loss_of(self, held_out: Dataset, ts: TrainState, loss: Any) -> float:
        network = Network(self._layer, ts.params, ts.state, output=self._output)
        found = evaluated(network, held_out, batch_size=PREDICTED, loss=loss)
        return float(np.average(found["loss"], weights=found["weight"]))

    def _predictions(self, X: Any) -> np.ndarray:
        validation.check_is_fitted(self, "_values")
        X = self._checked_inputs(X, fresh=False)
        return predict(jax.device_put(self.network_), X, batch_size=PREDICTED)


def _check_model(layer: Layer, loss: Any, examples: Dataset, outputs: int) -> None:
    """Refuses a network whose outputs are not those that the targets need.

    Raises:
        ValueError: it has more or fewer, or ends in an activation that is part of the loss.
    """
    check_ending(layer, loss)
    made = outputs_of(layer, examples.x[:1])
    if made.shape[1:] != (outputs,):
        raise ValueError(
            f"the model gives {list(made.shape[1:])} for an example, and y needs [{outputs}]; "
            f"end it in dense({outputs})"
        )
    check_labels(examples.y, made, loss, "y")
