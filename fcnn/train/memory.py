"""Memory that does not suffice: how much a step needs, and with which batch size it would fit."""

import os
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from ..core import spec
from ..data.streams import Stream
from ..tables import amount
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
    room, needs = available(), Needs(step, ts, task)
    about = needs.about(batch_size)
    text = (
        f"a step with batch_size={batch_size} needs about {amount(about)}: parameters "
        f"{amount(needs.params)}, what the optimizer and the state hold "
        f"{amount(needs.kept - needs.params)}, activations and gradients "
        f"{amount(about - needs.kept)}; there are {amount(room)}. "
    )
    fits = needs.largest(room, batch_size - 1)
    if fits < 1:
        text += "Not even one example fits; take smaller inputs, a smaller model, or remat"
        return OutOfMemoryError(text, batch_size, None)
    return OutOfMemoryError(f"{text}batch_size={fits} should fit", batch_size, fits)


@dataclass(frozen=True)
class Needs:
    """How much memory a step takes, in bytes, by shapes alone.

    Attributes:
        step: The step, as ``make_step`` makes it.
        ts: The train state, or its shapes.
        task: What is learned.
    """

    step: Step
    ts: TrainState
    task: Task

    @property
    def params(self) -> int:
        """What the parameters take."""
        return bytes_of(self.ts.params)

    @property
    def kept(self) -> int:
        """What stays from step to step: parameters, optimizer and state."""
        return bytes_of(self.ts)

    def beside(self, size: int) -> int:
        """What a step with a batch of so many takes beside its arguments, as the compiler plans."""
        plan = compiled_step(self.step, self.ts, self.task, size).memory_analysis()
        return plan.temp_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes

    def about(self, size: int) -> int:
        """All that a step with a batch of so many takes, from what small ones do."""
        two, each = self._small
        return self.kept + two + (size - 2) * each

    def largest(self, room: int, most: int) -> int:
        """The largest batch that fits, ``most`` or a power of two; 0 where not even one does."""
        two, each = self._small
        fits = min(max((room - self.kept - two) // each + 2, 1), most)
        fits = 2 ** (fits.bit_length() - 1) if 2 < fits < most else fits  # what devices like

        def fit(size):
            return self.kept + self.beside(size) <= room

        if fits > 0 and fit(fits):  # small steps may say too much of large ones
            while fits < most and fit(more := min(2 * fits, most)):
                fits = more
            return fits
        while fits > 0 and not fit(fits):
            fits = 2 ** (fits.bit_length() - 1) if fits & (fits - 1) else fits // 2
        return fits

    @cached_property
    def _small(self) -> tuple[int, int]:
        """What two examples take beside the arguments, and what each further one adds."""
        two, four = self.beside(2), self.beside(4)  # one alone is often simpler
        return two, max((four - two) // 2, 1)


def compiled_step(step: Step, ts: Any, task: Task, size: int) -> jax.stages.Compiled:
    """The program of a step with a batch of so many examples; nothing is run."""
    return step.lower(spec(ts), shapes_of(task, size)).compile()


def bytes_of(tree: Any) -> int:
    """What the arrays of a tree take."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


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
