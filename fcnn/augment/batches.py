"""An augmentation on a whole batch, each example with a key of its own."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import random

from .protocol import Augmentation, ImageFn


def on_batch(
    augment: Augmentation | ImageFn, key: jax.Array, batch: Mapping[str, Any]
) -> dict[str, Any]:
    """The batch ``{"x": [n, ...], "y": ...}`` with its examples augmented, then mixed if asked.

    An example's key is ``fold_in(fold_in(fold_in(key, 1), epoch), index)``, by the columns
    ``epoch`` (0 where there is none) and ``index`` (the row where there is none) of the batch: so
    its picture depends neither on its place in the batch nor on the size of the batch. What works
    on whole batches has the key of the first example, with 2 in place of 1.

    Args:
        augment: An augmentation, or any function ``(key, example) -> example``.
        key: The key of the run; of the step for batches without ``epoch`` and ``index``, which
            would all be changed in the same way.
        batch: Beside x and y it may have ``epoch`` [n], ``index`` [n], and others, which are kept.

    Raises:
        TypeError: images of integers that are not uint8.
    """
    x = batch["x"]
    if isinstance(augment, Augmentation):
        _check_dtype(augment, x)
    index = batch.get("index", jnp.arange(len(x)))
    epoch = batch.get("epoch", jnp.zeros_like(index))

    def key_of(kind, epoch, index):
        return random.fold_in(random.fold_in(random.fold_in(key, kind), epoch), index)

    keys = jax.vmap(functools.partial(key_of, 1))(epoch, index)
    new = {**batch, "x": jax.vmap(augment)(keys, x)}
    if getattr(augment, "batch", None) is not None:
        new["x"], new["y"] = augment.batch(key_of(2, epoch[0], index[0]), new["x"], batch["y"])
    return new


def _check_dtype(augment: Augmentation, x: Any) -> None:
    if x.dtype != jnp.uint8 and not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"{augment} needs images of uint8 (0 to 255) or floats (0 to 1), got {x.dtype}; "
            "convert them: x.astype(numpy.uint8)"
        )
