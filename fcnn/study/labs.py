"""How trials are run, told, kept and read again.

A trial is a plain function of hyperparameters. It returns what it found:

* ``(network, history)``, as ``fit`` does: the figures are those of its best epoch, and the score is
  the column that was monitored;
* a report of ``evaluate``, ``(network, report)``, a dict of numbers, or one number.

A function that has an argument ``seed`` gets one; one that has ``checkpoint`` gets a folder of its
own where the search has one, so that a trial which was interrupted goes on bit for bit.
"""

import inspect
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

from ..core import Network
from ..store import load, save
from ..store.files import write_file
from ..train import History
from .results import Results
from .trials import Trial

Run = Callable[..., Any]
SMALLER = ("loss", "error", "mse", "mae", "rmse", "brier", "seconds")  # is better


@dataclass(frozen=True)
class Lab:
    """How trials are run, and where what is done is kept.

    Attributes:
        run: The function.
        score: The figure that decides, where it is not that of the function's result.
        mode: Whether its "max" or its "min" is the best; None goes by its name.
        folder: A folder for what is done; None keeps it in memory alone.
        raises: Whether a trial that fails ends the search.
    """

    run: Run
    score: str | None = None
    mode: str | None = None
    folder: Path | None = None
    raises: bool = True

    def __post_init__(self):
        if not callable(self.run):
            raise TypeError(f"run must be a function of the options, got {self.run!r:.80}")
        if self.mode not in (None, "max", "min"):
            raise ValueError(f"mode must be 'max' or 'min', got {self.mode!r}")

    def result(self, trial: Trial) -> tuple[Trial, Network | None]:
        """The trial as it ended and its network, if it has one; run now, or read if it was.

        Raises:
            ValueError: the folder has another trial of this number, or the function found nothing
                that could decide.
        """
        if self.folder is not None and (file := self.home(trial) / "trial.json").exists():
            saved = self.home(trial) / "network.fcnn"
            return _read(file, trial), load(saved) if saved.exists() else None
        arguments, started = self._arguments(trial), time.perf_counter()
        try:
            network, told = _told(self.run(**arguments))
        except Exception as failure:
            if self.raises:
                raise
            network, ended = None, replace(trial, error=f"{type(failure).__name__}: {failure}")
        else:
            figures, score, mode = self._judged(told)
            ended = replace(trial, figures=figures, score=score, mode=mode)
        ended = replace(ended, seconds=time.perf_counter() - started)
        if self.folder is not None:
            self._keep(ended, network)
        return ended, network

    def home(self, trial: Trial) -> Path:
        """The folder of a trial."""
        rung = "" if trial.epochs is None else f"-epochs-{trial.epochs}"
        return self.folder / f"trial-{trial.number:05}{rung}"

    def _arguments(self, trial: Trial) -> dict[str, Any]:
        taken = inspect.signature(self.run).parameters
        any_name = any(p.kind is p.VAR_KEYWORD for p in taken.values())
        given = dict(trial.options)
        if trial.epochs is not None:
            given["epochs"] = trial.epochs
        if unknown := [] if any_name else [name for name in given if name not in taken]:
            raise TypeError(
                f"{getattr(self.run, '__name__', 'run')} takes {', '.join(taken) or 'nothing'}, "
                f"and not {', '.join(unknown)}"
            )
        if "seed" in taken:
            given.setdefault("seed", trial.seed)
        if "checkpoint" in taken and self.folder is not None:
            given.setdefault("checkpoint", self.folder / f"trial-{trial.number:05}-checkpoints")
        return given

    def _judged(self, told: Any) -> tuple[dict[str, float], float, str]:
        """Figures, score and mode of what the function told."""
        column, mode = self.score, self.mode
        if isinstance(told, History):
            figures = dict(told.rows[told.best_epoch - 1])
            column = column or told.monitor
            mode = mode or (told.mode if column == told.monitor else None)
        elif isinstance(told, Real):
            figures, column = {column or "score": float(told)}, column or "score"
        elif isinstance(told, Mapping) or hasattr(told, "to_json"):
            plain = told if isinstance(told, Mapping) else told.to_json()
            figures = {name: float(x) for name, x in plain.items() if isinstance(x, Real)}
            column = column or next((n for n in ("accuracy", "r2") if n in figures), None)
            if column is None and len(figures) == 1:
                (column,) = figures
        else:
            raise TypeError(
                "a trial returns (network, history), a report, a dict of numbers or a number, "
                f"got {type(told).__name__}"
            )
        if column not in figures:
            raise ValueError(
                f"score={column!r} is none of the figures {', '.join(figures)}; name one"
            )
        if mode is None:
            mode = "min" if column.removeprefix("validation_").endswith(SMALLER) else "max"
        return figures, figures[column], mode

    def _keep(self, trial: Trial, network: Network | None) -> None:
        home = self.home(trial)
        home.mkdir(parents=True, exist_ok=True)
        if network is not None:
            save(home / "network.fcnn", network)
        write_file(home / "trial.json", json.dumps(asdict(trial), indent=1).encode())


