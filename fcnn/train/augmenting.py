"""The augmentation of a run, looked at before anything is traced for training."""

from typing import Any

import jax
import numpy as np

from ..augment import Augmentation, recipe
from ..core import spec
from ..data import Dataset
from ..data.streams import Stream
from .checks import first
from .stepping import Augment


def checked_augment(given: Any, train: Dataset | Stream) -> Augment | None:
    """The augmentation, of which a recipe's name may be given, if it suits the examples.

    Raises:
        TypeError: it is no function of a key and an example.
        KeyError: there is no recipe of this name.
        ValueError: examples are no images, or not of the brightness that it computes with.
    """
    if given is None:
        return None
    augment = recipe(given) if isinstance(given, str) else given
    if not callable(augment):
        raise TypeError(
            f"augment must be an augmentation, the name of a recipe, or a function "
            f"(key, example) -> example; got {given!r:.80}"
        )
    if not isinstance(augment, Augmentation):
        if getattr(augment, "__module__", "").startswith(
            Augmentation.__module__.rpartition(".")[0]
        ):
            raise TypeError(
                f"augment.{augment.__name__} makes an augmentation; write "
                f"augment=augment.{augment.__name__}()"
            )
        return augment
    example = first(train)
    try:
        jax.eval_shape(augment, jax.eval_shape(lambda: jax.random.key(0)), spec(example[0]))
    except (ValueError, TypeError, IndexError) as error:
        if example.ndim == 4:
            raise
        shape = list(example.shape[1:])
        raise ValueError(f"{augment} takes images [h, w, c]; an example is {shape}") from error
    if augment.levels and example.dtype.kind == "f":
        x = train.x if isinstance(train.x, np.ndarray) else example
        low, high = x.min(), x.max()
        if low < 0 or high > 1:
            raise ValueError(
                f"{augment} computes with brightness, of floats from 0 to 1, but x goes from "
                f"{low:g} to {high:g}; scale x, and let the model begin with normalize(mean, std)"
            )
    return augment
