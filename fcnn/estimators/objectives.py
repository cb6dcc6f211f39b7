"""What the outputs of a perceptron are trained for, as scikit-learn defines it.

The outputs ``z`` ``[n, k]`` are those before the last activation, the targets ``y`` ``[n, k]`` are
classes as rows of zeros and ones (one column for two classes), or numbers. Losses are summed over
the outputs of an example, and give one number for each, ``[n]``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import nn
from jax.scipy.special import xlogy


class Objective(NamedTuple):
    """A loss, and the score by which early stopping judges.

    Attributes:
        loss: ``(z, y) -> [n]``, whose gradient is followed.
        score: ``(z, y, weight) -> scalar``; examples of weight 0 do not count.
        output: What turns ``z`` into predictions, as a ``Network`` calls it.
        averaged: Whether what is reported is the mean over the outputs and not the sum.
    """

    loss: Callable[[Any, Any], jax.Array]
    score: Callable[[Any, Any, Any], jax.Array]
    output: str
    averaged: bool = False

    def reported(self, loss: jax.Array, y: Any) -> jax.Array:
        """The mean loss as ``loss_`` and ``loss_curve_`` state it."""
        return loss / y.shape[-1] if self.averaged else loss


def _cross_entropy(z, y):
    return -(y * nn.log_softmax(z)).sum(-1)


def _binary_cross_entropy(z, y):
    return -(y * nn.log_sigmoid(z) + (1 - y) * nn.log_sigmoid(-z)).sum(-1)


def _half_squared_error(z, y):
    return ((z - y) ** 2).sum(-1) / 2


def _half_poisson_deviance(z, y):
    return (xlogy(y, y) - y * z - y + jnp.exp(z)).sum(-1)


def _accuracy(z, y, weight):
    """How often the largest output is that of the class."""
    return _mean(z.argmax(-1) == y.argmax(-1), weight)


def _all_right(z, y, weight):
    """How often all labels of an example are right."""
    return _mean(((z > 0) == (y > 0.5)).all(-1), weight)


def _r2(prediction, y, weight):
    """One minus the part of the variance that is left, averaged over the outputs."""
    weight = weight[:, None]
    centre = (weight * y).sum(0) / weight.sum()
    left, whole = (weight * (prediction - y) ** 2).sum(0), (weight * (y - centre) ** 2).sum(0)
    constant = jnp.where(left == 0, 1.0, 0.0)
    return jnp.where(whole == 0, constant, 1 - left / jnp.where(whole == 0, 1, whole)).mean()


def _mean(values, weight):
    return (values * weight).sum() / weight.sum()


OBJECTIVES = {  # by the name of the last activation
    "softmax": Objective(_cross_entropy, _accuracy, "softmax"),
    "logistic": Objective(_binary_cross_entropy, _all_right, "sigmoid"),
    "identity": Objective(_half_squared_error, _r2, "identity", averaged=True),
    "exp": Objective(_half_poisson_deviance, lambda z, y, w: _r2(jnp.exp(z), y, w), "exp"),
}


def penalty(params: Any, alpha: Any) -> jax.Array:
    """``alpha / 2`` times the sum of the squares of all weights of dense layers."""
    layers = [part for part in params.values() if "kernel" in part]
    return alpha / 2 * sum(jnp.vdot(layer["kernel"], layer["kernel"]) for layer in layers)
