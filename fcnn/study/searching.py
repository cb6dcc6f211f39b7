"""Search: the same function with other options, again and again, and the best of it.

>>> import fcnn
>>> from fcnn import conv, dense, flatten, relu, serial
>>> train, _ = fcnn.data.digits()
>>> def trial(width, learning_rate):
...     model = serial(conv(width), relu, flatten, dense(10))
...     optimizer = fcnn.optimizers.adam(learning_rate)
...     return fcnn.fit(
...         model, train, optimizer=optimizer, validation=0.2, epochs=2, progress=False
...     )
>>> space = {"width": [2, 8], "learning_rate": [1e-5, 3e-3]}
>>> results = fcnn.study.grid_search(trial, space, progress=False)
>>> results.best.options
{'width': 8, 'learning_rate': 0.003}
"""

import math
import os
from collections.abc import Sequence
from typing import Any

from ..extras import require
from .labs import Run, lab_for, plan_of, ran
from .results import Results
from .spaces import Range, Space, checked, drawn, grid
from .trials import Trial


def grid_search(
    run: Run,
    space: Space,
    *,
    score: str | None = None,
    mode: str | None = None,
    folder: str | os.PathLike | None = None,
    seed: int = 0,
    on_error: str = "raise",
    progress: bool = True,
) -> Results:
    """Tries every combination of the values.

    Args:
        run: A function of the options that returns what ``fit`` does, a report of ``evaluate``, a
            dict of numbers or a number. It gets ``seed`` and ``checkpoint`` where it takes them.
        space: A list of values for each option.
        score: The figure that decides; by default the column that ``fit`` monitors, or accuracy.
        mode: Whether its "max" or its "min" is the best; by default what its name says.
        folder: Where each trial is kept as it ends. A search that was interrupted goes on there
            when it is called again, and ends with the same table.
        seed: What each trial gets as its seed: the same, so that trials differ by options alone.
        on_error: "raise" ends the search with the error of a trial, "record" notes it and goes on.
        progress: Whether to show a line for each trial, on standard error.

    Raises:
        ValueError: a name has no values, or the folder belongs to another search.
        TypeError: ``run`` does not take an option.
    """
    lab = lab_for(run, score, mode, folder, on_error)
    options = list(grid(space))
    _note(lab, "grid", space, seed=seed)
    trials = (Trial(number, each, seed) for number, each in enumerate(options))
    return ran(lab, trials, len(options), progress)


def random_search(
    run: Run,
    space: Space,
    *,
    n: int,
    score: str | None = None,
    mode: str | None = None,
    folder: str | os.PathLike | None = None,
    seed: int = 0,
    on_error: str = "raise",
    progress: bool = True,
) -> Results:
    """Tries ``n`` combinations drawn at random (Bergstra and Bengio, 2012).

    Combination k follows from the seed and k alone, so a search with a larger ``n`` begins with the
    same trials, and in the same folder goes on from them.

    Args:
        run: As in ``grid_search``.
        space: For each option a list of values, or ``uniform(low, high)``, ``log_uniform`` or
            ``integers``.
        n: How many.
        score, mode, folder, seed, on_error, progress: As in ``grid_search``.
    """
    _at_least("n", n, 1)
    lab = lab_for(run, score, mode, folder, on_error)
    _note(lab, "random", space, seed=seed)
    trials = (Trial(number, drawn(space, number, seed), seed) for number in range(n))
    return ran(lab, trials, n, progress)


