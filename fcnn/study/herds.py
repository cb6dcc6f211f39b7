"""The members of a population on their way: their states, and the one program that moves them."""

import contextlib
import functools
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from .. import losses
from ..core import Layer, Network, as_layer
from ..data import order
from ..train import TrainState, make_step, start
from ..train.compiling import compiled
from ..train.epochs import StepByStep
from ..train.evaluation import evaluation_step
from ..train.feeding import columns, feed
from ..train.looping import Pass, fits, looped
from ..train.preparing import Task

Hyper = dict[str, float]
CHANGES = (0.8, 1.25)  # of hyperparameters that evolve
STRATEGIES = ("loop", "vmap")


class Makers:
    """Model, optimizer, loss and augmentation, as functions of hyperparameters."""

    def __init__(self, model: Any, optimizer: Any, loss: Any, augment: Any):
        if not callable(optimizer):
            raise TypeError(
                "optimizer must be a function of hyperparameters that makes an optimizer, such as "
                f"fcnn.optimizers.adam; got {optimizer!r:.80}"
            )
        self.model, self.optimizer, self.augment = model, optimizer, augment
        self.loss = losses.named(loss) if isinstance(loss, str) else loss

    def check(self, hyper: Hyper) -> None:
        """Refuses names that nothing takes."""
        takers = [self.model, self.optimizer, self.loss, self.augment]
        if unknown := [name for name in hyper if not any(name in _taken(t) for t in takers)]:
            raise ValueError(
                "no argument of model, optimizer, loss or augment is called " + ", ".join(unknown)
            )

    def network(self, hyper: Hyper) -> Layer | Network:
        """What a member begins with."""
        if isinstance(self.model, Layer | Network):
            return self.model
        return as_layer(self.model(**_for(self.model, hyper)))

    def layer(self, hyper: Hyper) -> Layer:
        """What a member trains."""
        network = self.network(hyper)
        return network.layer if isinstance(network, Network) else network

    def start(self, hyper: Hyper, seed: int, x: Any) -> TrainState:
        """A member before its first step, as ``fit`` starts it."""
        optimizer = self.optimizer(**_for(self.optimizer, _scalars(hyper)))  # as in the step
        return start(self.network(hyper), optimizer, random.key(seed), x)

    def step(self, metrics: dict[str, Any], ts: TrainState, batch: Any, hyper: Any) -> Any:
        """A step of a member; its hyperparameters may be traced."""
        given = _for(self.augment, hyper)
        step = make_step(
            self.layer(hyper),
            loss=functools.partial(self.loss, **_for(self.loss, hyper)),
            optimizer=self.optimizer(**_for(self.optimizer, hyper)),
            metrics=metrics,
            augment=self.augment(**given) if given else self.augment,
        )
        return step(ts, batch)

    def look(self, metrics: dict[str, Any], params: Any, state: Any, batch: Any, hyper: Any) -> Any:
        """Loss and metrics of each example in evaluation mode."""
        loss = functools.partial(self.loss, **_for(self.loss, hyper))
        run = evaluation_step.__wrapped__(self.layer(hyper), loss, tuple(metrics.items()))
        found = run(params, state, batch)
        return {name: found[name] for name in found if name != "outputs"}

    def trained(self, task: Task, hyper: Hyper, ts: TrainState) -> Network:
        """What a member has become."""
        return task.network(ts.params, ts.state).replace(layer=self.layer(hyper))


