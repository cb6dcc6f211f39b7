"""A run under way: epoch after epoch of steps, and what is done between them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Network, State
from ..data.streams import Stream
from .diagnosing import NonFiniteError, first_not_finite
from .epochs import Begin
from .history import History
from .interruptions import Asked, Interrupted
from .looping import Found
from .preparing import Task
from .progress import Epoch, Progress
from .state import TrainState, with_statistics

TIMES = 10  # how many steps in a row may be left out, and how often a run goes back to an anchor

Callback = Callable[["Moment"], bool | None]


@dataclass(frozen=True)
class Moment:
    """What a callback sees at the end of an epoch.

    Attributes:
        row: The row of the epoch that ended; ``row["epoch"]`` counts from 1.
        history: The history so far.
        copied: Makes a copy of the network as it is now.
    """

    row: dict[str, float]
    history: History
    copied: Callable[[], Network]


@dataclass
class Position:
    """How far a run has come: with its train state and its history, what it takes to go on.

    Attributes:
        epoch: Epochs that ended.
        step: Steps taken in all of them and since.
        found: What the steps of the epoch under way found, [steps] each.
        bad: Steps that were left out in a row, or times that the run went back without a finite
            step between two anchors.
        fine: Whether there was a finite step since the last anchor.
        seconds: How long the epoch under way has taken.
        waited: How many of these its steps waited for data.
        examples: How many examples have come in it, where that is not known before.
    """

    epoch: int = 0
    step: int = 0
    found: Found = field(default_factory=dict)
    bad: int = 0
    fine: bool = False
    seconds: float = 0.0
    waited: float = 0.0
    examples: int = 0


@dataclass
class Run:
    """A run, as ``fit`` has prepared it.

    Attributes:
        task: What is learned.
        lesson: The arguments of ``make_step`` that ``first_not_finite`` takes too.
        ts: The train state; its buffers are those of the next step.
        at: How far the run has come.
        history: The epochs so far.
        begin: Begins an epoch, or the rest of one.
        look: Looks at the data held out, if there is any.
        epochs: How many there are to be.
        batch_size: Examples in a step.
        patience: Epochs without a better value after which it ends.
        callbacks: What is called after each epoch.
        non_finite: What is done about a step that is not finite: "raise", "skip" or "rollback".
        every: Steps from checkpoint to checkpoint; None for one at the end of each epoch only.
        shown: Where the run is shown.
        asked: Whether it was asked to end.
        restate: Computes statistics for an average anew, ``(ts, epoch) -> state``, if it is to be.
        save: Writes a checkpoint, if there are to be any.
        anchor: The train state that "rollback" goes back to.
    """

    task: Task
    lesson: dict[str, Any]
    ts: TrainState
    at: Position
    history: History
    begin: Begin
    look: Callable[[Any, Any], Found] | None
    epochs: int
    batch_size: int
    patience: int | None
    callbacks: Sequence[Callback]
    non_finite: str
    every: int | None
    shown: Progress
    asked: Asked
    restate: Callable[[TrainState, int], State] | None = None
    save: Callable[["Run"], None] | None = None
    anchor: TrainState | None = None

    def go(self) -> None:
        """Runs to its end, or until it has reason or is asked to end."""
        try:
            while self.at.epoch < self.epochs and not self.history.stopped:
                if self.anchor is None:
                    self._set_anchor()
                self._epoch()
        except Interrupted:
            self._save()
            self.history.interrupted = True
            self.history.stopped = (
                f"interrupted in epoch {self.at.epoch + 1}, after {self.at.step:,} steps in all"
            )
        if self.history.stopped:
            self.shown.say(self.history.stopped)

    def network(self) -> Network:
        """A copy of the network as it is now: the next step takes the buffers of ``ts``."""
        return self.task.network(*copied(self.ts.result))

    def _epoch(self) -> None:
        begun, before = time.perf_counter(), self.at.seconds
        with self.shown.epoch(self.at.epoch + 1, done=_length(self.at.found)) as bar:
            self._steps(bar)
        if self.restate is not None and int(self.ts.average["count"]):
            self.ts = with_statistics(self.ts, self.restate(self.ts, self.at.epoch))
        row = {"epoch": self.at.epoch + 1, **means(self.at.found)}
        if self.non_finite != "raise" or "skipped" in (self.history.rows or [{}])[-1]:
            row["skipped"] = int(np.sum(~self.at.found["finite"]))
        if self.look is not None:
            seen = means(self.look(*self.ts.result))
            row |= {f"validation_{name}": mean for name, mean in seen.items()}
        stream = isinstance(self.task.train, Stream)
        examples = self.at.examples if stream else len(self.task.train)
        seconds = before + time.perf_counter() - begun
        row |= {"seconds": seconds, "rate": examples / seconds, "waited": self.at.waited / seconds}
        self._end_epoch(row)

    def _steps(self, bar: Epoch) -> None:
        """The steps of an epoch; ``ts`` and ``at`` follow, also where it is asked to end."""
        begun, before = time.perf_counter(), replace(self.at)
        under_way = self.begin(self.ts, self.at.epoch, self.at.found)
        looked_at = _length(self.at.found)

        def keep_up():
            self.ts, self.at.found = under_way.carry, under_way.found
            self.at.seconds = before.seconds + time.perf_counter() - begun
            self.at.waited = before.waited + under_way.waited
            self.at.examples = before.examples + under_way.examples

        def look() -> None:
            nonlocal looked_at
            while looked_at < len(under_way.finite):
                if under_way.finite[looked_at]:
                    self.at.fine = True
                    self.at.bad = 0 if self.non_finite == "skip" else self.at.bad
                else:
                    self._not_finite(under_way, looked_at)
                looked_at += 1

        try:
            ended = False
            while not ended:
                self.asked.check()
                taken = under_way.advance(self._room())
                self.at.step += taken
                due = taken and self.every and self.at.step % self.every == 0
                if due or not taken:  # nothing is saved or ended that has not been looked at
                    under_way.settle()
                look()
                ended = not taken and len(under_way.finite) == under_way.done
                if taken:
                    bar.waited = before.waited + under_way.waited
                    bar.step(under_way.latest, self.batch_size, taken)
                if due and under_way.done != self.shown.steps:  # else there is one at once anyway
                    keep_up()
                    self._set_anchor()
                    self._save()
            keep_up()
        except Interrupted:
            under_way.settle()
            look()
            keep_up()
            raise
        finally:
            under_way.close()

    def _room(self) -> int:
        """How many steps may be taken before a checkpoint is due."""
        return 2**30 if self.every is None else self.every - self.at.step % self.every

    def _end_epoch(self, row: dict[str, float]) -> None:
        better = self.history.record(row, self.network)
        self.shown.row(row)
        moment = Moment(row, self.history, self.network)
        wishes = [callback(moment) for callback in self.callbacks]  # all are asked
        if any(wishes):
            self.history.stopped = f"stopped by a callback after epoch {row['epoch']}"
        elif self.patience is not None and not better:
            best = self.history.best_epoch or 0
            if row["epoch"] - best >= self.patience:
                self.history.stopped = f"stopped: no better {self.task.monitor} since epoch {best}"
        self.at = Position(self.at.epoch + 1, self.at.step, bad=self.at.bad, fine=self.at.fine)
        self._set_anchor()
        self._save()

    def _save(self) -> None:
        if self.save is not None:
            self.save(self)

    def _set_anchor(self) -> None:
        if self.non_finite == "rollback":
            self.anchor = copied(self.ts)
            self.at.bad, self.at.fine = 0 if self.at.fine else self.at.bad, False

    def _not_finite(self, under_way: Any, number: int) -> None:
        """What is to be done about a step of the epoch; what comes after it has done nothing."""
        self.at.bad += 1
        first = self.at.step - under_way.done  # of the epoch
        ts, after = under_way.carry, jnp.int32(first + number + 1)
        if self.at.bad <= TIMES and self.non_finite == "skip":
            return
        if self.at.bad <= TIMES and self.non_finite == "rollback":
            back = copied(self.anchor)
            under_way.go_on(replace(back, step=after), number)
            return
        self.ts, batch = replace(ts, step=after - 1), under_way.batch(number)
        found = first_not_finite(self.task.layer, self.ts, batch, **self.lesson)
        index = np.asarray(batch["index"])[found.rows & (np.asarray(batch["weight"]) != 0)]
        raise NonFiniteError(
            self.at.epoch + 1, number + 1, found, index, self.network(), self.history
        )


@jax.jit
def copied(tree: Any) -> Any:
    """The same values in memory of their own."""
    return jax.tree.map(jnp.copy, tree)


def means(found: Found) -> dict[str, float]:
    """The weighted means of what steps or examples gave, the loss first; without the steps that
    were not finite, and NaN if none was.
    """
    fine = found.get("finite", np.ones(_length(found), bool))
    weight = found["weight"][fine].astype(np.float64)
    names = sorted(found.keys() - {"weight", "finite"}, key=lambda name: (name != "loss", name))
    total = weight.sum() or (1.0 if fine.any() else np.nan)
    columns = {name: found[name][fine].astype(np.float64) for name in names}
    return {name: float(np.dot(column, weight) / total) for name, column in columns.items()}


def _length(found: Found) -> int:
    return max(map(len, found.values()), default=0)