def halving(
    run: Run,
    space: Space,
    *,
    n: int,
    epochs: Sequence[int] = (1, 3, 9),
    score: str | None = None,
    mode: str | None = None,
    folder: str | os.PathLike | None = None,
    seed: int = 0,
    on_error: str = "raise",
    progress: bool = True,
) -> Results:
    """Tries many for few epochs and the best of them for more (Jamieson and Talwalkar, 2016,
    arXiv:1502.07943): after each rung the part stays that the next one has epochs for.

    ``run`` takes ``epochs``, the number in all. If it also takes ``checkpoint`` and gives it to
    ``fit``, a trial that stays goes on where it was, bit for bit as one that was never stopped;
    otherwise it begins anew.

    Args:
        run: As in ``grid_search``, with an argument ``epochs``.
        space: As in ``random_search``.
        n: How many begin.
        epochs: Of each rung, growing. With ``(1, 3, 9)`` a third stays after each.
        score, mode, folder, seed, on_error, progress: As in ``grid_search``.

    Returns:
        All trials of all rungs; the best is of the last.
    """
    _at_least("n", n, 1)
    if not epochs or list(epochs) != sorted(set(epochs)) or epochs[0] < 1:
        raise ValueError(f"epochs must grow from rung to rung, got {tuple(epochs)}")
    lab = lab_for(run, score, mode, folder, on_error)
    _note(lab, "halving", space, seed=seed, n=n, epochs=list(epochs))
    numbers, trials = list(range(n)), []
    for rung, count in enumerate(epochs):
        planned = (Trial(k, drawn(space, k, seed), seed, count) for k in numbers)
        results = ran(lab, planned, len(numbers), progress)
        trials += results
        ranked = sorted(results, key=lambda trial: (-trial.rank, trial.number))
        if rung + 1 < len(epochs):
            staying = ranked[: max(1, len(ranked) * count // epochs[rung + 1])]
            numbers = [trial.number for trial in staying if trial.rank > -math.inf]
            if not numbers:  # all failed
                break
    return Results(tuple(trials), results.network, lab.folder)


def optuna_search(
    run: Run,
    space: Space,
    *,
    n: int,
    sampler: Any = None,
    score: str | None = None,
    mode: str | None = None,
    folder: str | os.PathLike | None = None,
    seed: int = 0,
    on_error: str = "raise",
    progress: bool = True,
) -> Results:
    """Tries ``n`` combinations that a sampler of optuna proposes from those before; extra `search`.

    Example:
        ``optuna_search(trial, space, n=30)`` with the default, TPE (Bergstra et al., 2011), or
        ``optuna_search(trial, space, n=30, sampler=optuna.samplers.GPSampler(seed=0))``.

    Args:
        run, space, n: As in ``random_search``.
        sampler: Any of ``optuna.samplers``; by default TPE from the seed. Only with one that
            follows from its seed does an interrupted search go on to the same table.
        score, mode, folder, seed, on_error, progress: As in ``grid_search``.
    """
    _at_least("n", n, 1)
    optuna = require("optuna", "search")
    lab = lab_for(run, score, mode, folder, on_error)
    _note(lab, "optuna", space, seed=seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=sampler or optuna.samplers.TPESampler(seed=seed))
    distributions = {name: _distribution(optuna, each) for name, each in checked(space).items()}
    asked = []

    def proposed():
        for number in range(n):
            asked.append(study.ask(distributions))
            options = {
                name: each if isinstance(space[name], Range) else space[name][each]
                for name, each in asked[-1].params.items()
            }
            yield Trial(number, options, seed)

    def told(trial):
        failed = trial.rank == -math.inf
        state = optuna.trial.TrialState.FAIL if failed else None
        study.tell(asked[-1], None if failed else -trial.rank, state)

    return ran(lab, proposed(), n, progress, told)


def _distribution(optuna: Any, values: Any) -> Any:
    if not isinstance(values, Range):
        return optuna.distributions.CategoricalDistribution(range(len(values)))
    whole = values.whole
    kind = optuna.distributions
    of = kind.IntDistribution if whole else kind.FloatDistribution
    return of(values.low, values.high, log=values.log)


def _note(lab: Any, kind: str, space: Space, **more: Any) -> None:
    """Writes down what is searched, or refuses a folder of something else."""
    if lab.folder is not None:
        named = {
            name: repr(values) if isinstance(values, Range) else list(values)
            for name, values in checked(space).items()
        }
        judged = {"score": lab.score, "mode": lab.mode}
        plan_of(lab.folder, {"kind": kind, "space": named, **judged, **more})


def _at_least(name: str, value: int, least: int) -> None:
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number, at least {least}, got {value!r}")
