"""How well a way of training does, measured on examples that it did not see: folds and curves."""

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import Network
from ..data import Dataset, as_dataset
from ..figures.axes import axes, tidy
from ..tables import html_table, text_table
from ..train import evaluate, predict
from ..train.preparing import check_counts

Train = Callable[..., Any]


@dataclass(frozen=True, repr=False)
class CrossValidation:
    """What the folds gave; prints as a table with mean and deviation below.

    Attributes:
        reports: Of each fold, on the examples that its network did not see.
        networks: Of each fold.
        rows: The examples that each fold was tested on, int [k] each.
        outputs: For every example the prediction of the network that did not see it, [n, ...], as
            ``predict`` gives it.
        seconds: Of each fold.
    """

    reports: tuple[Any, ...]
    networks: tuple[Network, ...]
    rows: tuple[np.ndarray, ...]
    outputs: np.ndarray
    seconds: tuple[float, ...]

    @property
    def figures(self) -> dict[str, np.ndarray]:
        """Each figure of the reports, ``[folds]``."""
        plain = [report.to_json() for report in self.reports]
        names = [name for name, figure in plain[0].items() if isinstance(figure, float)]
        columns = {name: [row.get(name) for row in plain] for name in names}
        return {name: np.array(column, np.float64) for name, column in columns.items()}

    def mean(self, name: str = "accuracy") -> float:
        """The mean of a figure over the folds."""
        return float(self._figure(name).mean())

    def std(self, name: str = "accuracy") -> float:
        """The standard deviation of a figure over the folds, of a sample (n - 1)."""
        return float(self._figure(name).std(ddof=1))

    def _figure(self, name: str) -> np.ndarray:
        if name not in self.figures:
            raise ValueError(f"no figure is called {name!r}; there are {', '.join(self.figures)}")
        return self.figures[name]

    def __repr__(self) -> str:
        return text_table(*self._table(), foot=2)

    def _repr_html_(self) -> str:
        return html_table(*self._table(), foot=2)

    def _table(self) -> tuple[list[list[str]], str]:
        shown = [n for n in ("accuracy", "f1", "r2", "rmse", "loss") if n in self.figures]
        head = ["fold", "examples", *shown, "seconds"]
        body = [
            [
                f"{fold + 1}",
                f"{len(rows):,}",
                *(f"{self.figures[name][fold]:.4f}" for name in shown),
                f"{self.seconds[fold]:.1f}",
            ]
            for fold, rows in enumerate(self.rows)
        ]
        feet = [
            [what, "", *(f"{of(name):.4f}" for name in shown), ""]
            for what, of in (("mean", self.mean), ("std", self.std))
        ]
        return [head, *body, *feet], "l" + "r" * (len(head) - 1)


def folds(
    data: Any,
    k: int = 5,
    *,
    groups: Any = None,
    stratify: bool = True,
    seed: int = 0,
) -> Iterator[tuple[Dataset, Dataset]]:
    """``k`` pairs ``(train, test)``: every example is in the test part of exactly one.

    Args:
        data: A dataset, or what ``fcnn.data.as_dataset`` takes.
        k: How many.
        groups: Of each example, ``[n]``, such as the patient of a scan: a group is never in both
            parts of a pair.
        stratify: Whether every fold has each class in the same share, where targets are integer
            labels ``[n]``; groups come first where they are given.
        seed: Of the draw.

    Raises:
        ValueError: there are fewer examples, or groups, than folds.
    """
    dataset = as_dataset(data)
    for test in _parts(dataset, k, groups, stratify, seed):
        train = np.setdiff1d(np.arange(len(dataset)), test)
        yield dataset.take(train), dataset.take(test)


def cross_validate(
    run: Train,
    data: Any,
    k: int = 5,
    *,
    groups: Any = None,
    stratify: bool = True,
    seed: int = 0,
    batch_size: int = 128,
) -> CrossValidation:
    """Trains ``k`` times, each time on all folds but one, and evaluates on that one.

    Example:
        >>> import fcnn
        >>> from fcnn import dense, flatten, serial
        >>> train, _ = fcnn.data.digits()
        >>> def run(train):
        ...     return fcnn.fit(serial(flatten, dense(10)), train, epochs=20, progress=False)
        >>> fcnn.study.cross_validate(run, train, 3).mean("accuracy") > 0.8
        True

    Args:
        run: ``train -> network``, or ``(network, ...)`` as ``fit`` returns; it gets ``seed`` if it
            takes one: that of the folds plus the number of the fold.
        data, k, groups, stratify, seed: As in ``folds``.
        batch_size: For the evaluation.
    """
    dataset = as_dataset(data)
    parts = _parts(dataset, k, groups, stratify, seed)
    reports, networks, seconds, outputs = [], [], [], None
    for fold, test in enumerate(parts):
        train = np.setdiff1d(np.arange(len(dataset)), test)
        started = time.perf_counter()
        network = trained(run, dataset.take(train), seed + fold)
        held_out = dataset.take(test)
        reports.append(evaluate(network, held_out, batch_size=batch_size))
        found = predict(network, held_out, batch_size=batch_size)
        if outputs is None:
            outputs = np.zeros((len(dataset), *found.shape[1:]), found.dtype)
        outputs[test] = found
        networks.append(network)
        seconds.append(time.perf_counter() - started)
    return CrossValidation(tuple(reports), tuple(networks), tuple(parts), outputs, tuple(seconds))


