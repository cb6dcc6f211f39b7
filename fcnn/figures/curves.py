"""Curves over all thresholds, and whether probabilities mean what they say."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..evaluation import (
    average_precision,
    precision_recall_curve,
    reliability_curve,
    roc_auc,
    roc_curve,
    wilson_interval,
)
from .axes import BLUE, COLOURS, axes, tidy, words

_WORST = 3  # curves with a name of their own among many
_GRID = np.linspace(0, 1, 201)  # at which many curves are drawn
_BETWEEN = {"color": "gray", "linestyle": ":", "linewidth": 1.2, "zorder": 1}


class _Curve(NamedTuple):
    """A curve of one class against all others: ``x`` never falls, and points are joined by lines,
    or, of steps, each height is that of what lies left of its point.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    area: float
    steps: bool

    def on_grid(self) -> np.ndarray:
        """The heights on a grid."""
        if self.steps:
            return self.y[np.searchsorted(self.x, _GRID)]
        return np.interp(_GRID, self.x, self.y)


def roc(report: Any, *, ax: Any = None) -> Any:
    """Receiver operating characteristic: how many are found at how many false alarms.

    Of two classes the second is the one to find. Of more, each is told from all others, and so is
    each label; where they are many, the mean of the curves is black and the worst are named.

    Example:
        >>> roc(fcnn.evaluate(network, test))  # doctest: +SKIP

    Args:
        report: A report on classes or labels, with probabilities.
        ax: Where to draw; None makes a figure.

    Returns:
        The matplotlib figure (extra ``plots``).

    Raises:
        ValueError: the report has no probabilities, or all examples are of one class.
    """

    def curve(found, score, weight):
        false, true, _ = roc_curve(found, score, weight=weight)
        return false, true, roc_auc(found, score, weight=weight), False

    curves = _curves(report, curve)
    ax = axes(ax, 5.2, 4.8)
    ax.plot([0, 1], [0, 1], **_BETWEEN)
    _draw(ax, curves, "AUC", "lower right")
    ax.set(xlabel="false alarms, part of all others", ylabel="found, part of the class (recall)")
    return ax.figure


def precision_recall(report: Any, *, ax: Any = None) -> Any:
    """Precision over recall: how many of those found are right, for how many are found.

    Of two classes the second is the one to find, and a dotted line shows its share, which guessing
    reaches. Of more, each is told from all others, as in ``roc``.

    Example:
        >>> precision_recall(fcnn.evaluate(network, test))  # doctest: +SKIP

    Args:
        report: A report on classes or labels, with probabilities.
        ax: Where to draw; None makes a figure.

    Returns:
        The matplotlib figure (extra ``plots``).

    Raises:
        ValueError: the report has no probabilities, or all examples are of one class.
    """

    def curve(found, score, weight):
        precision, recall, _ = precision_recall_curve(found, score, weight=weight)
        return recall[::-1], precision[::-1], average_precision(found, score, weight=weight), True

    curves = _curves(report, curve)
    ax = axes(ax, 5.2, 4.8)
    if _is_binary(report):
        ax.axhline(np.average(report.targets, weights=report.weight), **_BETWEEN)
    _draw(ax, curves, "average precision", "lower left")
    ax.set(xlabel="found, part of the class (recall)", ylabel="right, part of those found")
    return ax.figure


def _curves(report: Any, curve: Callable[..., tuple]) -> list[_Curve]:
    """The curve of each class, or label, that some examples have and some have not, worst first."""
    probabilities = _probabilities(report)
    found = []
    for i, name in enumerate(report.classes):
        of_class = report.targets[:, i] if report.targets.ndim == 2 else report.targets == i
        if of_class.all() or not of_class.any() or (i == 0 and _is_binary(report)):
            continue
        found.append(_Curve(name, *curve(of_class, probabilities[:, i], report.weight)))
    if not found:
        raise ValueError("no curve: all examples are of one class, and none are told apart")
    return sorted(found, key=lambda one: one.area)


