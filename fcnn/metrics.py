"""Metrics: ``(outputs, targets)`` -> one number per example, ``[n]``, by the convention of losses.

Every loss is a metric too. What is no mean over examples, such as F1 or R2, is in the report of an
evaluation.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from . import losses
from .losses import alike, per_example, with_rows

Metric = Callable[[Any, Any], jax.Array]


def accuracy(outputs: Any, targets: Any) -> jax.Array:
    """1 where the largest output is the class, else 0; the first of equal outputs is taken.

    Example:
        >>> import jax.numpy as jnp
        >>> print(accuracy(jnp.array([[2.0, 0.0], [3.0, 1.0]]), jnp.array([0, 1])))
        [1. 0.]
    """
    return top_k(1)(outputs, targets)


def top_k(k: int) -> Metric:
    """The metric that is 1 where the class is among the ``k`` largest outputs, else 0.

    Raises:
        ValueError: ``k`` is not a positive integer, or, when it runs, above the number of classes.
    """
    if not isinstance(k, int) or k < 1:
        raise ValueError(f"k must be a positive integer, got {k!r}")

    def metric(outputs, targets):
        scores, rows = with_rows(outputs, targets)
        if k > scores.shape[-1]:
            raise ValueError(f"top_k({k}) needs {k} classes or more, got outputs {scores.shape}")
        _, best = jax.lax.top_k(scores, k)
        known = ~jnp.isnan(rows).any(-1)
        hit = (best == rows.argmax(-1, keepdims=True)).any(-1) & known
        return per_example(hit.astype(scores.dtype))

    metric.__name__ = metric.__qualname__ = f"top_{k}"
    return metric


def binary_accuracy(outputs: Any, targets: Any, *, threshold: float = 0.5) -> jax.Array:
    """1 where the probability is above the threshold just if the target is 1; outputs are logits.

    Several labels per example, ``[n, k]``, are averaged.
    """
    if not 0 < threshold < 1:
        raise ValueError(f"threshold is a probability between 0 and 1, got {threshold}")
    logits, t = alike(outputs, targets)
    yes = logits > math.log(threshold / (1 - threshold))
    return per_example((yes == (t > 0.5)).astype(logits.dtype))


_METRICS: dict[str, Metric] = {
    metric.__name__: metric for metric in (accuracy, top_k(5), binary_accuracy)
}


def names() -> list[str]:
    """What the metrics are called; ``top_5`` stands for ``top_k(5)``, and so any other number."""
    return [*_METRICS, *losses.names()]


def named(name: str) -> Metric:
    """The metric of that name; ``'top_3'`` is ``top_k(3)``.

    Raises:
        ValueError: there is none; the names are listed.
    """
    if top := re.fullmatch(r"top_([1-9]\d*)", name):
        return top_k(int(top[1]))
    if name not in names():
        raise ValueError(f"no metric is called {name!r}; there are {', '.join(names())}")
    return _METRICS[name] if name in _METRICS else losses.named(name)
