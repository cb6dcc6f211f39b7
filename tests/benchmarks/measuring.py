"""Who runs when: one framework at a time, in turn, round by round."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any, NamedTuple

from .cases import MLPS, Case, Settings
from .operations import OPERATIONS
from .workers import Failed, Worker

PAUSE = 0.1  # seconds between two processes, in which the threads of the first fall asleep
PATIENCE = 6.0  # seconds after which what is very slow gets no more rounds than it has had
BLOCK = 8  # steps in one program, where that is compared with a single step
SIDES = {
    "models": ("fcnn", "torch", "keras", "flax", "equinox"),
    "ops": ("fcnn", "lax", "torch"),
    "epoch": ("fcnn", "torch", "keras"),
    "mlp": ("fcnn", "sklearn"),
    "scan": ("fcnn",),
}

Row = dict[str, Any]
Workers = Mapping[str, Worker]


class Plan(NamedTuple):
    """What was asked for."""

    kinds: Sequence[str]
    frameworks: Sequence[str]
    settings: Settings
    rounds: int
    seconds: float  # a round
    examples: int = 60_000  # of MNIST
    epochs: float = 1.0  # a factor on those of the perceptrons

    def sides(self, kind: str) -> list[str]:
        return [name for name in SIDES[kind] if name in self.frameworks]


def models(cases: Sequence[Case], plan: Plan) -> Iterator[Row]:
    """Rows of training steps, of inference and of compile times."""
    for case in cases:
        kinds = [kind for kind in case.kinds if kind in plan.kinds]
        if "train" in case.kinds and "compile" in plan.kinds and "train" not in kinds:
            kinds.insert(0, "train")
        with crew(plan.sides("models") if kinds else [], plan.settings) as workers:
            for kind in kinds:
                request = {"function": kind, "case": case.name}
                rows = measured(workers, kind, case.name, dict.fromkeys(workers, request), plan)
                if kind in plan.kinds:
                    yield from rows
                if kind == "train" and "compile" in plan.kinds:
                    yield from map(_compilation, rows)


def scans(cases: Sequence[Case], plan: Plan) -> Iterator[Row]:
    """Rows of a step alone and of the same step in one program with others."""
    for case in cases if plan.sides("scan") else []:
        if case.name not in ("mnist_cnn-b32", "resnet20-b128"):
            continue
        requests = {
            "scan": {"function": "scan", "case": case.name, "steps": BLOCK},
            "alone": {"function": "train", "case": case.name},
        }
        with crew({"scan": "fcnn", "alone": "fcnn"}, plan.settings) as workers:
            yield from measured(workers, "scan", case.name, requests, plan)


def operations(pattern: str, plan: Plan) -> Iterator[Row]:
    """Rows of single operations."""
    with crew(plan.sides("ops"), plan.settings) as workers:
        for operation in OPERATIONS:
            if pattern not in operation.name:
                continue
            for kind, backward in (("ops forward", False), ("ops both", True)):
                request = {"function": "operation", "case": operation.name, "backward": backward}
                requests = dict.fromkeys(workers, request)
                yield from measured(workers, kind, operation.name, requests, plan)


def epochs(plan: Plan) -> Iterator[Row]:
    """Rows of the second epoch of two; the first, which holds the compilation, stands beside."""
    with crew(plan.sides("epoch"), plan.settings) as workers:
        request = {"function": "epoch", "examples": plan.examples}
        found = called(workers, "epoch", dict.fromkeys(workers, request), min(plan.rounds, 3))
    for name, answers in found.items():
        firsts = [round(answer["first"], 4) for answer in answers]
        times = [answer["seconds"] / 1e3 for answer in answers]  # shown in seconds
        yield row("epoch", answers[0]["data"], name, times, first_epochs=firsts)


def perceptrons(plan: Plan) -> Iterator[Row]:
    """Rows of one more epoch of a small perceptron."""
    with crew(plan.sides("mlp"), plan.settings) as workers:
        for case, perceptron in MLPS.items():
            many = 5 + max(1, round(plan.epochs * perceptron.epochs))
            request = {"function": "mlp", "case": case, "few": 5, "many": many}
            found = called(workers, case, dict.fromkeys(workers, request), plan.rounds)
            for name, times in found.items():
                yield row("mlp", case, name, times)


@contextmanager
def crew(names: Sequence[str] | Mapping[str, str], settings: Settings) -> Iterator[Workers]:
    """A worker for each framework; a mapping gives them other names."""
    named = names if isinstance(names, Mapping) else dict(zip(names, names, strict=True))
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(Worker(framework, settings))
            for name, framework in named.items()
        }


def measured(
    workers: Workers, kind: str, case: str, requests: Mapping[str, Mapping], plan: Plan
) -> list[Row]:
    """Prepares a run in every worker, then measures all of them in turn."""
    found, able = {}, {}
    for name, worker in workers.items():
        try:
            found[name] = worker.ask("prepare", key=kind, **requests[name])
            able[name] = worker
        except Failed as error:
            _complain(name, f"{kind} {case}", error)
    times = alternating(able, kind, plan)
    for worker in able.values():
        worker.ask("forget", key=kind)
    return [row(kind, case, name, times[name], **found[name]) for name in able]


def alternating(workers: Workers, key: str, plan: Plan) -> dict[str, list[float]]:
    """Seconds per step of each, one number a round.

    The first turn does not count, if there are more: threads that have slept for long are often
    both on one core then.
    """
    times: dict[str, list[float]] = {name: [] for name in workers}
    spent = dict.fromkeys(workers, 0.0)
    for name in turns(list(workers), plan.rounds + 1):
        if spent[name] > PATIENCE:
            continue
        start = time.perf_counter()
        times[name].append(workers[name].ask("again", key=key, seconds=plan.seconds))
        spent[name] += time.perf_counter() - start
    return {name: found[1:] or found for name, found in times.items()}


def called(
    workers: Workers, what: str, requests: Mapping[str, Mapping], rounds: int
) -> dict[str, list]:
    """What the function of each gives, one answer a round."""
    answers: dict[str, list] = {}
    able = dict(workers)
    for name in turns(list(workers), rounds):
        if name in able:
            try:
                answer = able[name].ask("call", **requests[name])
                answers.setdefault(name, []).append(answer)
            except Failed as error:
                _complain(name, what, error)
                del able[name]
    return {name: answers[name] for name in workers if name in answers}


def turns(names: Sequence[str], rounds: int) -> Iterator[str]:
    """Every name once a round, another one first each time, with a pause before each."""
    for turn in range(rounds if names else 0):
        first = turn % len(names)
        for name in (*names[first:], *names[:first]):
            time.sleep(PAUSE)
            yield name


def row(kind: str, case: str, framework: str, times: list[float], **more: Any) -> Row:
    """A line of the result; times in milliseconds."""
    times = [round(1e3 * t, 5) for t in times]
    key = {"kind": kind, "case": case, "framework": framework}
    return key | {"median": median(times), "times": times} | more


def _compilation(trained: Row) -> Row:
    """The first step of a fresh process, less one that comes later; in seconds."""
    seconds = trained["first"] - trained["median"] / 1e3
    return row("compile", trained["case"], trained["framework"], [max(seconds, 0) / 1e3])


def _complain(name: str, what: str, error: Failed) -> None:
    print(f"{name} failed at {what}:\n{error}", file=sys.stderr, flush=True)
