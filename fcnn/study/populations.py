"""Many networks trained by one compiled program: seeds, learning rates, any numbers that differ.

A hyperparameter goes wherever an argument has its name: ``learning_rate`` and ``weight_decay`` to
an optimizer such as ``fcnn.optimizers.adamw``, ``smoothing`` to ``fcnn.losses.cross_entropy``,
``rate`` to a function that makes the model. They are inputs of the program, so a grid of them
compiles once, and each member learns what ``fit`` would teach it alone.
"""

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from .. import losses, optimizers
from ..core import Layer, Network
from ..data.streams import Stream
from ..tables import html_table, number, text_table
from ..train import History
from ..train.preparing import Task, check_counts, prepare
from .ensembles import ensemble
from .herds import Herd, Hyper, Makers


@dataclass(frozen=True)
class Member:
    """One network of a population.

    Attributes:
        hyper: Its hyperparameters.
        seed: Of its initial values, its order of examples and its noise.
        network: What it has learned.
        history: Epoch by epoch.
        parent: The member that it was copied from last, by number; None if it never was.
    """

    hyper: dict[str, float]
    seed: int
    network: Network
    history: History
    parent: int | None = None

    @property
    def score(self) -> float:
        """The monitored figure of the last epoch."""
        return self.history.rows[-1][self.history.monitor]


@dataclass(frozen=True, repr=False)
class Population:
    """What a population became; prints as a table with the best first.

    Attributes:
        members: In their order.
    """

    members: tuple[Member, ...]

    @property
    def ranked(self) -> list[Member]:
        """The members, the best first: those that were not halved away before those that were, and
        a score that is not a number last.
        """
        sign = 1 if self.members[0].history.mode == "min" else -1
        return sorted(
            self.members, key=lambda m: (np.isnan(m.score), -len(m.history), sign * m.score)
        )

    @property
    def best(self) -> Member:
        """The member with the best score at the end."""
        return self.ranked[0]

    def ensemble(self, top: int | None = None, **options: Any) -> Network:
        """The ``top`` members as one network; all by default. Options are those of ``ensemble``."""
        return ensemble([member.network for member in self.ranked[:top]], **options)

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members)

    def __getitem__(self, number: int) -> Member:
        return self.members[number]

    def __repr__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())

    def _table(self) -> tuple[list[list[str]], str]:
        names = list(self.members[0].hyper)
        first = self.members[0].history.rows[-1]
        columns = [name for name in first if name not in ("epoch", "seconds")]
        rows = [
            [
                *(number(member.hyper[name], 4) for name in names),
                f"{member.seed}",
                *(f"{member.history.rows[-1][name]:.4f}" for name in columns),
            ]
            for member in self.ranked
        ]
        return [[*names, "seed", *columns], *rows], "r" * (len(names) + 1 + len(columns))