def _is_binary(report: Any) -> bool:
    """Whether one of two classes is told from the other, so that one curve says all."""
    return report.targets.ndim == 1 and len(report.classes) == 2


def _probabilities(report: Any) -> np.ndarray:
    if report.probabilities is None:
        raise ValueError(
            "the report has no probabilities; fcnn.evaluate keeps those of examples, not of pixels"
        )
    return report.probabilities


def _draw(ax: Any, curves: list[_Curve], area: str, place: str) -> None:
    """The curves, with the area below each in the legend."""
    mean = np.mean([curve.area for curve in curves])
    named = curves if len(curves) <= len(COLOURS) else curves[:_WORST]
    lines, labels = [], []
    if len(named) < len(curves):
        heights = np.array([curve.on_grid() for curve in curves])
        ax.plot(_GRID, heights[len(named) :].T, color="silver", linewidth=0.7, zorder=2)
        lines += ax.plot(_GRID, heights.mean(0), color="black", linewidth=2, zorder=4)
        labels.append(f"{mean:.3f}  mean of {len(curves)}")
    for curve, color in zip(named, COLOURS, strict=False):
        style = "steps-pre" if curve.steps else "default"
        lines += ax.plot(curve.x, curve.y, drawstyle=style, color=color, linewidth=1.6, zorder=3)
        labels.append(f"{curve.area:.3f}  {words(curve.name)}")
    legend = ax.legend(lines, labels, title=area, loc=place, frameon=False, fontsize=9)
    legend.set_alignment("left")
    ax.set_title(
        f"{area} {mean:.4f}" + (", mean of classes" if len(curves) > 1 else ""), fontsize=11
    )
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), aspect="equal")
    tidy(ax)


def reliability(report: Any, *, bins: int = 15, ax: Any = None) -> Any:
    """How often predictions are right, over how probable they are said to be.

    A point is a bin of probabilities, with the interval of 95 % confidence of its accuracy (Wilson,
    1927). Below the diagonal a network is too sure. Gray columns are the parts of the examples in
    the bins.

    Example:
        >>> reliability(fcnn.evaluate(network, test))  # doctest: +SKIP

    Args:
        report: A report on classes, with probabilities.
        bins: How many, of equal width.
        ax: Where to draw; None makes a figure.

    Returns:
        The matplotlib figure (extra ``plots``).

    Raises:
        ValueError: the report has no probabilities.
    """
    probabilities, weight = _probabilities(report), report.weight
    curve = reliability_curve(report.targets, probabilities, bins=bins, weight=weight)
    full = curve.weight > 0
    confidence, accuracy, part = (column[full] for column in curve)
    equal = part * weight.sum() / (weight**2).sum()  # so many examples of one weight tell as much
    bounds = [wilson_interval(p * n, n) for p, n in zip(accuracy, equal, strict=True)]
    error = (np.abs(accuracy - confidence) * part).sum() / part.sum()

    ax = axes(ax, 5.2, 4.8)
    edges = np.linspace(0, 1, bins + 1)
    share = curve.weight / part.sum()
    columns = ax.bar(
        edges[:-1], share, 1 / bins, align="edge", color="gainsboro", edgecolor="white"
    )
    (perfect,) = ax.plot([0, 1], [0, 1], **_BETWEEN)
    ax.vlines(confidence, *np.transpose(bounds), color=BLUE, linewidth=1.2, zorder=2)
    (points,) = ax.plot(confidence, accuracy, "o-", color=BLUE, markersize=5, zorder=3)
    names = ["right predictions", "what they should be", "part of the examples"]
    ax.legend([points, perfect, columns], names, loc="best", edgecolor="none", fontsize=9)
    ax.set(xlabel="probability of the prediction", ylabel="part that is right", aspect="equal")
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    ax.set_title(f"calibration error {error:.2%}, n = {report.n:,}", fontsize=11)
    tidy(ax)
    return ax.figure
