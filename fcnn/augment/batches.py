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

    An example's key is ``fold_in(fold_in(key, 1), index)``, by ``batch["index"]`` where there is
    one: so its picture does not depend on its place in the batch. What works on whole batches has
    the key ``fold_in(key, 2)``.

    Args:
        augment: An augmentation, or any function ``(key, example) -> example``.
        key: The key of the step.
        batch: Beside x and y it may have ``index`` [n], and others, which are kept.

    Raises:
        TypeError: images of integers that are not uint8.
    """
    x = batch["x"]
    if isinstance(augment, Augmentation):
        _check_dtype(augment, x)
    indices = batch.get("index", jnp.arange(len(x)))
    keys = jax.vmap(functools.partial(random.fold_in, random.fold_in(key, 1)))(indices)
    new = {**batch, "x": jax.vmap(augment)(keys, x)}
    if getattr(augment, "batch", None) is not None:
        new["x"], new["y"] = augment.batch(random.fold_in(key, 2), new["x"], batch["y"])
    return new


def _check_dtype(augment: Augmentation, x: Any) -> None:
    if x.dtype != jnp.uint8 and not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"{augment} needs images of uint8 (0 to 255) or floats (0 to 1), got {x.dtype}; "
            "convert them: x.astype(numpy.uint8)"
        )
