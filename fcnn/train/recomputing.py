"""Any batch of a run, made again: it follows from the data, the seed, the epoch and the step."""

from typing import Any

import jax
import numpy as np
from jax import random

from ..data import as_dataset, batches
from .compiling import compiled
from .state import run_key
from .stepping import Augment, augmented


def seen(
    data: Any,
    batch_size: int,
    *,
    augment: Augment | None = None,
    seed: int = 0,
    epoch: int = 0,
    step: int = 0,
) -> dict[str, np.ndarray]:
    """The batch that a step of ``fit`` saw, bit for bit, after its augmentation.

    To look at what was learned from, or at the batch of a step that went wrong. Nothing else of the
    run is needed.

    Example:
        >>> import fcnn
        >>> train, _ = fcnn.data.digits()
        >>> batch = seen(train, 32, epoch=2, step=5)
        >>> batch["x"].shape, batch["index"][:3]
        ((32, 8, 8, 1), array([1423,  426, 1059], dtype=int32))

    Args:
        data: What was trained on; where ``fit`` held out a fraction, the first part of
            ``fcnn.data.split(data, fraction, seed=seed)``, and where it left out files that cannot
            be read, ``fcnn.data.readable(data)``.
        batch_size: As it was given to ``fit``.
        augment: The same.
        seed: The same.
        epoch: Counted from 0, as in ``fcnn.data.batches``: one less than in a history.
        step: Within the epoch, counted from 0: one less than in the error of a step.

    Returns:
        The columns of ``fcnn.data.batches``, then augmented.
        The weight is that of the example, without its class's.

    Raises:
        ValueError: an option is out of range, or the epoch has no such step.
        TypeError: batches that come from elsewhere, which cannot be made again.
    """
    dataset = as_dataset(data)
    batch = next(batches(dataset, batch_size, seed=seed, epoch=epoch, start=step), None)
    steps = -(-len(dataset) // batch_size)
    if batch is None:
        raise ValueError(f"there is no step {step}: an epoch has {steps}, counted from 0")
    if augment is None:
        return batch
    program = compiled(lambda key, batch: augmented(augment, key, batch))
    return jax.device_get(program(run_key(random.key(seed)), batch))
