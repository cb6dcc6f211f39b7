"""An epoch of training, and a look at the data held out: in a loop on the device where the examples
are at hand, else batch by batch. The results are the same.
"""

import contextlib
from collections.abc import Callable

import jax
import numpy as np

from ..core import Params, State
from ..data import order
from .arriving import Arrivals
from .evaluation import evaluated, evaluation_step
from .feeding import columns
from .looping import Found, fits, looped
from .preparing import Task
from .progress import Epoch
from .state import TrainState
from .stepping import Step


def trainer(
    step: Step,
    ts: TrainState,
    task: Task,
    batch_size: int,
    seed: int,
    workers: int | None = None,
) -> Callable[[TrainState, int, Epoch], tuple[TrainState, Found]]:
    """``(ts, epoch, bar) -> (ts, found)``: all steps of an epoch, and what each of them found.

    The bar is told of the steps, and for how long they waited for data.
    """

    def alone(ts, epoch, bar):
        found = []
        with contextlib.closing(task.batches(batch_size, seed, epoch, workers)) as source:
            arrivals = Arrivals(source)
            for batch in arrivals:
                ts, values = step(ts, batch)
                arrivals.follow(values)
                found.append(values)
                bar.waited, bar.came = arrivals.waited, arrivals.examples
                bar.step(values, len(batch["weight"]))
        found = jax.device_get(found)
        return ts, {name: np.array([values[name] for values in found]) for name in found[0]}

    def together(ts, epoch, bar):
        rows = order(len(task.train), seed=seed, epoch=epoch)
        return loop(ts, rows, lambda values, count: bar.step(values, batch_size, count))

    if not fits(task.train):
        return alone
    data = columns(task.train, task.classes, task.outputs, task.weights)
    loop = looped(step, ts, data, batch_size, donate=True)
    return alone if loop is None else together


def validator(
    task: Task, values: tuple[Params, State], batch_size: int, workers: int | None = None
) -> Callable[[Params, State], Found]:
    """``(params, state) -> found``: loss, metrics and weight of each example held out."""
    data, metrics = task.held_out, tuple(task.metrics.items())
    names = ("loss", *task.metrics, "weight")

    def alone(params, state):
        network = task.network(params, state)
        options = {"loss": task.loss, "metrics": metrics, "what": "validation", "names": names}
        return evaluated(network, data, batch_size=batch_size, workers=workers, **options)

    def together(params, state):
        _, found = loop((params, state), np.arange(len(data)))
        return {name: x.reshape(-1)[: len(data)] for name, x in found.items()}

    def step(values, batch):
        found = {**batch, **evaluation_step(task.layer, task.loss, metrics)(*values, batch)}
        return values, {name: found[name] for name in names}

    if not fits(data):
        return alone
    loop = looped(step, values, columns(data, task.classes, task.outputs), batch_size)
    return alone if loop is None else together
