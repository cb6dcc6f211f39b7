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


def looped(
    step: Callable[[Any, Batch], tuple[Any, dict[str, jax.Array]]],
    carry: Any,
    data: Mapping[str, np.ndarray],
    size: int,
    *,
    donate: bool = False,
) -> Callable[..., tuple[Any, Found]] | None:
    """``(carry, order, watch) -> (carry, found)``: a step for each batch of an epoch.

    The batches are those of ``fcnn.data.batches``, the examples ``data`` in an ``order`` [n]. After
    each call ``watch`` is told what the last step found, and how many steps the call took.

    None where the step is better taken alone: its carry changes its shapes, or it holds a
    convolution that XLA's CPU compiler makes 10 to 50 times slower in loops, as it does with any
    whose axes are not in the order NHWC, HWIO.
    """
    n = len(data["x"])
    steps = -(-n // size)
    order = jax.ShapeDtypeStruct((n,), np.int32)
    batch = jax.eval_shape(functools.partial(_batch, size), spec(data), order, 0)
    program, (after, values) = jax.make_jaxpr(step, return_shape=True)(carry, batch)
    if spec(after) != spec(carry) or not _suits_loops(program.jaxpr):
        return None

    def run(carry, found, data, order, first, count):
        def one(number, both):
            carry, found = both
            carry, values = step(carry, _batch(size, data, order, number))
            return carry, {name: found[name].at[number].set(values[name]) for name in found}

        return lax.fori_loop(first, first + count, one, (carry, found))

    run = compiled(run, donate=(0,) if donate else ())
    data = jax.device_put(jax.tree.map(np.copy, data))  # else it may share the user's memory
    blank = jax.device_put(
        {name: np.zeros((steps, *value.shape), value.dtype) for name, value in values.items()}
    )
    count = 1  # the first call compiles; the second is the first whose time says anything

    def epoch(carry, order, watch=lambda values, count: None):
        nonlocal count
        order, found, done = jax.device_put(order.astype(np.int32)), blank, 0
        while done < steps:
            begun, taken = time.perf_counter(), min(count, steps - done)
            carry, found = run(carry, found, data, order, np.int32(done), np.int32(taken))
            seen = jax.device_get(found)
            count = max(1, int(taken * SECONDS / (time.perf_counter() - begun)))
            done += taken
            watch({name: column[done - 1] for name, column in seen.items()}, taken)
        return carry, seen

    return epoch


def _batch(size: int, data: Batch, order: jax.Array, number: Any) -> dict[str, jax.Array]:
    """A batch by its number, as ``fcnn.data.batches`` makes it."""
    n = len(order)
    position = number * size + jnp.arange(size, dtype=jnp.int32)
    index = order.at[position % n].get(mode="promise_in_bounds")
    batch = {name: x.at[index].get(mode="promise_in_bounds") for name, x in data.items()}
    once = (position < n).astype(jnp.float32)
    weight = once * batch["weight"] if "weight" in batch else once
    # Held apart, so that the step is compiled as it is for batches that come from outside.
    return lax.optimization_barrier({**batch, "weight": weight, "index": index})


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
