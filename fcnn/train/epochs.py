"""An epoch of training, and a look at the data held out: in a loop on the device where the examples
are at hand, else batch by batch. The results are the same.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Params, State
from ..data import order
from ..data.workers import Ahead
from .arriving import Arrivals
from .evaluation import evaluated, evaluation_step
from .feeding import columns
from .looping import Found, Pass, fits, looped
from .preparing import Task
from .state import TrainState
from .stepping import Batch, Step

Begin = Callable[..., "Pass | StepByStep"]  # (ts, epoch, found so far) -> the rest of an epoch


class StepByStep:
    """An epoch under way whose batches come from the host; a ``Pass`` is one on the device.

    With ``held``, nothing is learned after a step that was not finite, until it goes on.

    Attributes:
        carry: What the steps have made of the train state so far.
        finite: Of each step that is known to be done, whether it was finite.
    """

    def __init__(self, step: Step, ts: TrainState, source: Ahead, found: Found, held: bool):
        self.carry, self._step, self._held = ts, step, held
        self.finite: list[bool] = [bool(fine) for fine in found.get("finite", ())]
        rows = range(len(self.finite))
        self._values = [{name: column[row] for name, column in found.items()} for row in rows]
        self._source, self._arrivals = source, Arrivals(source)
        self._batches: deque[Any] = deque(maxlen=2)
        self._going = jnp.array(True)

    @property
    def done(self) -> int:
        """How many steps of the epoch were taken."""
        return len(self._values)

    @property
    def latest(self) -> dict[str, Any]:
        """What the last step finds."""
        return self._values[-1]

    @property
    def found(self) -> Found:
        """What the steps found, [done, ...] each."""
        self._values = jax.device_get(self._values)
        names = self._values[0] if self._values else ()
        return {name: np.array([values[name] for values in self._values]) for name in names}

    @property
    def waited(self) -> float:
        """Seconds in which steps waited for data."""
        return self._arrivals.waited

    @property
    def examples(self) -> int:
        """How many examples have come."""
        return self._arrivals.examples

    def advance(self, most: int = 1) -> int:
        """Takes one step, and tells how many that were: 0 after the last."""
        batch = next(self._arrivals, None)
        if batch is not None:
            self._take(batch)
        self._look_at(self._values[: None if batch is None else -1])
        return int(batch is not None)

    def settle(self) -> None:
        """Waits for the last step, so that ``finite`` tells of all."""
        self._look_at(self._values)

    def go_on(self, ts: TrainState, number: int) -> None:
        """Goes on from this state after step ``number``, which was not finite."""
        late = len(self._values) > number + 1  # one more was on its way, and came to nothing
        del self._values[number + 1 :], self.finite[number + 1 :]
        self.carry, self._going = ts, jnp.array(True)
        if late:
            self._take(self._batches[-1])

    def batch(self, number: int) -> Batch:
        """The batch of a step: the last, or the one before."""
        return self._batches[number - self.done]

    def close(self) -> None:
        """Ends the threads that read ahead."""
        self._source.close()

    def _look_at(self, values: list[Any]) -> None:
        self.finite += [bool(each["finite"]) for each in values[len(self.finite) :]]

    def _take(self, batch: dict[str, jax.Array]) -> None:
        self._batches.append(batch)
        held = {"going": self._going} if self._held else {}
        self.carry, values = self._step(self.carry, {**batch, **held})
        self._arrivals.follow(values)
        self._values.append(values)
        self._going = values["finite"]


def trainer(
    step: Step,
    ts: TrainState,
    task: Task,
    batch_size: int,
    seed: int,
    workers: int | None = None,
    *,
    held: bool = True,
) -> Begin:
    """``(ts, epoch, found) -> epoch under way``: its ``advance`` takes steps, after those that
    ``found`` something.

    With ``held`` nothing is learned after a step that was not finite, until it is told to go on.
    """

    def alone(ts: TrainState, epoch: int, found: Found) -> StepByStep:
        done = max(map(len, found.values()), default=0)
        source = task.batches(batch_size, seed, epoch, workers, start=done)
        return StepByStep(step, ts, source, found, held)

    def together(ts: TrainState, epoch: int, found: Found) -> Pass:
        return loop.begin(ts, order(len(task.train), seed=seed, epoch=epoch), epoch, found)

    if not fits(task.train):
        return alone
    data = columns(task.train, task.classes, task.outputs, task.weights)
    until = "finite" if held else None
    loop = looped(step, ts, data, batch_size, donate=True, until=until)
    return alone if loop is None else together


def validator(
    task: Task,
    values: tuple[Params, State],
    batch_size: int,
    workers: int | None = None,
    *,
    watch: Callable[[], None],
) -> Callable[[Params, State], Found]:
    """``(params, state) -> found``: loss, metrics and weight of each example held out.

    ``watch`` is called now and then, and may raise to end it.
    """
    data, metrics = task.held_out, tuple(task.metrics.items())
    names = ("loss", *task.metrics, "weight")

    def alone(params, state):
        network = task.network(params, state)
        options = {"loss": task.loss, "metrics": metrics, "what": "validation", "names": names}
        options |= {"watch": watch}
        return evaluated(network, data, batch_size=batch_size, workers=workers, **options)

    def together(params, state):
        look = loop.begin((params, state), np.arange(len(data)))
        while look.advance():
            watch()
        return {name: x.reshape(-1)[: len(data)] for name, x in look.found.items()}

    def step(values, batch):
        found = {**batch, **evaluation_step(task.layer, task.loss, metrics)(*values, batch)}
        return values, {name: found[name] for name in names}

    if not fits(data):
        return alone
    loop = looped(step, values, columns(data, task.classes, task.outputs), batch_size)
    return alone if loop is None else together
