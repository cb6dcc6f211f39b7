"""Test-time augmentation: what a network says of an example as it is and of drawn views of it,
averaged.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn, random

from ..augment import Augmentation, on_batch
from ..core import Layer, Params, State
from ..data import Dataset
from ..data.streams import Stream
from .augmenting import checked_augment
from .checks import first
from .stepping import Augment, Batch

USUAL = 8  # views, where nobody says how many


@dataclass(frozen=True)
class Views:
    """Which views of an example are averaged with the example as it is.

    Attributes:
        augment: What makes them.
        count: How many are drawn.
    """

    augment: Augment
    count: int


def checked_views(augment: Any, views: int | None, data: Dataset | Stream) -> Views | None:
    """The views that are asked for, if they suit the examples; None without an augmentation.

    Raises:
        TypeError: what ``checked_augment`` refuses, or a number of views that is no integer.
        ValueError: views without an augmentation, fewer than one, views of another shape than the
            example, or an augmentation that mixes examples.
        KeyError: there is no recipe of this name.
    """
    if augment is None:
        if views is not None:
            raise ValueError(f"views={views} are drawn by an augmentation: give augment, too")
        return None
    count = USUAL if views is None else views
    if isinstance(count, bool) or not isinstance(count, int | np.integer):
        raise TypeError(f"views must be an integer, got {count!r}")
    if count < 1:
        raise ValueError(f"views must be at least 1, got {count}")
    augment = checked_augment(augment, data)
    if isinstance(augment, Augmentation) and augment.batch is not None:
        raise ValueError(
            f"{augment} mixes examples, of which each needs a prediction of its own; "
            "leave out mixup and cutmix"
        )
    example = first(data)
    made = jax.eval_shape(augment, jax.eval_shape(lambda: random.key(0)), example[0])
    if (made.shape, made.dtype) != (example.shape[1:], example.dtype):
        raise ValueError(
            f"views must be like the example, {example.dtype}{list(example.shape[1:])}, and "
            f"{augment} makes {made.dtype}{list(made.shape)}"
        )
    return Views(augment, int(count))


def outputs_for(
    layer: Layer, output: str, views: Views | None
) -> Callable[[Params, State, Batch], jax.Array]:
    """``(params, state, batch) -> outputs`` in evaluation mode; a pure function.

    With views the predictions are means over them, and ``outputs`` the raw outputs that stand for
    these: for softmax the logarithms of mean probabilities. Their batch needs ``index`` and a
    ``key``: view number i of an example is what an augmentation makes of it in epoch i of a run
    with that key, whatever else is in the batch; number 0 is the example as it is.
    """

    def plain(params: Params, state: State, batch: Batch) -> jax.Array:
        return layer.apply(params, state, batch["x"])[0]

    if views is None:
        return plain

    def averaged(params: Params, state: State, batch: Batch) -> jax.Array:
        def seen(number: jax.Array) -> jax.Array:
            epoch = jnp.full_like(batch["index"], number)
            drawn = on_batch(views.augment, batch["key"], {**batch, "epoch": epoch})["x"]
            x = jnp.where(number == 0, batch["x"], drawn)
            outputs = plain(params, state, {"x": x})
            return outputs.astype(jnp.promote_types(outputs.dtype, jnp.float32))

        # One after the other, in a loop that is compiled once: as much memory as without views.
        return _MEANS[output](lax.map(seen, jnp.arange(views.count + 1, dtype=jnp.int32)))

    return averaged


def _mean_logarithm(x: jax.Array) -> jax.Array:
    """The logarithm of the mean over the first axis of what ``x`` are logarithms of."""
    return nn.logsumexp(x, axis=0) - math.log(len(x))


# from raw outputs [views, n, ...] to those whose prediction is the mean prediction
_MEANS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "softmax": lambda x: _mean_logarithm(nn.log_softmax(x)),
    "sigmoid": lambda x: _mean_logarithm(nn.log_sigmoid(x)) - _mean_logarithm(nn.log_sigmoid(-x)),
    "exp": _mean_logarithm,
    "identity": lambda x: x.mean(0),
}