def population(
    model: Layer | Network | Callable[..., Layer],
    train: Any,
    *,
    n: int | None = None,
    hyper: Mapping[str, Sequence[float]] | None = None,
    seeds: Sequence[int] | None = None,
    loss: Any = losses.cross_entropy,
    optimizer: Callable[..., Any] = optimizers.adam,
    augment: Any = None,
    validation: Any = None,
    epochs: int = 10,
    batch_size: int = 32,
    halve: Sequence[int] = (),
    evolve: int | None = None,
    strategy: str | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Population:
    """Trains several networks together; the program is compiled once for all of them.

    Example:
        >>> import fcnn
        >>> from fcnn import dense, flatten, serial
        >>> train, test = fcnn.data.digits()
        >>> hyper = fcnn.study.product(learning_rate=[1e-4, 1e-2], weight_decay=[0.0, 0.1])
        >>> found = fcnn.study.population(
        ...     serial(flatten, dense(10)), train, hyper=hyper, optimizer=fcnn.optimizers.adamw,
        ...     validation=test, epochs=3, progress=False,
        ... )
        >>> found.best.hyper["learning_rate"]
        0.01

    Args:
        model: A layer, a network that all go on from, or a function of hyperparameters that makes
            the layer.
        train: The data, as for ``fit``; it has to have a length.
        n: How many members; by default as many as hyperparameters or seeds have.
        hyper: For each name the numbers of all members, ``[n]``; ``product`` makes a grid. A name
            is given to every one of ``model``, ``optimizer``, ``loss`` and ``augment`` that has an
            argument called so.
        seeds: Of the members; by default all have ``seed`` where hyperparameters differ, and
            ``seed, seed + 1, ...`` where there are none.
        loss: As for ``fit``, a function.
        optimizer: A function of hyperparameters that makes an optimizer, such as those of
            ``fcnn.optimizers``.
        augment: As for ``fit``, a pipeline; or a function of hyperparameters that makes one.
        validation: As for ``fit``.
        epochs: In all.
        batch_size: Of each member.
        halve: After these epochs the better half of the members goes on, and the rest ends.
        evolve: Every so many epochs the worse quarter takes over the values of the better one, and
            its hyperparameters times 0.8 or 1.25 (population based training, Jaderberg et al.,
            2017, arXiv:1711.09846), which knows no bounds, such as 1 for a rate. Without ``halve``.
        strategy: "vmap" runs all members at once, which suits GPUs and TPUs; "loop" one after
            another, which suits CPUs, where one network keeps all cores busy. By default what suits
            the device.
        seed: See ``seeds``; and of the choices of ``evolve``.
        progress: Whether to show a line an epoch, on standard error.

    Raises:
        ValueError: counts differ, a name is an argument of nothing, or as ``fit`` does.
        TypeError: ``optimizer`` makes none, being one.
    """
    check_counts(epochs=epochs, batch_size=batch_size, evolve=evolve, n=n)
    hyper, seeds = _members(n, hyper, seeds, seed)
    makers = Makers(model, optimizer, loss, augment)
    makers.check(hyper[0])
    if halve and evolve:
        raise ValueError("members are either halved or evolve; give halve or evolve, not both")
    if any(not 0 < at < epochs for at in halve):
        raise ValueError(f"halve={tuple(halve)} must lie between the first epoch and the last")
    task = _task(makers.network(hyper[0]), train, validation, makers.loss, seeds[0])
    herd = Herd(makers, task, hyper, seeds, batch_size, strategy or _suited())
    numbers = np.random.Generator(np.random.Philox(key=seed))
    histories = [History(monitor=task.monitor, mode=task.mode) for _ in seeds]
    for epoch in range(epochs):
        begun = time.perf_counter()
        rows = herd.epoch(epoch)
        took = (time.perf_counter() - begun) / len(rows)
        for k, row in zip(herd.alive, rows, strict=True):
            histories[k].rows.append({"epoch": epoch + 1, **row, "seconds": took})
        scores = np.array([row[task.monitor] for row in rows])
        order = np.argsort(-scores if task.mode == "max" else scores, kind="stable")  # NaN last
        if progress:
            best = f"member {herd.alive[order[0]]} with {task.monitor} {scores[order[0]]:.4f}"
            shown = f"epoch {epoch + 1}/{epochs}, {len(rows)} members, {took:.2f} s each"
            print(f"{shown}: best {best}", file=sys.stderr, flush=True)
        if epoch + 1 in halve:
            herd.leave(order[-(-len(order) // 2) :])
        if evolve and (epoch + 1) % evolve == 0 and epoch + 1 < epochs:
            herd.evolve(order, numbers)
    members = tuple(
        Member(hyper, s, makers.trained(task, hyper, ts), history, parent)
        for hyper, s, ts, history, parent in zip(
            herd.hyper, seeds, herd.states, histories, herd.parents, strict=True
        )
    )
    return Population(members)


def product(**values: Sequence[float]) -> dict[str, list[float]]:
    """Every combination of the values, as ``hyper`` takes them: a list of equal length for each.

    Example:
        >>> product(learning_rate=[0.1, 0.01], weight_decay=[0.0, 0.5])
        {'learning_rate': [0.1, 0.1, 0.01, 0.01], 'weight_decay': [0.0, 0.5, 0.0, 0.5]}
    """
    rows = list(itertools.product(*values.values()))
    return {name: [row[i] for row in rows] for i, name in enumerate(values)}


def _suited() -> str:
    return "loop" if jax.default_backend() == "cpu" else "vmap"


def _members(
    n: int | None,
    hyper: Mapping[str, Sequence[float]] | None,
    seeds: Sequence[int] | None,
    seed: int,
) -> tuple[list[Hyper], list[int]]:
    """Hyperparameters and seed of each member."""
    columns = {name: np.asarray(values, np.float64) for name, values in (hyper or {}).items()}
    counts = {name: column.shape for name, column in columns.items()}
    counts |= {} if n is None else {"n": (n,)}
    counts |= {} if seeds is None else {"seeds": (len(seeds),)}
    if len(set(counts.values())) != 1 or any(len(shape) != 1 for shape in counts.values()):
        listed = ", ".join(f"{name}: {list(shape)}" for name, shape in counts.items())
        raise ValueError(f"n, seeds and all names of hyper need one length, got {listed or 'none'}")
    ((count,),) = set(counts.values())
    if count < 1:
        raise ValueError("a population needs a member")
    if seeds is None:
        seeds = [seed] * count if columns else range(seed, seed + count)
    return (
        [{name: float(column[k]) for name, column in columns.items()} for k in range(count)],
        [int(each) for each in seeds],
    )


def _task(model: Any, train: Any, validation: Any, loss: Any, seed: int) -> Task:
    task = prepare(
        model,
        train,
        loss=loss,
        metrics=None,
        validation=validation,
        class_weight=None,
        monitor=None,
        mode=None,
        penalized=False,
        seed=seed,
        check=True,
    )
    if isinstance(task.train, Stream) or isinstance(task.held_out, Stream):
        raise ValueError("a population goes over its data once for each member: give a dataset")
    return task
