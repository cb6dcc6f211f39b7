"""A worker: one framework in a process of its own, which works only when it is asked to.

``python -m tests.benchmarks.serving torch`` reads requests from its standard input and answers each
with a line of JSON. Between them it sleeps in ``read``, and so do its threads.
"""

import importlib
import json
import os
import sys
import traceback
from typing import Any

from . import runs
from .cases import Settings


def main(framework: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a framework prints must not stand between the answers
    side = importlib.import_module(f"{__package__}.frameworks.{framework}_side")
    prepared: dict[str, runs.Run] = {}
    steps: dict[str, float] = {}

    def prepare(key: str, function: str, settings: list, **arguments: Any) -> dict:
        prepared[key] = getattr(side, function)(settings=Settings(*settings), **arguments)
        found = runs.first(prepared[key])
        steps[key] = found["step"]
        return found

    def again(key: str, seconds: float) -> float:
        return runs.again(prepared[key], seconds, steps[key])

    def forget(key: str) -> None:
        prepared.pop(key, None)

    def call(function: str, settings: list, **arguments: Any) -> Any:
        return getattr(side, function)(settings=Settings(*settings), **arguments)

    does = {"prepare": prepare, "again": again, "forget": forget, "call": call}
    for line in sys.stdin:
        do, arguments = json.loads(line)
        try:
            answer = {"value": does[do](**arguments)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