@dataclass(frozen=True, repr=False)
class LearningCurve:
    """A figure by the number of training examples; prints as a table.

    Attributes:
        name: Of the figure.
        sizes: Numbers of examples, ``[s]``.
        values: The figure of each repetition, ``[s, repeats]``.
    """

    name: str
    sizes: np.ndarray
    values: np.ndarray

    def plot(self, ax: Any = None) -> Any:
        """Draws mean and spread over the number of examples; returns the figure."""
        ax = axes(ax, 6, 4)
        mean, low, high = self.values.mean(1), self.values.min(1), self.values.max(1)
        ax.plot(self.sizes, mean, "o-")
        ax.fill_between(self.sizes, low, high, alpha=0.2, linewidth=0)
        ax.set(xscale="log", xlabel="training examples", ylabel=self.name)
        ax.set_xticks(self.sizes, [f"{n:,}" for n in self.sizes])
        ax.minorticks_off()
        tidy(ax)
        return ax.figure

    def __repr__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())

    def _table(self) -> tuple[list[list[str]], str]:
        rows = [
            [f"{n:,}", *(f"{of:.4f}" for of in (row.mean(), row.min(), row.max()))]
            for n, row in zip(self.sizes, self.values, strict=True)
        ]
        return [["examples", f"mean {self.name}", "lowest", "highest"], *rows], "rrrr"


def learning_curve(
    run: Train,
    train: Any,
    test: Any,
    sizes: Sequence[int | float] = (0.1, 0.2, 0.4, 0.7, 1.0),
    *,
    figure: str = "accuracy",
    repeats: int = 3,
    seed: int = 0,
) -> LearningCurve:
    """What more examples would bring: the same training on ever larger parts of the data.

    Each repetition draws its own order, and larger parts contain the smaller ones.

    Args:
        run: As in ``cross_validate``.
        train: What parts are taken of.
        test: What every network is evaluated on.
        sizes: Of the parts: numbers of examples, or fractions.
        figure: Of the report.
        repeats: How often.
        seed: Of the draws; repetition r trains with ``seed + r``.

    Raises:
        ValueError: a size is 0 or more than there are, or the report has no such figure.
    """
    check_counts(repeats=repeats)
    dataset = as_dataset(train)
    counts = np.array([_count(size, len(dataset)) for size in sizes])
    values = np.zeros((len(counts), repeats))
    for r in range(repeats):
        rows = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, r]))
        drawn = rows.permutation(len(dataset))
        for i, count in enumerate(counts):
            network = trained(run, dataset.take(np.sort(drawn[:count])), seed + r)
            values[i, r] = figure_of(evaluate(network, test), figure)
    return LearningCurve(figure, counts, values)


def figure_of(report: Any, name: str) -> float:
    """A figure of a report by its name.

    Raises:
        ValueError: it has none of that name.
    """
    figures = {each: x for each, x in report.to_json().items() if isinstance(x, float)}
    if name not in figures:
        raise ValueError(f"the report has no figure {name!r}; it has {', '.join(figures)}")
    return figures[name]


def trained(run: Train, train: Dataset, seed: int) -> Network:
    """The network that ``run`` makes of the data.

    Raises:
        TypeError: it makes none.
    """
    takes_seed = "seed" in inspect.signature(run).parameters
    made = run(train, seed=seed) if takes_seed else run(train)
    network = made[0] if isinstance(made, tuple) and made else made
    if not isinstance(network, Network):
        raise TypeError(f"run must return a Network, or what fit returns; got {made!r:.80}")
    return network


def _parts(
    dataset: Dataset, k: int, groups: Any, stratify: bool, seed: int
) -> tuple[np.ndarray, ...]:
    """The rows of each fold, sorted."""
    if not isinstance(k, int) or k < 2:
        raise ValueError(f"k must be a whole number, at least 2, got {k!r}")
    n, y = len(dataset), dataset.y
    labelled = isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind in "iub"
    labels = np.unique(y, return_inverse=True)[1] if stratify and labelled else np.zeros(n, int)
    numbers = np.random.Generator(np.random.Philox(key=seed))
    if groups is None:
        if n < k:
            raise ValueError(f"{n} examples cannot be {k} folds")
        order = numbers.permutation(n)
        order = order[np.argsort(labels[order], kind="stable")]  # dealt out like cards
        fold = np.empty(n, int)
        fold[order] = np.arange(n) % k
    else:
        fold = _grouped(np.asarray(groups), labels, n, k, numbers)
    return tuple(np.flatnonzero(fold == part) for part in range(k))


def _grouped(
    groups: np.ndarray, labels: np.ndarray, n: int, k: int, numbers: np.random.Generator
) -> np.ndarray:
    """The fold of each example: groups, the largest first, go where they even out the classes."""
    if groups.shape != (n,):
        raise ValueError(f"groups must be one for each of {n} examples, got {list(groups.shape)}")
    names, member = np.unique(groups, return_inverse=True)
    if len(names) < k:
        raise ValueError(f"{len(names)} groups cannot be {k} folds")
    counts = np.zeros((len(names), labels.max() + 1))
    np.add.at(counts, (member, labels), 1)
    share = counts / counts.sum(0)
    shuffled = numbers.permutation(len(names))
    order = shuffled[np.argsort(-counts[shuffled].sum(1), kind="stable")]
    held, size, of = np.zeros((k, counts.shape[1])), np.zeros(k), np.empty(len(names), int)
    for group in order:
        after = [np.vstack([held[:f], held[f] + share[group], held[f + 1 :]]) for f in range(k)]
        spread = [each.std(0).mean() for each in after]
        of[group] = min(range(k), key=lambda f: (round(spread[f], 12), size[f]))
        held[of[group]] += share[group]
        size[of[group]] += counts[group].sum()
    return of[member]


def _count(size: int | float, n: int) -> int:
    count = round(size * n) if isinstance(size, float) else size
    if not 1 <= count <= n:
        raise ValueError(f"a part of {size} is {count} of {n} examples; take 1 to {n}")
    return count