def _told(found: Any) -> tuple[Network | None, Any]:
    """The network in what a function returned, if there is one, and what it told of it.

    Raises:
        ValueError: no epoch of a history can be the best.
    """
    network, told = None, found
    if isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], Network):
        network, told = found
    if isinstance(told, History) and told.best_epoch is None:
        raise ValueError(f"no epoch had a finite {told.monitor}, so nothing can decide")
    return network, told


def _read(file: Path, trial: Trial) -> Trial:
    """The trial in a file, which must be this one."""
    kept = Trial(**json.loads(file.read_text()))
    planned = json.loads(json.dumps([trial.options, trial.seed, trial.epochs]))
    if [kept.options, kept.seed, kept.epochs] != planned:
        raise ValueError(
            f"{file}: is of another search: {kept.options} with seed {kept.seed}, "
            f"not {trial.options} with seed {trial.seed}; give another folder"
        )
    return replace(kept, options=trial.options)


def lab_for(
    run: Run, score: str | None, mode: str | None, folder: str | os.PathLike | None, on_error: str
) -> Lab:
    """The lab that the arguments of a search describe."""
    if on_error not in ("raise", "record"):
        raise ValueError(f"on_error must be 'raise' or 'record', got {on_error!r}")
    home = None if folder is None else Path(folder)
    return Lab(run, score, mode, home, raises=on_error == "raise")


def ran(lab: Lab, trials: Iterable[Trial], count: int, progress: bool, told: Any = None) -> Results:
    """The trials as they ended and the network of the best; ``told`` hears of each."""
    ended: list[Trial] = []
    best, kept = -math.inf, None
    for trial in trials:
        done, network = lab.result(trial)
        ended.append(done)
        if done.rank > best:
            best, kept = done.rank, network
        if told is not None:
            told(done)
        if progress:
            print(_line(done, len(ended), count), file=sys.stderr, flush=True)
    return Results(tuple(ended), kept, lab.folder)


def _line(trial: Trial, number: int, count: int) -> str:
    options = " ".join(f"{name}={_brief(value)}" for name, value in trial.options.items())
    epochs = "" if trial.epochs is None else f" epochs={trial.epochs}"
    what = trial.error or f"{trial.score:.5g}"
    return f"trial {number}/{count}: {options}{epochs}: {what} ({trial.seconds:.1f} s)"


def _brief(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else f"{value}"[:40]


def plan_of(folder: Path, plan: dict[str, Any], name: str = "search.json") -> None:
    """Notes what is searched in a folder, in the file of that name, or checks that it is the same.

    Raises:
        ValueError: it belongs to another search, or an option is no plain value.
    """
    file = folder / name
    try:
        text = json.dumps(plan, indent=1, sort_keys=True)
    except TypeError as error:
        raise ValueError(
            f"a search with a folder needs numbers, strings, None and lists of them as values, "
            f"so that it can be written down: {error}"
        ) from None
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_file(file, text.encode())
    elif json.loads(file.read_text()) != json.loads(text):
        raise ValueError(f"{file}: is of another search; give another folder, or the same options")
