"""How a run went."""

from collections.abc import Sequence
from typing import Any

from .axes import BLUE, ORANGE, new_figure, tidy

_NO_CURVES = {"epoch", "seconds", "rate", "waited"}
_FEW = 30  # epochs, up to which each has its point


def training(history: Any, columns: Sequence[str] | None = None, *, ax: Any = None) -> Any:
    """Curves of the loss and of each metric over the epochs, with validation beside training.

    Where validation decides, a dotted line marks the best epoch.

    Example:
        >>> training(history)  # doctest: +SKIP
        >>> training(history, ["accuracy"], ax=ax)  # doctest: +SKIP

    Args:
        history: What ``fit`` returned.
        columns: What to draw; None means all but the times.
        ax: Axes for each of them: one for one, or an array of them; None makes a figure.

    Returns:
        The matplotlib figure (extra ``plots``).

    Raises:
        ValueError: the history has no epochs, or there are not as many axes as columns.
        KeyError: there is no such column.
    """
    if not history.rows:
        raise ValueError("nothing to plot: the history has no epochs")
    if columns is None:
        names = (name for name in history.rows[0] if name not in _NO_CURVES)
        columns = [name for name in names if not name.startswith("validation_")]
    places = _new_axes(len(columns)) if ax is None else list(getattr(ax, "flat", [ax]))
    if len(places) != len(columns):
        raise ValueError(
            f"{len(columns)} curves, {', '.join(columns)}, need as many axes, got {len(places)}; "
            f"name those to draw: training(history, [{columns[0]!r}], ax=ax)"
        )
    for place, column in zip(places, columns, strict=True):
        _draw(place, history, column)
    return places[0].figure


def _new_axes(n: int) -> list[Any]:
    wide = min(n, 3)
    high = -(-n // wide)
    figure = new_figure(4.2 * wide, 3.2 * high, "constrained")
    places = list(figure.subplots(high, wide, squeeze=False).flat)
    for ax in places[n:]:
        ax.remove()
    return places[:n]


def _draw(ax: Any, history: Any, column: str) -> None:
    epochs = history["epoch"]
    style = {"marker": "o" if len(epochs) <= _FEW else None, "markersize": 4}
    ax.plot(epochs, history[column], color=BLUE, label="training", **style)
    if f"validation_{column}" in history.rows[0]:
        values = history[f"validation_{column}"]
        ax.plot(epochs, values, color=ORANGE, label="validation", **style)
    if history.best_epoch and history.monitor.startswith("validation_"):
        line = {"color": "gray", "linestyle": ":", "linewidth": 1.2, "zorder": 0}
        ax.axvline(history.best_epoch, label=f"epoch {history.best_epoch}, best", **line)
    if len(ax.lines) > 1:
        ax.legend(frameon=False)
    ax.set_title(column.replace("_", " "), fontsize=11)
    ax.set(xlabel="epoch", xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    tidy(ax)
