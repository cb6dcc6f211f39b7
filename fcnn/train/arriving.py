"""Batches on their way to the device: the next are there before a step is done."""

import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from ..data.workers import Ahead

NEAR = 2  # batches that are put on the device before they are used


class Arrivals(Iterator[dict[str, jax.Array]]):
    """The batches of a source, on the device, in their order.

    What has been made by threads is put there while the device computes. At most two steps are
    under way at a time, so that no more batches are held than are of use.

    Attributes:
        waited: Seconds in which the device had nothing to do because no batch was there. Without
            threads a batch is made here, and counts as a whole if the device is done before it is.
        examples: Number of examples that have come, without the filling of a stream.
    """

    def __init__(self, source: Ahead):
        self.waited, self.examples = 0.0, 0
        self._source, self._near, self._computing = source, deque(), None

    def __next__(self) -> dict[str, jax.Array]:
        while len(self._near) < NEAR and self._source.ready:
            if (batch := next(self._source, None)) is None:
                break
            self._near.append(_sent(batch))
        count, batch = self._near.popleft() if self._near else _sent(self._awaited())
        self.examples += count
        return batch

    def follow(self, found: Any) -> None:
        """The device was given a step that finds this; the step before it is waited for."""
        jax.block_until_ready(self._computing)
        self._computing = found

    def _awaited(self) -> dict[str, np.ndarray]:
        if self._source.workers:  # nothing else can be done until a thread is ready
            jax.block_until_ready(self._computing)
        begun = time.perf_counter()
        batch = next(self._source)
        if all(x.is_ready() for x in jax.tree.leaves(self._computing)):
            self.waited += time.perf_counter() - begun
        return batch


def _sent(batch: dict[str, np.ndarray]) -> tuple[int, dict[str, jax.Array]]:
    """How many examples a batch has, without filling, and the batch on its way to the device."""
    return int(np.count_nonzero(batch["index"] >= 0)), jax.device_put(batch)
