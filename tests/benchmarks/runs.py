"""What a worker runs, and how it is timed there."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple


class Run(NamedTuple):
    """Something to repeat: ``step`` may return before it is done, ``wait`` takes what it gave."""

    step: Callable[[], Any]
    wait: Callable[[Any], Any]
    parameters: int = 0
    steps: int = 1  # how many one call makes


def first(run: Run) -> dict[str, float]:
    """Seconds of the first call, with its compilation, and of a later one."""
    start, step = timed(run, 1), timed(run, 1)
    if step < 1:
        step = min(step, timed(run, 1))
    return {"first": start, "step": step / run.steps, "parameters": run.parameters}


def again(run: Run, seconds: float, step: float) -> float:
    """Seconds per step in a round of about that length.

    A quarter of that goes before and does not count: another process had the caches and the cores.
    """
    calls = seconds / (step * run.steps)
    if calls >= 0.5:
        timed(run, max(1, round(calls / 4)))
    calls = max(1, round(calls))
    return timed(run, calls) / calls / run.steps


def timed(run: Run, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        result = run.step()
    run.wait(result)
    return time.perf_counter() - start
