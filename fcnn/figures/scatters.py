"""Numbers that were predicted, against the truth."""

from typing import Any

from .axes import COLOURS, axes, tidy


def predictions(report: Any, *, ax: Any = None) -> Any:
    """Predictions against the truth, with the diagonal on which they should lie.

    Example:
        >>> predictions(fcnn.evaluate(network, test))  # doctest: +SKIP

    Args:
        report: A report on numbers.
        ax: Where to draw; None makes a figure.

    Returns:
        The matplotlib figure (extra ``plots``).
    """
    ax = axes(ax, 5, 5)
    d = report.targets.shape[1]
    few = d <= len(COLOURS)
    alpha = min(0.6, max(0.05, 300 / report.n))  # where points overlap, their density shows
    lines = []
    for i, (truth, said) in enumerate(zip(report.targets.T, report.outputs.T, strict=True)):
        color = COLOURS[i if few else 0]
        lines += ax.plot(truth, said, ".", color=color, alpha=alpha, markeredgewidth=0)
    ax.axline([report.targets.flat[0]] * 2, slope=1, color="gray", linewidth=1, zorder=0)
    if few and d > 1:
        legend = ax.legend(lines, [f"output {i}" for i in range(d)], frameon=False)
        for handle in legend.legend_handles:
            handle.set(alpha=1, markersize=8)
    ax.set(xlabel="truth", ylabel="prediction")
    ax.set_title(f"R² {report.r2:.4f}, RMSE {report.rmse:.4g}, n = {report.n:,}", fontsize=11)
    ax.set_aspect("equal", adjustable="datalim")
    tidy(ax)
    return ax.figure
