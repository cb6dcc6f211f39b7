"""Many steps in one program: the examples lie on the device, and a loop there takes batch after
batch.

To call a program takes longer than a small network computes in a step. How many steps a call takes
is an argument of the program, so it is compiled once, and no result depends on how the steps of an
epoch are shared out among calls.
"""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, JaxprEqn, jaxprs_in_params

from ..core import spec
from ..data import Dataset
from .compiling import compiled

ROOM = 2**29  # bytes of examples that are put on the device
SECONDS = 0.2  # a call takes about as long, so that bars move and Ctrl-C is heard

Batch = Mapping[str, Any]
Found = dict[str, np.ndarray]  # what the steps of an epoch found: [steps, ...]


def fits(dataset: Any) -> bool:
    """Whether the examples are arrays, of ``ROOM`` bytes at most."""
    held = (dataset.x, dataset.y)
    arrays = all(type(column) in (np.ndarray, np.memmap) for column in held)
    if type(dataset) is not Dataset or not arrays:
        return False
    return sum(column.nbytes for column in held) <= ROOM


class Pass:
    """An epoch under way on the device.

    Attributes:
        carry: What the steps have made of it so far.
        done: How many of the ``steps`` of the epoch were taken.
        waited: Seconds in which steps waited for data: none.
        examples: How many have come: not counted, since their number is known.
    """

    waited, examples = 0.0, 0

    def __init__(self, loop: "Loop", carry: Any, order: np.ndarray, epoch: int, found: Found):
        self.carry, self.steps = carry, loop.steps
        self.done = max((len(column) for column in found.values()), default=0)
        self._loop, self._epoch, self._found = loop, np.int32(epoch), loop.blank(found)
        self._order = jax.device_put(order.astype(np.int32))
        self._seen: Found = found

    def advance(self, most: int | None = None) -> int:
        """Takes some steps, ``most`` at most, and tells how many; 0 after the last."""
        left = self.steps - self.done
        count = min(self._loop.count, left, left if most is None else most)
        if count == 0:
            return 0
        begun, at = time.perf_counter(), np.int32(self.done)
        self.carry, self._found, reached = self._loop.run(
            self.carry, self._found, self._loop.data, self._order, self._epoch, at, np.int32(count)
        )
        seen, reached = jax.device_get((self._found, reached))
        taken, self.done = int(reached) - self.done, int(reached)
        self._seen = {name: column[: self.done] for name, column in seen.items()}
        self._loop.timed(taken, time.perf_counter() - begun)
        return taken

    @property
    def found(self) -> Found:
        """What the steps found so far, [done, ...] each."""
        return self._seen

    @property
    def latest(self) -> dict[str, np.ndarray]:
        """What the last step found."""
        return {name: column[-1] for name, column in self._seen.items()}

    @property
    def finite(self) -> np.ndarray:
        """Of each step whether it was finite, for steps that say so."""
        return self._seen.get("finite", np.ones(0, bool))

    def settle(self) -> None:
        """All that is done is known."""

    def go_on(self, carry: Any, number: int) -> None:
        """Goes on from this carry after step ``number``, with which the last call ended."""
        self.carry = carry

    def batch(self, number: int) -> Batch:
        """The batch of a step."""
        return _batch(self._loop.size, self._loop.data, self._order, self._epoch, number)

    def close(self) -> None:
        """Nothing is held but memory."""