class Herd:
    """The members: which are alive, and what each of them has learned.

    Attributes:
        states: The train state of each member.
        hyper: Its hyperparameters.
        parents: The member that it was last copied from, or None.
        alive: The numbers of those that still learn.
    """

    def __init__(
        self,
        makers: Makers,
        task: Task,
        hyper: Sequence[Hyper],
        seeds: Sequence[int],
        batch_size: int,
        strategy: str,
    ):
        self.task, self.seeds, self.batch_size = task, seeds, batch_size
        self.hyper, self.alive = list(hyper), list(range(len(seeds)))
        self.parents: list[int | None] = [None] * len(seeds)
        self.states = [makers.start(h, s, task.x) for h, s in zip(hyper, seeds, strict=True)]
        if strategy not in STRATEGIES:
            raise ValueError(f"strategy must be {' or '.join(STRATEGIES)}, got {strategy!r}")
        self._go = {"loop": self._in_turn, "vmap": self._together}[strategy]

        def step(carry, batch):  # hyperparameters stay what they are: inputs of the program
            ts, hyper = carry
            ts, found = makers.step(task.metrics, ts, batch, hyper)
            return (ts, hyper), found

        def look(carry, batch):
            params, state, hyper = carry
            found = makers.look(task.metrics, params, state, batch, hyper)
            return carry, {**found, "weight": batch["weight"]}

        self._step = compiled(jax.vmap(step) if strategy == "vmap" else step, donate=(0,))
        self._look = jax.jit(look)
        self._steps = self._looks = None
        if strategy == "loop" and fits(task.train):
            data = columns(task.train, task.classes, task.outputs, task.weights)
            self._steps = looped(step, self._carry(0), data, batch_size, donate=True)
        if task.held_out is not None and fits(task.held_out):
            data = columns(task.held_out, task.classes, task.outputs)
            self._looks = looped(look, self._values(0), data, batch_size)

    def epoch(self, number: int) -> list[dict[str, float]]:
        """Takes every living member through an epoch; a row of figures for each."""
        names = ("loss", *self.task.metrics)
        rows = [_means(found, names) for found in self._go(number)]
        if self.task.held_out is not None:
            for k, row in zip(self.alive, rows, strict=True):
                seen = _means(self._seen(k), names)
                row.update({f"validation_{name}": value for name, value in seen.items()})
        return rows

    def leave(self, places: Sequence[int]) -> None:
        """Those at these places among the living learn no more."""
        gone = {self.alive[place] for place in places}
        self.alive = [k for k in self.alive if k not in gone]

    def evolve(self, order: Sequence[int], numbers: np.random.Generator) -> None:
        """The worst quarter goes on from the values of the best, with other hyperparameters."""
        few = len(order) // 4 or len(order) // 2
        for good, bad in zip(order[:few], order[::-1][:few], strict=True):
            parent, child = self.alive[good], self.alive[bad]
            copied = jax.tree.map(jnp.copy, self.states[parent])  # steps donate what they are given
            self.states[child] = replace(copied, key=self.states[child].key)
            changed = numbers.choice(CHANGES, len(self.hyper[parent]))
            pairs = zip(self.hyper[parent].items(), changed, strict=True)
            self.hyper[child] = {name: value * float(by) for (name, value), by in pairs}
            self.parents[child] = parent

    def _carry(self, k: int) -> Any:
        return self.states[k], _scalars(self.hyper[k])

    def _values(self, k: int) -> Any:
        return self.states[k].params, self.states[k].state, _scalars(self.hyper[k])

    def _in_turn(self, number: int) -> Iterator[dict[str, np.ndarray]]:
        """An epoch of one member after another; what the steps of each found."""
        for k in self.alive:
            with contextlib.closing(self._begin(k, number)) as epoch:
                while epoch.advance():
                    pass
                self.states[k], _ = epoch.carry
                yield epoch.found

    def _begin(self, k: int, number: int) -> Pass | StepByStep:
        seed, task = self.seeds[k], self.task
        if self._steps is not None:
            examples = order(len(task.train), seed=seed, epoch=number)
            return self._steps.begin(self._carry(k), examples, number)
        source = task.batches(self.batch_size, seed, number, None)
        return StepByStep(self._step, self._carry(k), source, {}, held=False)

    def _together(self, number: int) -> Iterator[dict[str, np.ndarray]]:
        """An epoch of all members at once, along a leading axis; what the steps of each found."""
        seeds = [self.seeds[k] for k in self.alive]
        carries = [self._carry(k) for k in self.alive]
        herd = jax.tree.map(lambda *leaves: jnp.stack(leaves), *carries)
        steps = []
        with contextlib.ExitStack() as stack:
            sources = {}
            for seed in set(seeds):  # members of one seed see the same batches
                source = self.task.batches(self.batch_size, seed, number, None)
                sources[seed] = stack.enter_context(contextlib.closing(source))
            for own in _batches(sources, seeds):
                batch = jax.tree.map(lambda *rows: np.stack(rows), *own)
                herd, found = self._step(herd, batch)
                steps.append(found)
        found = _columns(steps)
        for i, k in enumerate(self.alive):
            self.states[k], _ = jax.tree.map(lambda leaf, i=i: leaf[i], herd)
            yield {name: column[:, i] for name, column in found.items()}

    def _seen(self, k: int) -> dict[str, np.ndarray]:
        """What a member makes of each example held out."""
        task = self.task
        if self._looks is not None:
            look = self._looks.begin(self._values(k), np.arange(len(task.held_out)))
            while look.advance():
                pass
            return look.found
        source = feed(
            task.held_out,
            self.batch_size,
            classes=task.classes,
            outputs=task.outputs,
            loss=task.loss,
            what="validation",
            workers=None,
        )
        with contextlib.closing(source):
            return _columns([self._look(self._values(k), batch)[1] for batch in source])


def _batches(sources: dict[int, Any], seeds: list[int]) -> Iterator[list[Any]]:
    """For each step the batch of each member."""
    for step in zip(*sources.values(), strict=True):
        by_seed = dict(zip(sources, step, strict=True))
        yield [by_seed[seed] for seed in seeds]


def _columns(values: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """What steps found, ``[steps, ...]`` by name."""
    values = jax.device_get(values)
    return {name: np.stack([each[name] for each in values]) for name in values[0]}


def _means(columns: dict[str, np.ndarray], names: Sequence[str]) -> dict[str, float]:
    """Means by weight."""
    weight = np.asarray(columns["weight"], np.float64)
    return {name: float((columns[name] * weight).sum() / weight.sum()) for name in names}


def _scalars(hyper: Hyper) -> dict[str, np.float32]:
    """Hyperparameters as inputs of a program."""
    return {name: np.float32(value) for name, value in hyper.items()}


def _taken(maker: Any) -> set[str]:
    """The names of the arguments of a function; of what is no function, none."""
    if isinstance(maker, Layer | Network) or not callable(maker):
        return set()
    parameters = inspect.signature(maker).parameters.values()
    return {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def _for(maker: Any, hyper: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters that a function takes."""
    taken = _taken(maker)
    return {name: value for name, value in hyper.items() if name in taken}
