"""Reports on numbers that were predicted."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..tables import html_table, number, text_table
from .report import example_weights, finite, mean_loss, new_axes, ratio

_MANY = 10  # outputs beyond which colours no longer tell them apart


@dataclass(frozen=True, eq=False, repr=False)
class RegressionReport:
    """How close numbers were predicted; several outputs per example are averaged with equal weight.

    Attributes:
        targets: The truth, ``[n, d]``.
        outputs: The predictions, ``[n, d]``.
        weight: Of each example, ``[n]``.
        loss: Weighted mean over examples, None if it was not computed.
    """

    targets: np.ndarray
    outputs: np.ndarray
    weight: np.ndarray
    loss: float | None = None

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.targets)

    @cached_property
    def mse(self) -> float:
        """Mean squared error."""
        return float(self._squared.mean())

    @cached_property
    def rmse(self) -> float:
        """Root of the mean squared error; of several outputs, the mean of their roots."""
        return float(np.sqrt(self._squared).mean())

    @cached_property
    def mae(self) -> float:
        """Mean absolute error."""
        return float(self._mean(np.abs(self.outputs - self.targets)).mean())

    @cached_property
    def r2(self) -> float:
        """Part of the variance explained; where there is none, 1 if all is exact and else 0."""
        variance = self._mean((self.targets - self._mean(self.targets)) ** 2)
        varies = np.ptp(self.targets, axis=0) > 0  # the variance of a constant may be rounding
        exact = (self._squared == 0).astype(float)
        return float(np.where(varies, 1 - ratio(self._squared, variance), exact).mean())

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; what is not finite is null."""
        figures = {
            name: finite(getattr(self, name)) for name in ("loss", "mse", "rmse", "mae", "r2")
        }
        return {"n": self.n, **figures}

    def plot(self, ax: Any = None) -> Any:
        """Draws predictions against the truth; returns the figure."""
        ax = new_axes(5, 5) if ax is None else ax
        d = self.targets.shape[1]
        alpha = min(0.6, max(0.05, 300 / self.n))  # where points overlap, their density shows
        style = {"color": "C0" if d > _MANY else None, "alpha": alpha, "markeredgewidth": 0}
        lines = ax.plot(self.targets, self.outputs, ".", **style)
        ax.axline([self.targets.flat[0]] * 2, slope=1, color="gray", linewidth=1, zorder=0)
        if 1 < d <= _MANY:
            legend = ax.legend(lines, [f"output {i}" for i in range(d)], frameon=False)
            for handle in legend.legend_handles:
                handle.set(alpha=1, markersize=8)
        ax.set(xlabel="truth", ylabel="prediction")
        ax.set_title(f"R² {self.r2:.4f}, RMSE {self.rmse:.4g}, n = {self.n:,}", fontsize=11)
        ax.set_aspect("equal", adjustable="datalim")
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.3)
        return ax.figure

    def __str__(self) -> str:
        return text_table(self._rows(), "lr")

    def __repr__(self) -> str:
        return f"<RegressionReport R2 {self.r2:.4f}, RMSE {self.rmse:.6g}, {self.n:,} examples>"

    def _repr_html_(self) -> str:
        return html_table(self._rows(), "lr")

    def _rows(self) -> list[list[str]]:
        figures = self.to_json()
        rows = [[name, number(value)] for name, value in figures.items() if value is not None]
        return [["figure", "value"], *rows]

    @cached_property
    def _squared(self) -> np.ndarray:
        return self._mean((self.outputs - self.targets) ** 2)

    def _mean(self, values: np.ndarray) -> np.ndarray:
        return np.average(values, axis=0, weights=self.weight)


def regression_report(
    targets: Any, outputs: Any, *, loss: Any = None, weight: Any = None
) -> RegressionReport:
    """The report on numbers that were predicted, ``[n]`` or ``[n, ...]``.

    Example:
        >>> report = regression_report([1.0, 2.0, 3.0, 4.0], [1.0, 2.5, 3.0, 3.5])
        >>> report
        <RegressionReport R2 0.9000, RMSE 0.353553, 4 examples>

    Args:
        targets: The truth.
        outputs: The predictions, of the same shape.
        loss: Of each example, ``[n]``.
        weight: Of each example, ``[n]``; what weighs 0 is left out.

    Raises:
        ValueError: shapes differ, a weight is negative, or no example is left.
    """
    targets, outputs = np.asarray(targets, np.float64), np.asarray(outputs, np.float64)
    if targets.shape != outputs.shape:
        raise ValueError(
            f"targets {targets.shape} and outputs {outputs.shape} must have one shape; "
            "write outputs.reshape(targets.shape) if only axes of one differ"
        )
    weight = example_weights(weight, len(targets))
    rows = (array.reshape(len(array), -1)[weight > 0] for array in (targets, outputs))
    return RegressionReport(*rows, weight[weight > 0], mean_loss(loss, weight))