class Loop:
    """A step, made a loop over examples on the device; it makes a ``Pass`` for each epoch."""

    def __init__(self, run: Callable[..., Any], data: Any, size: int, values: Mapping[str, Any]):
        self.run, self.data, self.size = run, data, size
        self.steps = -(-len(data["x"]) // size)
        self.count = 1  # the first call compiles; the second is the first whose time says anything
        self._values = values

    def begin(
        self, carry: Any, order: np.ndarray, epoch: int = 0, found: Found | None = None
    ) -> Pass:
        """The pass over the examples in this order [n]; after steps that ``found`` something, the
        rest of it.
        """
        return Pass(self, carry, order, epoch, found or {})

    def blank(self, found: Found) -> dict[str, jax.Array]:
        """Room for what each step of an epoch finds, with what some found already."""
        columns = {}
        for name, value in self._values.items():
            columns[name] = np.zeros((self.steps, *value.shape), value.dtype)
            columns[name][: len(found.get(name, ()))] = found.get(name, 0)
        return jax.device_put(columns)

    def timed(self, taken: int, seconds: float) -> None:
        """Sets how many steps the next call takes."""
        self.count = max(1, int(taken * SECONDS / seconds))


def looped(
    step: Callable[[Any, Batch], tuple[Any, dict[str, jax.Array]]],
    carry: Any,
    data: Mapping[str, np.ndarray],
    size: int,
    *,
    donate: bool = False,
    until: str | None = None,
) -> Loop | None:
    """A step for each batch of an epoch, as a loop.

    The batches are those of ``fcnn.data.batches``, of the examples ``data`` in a given order. With
    ``until`` a call ends after the first step that finds this to be false.

    None where the step is better taken alone: its carry changes its shapes, or it holds a
    convolution that XLA's CPU compiler makes 10 to 50 times slower in loops, as it does with any
    whose axes are not in the order NHWC, HWIO.
    """
    n = len(data["x"])
    order = jax.ShapeDtypeStruct((n,), np.int32)
    batch = jax.eval_shape(functools.partial(_batch, size), spec(data), order, 0, 0)
    program, (after, values) = jax.make_jaxpr(step, return_shape=True)(carry, batch)
    if spec(after) != spec(carry) or not _suits_loops(program.jaxpr):
        return None

    def run(carry, found, data, order, epoch, first, count):
        def goes_on(looping):
            number, going, *_ = looping
            return (number < first + count) & going

        def one(looping):
            number, _, carry, found = looping
            carry, values = step(carry, _batch(size, data, order, epoch, number))
            found = {name: found[name].at[number].set(values[name]) for name in found}
            return number + 1, values[until] if until else True, carry, found

        number, _, carry, found = lax.while_loop(goes_on, one, (first, True, carry, found))
        return carry, found, number

    run = compiled(run, donate=(0,) if donate else ())
    data = jax.device_put(jax.tree.map(np.copy, data))  # else it may share the user's memory
    return Loop(run, data, size, values)


def _batch(
    size: int, data: Batch, order: jax.Array, epoch: Any, number: Any
) -> dict[str, jax.Array]:
    """A batch by its number, as ``fcnn.data.batches`` makes it."""
    n = len(order)
    position = number * size + jnp.arange(size, dtype=jnp.int32)
    index = order.at[position % n].get(mode="promise_in_bounds")
    batch = {name: x.at[index].get(mode="promise_in_bounds") for name, x in data.items()}
    once = (position < n).astype(jnp.float32)
    weight = once * batch["weight"] if "weight" in batch else once
    batch |= {"weight": weight, "index": index, "epoch": jnp.full(size, epoch, jnp.int32)}
    # Held apart, so that the step is compiled as it is for batches that come from outside.
    return lax.optimization_barrier(batch)


def _suits_loops(program: Jaxpr) -> bool:
    return jax.default_backend() != "cpu" or not any(map(_slow_in_loops, program.eqns))


def _slow_in_loops(eqn: JaxprEqn) -> bool:
    if eqn.primitive.name == "conv_general_dilated":
        rank = len(eqn.params["window_strides"])
        last, sides = rank + 1, range(1, rank + 1)
        nhwc, hwio = (0, last, *sides), (last, rank, *range(rank))
        return eqn.params["dimension_numbers"] != (nhwc, hwio, nhwc)
    inner = jaxprs_in_params(eqn.params)
    return any(_slow_in_loops(eqn) for program in inner for eqn in program.eqns)
