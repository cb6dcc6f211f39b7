"""Losses: ``(outputs, targets)`` -> one number per example, ``[n]``.

Outputs are what the model gives, before softmax or sigmoid. Numbers are computed and returned in
float32 whatever the dtype of the outputs (float64 stays float64), and nothing is summed over
examples, so that weights, masks and padded batches are exact. Axes between the first and the class
axis are averaged: segmentation has outputs ``[n, h, w, k]`` and targets ``[n, h, w]``.

* Losses over classes take outputs ``[n, ..., k]``, and targets that are integers ``[n, ...]`` or
  one-hot or soft rows ``[n, ..., k]``. A label outside ``0 .. k-1`` gives NaN, not another class.
* All others take outputs and targets of one shape, ``[n]`` or ``[n, ...]``; a last axis of one may
  be left out on either side. Binary losses average over several labels, ``[n, k]``.

Shapes never broadcast. Options are set by ``functools.partial``, and any function of this kind is
a loss:

    >>> from functools import partial
    >>> import jax.numpy as jnp
    >>> logits, labels = jnp.array([[2.0, 0.0, 0.0]]), jnp.array([0])
    >>> print(cross_entropy(logits, labels))
    [0.23954...]
    >>> loss = partial(cross_entropy, smoothing=0.1)
    >>> print(loss(logits, labels))
    [0.37287...]
    >>> output_of(loss)
    'softmax'

A loss by ``distillation`` compares with what another network makes of the same inputs, too.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import nn
from jax.scipy.special import entr

Loss = Callable[[Any, Any], jax.Array]


def cross_entropy(outputs: Any, targets: Any, *, smoothing: float = 0.0) -> jax.Array:
    """Cross-entropy of softmax: ``-sum(target * log softmax(output))``.

    Args:
        outputs: Logits ``[n, ..., k]``.
        targets: Integers ``[n, ...]``, or rows ``[n, ..., k]``.
        smoothing: Part of each target that is spread evenly over all classes (arXiv:1512.00567).
    """
    if not isinstance(smoothing, jax.core.Tracer) and not 0 <= smoothing < 1:
        raise ValueError(f"smoothing is a part of one, at least 0 and below 1, got {smoothing}")
    logits, rows = with_rows(outputs, targets)
    rows = (1 - smoothing) * rows + smoothing / rows.shape[-1]
    return per_example(-_times(rows, nn.log_softmax(logits)).sum(-1))


def binary_cross_entropy(outputs: Any, targets: Any, *, positive_weight: Any = 1.0) -> jax.Array:
    """Cross-entropy of sigmoid, for yes-or-no targets and for several labels at once.

    Args:
        outputs: Logits ``[n]``, ``[n, 1]`` or ``[n, k]``.
        targets: 0, 1 or a probability between.
        positive_weight: Factor on the loss of positives, a number or ``[k]``.
    """
    z, t = alike(outputs, targets)
    weight = jnp.asarray(positive_weight, z.dtype)
    return per_example(-weight * _times(t, nn.log_sigmoid(z)) - _times(1 - t, nn.log_sigmoid(-z)))


def focal(outputs: Any, targets: Any, *, gamma: float = 2.0) -> jax.Array:
    """Cross-entropy times ``(1 - p)**gamma``: easy examples count less (arXiv:1708.02002)."""
    logits, rows = with_rows(outputs, targets)
    log_p = nn.log_softmax(logits)
    return per_example(-(_power(1 - jnp.exp(log_p), gamma) * _times(rows, log_p)).sum(-1))


def binary_focal(
    outputs: Any, targets: Any, *, gamma: float = 2.0, alpha: float | None = None
) -> jax.Array:
    """Focal loss of sigmoid (arXiv:1708.02002).

    Args:
        outputs: Logits, as for ``binary_cross_entropy``.
        targets: 0, 1 or a probability between.
        gamma: 0 is cross-entropy; the larger, the less easy examples count.
        alpha: Weight of positives, ``1 - alpha`` that of negatives; None weighs both by one.
    """
    z, t = alike(outputs, targets)
    positive = _power(nn.sigmoid(-z), gamma) * _times(t, nn.log_sigmoid(z))
    negative = _power(nn.sigmoid(z), gamma) * _times(1 - t, nn.log_sigmoid(-z))
    if alpha is not None:
        positive, negative = alpha * positive, (1 - alpha) * negative
    return per_example(-positive - negative)


def kl_divergence(outputs: Any, targets: Any) -> jax.Array:
    """``KL(target || softmax(output))``; zero where the two distributions are one."""
    logits, rows = with_rows(outputs, targets)
    return per_example((-_times(rows, nn.log_softmax(logits)) - entr(rows)).sum(-1))


def hinge(outputs: Any, targets: Any) -> jax.Array:
    """``max(0, 1 + best other score - own score)`` (Crammer and Singer, 2001)."""
    scores, rows = with_rows(outputs, targets)
    own = _times(rows, scores).sum(-1)
    rival = jnp.where(rows > 0, -jnp.inf, scores).max(-1)
    # XLA's maximum over many classes can lose NaN.
    rival = jnp.where(jnp.isnan(scores).any(-1), jnp.nan, rival)
    return per_example(_positive(1 + rival - own))


def binary_hinge(outputs: Any, targets: Any) -> jax.Array:
    """``max(0, 1 - score)`` where the target is 1, ``max(0, 1 + score)`` where it is 0."""
    score, t = alike(outputs, targets)
    return per_example(_positive(1 - (2 * t - 1) * score))


def squared_hinge(outputs: Any, targets: Any) -> jax.Array:
    """The square of ``binary_hinge``, which is smooth."""
    score, t = alike(outputs, targets)
    return per_example(_positive(1 - (2 * t - 1) * score) ** 2)


def squared_error(outputs: Any, targets: Any) -> jax.Array:
    """``(output - target)**2``."""
    y, t = alike(outputs, targets)
    return per_example((y - t) ** 2)


def absolute_error(outputs: Any, targets: Any) -> jax.Array:
    """``|output - target|``."""
    y, t = alike(outputs, targets)
    return per_example(_distance(y, t))


def percentage_error(outputs: Any, targets: Any) -> jax.Array:
    """``|output - target| / |target|``, a part of one; targets near zero count as the epsilon."""
    y, t = alike(outputs, targets)
    return per_example(_distance(y, t) / jnp.maximum(jnp.abs(t), jnp.finfo(t.dtype).eps))


def squared_log_error(outputs: Any, targets: Any) -> jax.Array:
    """``(log(1 + output) - log(1 + target))**2``; outputs below zero count as zero."""
    y, t = alike(outputs, targets)
    return per_example((jnp.log1p(_positive(y)) - jnp.log1p(t)) ** 2)


def huber(outputs: Any, targets: Any, *, delta: float = 1.0) -> jax.Array:
    """Half the squared error up to an error of ``delta``, a straight line beyond (Huber, 1964)."""
    y, t = alike(outputs, targets)
    error = jnp.abs(y - t)
    near = jnp.minimum(error, delta)
    return per_example(near**2 / 2 + delta * (error - near))


def log_cosh(outputs: Any, targets: Any) -> jax.Array:
    """``log(cosh(output - target))``, exact for small errors and for large."""
    y, t = alike(outputs, targets)
    error = jnp.abs(y - t)
    small = jnp.log1p(2 * jnp.sinh(jnp.minimum(error, 1) / 2) ** 2)
    large = error + jnp.log1p(jnp.exp(-2 * error)) - math.log(2)
    return per_example(jnp.where(error < 1, small, large))


def cosine(outputs: Any, targets: Any) -> jax.Array:
    """One minus the cosine of the angle along the last axis: 0 to 2, and 1 for a zero vector."""
    y, t = alike(outputs, targets)
    return per_example(1 - (_unit(y) * _unit(t)).sum(-1))


def poisson(outputs: Any, targets: Any) -> jax.Array:
    """``exp(output) - target * output``: the output is the logarithm of the expected count."""
    y, t = alike(outputs, targets)
    return per_example(jnp.exp(y) - _times(t, y))


@dataclass(frozen=True, eq=False, repr=False)
class Distillation:
    """What ``distillation`` makes. Without inputs, as in validation, it is the loss by targets."""

    teacher: Callable[[Any], Any]
    temperature: float
    alpha: float
    loss: Loss

    def __call__(self, outputs: Any, targets: Any) -> jax.Array:
        """The loss by targets."""
        return self.loss(outputs, targets)

    def given(self, x: Any) -> Loss:
        """The loss for the batch of these inputs."""
        logits = jax.lax.stop_gradient(_float(self.teacher(x)))

        def distilled(outputs, targets):
            if jnp.shape(outputs) != logits.shape:
                raise ValueError(
                    f"the teacher gives {logits.shape}, the network {jnp.shape(outputs)}; both "
                    "must have the same classes"
                )
            rows = nn.softmax(logits / self.temperature)
            soft = self.temperature**2 * kl_divergence(_float(outputs) / self.temperature, rows)
            return self.alpha * soft + (1 - self.alpha) * self.loss(outputs, targets)

        return distilled


def distillation(
    teacher: Callable[[Any], Any],
    *,
    temperature: float = 4.0,
    alpha: float = 0.9,
    loss: Loss | str = cross_entropy,
) -> Distillation:
    """A loss by which a network learns from a teacher (Hinton et al., 2015, arXiv:1503.02531):
    ``alpha T**2 KL(softmax(teacher / T) || softmax(output / T)) + (1 - alpha) loss``.

    The teacher runs within the step, on inputs as they are augmented. Where there are outputs and
    targets only, as in validation, the loss by targets is meant.

    Example:
        network, history = fcnn.fit(small, train, loss=fcnn.losses.distillation(large))

    Args:
        teacher: A network, or any function ``x -> logits`` of JAX, such as the mean of several.
        temperature: The higher, the more the classes count that the teacher thinks unlikely.
        alpha: The part of the teacher in the loss.
        loss: The loss by targets, or its name.

    Raises:
        ValueError: an option is out of range.
        TypeError: the teacher is no function.
    """
    if not callable(teacher):
        raise TypeError(f"teacher must be a network or a function x -> logits, got {teacher!r:.80}")
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is a part of the loss, from 0 to 1, got {alpha}")
    return Distillation(teacher, temperature, alpha, named(loss) if isinstance(loss, str) else loss)


def given(loss: Loss, x: Any) -> Loss:
    """The loss for the batch of these inputs: the loss itself, unless it depends on them."""
    return loss.given(x) if isinstance(loss, Distillation) else loss


OUTPUTS: dict[Loss, str] = {
    cross_entropy: "softmax",
    focal: "softmax",
    kl_divergence: "softmax",
    hinge: "softmax",
    binary_cross_entropy: "sigmoid",
    binary_focal: "sigmoid",
    binary_hinge: "sigmoid",
    squared_hinge: "sigmoid",
    squared_error: "identity",
    absolute_error: "identity",
    percentage_error: "identity",
    squared_log_error: "identity",
    huber: "identity",
    log_cosh: "identity",
    cosine: "identity",
    poisson: "exp",
}


def names() -> list[str]:
    """What the losses are called."""
    return [loss.__name__ for loss in OUTPUTS]


def named(name: str) -> Loss:
    """The loss of that name.

    Raises:
        ValueError: there is none; the names are listed.
    """
    for loss in OUTPUTS:
        if loss.__name__ == name:
            return loss
    raise ValueError(f"no loss is called {name!r}; there are {', '.join(names())}")


def output_of(loss: Loss) -> str | None:
    """What turns outputs into predictions: ``'softmax'``, ``'sigmoid'``, ``'identity'``, ``'exp'``.

    A ``functools.partial`` and a distillation are seen through; of a function from elsewhere
    nothing is known: None.
    """
    while isinstance(loss, functools.partial | Distillation):
        loss = loss.func if isinstance(loss, functools.partial) else loss.loss
    return OUTPUTS.get(loss)


def with_rows(outputs: Any, targets: Any) -> tuple[jax.Array, jax.Array]:
    """Outputs and targets over classes as two float arrays ``[n, ..., k]``.

    Raises:
        ValueError: they do not fit together, or there is only one class.
    """
    outputs, targets = _float(outputs), jnp.asarray(targets)
    shape, k = outputs.shape, outputs.shape[-1] if outputs.ndim else 0
    if outputs.ndim < 2 or k < 2:
        raise ValueError(
            f"a loss over classes needs outputs [n, ..., k] of two classes or more, got {shape}; "
            "for one output per example use a binary loss, such as binary_cross_entropy"
        )
    if targets.shape == shape:
        return outputs, targets.astype(outputs.dtype)
    if targets.shape == shape[:-1] and not jnp.issubdtype(targets.dtype, jnp.inexact):
        labels = targets[..., None].astype(jnp.int32)
        rows = (labels == jnp.arange(k, dtype=jnp.int32)).astype(outputs.dtype)
        return outputs, jnp.where((labels >= 0) & (labels < k), rows, jnp.nan)
    if targets.shape == shape[:-1]:
        fix = "labels are integers: targets.astype(int)"
    elif targets.shape == (*shape[:-1], 1):
        fix = "drop the last axis: targets[..., 0]"
    else:
        fix = f"give integers {shape[:-1]} or rows {shape}"
    raise ValueError(f"outputs {shape} do not fit {targets.dtype} targets {targets.shape}; {fix}")


def alike(outputs: Any, targets: Any) -> tuple[jax.Array, jax.Array]:
    """Outputs and targets as two float arrays of one shape.

    Raises:
        ValueError: they differ by more than a last axis of one.
    """
    outputs, targets = _float(outputs), jnp.asarray(targets)
    if not outputs.ndim:
        raise ValueError(
            f"outputs need an axis of examples, got one number; targets {targets.shape}"
        )
    if outputs.shape in (targets.shape, (*targets.shape, 1)) or targets.shape == (
        *outputs.shape,
        1,
    ):
        return outputs, targets.astype(outputs.dtype).reshape(outputs.shape)
    raise ValueError(
        f"outputs {outputs.shape} do not fit targets {targets.shape}: the two are never broadcast; "
        f"give the model an output, or the targets a shape, such that both are {targets.shape}"
    )


def per_example(values: jax.Array) -> jax.Array:
    """The mean over all axes but the first: ``[n, ...] -> [n]``."""
    return values.mean(tuple(range(1, values.ndim)))


def _float(x: Any) -> jax.Array:
    x = jnp.asarray(x)
    return x if x.dtype == jnp.float64 else x.astype(jnp.float32)


def _times(p: jax.Array, x: jax.Array) -> jax.Array:
    """``p * x``, where nothing of something infinite is nothing: ``0 * log 0 = 0``."""
    return p * jnp.where((p == 0) & jnp.isinf(x), 0, x)


def _positive(x: jax.Array) -> jax.Array:
    """``max(0, x)``; XLA can lose NaN where it computes ``maximum`` within a mean."""
    return jnp.where(x <= 0, 0, x)


def _distance(y: jax.Array, t: jax.Array) -> jax.Array:
    """``|y - t|``, whose gradient at zero is zero, where that of ``jnp.abs`` is one."""
    return (y - t) * jnp.sign(y - t)


def _power(miss: jax.Array, gamma: float) -> jax.Array:
    """``miss**gamma``, whose gradient at zero is finite for a gamma below one too."""
    return jnp.maximum(miss, jnp.finfo(miss.dtype).tiny) ** gamma


def _unit(x: jax.Array) -> jax.Array:
    """``x / |x|`` along the last axis, without overflow; zero stays zero."""
    size = jax.lax.stop_gradient(jnp.abs(x).max(-1, keepdims=True))
    x = x / jnp.where(size == 0, 1, size)
    square = (x**2).sum(-1, keepdims=True)
    return x / jnp.sqrt(jnp.where(square == 0, 1, square))
