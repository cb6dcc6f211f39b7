"""What safety costs a run: ``python -m tests.benchmarks.overheads``.

``resnet20`` at batch size 128: steps with the look for numbers that are not finite and without it,
in alternation; then ten steps with a checkpoint that is written beside them, and ten without.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax

import fcnn
from fcnn.core import trees
from fcnn.train import stepping
from fcnn.train.writing import Writer

STEPS, ROUNDS, EVERY = 10, 8, 100


class Training:
    """A step and its state."""

    def __init__(self, batch: dict[str, Any]):
        model, optimizer = fcnn.models.resnet20(classes=10), optax.adam(1e-3)
        self.step, self.batch = fcnn.train.make_step(model, optimizer=optimizer), batch
        self.ts = fcnn.train.start(model, optimizer, jax.random.key(0), batch["x"])
        self.take()

    def take(self) -> float:
        """Takes a step, and tells how many seconds it took."""
        begun = time.perf_counter()
        self.ts, found = self.step(self.ts, self.batch)
        jax.block_until_ready((self.ts.params, found))
        return time.perf_counter() - begun


def main() -> None:
    """Prints medians, and what part of a run they are."""
    draws = np.random.default_rng(0)
    x = draws.normal(size=(128, 32, 32, 3)).astype(np.float32)
    batch = {"x": jnp.asarray(x), "y": jnp.arange(128) % 10}
    watched = Training(batch)
    with mock.patch.object(stepping, "all_finite", return_value=True):
        plain = Training(batch)
    pairs = [(watched.take(), plain.take()) for _ in range(STEPS * ROUNDS)]
    one, without = map(median, zip(*pairs, strict=True))
    print(f"a step: {1e3 * one:.1f} ms watched, {1e3 * without:.1f} not: {one / without - 1:+.2%}")

    with tempfile.TemporaryDirectory() as folder:
        writer, calls, extra = Writer(Path(folder), 3, "raise"), [], []
        for number in range(ROUNDS):

            def save(number: int = number) -> None:
                opt_state = trees.nested(trees.flat({"opt_state": watched.ts.opt_state}))
                values = {"params": watched.ts.params, "state": watched.ts.state, **opt_state}
                calls.append(timed(lambda: writer.write(number, values, {})))

            extra.append(-timed(lambda: steps(watched)))
            extra[-1] += timed(lambda: (save(), steps(watched)))
            writer.wait()
    seconds = median(extra)
    print(
        f"a checkpoint: the call returns after {1e3 * median(calls):.1f} ms; {STEPS} steps take "
        f"{1e3 * seconds:.0f} ms longer: {seconds / (EVERY * one):+.2%} of {EVERY} steps"
    )


def steps(training: Training) -> None:
    """Takes some steps."""
    for _ in range(STEPS):
        training.take()


def timed(function: Callable[[], Any]) -> float:
    """How many seconds a call takes."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
