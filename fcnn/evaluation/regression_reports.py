"""Reports on numbers that were predicted."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..extras import require
from ..tables import html_table, number, text_table
from .examples import Examples, finite
from .resampled import Figures, Resampled
from .residuals import mae, mape, mse, r2, rmse

_FIGURES = {"mse": mse, "rmse": rmse, "mae": mae, "mape": mape, "r2": r2}


@dataclass(frozen=True, eq=False, repr=False)
class RegressionReport(Resampled):
    """How close numbers were predicted; several outputs per example are averaged with equal weight.

    Attributes:
        targets: The truth, ``[n, d]``.
        outputs: The predictions, ``[n, d]``.
        weight: Of each example, ``[n]``; those of weight 0 are left out of all.
        loss: Weighted mean over examples, None if it was not computed.
        index: Which example of the data each is, ``[n]``.
    """

    compared = tuple(_FIGURES)

    targets: np.ndarray
    outputs: np.ndarray
    weight: np.ndarray
    loss: float | None = None
    index: np.ndarray | None = None

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.targets)

    @cached_property
    def mse(self) -> float:
        """Mean squared error."""
        return mse(self.targets, self.outputs, weight=self.weight)

    @cached_property
    def rmse(self) -> float:
        """Root of the mean squared error; of several outputs, the mean of their roots."""
        return rmse(self.targets, self.outputs, weight=self.weight)

    @cached_property
    def mae(self) -> float:
        """Mean absolute error."""
        return mae(self.targets, self.outputs, weight=self.weight)

    @cached_property
    def mape(self) -> float:
        """Mean of ``|error| / |target|``, a part of one; huge where a target is near zero."""
        return mape(self.targets, self.outputs, weight=self.weight)

    @cached_property
    def r2(self) -> float:
        """Part of the variance explained; where there is none, 1 if all is exact and else 0."""
        return r2(self.targets, self.outputs, weight=self.weight)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; what is not finite is null."""
        figures = {name: finite(getattr(self, name)) for name in ("loss", *_FIGURES)}
        return {"n": self.n, **figures}

    def plot(self, ax: Any = None) -> Any:
        """Draws predictions against the truth; returns the figure."""
        return require("fcnn.figures", "plots").predictions(self, ax=ax)

    def __str__(self) -> str:
        return text_table(self._rows(), "lr")

    def __repr__(self) -> str:
        return f"<RegressionReport R2 {self.r2:.4f}, RMSE {self.rmse:.6g}, {self.n:,} examples>"

    def _repr_html_(self) -> str:
        return html_table(self._rows(), "lr")

    def _rows(self) -> list[list[str]]:
        values = {name: getattr(self, name) for name in ("n", "loss", *_FIGURES)}
        rows = [[name, number(value)] for name, value in values.items() if value is not None]
        return [["figure", "value"], *rows]

    def _resamples(self) -> list[Figures]:
        def figures(weight: np.ndarray) -> list[Any]:
            return [of(self.targets, self.outputs, weight=weight) for of in _FIGURES.values()]

        return [(tuple(_FIGURES), figures)]

    def _data(self) -> dict[str, Any]:
        return {"index": self.index, "targets": self.targets, "weight": self.weight}


def regression_report(
    targets: Any, outputs: Any, *, loss: Any = None, weight: Any = None, index: Any = None
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
        index: Which example of the data each is, ``[n]``; None counts them.

    Raises:
        ValueError: shapes differ, a weight is negative, or no example is left.
    """
    targets, outputs = np.asarray(targets, np.float64), np.asarray(outputs, np.float64)
    if targets.shape != outputs.shape:
        raise ValueError(
            f"targets {targets.shape} and outputs {outputs.shape} must have one shape; "
            "write outputs.reshape(targets.shape) if only axes of one differ"
        )
    examples = Examples(len(targets), weight, index)
    rows = (array.reshape(len(array), -1)[examples.rows] for array in (targets, outputs))
    return RegressionReport(*rows, examples.weight, examples.mean(loss), examples.index)
