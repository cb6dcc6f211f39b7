"""Memory that does not suffice: how much a step needs, and with which batch size it would fit."""

import os
import sys
from typing import Any

import jax

from ..core import spec
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
    """The error that says what a step needs, by shapes alone; it compiles two small steps."""
    one, two = (_needed(step, ts, task, size) for size in (1, 2))
    each, room = max(two - one, 1), available()
    kept = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(ts))
    params = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(ts.params))
    fits = int((room - kept - (one - each)) // each)
    fits = min(fits, batch_size - 1)
    needed = kept + one + (batch_size - 1) * each
    text = (
        f"a step with batch_size={batch_size} needs about {_shown(needed)}: parameters "
        f"{_shown(params)}, what the optimizer and the state hold {_shown(kept - params)}, "
        f"activations and gradients {_shown(needed - kept)}; there are {_shown(room)}. "
    )
    if fits < 1:
        text += "Not even one example fits; take smaller inputs, a smaller model, or remat"
        return OutOfMemoryError(text, batch_size, None)
    fits = 2 ** (fits.bit_length() - 1) if fits > 2 else fits  # sizes that devices like
    return OutOfMemoryError(f"{text}batch_size={fits} should fit", batch_size, fits)


def available() -> int:
    """Bytes that the device can give out, or this machine."""
    stats = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"]
    if sys.platform == "win32":
        return 2**63
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _needed(step: Step, ts: TrainState, task: Task, size: int) -> int:
    """Bytes that a step of this size takes beside its arguments, as the compiler plans it."""
    batch = spec(next(task.batches(size, 0, 0, 0)))
    plan = step.lower(spec(ts), batch).compile().memory_analysis()
    return plan.temp_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes


def _shown(size: float) -> str:
    digits = len(str(int(size)))
    thousands = min((digits - 1) // 3, 4)
    return f"{size / 1000**thousands:,.1f} {('bytes', 'kB', 'MB', 'GB', 'TB')[thousands]}"
