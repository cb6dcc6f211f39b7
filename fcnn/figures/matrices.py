"""Which classes are taken for which."""

from typing import Any

import numpy as np

from ..extras import require
from ..tables import number
from .axes import ORANGE, axes, words

_MANY = 20  # classes beyond which numbers and names are no longer legible
_NAMED = 8  # of the worst mistakes among many classes


def confusion(report: Any, *, ax: Any = None) -> Any:
    """The confusion matrix, each row coloured by the parts of its true class.

    Among more than 20 classes the cells have no numbers; the worst mistakes are ringed and named.

    Example:
        >>> confusion(fcnn.evaluate(network, test))  # doctest: +SKIP

    Args:
        report: A report on classes.
        ax: Where to draw; None makes a figure.

    Returns:
        The matplotlib figure (extra ``plots``).

    Raises:
        TypeError: the report is of another kind, which has no such matrix.
    """
    if not hasattr(report, "confusion"):
        what = type(report).__name__
        raise TypeError(f"a {what} has no confusion matrix; its own picture is report.plot()")
    k = len(report.classes)
    legible = k <= _MANY
    longest = max(len(words(name)) for name in report.classes)
    side = 2.4 + 0.42 * k + 0.07 * longest if legible else 8.0
    ax = axes(ax, side + 0.6, side)
    part = _by_row(report.confusion)
    # among many classes each mistake is rare, and would be as good as white
    norm = require("matplotlib.colors", "plots").PowerNorm(1 if legible else 0.5, 0, 1)
    picture = ax.imshow(part, cmap="Blues", norm=norm)
    ax.set(xlabel="prediction", ylabel="truth")
    ax.set_title(f"accuracy {report.accuracy:.2%}, n = {report.n:,}", fontsize=11)
    bar = ax.figure.colorbar(picture, ax=ax, aspect=25, pad=0.03, format="{x:.0%}")
    bar.set_label("part of the true class")
    bar.outline.set_visible(False)
    if legible:
        _name(ax, report.classes, range(k), range(k), slanted=longest > 5)
        _write_cells(ax, report.confusion, part)
    else:
        _ring_the_worst(ax, report)
    return ax.figure


def _by_row(counts: np.ndarray) -> np.ndarray:
    """The matrix, each row divided by its sum, if that is not 0."""
    whole = counts.sum(1, keepdims=True)
    return np.divide(counts, whole, out=np.zeros(counts.shape), where=whole != 0)


def _name(ax: Any, classes: Any, columns: Any, rows: Any, *, slanted: bool) -> None:
    slant = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    ax.set_xticks(list(columns), [words(classes[i]) for i in columns], **slant)
    ax.set_yticks(list(rows), [words(classes[i]) for i in rows])


def _write_cells(ax: Any, counts: np.ndarray, part: np.ndarray) -> None:
    """The numbers, with a white line between cells."""
    edges = np.arange(1, len(counts)) - 0.5
    ax.set_xticks(edges, minor=True)
    ax.set_yticks(edges, minor=True)
    ax.grid(which="minor", color="white", linewidth=1)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    texts = [number(count, 3) for count in counts.flat]
    size = min(9, 55 / max(map(len, texts)))
    for text, ((i, j), count) in zip(texts, np.ndenumerate(counts), strict=True):
        color = "white" if part[i, j] > 0.5 else "black" if count else "silver"
        ax.text(j, i, text, ha="center", va="center", color=color, fontsize=size)


def _ring_the_worst(ax: Any, report: Any) -> None:
    """A ring around the cells of most mistakes, and the names of their rows and columns."""
    k = len(report.classes)
    wrong = report.confusion * ~np.eye(k, dtype=bool)
    worst = np.argsort(-wrong, axis=None, kind="stable")[:_NAMED]
    rows, columns = np.unravel_index(worst[wrong.flat[worst] > 0], wrong.shape)
    ring = {"markerfacecolor": "none", "markeredgecolor": ORANGE, "clip_on": False}
    ax.plot(columns, rows, "o", markersize=9, **ring)
    _name(ax, report.classes, _apart(columns, k / 20), _apart(rows, k / 20), slanted=True)


def _apart(places: np.ndarray, least: float) -> list[int]:
    """Those of the places, the first ones first, that leave room between their names."""
    kept: list[int] = []
    for place in map(int, places):
        if all(abs(place - other) >= least for other in kept):
            kept.append(place)
    return sorted(kept)
