"""Memory that does not suffice: how much a step needs, and with which batch size it would fit."""

import os
import sys
from typing import Any

import jax
import numpy as np

from ..core import spec
from ..data.streams import Stream
from .feeding import translated
from .preparing import Task
from .state import TrainState
from .stepping import Step


class OutOfMemoryError(MemoryError):
    """A step needs more memory than there is.

    Attributes:
        batch_size: Examples in that step.
        fits: How many would fit by what the compiler says; None if not even one.
    """

    def __init__(self, message: str, batch_size: int, fits: int | None):
        super().__init__(message)
        self.batch_size, self.fits = batch_size, fits


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of the device says that memory did not suffice."""
    return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)


def out_of_memory(step: Step, ts: Any, task: Task, batch_size: int) -> OutOfMemoryError:
    """The error that says what a step needs, by shapes alone; it compiles a few smaller steps."""
    room = available()
    two, four = (_needed(step, ts, task, size) for size in (2, 4))  # one alone is often simpler
    each = max((four - two) // 2, 1)
    kept = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(ts))
    params = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(ts.params))
    needed = kept + two + (batch_size - 2) * each
    fits = min(max((room - kept - two) // each + 2, 1), batch_size - 1)
    fits = 2 ** (fits.bit_length() - 1) if fits > 2 else fits  # sizes that devices like
    while fits > 0 and kept + _needed(step, ts, task, fits) > room:
        fits //= 2
    text = (
        f"a step with batch_size={batch_size} needs about {_shown(needed)}: parameters "
        f"{_shown(params)}, what the optimizer and the state hold {_shown(kept - params)}, "
        f"activations and gradients {_shown(needed - kept)}; there are {_shown(room)}. "
    )
    if fits < 1:
        text += "Not even one example fits; take smaller inputs, a smaller model, or remat"
        return OutOfMemoryError(text, batch_size, None)
    return OutOfMemoryError(f"{text}batch_size={fits} should fit", batch_size, fits)


def available() -> int:
    """Bytes that the device can give out, or this machine."""
    stats = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"]
    if sys.platform == "win32":
        return 2**63
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def shapes_of(task: Task, size: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and dtypes of a batch of so many examples, as a step gets it."""
    like = spec(_batch(task))
    return {n: jax.ShapeDtypeStruct((size, *x.shape[1:]), x.dtype) for n, x in like.items()}


def _batch(task: Task) -> dict[str, np.ndarray]:
    """Some examples as a step gets them."""
    data = task.train
    if not isinstance(data, Stream):
        return next(task.batches(1, 0, 0, 0))
    filling = {"weight": np.float32, "index": np.int32, "epoch": np.int32}
    columns = {name: np.zeros(data.size, dtype) for name, dtype in filling.items()}
    y = translated(data.first["y"], data.classes, task.classes)
    return {**columns, **data.first, "y": y}  # and the source, which may be used up, is left


def _needed(step: Step, ts: TrainState, task: Task, size: int) -> int:
    """Bytes that a step of this size takes beside its arguments, as the compiler plans it."""
    plan = step.lower(spec(ts), shapes_of(task, size)).compile().memory_analysis()
    return plan.temp_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes


def _shown(size: float) -> str:
    digits = len(str(int(size)))
    thousands = min((digits - 1) // 3, 4)
    return f"{size / 1000**thousands:,.1f} {('bytes', 'kB', 'MB', 'GB', 'TB')[thousands]}"
